/** The PnP manager's own routines: a device is added, started, stopped, pulled out, removed. They run in a system thread. */
import { nullVa, type Va } from '../../base/va.ts';
import type { ResumedCall } from '../declare/call.ts';
import { passiveOnly } from '../declare/irql-ranges.ts';
import { ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest, type Outcome } from '../declare/outcome.ts';
import { PVOID, ULONG } from '../declare/parameter-types.ts';
import { checkWorkerReturn } from '../io/driver-loading.ts';
import type { Nt } from '../nt.ts';
import { ntSuccess, STATUS_INVALID_DEVICE_STATE, STATUS_NO_SUCH_DEVICE, STATUS_SUCCESS } from '../ntstatus.ts';
import { DRIVER_EXTENSION, DRIVER_OBJECT, MajorFunction } from '../structures/io.ts';
import { type SequenceName, type SequenceState, sequenceNumber, sequenceStep } from './sequences.ts';
import { makeStackRequest, type StackAnswer, sendStackRequest, stackRequestResume } from './stack-requests.ts';

/** The states from which an action is possible, and the sequence that it is. */
const actions = {
  start: { from: ['stopped'], sequence: 'start' },
  stop: { from: ['started'], sequence: 'stop' },
  surpriseRemove: { from: ['started', 'stopped'], sequence: 'surpriseRemove' },
  queryRemove: { from: ['started'], sequence: 'queryRemove' },
  /** After a surprise removal, when nobody has the device open any more. */
  remove: { from: ['surprise-removed'], sequence: 'remove' },
} as const satisfies Record<string, { from: readonly string[]; sequence: SequenceName }>;

export type PnpAction = keyof typeof actions;

const actionNames = Object.keys(actions) as PnpAction[];

/** The argument of IopDeviceAction. */
export const pnpActionNumber = (action: PnpAction): number => actionNames.indexOf(action);

// Record after [block, irp]: [sequence, step, pdo, data, status].

function send(nt: Nt, sequence: number, index: number, state: SequenceState): Outcome {
  const step = sequenceStep(sequence, index);
  if (step === undefined) return state.status;
  let data = state.data;
  const request = makeStackRequest(nt, state.pdo, MajorFunction.Pnp, step.minor, (location) => {
    data = step.fill?.(nt, location, state) ?? data;
  });
  return sendStackRequest(nt, request, [sequence, index, state.pdo, data, state.status]);
}

function answered(nt: Nt, call: ResumedCall, answer: StackAnswer): Outcome {
  const [sequence, index] = [call.word(2), call.word(3)];
  const state: SequenceState = { pdo: call.va(4), data: call.va(5), status: call.word(6) };
  const next = sequenceStep(sequence, index)?.answered?.(nt, state, answer) ?? {};
  if ('instead' in next) return next.instead;
  const { goOnWith, ...change } = next;
  const changed = { ...state, ...change };
  return goOnWith === undefined
    ? send(nt, sequence, index + 1, changed)
    : send(nt, sequenceNumber(goOnWith), 0, changed);
}

const begin = (nt: Nt, name: SequenceName, pdo: Va, status: number = STATUS_SUCCESS): Outcome =>
  send(nt, sequenceNumber(name), 0, { pdo, data: nullVa, status });

/** AddDevice returned. Record: [pdo, routine]. */
function deviceAdded(nt: Nt, call: ResumedCall): Outcome {
  const { pnp } = nt.io;
  const [pdo, status] = [call.va(0), call.status];
  checkWorkerReturn(nt, 'AddDevice', call.va(1), nt.entries.routineVa('IopAddDevice'));
  // A driver may leave the device to the bus: AddDevice attaches nothing and returns success.
  if (ntSuccess(status)) {
    pnp.change(pdo, { state: 'added' });
    return begin(nt, 'firstStart', pdo);
  }
  pnp.change(pdo, { failure: { what: 'AddDevice', status } });
  if (pnp.hasAttached(pdo)) return begin(nt, 'remove', pdo, status);
  pnp.retire(pdo, 'failed');
  return status;
}

const sequenceResume = stackRequestResume(answered);

export const pnpDeviceActions = ntInternals({
  IopAddDevice: ntRoutine({
    doc: 'a device arrives on the root bus: AddDevice of its driver, then the start',
    irql: passiveOnly,
    params: { DriverObject: PVOID },
    returns: 'NTSTATUS',
    body: (nt, { DriverObject }) => {
      const extension = DRIVER_OBJECT.DriverExtension.get(nt.memory, DriverObject);
      const routine = DRIVER_EXTENSION.AddDevice.get(nt.memory, extension);
      const pdo = nt.io.pnp.create(DriverObject);
      return callGuest(routine, [DriverObject, pdo], 'deviceAdded', [pdo, routine]);
    },
    resume: { deviceAdded, ...sequenceResume },
  }),
  IopDeviceAction: ntRoutine({
    doc: 'starts, stops or removes a device',
    irql: passiveOnly,
    params: { PhysicalDeviceObject: PVOID, Action: ULONG },
    returns: 'NTSTATUS',
    body: (nt, { PhysicalDeviceObject, Action }) => {
      const name = actionNames[Action];
      const state = nt.io.pnp.get(PhysicalDeviceObject)?.state;
      if (name === undefined || state === undefined) return STATUS_NO_SUCH_DEVICE;
      const { from, sequence } = actions[name];
      if (!(from as readonly string[]).includes(state)) return STATUS_INVALID_DEVICE_STATE;
      return begin(nt, sequence, PhysicalDeviceObject);
    },
    resume: sequenceResume,
  }),
  /** What IoInvalidateDeviceState and IoInvalidateDeviceRelations ask for, in a worker thread. */
  IopDeviceQuery: ntRoutine({
    doc: 'asks a device for its state or its children again',
    irql: passiveOnly,
    params: { Context: PVOID },
    returns: 'VOID',
    body: (nt, { Context }) => {
      const { pdo, sequence } = nt.io.pnp.takeQuery(Context);
      return nt.io.pnp.get(pdo)?.state === 'started' ? begin(nt, sequence, pdo) : undefined;
    },
    resume: sequenceResume,
  }),
});
