/**
 * What a sequence of the PnP manager is made of: requests to a device's stack, and calls of other routines of the kernel,
 * each with what follows from the answer.
 */
import type { Va } from '../../base/va.ts';
import type { Call, ResumedCall } from '../declare/call.ts';
import type { Outcome } from '../declare/outcome.ts';
import type { Nt } from '../nt.ts';
import type { StackAnswer } from './stack-requests.ts';

/** Order gives the numbers that stacks and snapshots hold. */
const sequenceNames = [
  'firstStart',
  'start',
  'stop',
  'cancelStop',
  'stopAndCancel',
  'queryRemove',
  'queryRemoveOnly',
  'cancelRemove',
  'queryRemoveAndCancel',
  'surpriseRemove',
  'remove',
  'enumerate',
  'queryState',
  'queryBusRelations',
  'rebalance',
  'eject',
  'queryStopOnly',
  'stopOnly',
] as const;

export type SequenceName = (typeof sequenceNames)[number];

export const sequenceNumber = (name: SequenceName): number => sequenceNames.indexOf(name);
export const sequenceName = (number: number): SequenceName | undefined => sequenceNames[number];

/** Where a sequence stands besides its request. */
export interface SequenceState {
  readonly pdo: Va;
  /** A block that one request hands to the next: resource requirements, capabilities; null for none. */
  readonly data: Va;
  /** What the sequence's routine returns. */
  readonly status: number;
}

/** On with the next step, with another sequence, or not at all. */
export type Next =
  | (Partial<SequenceState> & { readonly goOnWith?: SequenceName; readonly isOver?: boolean })
  | { readonly instead: Outcome }
  | undefined;

/** An IRP_MJ_PNP request. */
export interface RequestStep {
  readonly minor: number;
  /** Not sent to this device. */
  readonly isLeftOut?: (nt: Nt, state: SequenceState) => boolean;
  /** Fills the request's stack location in; may make the block that `answered` frees. */
  readonly fill?: (nt: Nt, location: Va, state: SequenceState, irp: Va, call: Call | ResumedCall) => Va;
  readonly answered?: (nt: Nt, state: SequenceState, answer: StackAnswer) => Next;
}

/** A routine of the kernel with its arguments. */
export interface CallStep {
  /** Undefined: nothing to call (any more). */
  readonly call: (nt: Nt, state: SequenceState) => readonly [routine: string, args: readonly number[]] | undefined;
  /** Again and again, until there is nothing to call. */
  readonly isRepeated?: boolean;
  readonly answered?: (nt: Nt, state: SequenceState, status: number) => Next;
}

/** A look at how things stand. */
export interface DecideStep {
  readonly decide: (nt: Nt, state: SequenceState) => Next;
}

export type SequenceStep = RequestStep | CallStep | DecideStep;

/** A sequence for each device that `choose` names, one after the other; it must name others as they change. */
export function forEach(
  choose: (nt: Nt, state: SequenceState) => Va | undefined,
  sequence: SequenceName,
  answered?: CallStep['answered'],
): CallStep {
  return {
    call: (nt, state) => {
      const pdo = choose(nt, state);
      return pdo === undefined ? undefined : ['IopRunSequence', [pdo, sequenceNumber(sequence)]];
    },
    isRepeated: true,
    ...(answered === undefined ? {} : { answered }),
  };
}
