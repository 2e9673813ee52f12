/**
 * What a kernel routine's body says shall happen next. A plain value returns to the caller; everything that takes
 * time or calls the driver is data, so that a snapshot can be taken at any moment.
 */
import type { Va } from '../../base/va.ts';

/** Goes to RAX. `undefined` is VOID: RAX is left as it is. */
export type ReturnValue = number | bigint | boolean | undefined;

/** Words that a routine needs again when it goes on; kept on the guest's stack. Exact integers. */
export type ResumeRecord = readonly number[];

/** Call a routine of the guest, then go on at the named resume point (or return its RAX if there is none). */
export interface CallGuest {
  readonly action: 'call-guest';
  readonly routine: Va;
  readonly args: readonly (number | bigint)[];
  readonly resume: string;
  readonly record: ResumeRecord;
}

/** Block the thread as its wait blocks say; the wait status is returned or, with `resume`, handed to that point. */
export interface Wait {
  readonly action: 'wait';
  /** Dispatcher objects (addresses); none for a delay. */
  readonly objects: readonly Va[];
  readonly waitAll: boolean;
  readonly alertable: boolean;
  readonly waitMode: number;
  /** Absolute virtual interrupt time in 100 ns when the wait times out; undefined for never. */
  readonly dueTime: number | undefined;
  readonly resume?: string;
  readonly record?: ResumeRecord;
}

/** Raise an exception at the call, as RtlRaiseException would. */
export interface RaiseException {
  readonly action: 'raise';
  readonly status: number;
  readonly information?: readonly number[];
}

/** The routine set up the whole CPU state itself (RtlRestoreContext, a thread's end); nothing is returned. */
export interface Continue {
  readonly action: 'continue';
}

/** Poolproof lacks this: the life ends there as `incomplete`. */
export interface Unsupported {
  readonly action: 'unsupported';
  readonly what: string;
}

export type Action = CallGuest | Wait | RaiseException | Continue | Unsupported;
export type Outcome = ReturnValue | Action;

export function callGuest(
  routine: Va,
  args: readonly (number | bigint)[],
  resume: string,
  record: ResumeRecord = [],
): CallGuest {
  return { action: 'call-guest', routine, args, resume, record };
}

export function raise(status: number, information: readonly number[] = []): RaiseException {
  return { action: 'raise', status, information };
}

export const continueGuest: Continue = { action: 'continue' };

export function unsupported(what: string): Unsupported {
  return { action: 'unsupported', what };
}

export function isAction(outcome: Outcome): outcome is Action {
  return typeof outcome === 'object';
}
