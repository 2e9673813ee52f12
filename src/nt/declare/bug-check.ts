import { hexVa, type Va } from '../../base/va.ts';

export type BugCheckParameter = number | bigint;

/**
 * The machine stops. Thrown by kernel code wherever it finds the reason, and caught where the kernel was entered; it
 * ends the life. Parameters are addresses (signed numbers) or 64-bit values.
 */
export class BugCheck {
  readonly code: number;
  readonly parameters: readonly [BugCheckParameter, BugCheckParameter, BugCheckParameter, BugCheckParameter];
  /** One sentence: what happened, in the field's words. */
  readonly summary: string;
  /** The driver's routine that did it, where it has returned before this was noticed. */
  readonly routine: Va | undefined;

  constructor(
    code: number,
    parameters: readonly [BugCheckParameter, BugCheckParameter, BugCheckParameter, BugCheckParameter],
    summary: string,
    routine?: Va,
  ) {
    this.code = code;
    this.parameters = parameters;
    this.summary = summary;
    this.routine = routine;
  }
}

/** A parameter as reports print it: `0xffff…`. */
export function bugCheckParameterText(parameter: BugCheckParameter): string {
  return typeof parameter === 'bigint' ? `0x${BigInt.asUintN(64, parameter).toString(16)}` : hexVa(parameter as Va);
}
