/** A debugger at a machine: takes lines as they are typed, prints as the kernel debugger does. */
import { CommandError } from './command.ts';
import { findCommand } from './commands/index.ts';
import type { Target } from './target.ts';

/** Where a session is shown. */
export interface SessionHost {
  /** Text to show, lines ended by \n. */
  write(text: string): void;
  /** Lets the host breathe between two slices of a run. */
  breathe(): Promise<void>;
}

export class Session {
  readonly target: Target;
  private readonly host: SessionHost;
  /** Whether `q` was typed. */
  hasQuit = false;

  constructor(target: Target, host: SessionHost) {
    this.target = target;
    this.host = host;
  }

  /** The processor's number stands in front, as on machines with several. */
  get prompt(): string {
    return '0: kd> ';
  }

  /** One line of output; none of it is interpreted. */
  print(line = ''): void {
    this.host.write(`${line}\n`);
  }

  /** Commands separated by `;`, as typed at the prompt. */
  async execute(line: string): Promise<void> {
    for (const text of line.split(';')) {
      const trimmed = text.trim();
      if (trimmed === '' || this.hasQuit) continue;
      try {
        const { command, rest } = findCommand(trimmed);
        await command.run(this, rest);
      } catch (thrown) {
        if (!(thrown instanceof CommandError)) throw thrown;
        this.print(thrown.message);
      }
    }
  }
}
