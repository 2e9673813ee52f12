/** The timer of a device object: a routine that is called once a second. It goes with its device. */
import { nullVa, type Va } from '../../base/va.ts';
import { dispatchOnly, passiveOnly, upToDispatch } from '../declare/irql-ranges.ts';
import { ntExports, ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest, unsupported } from '../declare/outcome.ts';
import { PVOID, pointerTo, ULONG64 } from '../declare/parameter-types.ts';
import { bytes, pointer, struct, u64 } from '../declare/struct.ts';
import type { Nt } from '../nt.ts';
import { STATUS_SUCCESS } from '../ntstatus.ts';
import { DEVICE_OBJECT } from '../structures/io.ts';
import { DispatcherType, KDPC, KTIMER } from '../structures/ke.ts';

const pdevice = pointerTo('DEVICE_OBJECT');

/** The I/O manager's own. */
const IO_TIMER = struct('IO_TIMER_OF_DEVICE', {
  Timer: bytes(KTIMER.sizeBytes, 8),
  Dpc: bytes(KDPC.sizeBytes, 8),
  DeviceObject: pointer,
  TimerRoutine: pointer,
  Context: u64,
});
const periodMs = 1000;

function timerOf(nt: Nt, device: Va): Va {
  return DEVICE_OBJECT.Timer.get(nt.memory, device);
}

/** Made once; another call only changes routine and context. */
function initialise(nt: Nt, device: Va, routine: Va, context: bigint): number {
  const { memory, pool, dispatcher, entries } = nt;
  let timer = timerOf(nt, device);
  if (timer === nullVa) {
    timer = pool.allocateKernel(IO_TIMER.sizeBytes, 'IoTi');
    dispatcher.initialise(timer, DispatcherType.TimerNotification, KTIMER.sizeBytes / 4, 0);
    const dpc = IO_TIMER.Dpc.at(timer);
    KDPC.Importance.set(memory, dpc, 1);
    KDPC.DeferredRoutine.set(memory, dpc, entries.routineVa('IopTimerDispatch'));
    KDPC.DeferredContext.set(memory, dpc, timer);
    IO_TIMER.DeviceObject.set(memory, timer, device);
    DEVICE_OBJECT.Timer.set(memory, device, timer);
  }
  IO_TIMER.TimerRoutine.set(memory, timer, routine);
  IO_TIMER.Context.set(memory, timer, context);
  return STATUS_SUCCESS;
}

/** IoDeleteDevice: no call comes any more. */
export function deleteDeviceTimer(nt: Nt, device: Va): void {
  const timer = timerOf(nt, device);
  if (timer === nullVa) return;
  nt.timers.cancel(timer);
  nt.interrupts.removeDpc(IO_TIMER.Dpc.at(timer));
  DEVICE_OBJECT.Timer.set(nt.memory, device, nullVa);
  nt.pool.freeAny(timer);
}

const noTimer = 'a device timer that was not initialised';

export const ioDeviceTimers = ntExports('ntoskrnl.exe', {
  IoInitializeTimer: ntRoutine({
    doc: 'wdm.h; nf-wdm-ioinitializetimer',
    irql: passiveOnly,
    params: { DeviceObject: pdevice, TimerRoutine: PVOID, Context: ULONG64 },
    returns: 'NTSTATUS',
    body: (nt, { DeviceObject, TimerRoutine, Context }) => initialise(nt, DeviceObject, TimerRoutine, Context),
  }),
  IoStartTimer: ntRoutine({
    doc: 'wdm.h; nf-wdm-iostarttimer',
    irql: upToDispatch,
    params: { DeviceObject: pdevice },
    returns: 'VOID',
    body: (nt, { DeviceObject }) => {
      const timer = timerOf(nt, DeviceObject);
      if (timer === nullVa) return unsupported(noTimer);
      const due = nt.clock.interruptTime + periodMs * 10_000;
      nt.timers.set(timer, due, periodMs, IO_TIMER.Dpc.at(timer));
      return undefined;
    },
  }),
  IoStopTimer: ntRoutine({
    doc: 'wdm.h; nf-wdm-iostoptimer',
    irql: upToDispatch,
    params: { DeviceObject: pdevice },
    returns: 'VOID',
    body: (nt, { DeviceObject }) => {
      const timer = timerOf(nt, DeviceObject);
      if (timer === nullVa) return unsupported(noTimer);
      nt.timers.cancel(timer);
      return undefined;
    },
  }),
});

export const ioDeviceTimerInternals = ntInternals({
  IopTimerDispatch: ntRoutine({
    doc: 'DPC of every device timer: its routine',
    irql: dispatchOnly,
    params: { Dpc: pointerTo('KDPC'), Timer: PVOID },
    returns: 'VOID',
    body: ({ memory }, { Timer }) =>
      callGuest(
        IO_TIMER.TimerRoutine.get(memory, Timer),
        [IO_TIMER.DeviceObject.get(memory, Timer), IO_TIMER.Context.get(memory, Timer)],
        'returned',
        [],
      ),
    resume: { returned: () => undefined },
  }),
});
