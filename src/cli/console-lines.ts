/** Lines that a user types, or that a pipe holds, one at a time; and the key that stops what goes on. */
import { createInterface, type Interface } from 'node:readline';

/** Where an interactive command reads. */
export interface ConsoleInput {
  readonly stream: NodeJS.ReadableStream;
  /** Where typed characters are shown; undefined if nobody types. */
  readonly screen: NodeJS.WritableStream | undefined;
}

export interface ConsoleLinesOptions {
  readonly input: ConsoleInput;
  /** Candidates for the word at the end of a line, and that word. */
  readonly complete: (line: string) => [string[], string];
  /** Ctrl+C. True: it stopped something; false: there was nothing to stop. */
  readonly interrupt: () => boolean;
}

/** Lines that are kept for the arrow keys. */
const historySize = 1000;

export class ConsoleLines {
  private readonly reader: Interface;
  private readonly isTyped: boolean;
  private readonly lines: string[] = [];
  private readonly interrupt: () => boolean;
  private waiting: ((line: string | undefined) => void) | undefined;
  private isClosed = false;

  constructor({ input, complete, interrupt }: ConsoleLinesOptions) {
    this.isTyped = input.screen !== undefined;
    this.interrupt = interrupt;
    this.reader = createInterface({
      input: input.stream,
      ...(input.screen === undefined ? {} : { output: input.screen, completer: complete, historySize }),
      terminal: this.isTyped,
      crlfDelay: Number.POSITIVE_INFINITY,
    });
    this.reader.on('line', (line) => this.arrived(line));
    this.reader.on('close', () => this.closed());
    this.reader.on('SIGINT', this.interrupted);
    process.on('SIGINT', this.interrupted);
  }

  /** The next line; undefined when there are no more. The prompt is shown to whoever types. */
  next(prompt: string): Promise<string | undefined> {
    const line = this.lines.shift();
    if (line !== undefined || this.isClosed) return Promise.resolve(line);
    if (this.isTyped) {
      this.reader.setPrompt(prompt);
      this.reader.prompt();
    }
    return new Promise((resolve) => {
      this.waiting = resolve;
    });
  }

  close(): void {
    process.off('SIGINT', this.interrupted);
    this.reader.close();
  }

  private arrived(line: string): void {
    const { waiting } = this;
    this.waiting = undefined;
    if (waiting === undefined) this.lines.push(line);
    else waiting(line);
  }

  private closed(): void {
    this.isClosed = true;
    this.waiting?.(undefined);
    this.waiting = undefined;
  }

  private readonly interrupted = (): void => {
    if (this.interrupt()) {
      // What was typed ahead is meant for a machine that goes on.
      this.lines.length = 0;
    } else if (this.isTyped) {
      this.reader.write(null, { ctrl: true, name: 'e' });
      this.reader.write(null, { ctrl: true, name: 'u' });
    } else {
      this.lines.length = 0;
      this.reader.close();
    }
  };
}
