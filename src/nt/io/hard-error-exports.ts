/** Errors that a user would be asked about, and removable media that is to be verified. Nobody sits at this machine. */
import type { StoreMap } from '../../base/store.ts';
import { nullVa, type Va } from '../../base/va.ts';
import { anyIrql, upToApc, upToDispatch } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest, unsupported } from '../declare/outcome.ts';
import { BOOLEAN, NTSTATUS, PVOID, pointerTo } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { IRP } from '../structures/io.ts';

const pdevice = pointerTo('DEVICE_OBJECT');
const diskIncrement = 1;

/** ETHREAD.DeviceToVerify, by thread. */
export class DevicesToVerify {
  private readonly devices: StoreMap<number, Va>;

  constructor(nt: Nt) {
    this.devices = nt.stores.map('io/devices-to-verify');
  }

  get(thread: Va): Va {
    return this.devices.get(thread) ?? nullVa;
  }

  set(thread: Va, device: Va): undefined {
    if (device === nullVa) this.devices.delete(thread);
    else this.devices.set(thread, device);
  }
}

export const ioHardErrors = ntExports('ntoskrnl.exe', {
  IoSetHardErrorOrVerifyDevice: ntRoutine({
    doc: 'ntddk.h; nf-ntddk-iosetharderrororverifydevice',
    irql: upToDispatch,
    params: { Irp: pointerTo('IRP'), DeviceObject: pdevice },
    returns: 'VOID',
    body: (nt, { Irp, DeviceObject }) => {
      const thread = IRP.Thread.get(nt.memory, Irp);
      return thread === nullVa ? undefined : nt.io.devicesToVerify.set(thread, DeviceObject);
    },
  }),
  IoGetDeviceToVerify: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-iogetdevicetoverify',
    irql: upToDispatch,
    params: { Thread: PVOID },
    returns: 'PVOID',
    body: (nt, { Thread }) => nt.io.devicesToVerify.get(Thread),
  }),
  IoSetDeviceToVerify: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-iosetdevicetoverify',
    irql: upToDispatch,
    params: { Thread: PVOID, DeviceObject: pdevice },
    returns: 'VOID',
    body: (nt, { Thread, DeviceObject }) => nt.io.devicesToVerify.set(Thread, DeviceObject),
  }),
  /** As with hard errors switched off: the request completes with the status that it has. */
  IoRaiseHardError: ntRoutine({
    doc: 'ntddk.h; nf-ntddk-ioraiseharderror',
    irql: upToApc,
    params: { Irp: pointerTo('IRP'), Vpb: PVOID, RealDeviceObject: pdevice },
    returns: 'VOID',
    body: (nt, { Irp }) => callGuest(nt.entries.routineVa('IofCompleteRequest'), [Irp, diskIncrement], 'completed', []),
    resume: { completed: () => undefined },
  }),
  /** FALSE: nothing was shown to anybody. */
  IoRaiseInformationalHardError: ntRoutine({
    doc: 'ntddk.h; nf-ntddk-ioraiseinformationalharderror',
    irql: upToApc,
    params: { ErrorStatus: NTSTATUS, String: pointerTo('UNICODE_STRING'), Thread: PVOID },
    returns: 'BOOLEAN',
    body: () => false,
  }),
  IoSetStartIoAttributes: ntRoutine({
    doc: 'wdm.h; nf-wdm-iosetstartioattributes',
    irql: anyIrql,
    params: { DeviceObject: pdevice, DeferredStartIo: BOOLEAN, NonCancelable: BOOLEAN },
    returns: 'VOID',
    support: { partial: 'DeferredStartIo, NonCancelable' },
    body: (_nt, { DeferredStartIo, NonCancelable }) =>
      DeferredStartIo || NonCancelable ? unsupported('IoSetStartIoAttributes with an attribute') : undefined,
  }),
});
