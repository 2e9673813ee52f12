/** What a debugger command is: one declaration, from which dispatch, `.help`, completion and the documentation come. */
import type { Session } from './session.ts';

/** What may stand in a command's argument, for completion. */
export type ArgumentKind = 'address' | 'symbol' | 'image' | 'register' | 'command' | 'step' | 'text';

export interface DebuggerCommand {
  /** As typed: `db`, `!verifier`, `.bugcheck`. */
  readonly name: string;
  /** Other names. */
  readonly aliases?: readonly string[];
  /** Each form: `!verifier [Flags [Image]]`. */
  readonly usage: readonly string[];
  /** One line, without a full stop. */
  readonly summary: string;
  /** Lines below the usage in `.help NAME`: flags and what they show. */
  readonly details?: readonly string[];
  /** By position; the last one also stands for what follows it. */
  readonly completes?: readonly ArgumentKind[];
  /**
   * What an empty line after it does: `again` runs the same text once more, `continues` the command without arguments,
   * which goes on where it ended. Undefined: nothing.
   */
  readonly repeat?: 'again' | 'continues';
  /** Letters of options may follow the name without a blank: `lmvm`. */
  readonly hasLetters?: true;
  /** The rest of the line belongs to it, semicolons too. */
  readonly takesWholeLine?: true;
  /**
   * Prints with `session.print`. `text` is what follows the name, without blanks around it. Throws
   * {@link CommandError} for what the user typed wrongly.
   */
  run(session: Session, text: string): void | Promise<void>;
}

/** Something typed that can't be done; its message is printed as it is. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

/** What a command that prints much says when it was stopped in the middle. */
export const terminating = '...terminating';
