/** A place in a program, as precise as symbols allow. Left out: not known. */
export interface Site {
  /** Module name as the debugger has it: `leaky`, `nt`. */
  readonly module: string;
  readonly function?: string;
  /** From the start of the (physical) function, or of the module if the function is not known: `0x1f`. */
  readonly offset: string;
  /** The function's code stands inlined in the next site of the stack. */
  readonly inlined?: boolean;
  readonly file?: string;
  readonly line?: number;
}
