/**
 * The two errors that are exceptions. What the guest does wrong (a status, a fault, a bug check) is never one of them.
 */

/** The user gave something that can't be used. Printed as one line; the command ends with exit status 2. */
export class PoolproofError extends Error {
  override readonly name = 'PoolproofError';
  /** Stable code `PP1234`: first digit is the layer (1 image, 2 engine, 3 nt, 4 verifier, 5 run, 6 command line). */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Poolproof itself is wrong. Stays on in release; the command ends with exit status 4. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** For the default branch of a switch over a closed union. */
export function unreachable(value: never): never {
  throw new AssertionError(`unexpected value ${String(value)}`);
}
