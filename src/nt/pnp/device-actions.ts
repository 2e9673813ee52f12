/** The PnP manager's own routines: a device is added, started, stopped, pulled out, removed. They run in a system thread. */
import { nullVa, type Va } from '../../base/va.ts';
import type { Call, ResumedCall } from '../declare/call.ts';
import { passiveOnly } from '../declare/irql-ranges.ts';
import { ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest, type Outcome } from '../declare/outcome.ts';
import { PVOID, ULONG } from '../declare/parameter-types.ts';
import { checkWorkerReturn } from '../io/driver-loading.ts';
import { waitFor } from '../io/internal-request.ts';
import type { Nt } from '../nt.ts';
import { ntSuccess, STATUS_INVALID_DEVICE_STATE, STATUS_NO_SUCH_DEVICE, STATUS_SUCCESS } from '../ntstatus.ts';
import { MajorFunction } from '../structures/io.ts';
import { type Next, type SequenceName, type SequenceState, sequenceNumber } from './sequence-steps.ts';
import { sequenceStep } from './sequences.ts';
import { makeStackRequest, type StackAnswer, sendStackRequest, stackRequestResume } from './stack-requests.ts';

/** The states from which an action is possible, and the sequence that it is. */
const actions = {
  start: { from: ['stopped'], sequence: 'start' },
  stop: { from: ['started'], sequence: 'stop' },
  surpriseRemove: { from: ['started', 'stopped'], sequence: 'surpriseRemove' },
  queryRemove: { from: ['started'], sequence: 'queryRemove' },
  /** After a surprise removal, when nobody has the device open any more. */
  remove: { from: ['surprise-removed'], sequence: 'remove' },
  stopAndCancel: { from: ['started'], sequence: 'stopAndCancel' },
  queryRemoveAndCancel: { from: ['started'], sequence: 'queryRemoveAndCancel' },
} as const satisfies Record<string, { from: readonly string[]; sequence: SequenceName }>;

export type PnpAction = keyof typeof actions;

const actionNames = Object.keys(actions) as PnpAction[];

/** The argument of IopDeviceAction. */
export const pnpActionNumber = (action: PnpAction): number => actionNames.indexOf(action);

// Record: of a request, after [block, irp], and of a call: [sequence, step, pdo, data, status].

/** Takes the steps of a sequence up to one that has to be waited for. */
function goOn(nt: Nt, call: Call | ResumedCall, sequence: number, from: number, before: SequenceState): Outcome {
  let state = before;
  for (let index = from; ; index++) {
    const step = sequenceStep(sequence, index);
    if (step === undefined) return state.status;
    if ('call' in step) {
      const called = step.call(nt, state);
      if (called === undefined) continue;
      const record = [sequence, index, state.pdo, state.data, state.status];
      return callGuest(nt.entries.routineVa(called[0]), called[1], 'called', record);
    }
    if ('decide' in step) {
      const next = step.decide(nt, state);
      if (isTurn(next)) return follow(nt, call, { sequence, index }, state, next);
      state = { ...state, ...next };
      continue;
    }
    if (step.isLeftOut?.(nt, state) === true) continue;
    let data = state.data;
    const request = makeStackRequest(nt, state.pdo, MajorFunction.Pnp, step.minor, (location, irp) => {
      data = step.fill?.(nt, location, state, irp, call) ?? data;
    });
    return sendStackRequest(nt, request, [sequence, index, state.pdo, data, state.status]);
  }
}

const isTurn = (next: Next): boolean =>
  next !== undefined && ('instead' in next || next.goOnWith !== undefined || next.isOver === true);

interface Place {
  readonly sequence: number;
  readonly index: number;
}

function follow(nt: Nt, call: Call | ResumedCall, at: Place, state: SequenceState, next: Next): Outcome {
  if (next !== undefined && 'instead' in next) return next.instead;
  const { goOnWith, isOver, ...change } = next ?? {};
  const changed = { ...state, ...change };
  if (isOver === true) return changed.status;
  return goOnWith === undefined
    ? goOn(nt, call, at.sequence, at.index + 1, changed)
    : goOn(nt, call, sequenceNumber(goOnWith), 0, changed);
}

function answered(nt: Nt, call: ResumedCall, answer: StackAnswer): Outcome {
  const at = { sequence: call.word(2), index: call.word(3) };
  const state: SequenceState = { pdo: call.va(4), data: call.va(5), status: call.word(6) };
  const step = sequenceStep(at.sequence, at.index);
  const next = step !== undefined && 'minor' in step ? step.answered?.(nt, state, answer) : undefined;
  return follow(nt, call, at, state, next);
}

function called(nt: Nt, call: ResumedCall): Outcome {
  const at = { sequence: call.word(0), index: call.word(1) };
  const state: SequenceState = { pdo: call.va(2), data: call.va(3), status: call.word(4) };
  const step = sequenceStep(at.sequence, at.index);
  if (step === undefined || !('call' in step)) return state.status;
  const next = step.answered?.(nt, state, call.status);
  if (step.isRepeated === true && !isTurn(next)) return goOn(nt, call, at.sequence, at.index, { ...state, ...next });
  return follow(nt, call, at, state, next);
}

const sequenceResume = { ...stackRequestResume(answered), called };

const begin = (nt: Nt, call: Call | ResumedCall, name: SequenceName, pdo: Va, status: number = STATUS_SUCCESS) =>
  goOn(nt, call, sequenceNumber(name), 0, { pdo, data: nullVa, status });

// ---- one thing at a time

/** Has a routine run after what drivers asked for before, when nothing else is done to devices. Record: [routine, arguments…]. */
function locked(nt: Nt, routine: string, args: readonly number[]): Outcome {
  const record = [nt.entries.routineVa(routine), ...args];
  const { untilDone } = nt.io.deviceQueries;
  return untilDone === undefined ? waitFor(nt.io.pnp.lock, 'turn', record) : waitFor(untilDone, 'queriesDone', record);
}

const lockResume = {
  queriesDone: (nt: Nt, call: ResumedCall): Outcome => waitFor(nt.io.pnp.lock, 'turn', call.record),
  turn: (_nt: Nt, call: ResumedCall): Outcome => callGuest(call.va(0), call.record.slice(1), 'over', []),
  over: (nt: Nt, call: ResumedCall): Outcome => {
    const { status } = call;
    nt.dispatcher.signal(nt.io.pnp.lock, 1);
    return status;
  },
};

// ---- a device arrives

/** Asks the drivers from the `index`th on to add their devices; then the device starts. */
function addNext(nt: Nt, call: Call | ResumedCall, pdo: Va, from: number): Outcome {
  const drivers = nt.io.pnp.get(pdo)?.drivers ?? [];
  for (let index = from; index < drivers.length; index++) {
    const driverObject = drivers[index] as Va;
    const routine = nt.io.drivers.addDeviceRoutine(driverObject);
    if (routine !== nullVa) return callGuest(routine, [driverObject, pdo], 'deviceAdded', [pdo, routine, index]);
  }
  nt.io.pnp.change(pdo, { state: 'added' });
  return begin(nt, call, 'firstStart', pdo);
}

/** AddDevice returned. Record: [pdo, routine, index]. */
function deviceAdded(nt: Nt, call: ResumedCall): Outcome {
  const { pnp } = nt.io;
  const [pdo, status] = [call.va(0), call.status];
  checkWorkerReturn(nt, 'AddDevice', call.va(1), nt.entries.routineVa('IopAddDevice'));
  // A driver may leave the device to the bus: AddDevice attaches nothing and returns success.
  if (ntSuccess(status)) return addNext(nt, call, pdo, call.word(2) + 1);
  const stack = pnp.get(pdo)?.drivers ?? [];
  const name = nt.io.drivers.get(stack[call.word(2)] ?? nullVa)?.serviceName;
  pnp.change(pdo, { failure: { what: stack.length > 1 ? `AddDevice of ${name}` : 'AddDevice', status } });
  if (pnp.hasAttached(pdo)) return begin(nt, call, 'remove', pdo, status);
  pnp.retire(pdo, 'failed');
  return status;
}

// ---- what drivers ask for

/** Takes what is queued, one after the other. */
function workOn(nt: Nt): Outcome {
  const query = nt.io.deviceQueries.first;
  if (query === undefined) {
    nt.io.deviceQueries.end();
    return undefined;
  }
  if (query.what === 'sequence') return waitFor(nt.io.pnp.lock, 'queryTurn', []);
  return callGuest(nt.entries.routineVa(query.routine), query.args, 'callDone', []);
}

function queryOver(nt: Nt): Outcome {
  nt.dispatcher.signal(nt.io.pnp.lock, 1);
  nt.io.deviceQueries.done();
  return workOn(nt);
}

export const pnpDeviceActions = ntInternals({
  IopAddDevice: ntRoutine({
    doc: 'a device arrives on the root bus: AddDevice of its drivers, then the start',
    irql: passiveOnly,
    params: { PhysicalDeviceObject: PVOID },
    returns: 'NTSTATUS',
    body: (nt, { PhysicalDeviceObject }) => locked(nt, 'PipAddDevices', [PhysicalDeviceObject]),
    resume: lockResume,
  }),
  PipAddDevices: ntRoutine({
    doc: 'asks the drivers of a new device to add theirs, and starts it',
    irql: passiveOnly,
    params: { PhysicalDeviceObject: PVOID },
    returns: 'NTSTATUS',
    body: (nt, { PhysicalDeviceObject }, call) => addNext(nt, call, PhysicalDeviceObject, 0),
    resume: { deviceAdded, ...sequenceResume },
  }),
  IopDeviceAction: ntRoutine({
    doc: 'starts, stops or removes a device',
    irql: passiveOnly,
    params: { PhysicalDeviceObject: PVOID, Action: ULONG },
    returns: 'NTSTATUS',
    body: (nt, { PhysicalDeviceObject, Action }) => locked(nt, 'PipDeviceAction', [PhysicalDeviceObject, Action]),
    resume: lockResume,
  }),
  PipDeviceAction: ntRoutine({
    doc: 'does what IopDeviceAction was asked for, when nothing else is done to devices',
    irql: passiveOnly,
    params: { PhysicalDeviceObject: PVOID, Action: ULONG },
    returns: 'NTSTATUS',
    body: (nt, { PhysicalDeviceObject, Action }, call) => {
      const name = actionNames[Action];
      const state = nt.io.pnp.get(PhysicalDeviceObject)?.state;
      if (name === undefined || state === undefined) return STATUS_NO_SUCH_DEVICE;
      const { from, sequence } = actions[name];
      if (!(from as readonly string[]).includes(state)) return STATUS_INVALID_DEVICE_STATE;
      return begin(nt, call, sequence, PhysicalDeviceObject);
    },
    resume: sequenceResume,
  }),
  /** For a child, in the middle of what is done to its parent. */
  IopRunSequence: ntRoutine({
    doc: 'takes a device through one sequence of requests',
    irql: passiveOnly,
    params: { PhysicalDeviceObject: PVOID, Sequence: ULONG },
    returns: 'NTSTATUS',
    body: (nt, { PhysicalDeviceObject, Sequence }, call) =>
      goOn(nt, call, Sequence, 0, { pdo: PhysicalDeviceObject, data: nullVa, status: STATUS_SUCCESS }),
    resume: sequenceResume,
  }),
  /** What IoInvalidateDeviceState, IoRequestDeviceEject and their like ask for. */
  PnpDeviceActionWorker: ntRoutine({
    doc: 'does in a worker thread what drivers asked the PnP manager for',
    irql: passiveOnly,
    params: { Item: PVOID },
    returns: 'VOID',
    body: (nt) => workOn(nt),
    resume: {
      queryTurn: (nt) => {
        const query = nt.io.deviceQueries.first;
        if (query?.what === 'sequence' && nt.io.pnp.get(query.pdo)?.state === 'started') {
          const args = [query.pdo, sequenceNumber(query.sequence)];
          return callGuest(nt.entries.routineVa('IopRunSequence'), args, 'queryDone', []);
        }
        return queryOver(nt);
      },
      queryDone: queryOver,
      callDone: (nt) => {
        nt.io.deviceQueries.done();
        return workOn(nt);
      },
    },
  }),
});
