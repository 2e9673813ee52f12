/** A debugger at a machine: takes lines as they are typed, prints as the kernel debugger does. */
import { printable } from '../base/printable.ts';
import type { Va } from '../base/va.ts';
import { CallStackReader } from './call-stack.ts';
import { CommandError, type DebuggerCommand } from './command.ts';
import { firstCommand } from './command-line.ts';
import { commandNamed, commands, findCommand } from './commands/index.ts';
import { type Completion, complete } from './completion.ts';
import { Execution } from './execution.ts';
import type { ExpressionScope } from './expression.ts';
import { machineScope } from './scope.ts';
import { SymbolTable } from './symbols.ts';
import type { Target } from './target.ts';

/** Where a session is shown. */
export interface SessionHost {
  /** Text to show, lines ended by \n. */
  write(text: string): void;
  /** Lets the host breathe between two slices of a run. */
  breathe(): Promise<void>;
}

/** `$t0` to `$t19` */
const temporaryCount = 20;

export class Session {
  readonly target: Target;
  readonly host: SessionHost;
  readonly symbols: SymbolTable;
  readonly stacks: CallStackReader;
  /** Breakpoints, and running on. */
  readonly execution: Execution;
  /** What names in expressions mean. */
  readonly scope: ExpressionScope;
  /** The user's own pseudo-registers, `$t0` to `$t19`. */
  readonly temporaries = new BigUint64Array(temporaryCount);
  /** Whether `q` was typed. */
  hasQuit = false;
  /** Where `d` without an address goes on, and as which of the family. */
  displayNext: Va | undefined;
  displayFormat = 'db';
  /** Where `u` without an address goes on; undefined: at the instruction pointer. */
  disassemblyNext: Va | undefined;
  /** What an empty line runs. */
  private repeated: string | undefined;
  /** Commands of a breakpoint run within the command that goes on. */
  private depth = 0;
  private isInterrupted = false;

  constructor(target: Target, host: SessionHost) {
    this.target = target;
    this.host = host;
    this.symbols = new SymbolTable(target);
    this.stacks = new CallStackReader(target.nt, (image) => target.symbolsOf(image)?.source);
    this.scope = machineScope(this);
    this.execution = new Execution(this);
  }

  /** The processor's number stands in front, as on machines with several. */
  get prompt(): string {
    return '0: kd> ';
  }

  /** By name. */
  get commands(): readonly DebuggerCommand[] {
    return [...commands].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  commandNamed(name: string): DebuggerCommand | undefined {
    return commandNamed(name);
  }

  /** Whether a command is at work. */
  get isBusy(): boolean {
    return this.depth > 0;
  }

  /** Stops a run, or a command that prints much, as soon as it can. Does nothing if there is none. */
  breakIn(): void {
    this.isInterrupted = this.isBusy;
    this.execution.breakIn();
  }

  /** Lets the host breathe in the middle of a command that prints much. False: the user wants no more of it. */
  async breathe(): Promise<boolean> {
    await this.host.breathe();
    return !this.isInterrupted;
  }

  /** One line of output. Control characters, which can only come from a driver, are made visible; tabs stay. */
  print(line = ''): void {
    this.host.write(`${line.split('\t').map(printable).join('\t')}\n`);
  }

  /** To be called whenever the machine has run: what goes on by itself starts at the instruction pointer again. */
  machineRan(): void {
    this.disassemblyNext = undefined;
  }

  /** Commands separated by `;`, as typed at the prompt. An empty line repeats what can be repeated. */
  async execute(line: string): Promise<void> {
    if (this.depth === 0) this.isInterrupted = false;
    this.depth++;
    try {
      await this.executeAll(line);
    } finally {
      this.depth--;
    }
  }

  /** How the last word of a line may go on. */
  complete(line: string): Completion {
    return complete(this, line);
  }

  private async executeAll(line: string): Promise<void> {
    const typed = line.trim() === '' ? (this.repeated ?? '') : line;
    for (let left = typed.trim(); left !== '' && !this.hasQuit; ) {
      try {
        left = await this.executeFirst(left);
      } catch (thrown) {
        if (!(thrown instanceof CommandError)) throw thrown;
        for (const part of thrown.message.split('\n')) this.print(part);
        return;
      }
    }
  }

  private async executeFirst(line: string): Promise<string> {
    const { text, rest } = firstCommand(line);
    if (text === '') return rest.trim();
    const { command, name, rest: args } = findCommand(text);
    this.repeated = repeatOf(command, name, text);
    if (command.takesWholeLine) {
      await command.run(this, line.slice(line.length - line.trimStart().length + name.length).trim());
      return '';
    }
    await command.run(this, args);
    return rest.trim();
  }
}

function repeatOf(command: DebuggerCommand, name: string, text: string): string | undefined {
  if (command.repeat === undefined) return undefined;
  return command.repeat === 'again' ? text : name;
}
