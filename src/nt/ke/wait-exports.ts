/** Waits of a thread: for one object, for several, for a time. */
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { BugCheck } from '../declare/bug-check.ts';
import { upToApc, upToDispatch } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { type Outcome, raise, unsupported } from '../declare/outcome.ts';
import { BOOLEAN, KPROCESSOR_MODE, PVOID, pointerTo, ULONG } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { STATUS_MUTANT_LIMIT_EXCEEDED } from '../ntstatus.ts';
import { DISPATCHER_HEADER, DispatcherType } from '../structures/ke.ts';
import { dueTimeAt } from './clock.ts';

/** wdm.h: THREAD_WAIT_OBJECTS, the wait blocks inside a thread; MAXIMUM_WAIT_OBJECTS. */
const threadWaitObjects = 3;
const maximumWaitObjects = 64;
/** WAIT_TYPE */
const waitAllType = 0;
const mutexRecursionLimit = -0x8000_0000;

interface WaitArguments {
  readonly waitMode: number;
  readonly alertable: boolean;
  readonly timeout: Va;
}

function wait(nt: Nt, objects: readonly Va[], waitAll: boolean, args: WaitArguments): Outcome {
  nt.dispatcher.endHoldForWait();
  if (objects.some((object) => isMutexAtLimit(nt, object))) return raise(STATUS_MUTANT_LIMIT_EXCEEDED);
  const dueTime = dueTimeAt(nt, args.timeout);
  return { action: 'wait', objects, waitAll, alertable: args.alertable, waitMode: args.waitMode, dueTime };
}

function isMutexAtLimit(nt: Nt, object: Va): boolean {
  return (
    DISPATCHER_HEADER.Type.get(nt.memory, object) === DispatcherType.Mutant &&
    nt.dispatcher.signalState(object) === mutexRecursionLimit
  );
}

const waitForOne = {
  Object: PVOID,
  WaitReason: ULONG,
  WaitMode: KPROCESSOR_MODE,
  Alertable: BOOLEAN,
  Timeout: pointerTo('LARGE_INTEGER'),
} as const;

export const keWaits = ntExports('ntoskrnl.exe', {
  KeWaitForSingleObject: ntRoutine({
    doc: 'wdm.h; nf-wdm-kewaitforsingleobject',
    irql: upToDispatch,
    params: waitForOne,
    returns: 'NTSTATUS',
    body: (nt, { Object: object, WaitMode, Alertable, Timeout }) =>
      wait(nt, [object], false, { waitMode: WaitMode, alertable: Alertable, timeout: Timeout }),
  }),
  KeWaitForMutexObject: ntRoutine({
    doc: 'wdm.h; nf-wdm-kewaitformutexobject',
    irql: upToDispatch,
    params: waitForOne,
    returns: 'NTSTATUS',
    body: (nt, { Object: object, WaitMode, Alertable, Timeout }) =>
      wait(nt, [object], false, { waitMode: WaitMode, alertable: Alertable, timeout: Timeout }),
  }),
  KeWaitForMultipleObjects: ntRoutine({
    doc: 'wdm.h; nf-wdm-kewaitformultipleobjects',
    irql: upToDispatch,
    params: {
      Count: ULONG,
      Object: PVOID,
      WaitType: ULONG,
      WaitReason: ULONG,
      WaitMode: KPROCESSOR_MODE,
      Alertable: BOOLEAN,
      Timeout: pointerTo('LARGE_INTEGER'),
      WaitBlockArray: pointerTo('KWAIT_BLOCK'),
    },
    returns: 'NTSTATUS',
    body: (nt, { Count, Object: array, WaitType, WaitMode, Alertable, Timeout, WaitBlockArray }) => {
      if (Count > (WaitBlockArray === nullVa ? threadWaitObjects : maximumWaitObjects)) {
        const what =
          WaitBlockArray === nullVa ? 'KeWaitForMultipleObjects was given no wait blocks' : 'a thread waited';
        throw new BugCheck(0x0c, [0, 0, 0, 0], `${what} for ${Count} objects`);
      }
      if (Count === 0) return unsupported('KeWaitForMultipleObjects for no objects');
      const objects = Array.from({ length: Count }, (_, index) => nt.memory.readVa(vaAdd(array, index * 8)));
      const args = { waitMode: WaitMode, alertable: Alertable, timeout: Timeout };
      return wait(nt, objects, WaitType === waitAllType, args);
    },
  }),
  KeDelayExecutionThread: ntRoutine({
    doc: 'wdm.h; nf-wdm-kedelayexecutionthread',
    irql: upToApc,
    params: { WaitMode: KPROCESSOR_MODE, Alertable: BOOLEAN, Interval: pointerTo('LARGE_INTEGER') },
    returns: 'NTSTATUS',
    body: (nt, { WaitMode, Alertable, Interval }) =>
      wait(nt, [], false, { waitMode: WaitMode, alertable: Alertable, timeout: Interval }),
  }),
});
