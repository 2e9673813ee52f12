/** What drivers register with the power manager: power settings, system states, idle counters. */
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import type { Call } from '../declare/call.ts';
import { anyIrql, passiveOnly, upToApc, upToDispatch } from '../declare/irql-ranges.ts';
import { ntExports, ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest, type Outcome } from '../declare/outcome.ts';
import { PVOID, pointerTo, ULONG, ULONG64 } from '../declare/parameter-types.ts';
import { holderOf } from '../mm/holder.ts';
import type { Nt } from '../nt.ts';
import { STATUS_INVALID_PARAMETER, STATUS_SUCCESS } from '../ntstatus.ts';
import { guidBytes, guidText } from '../rtl/guid.ts';
import { IRP, IrpFlag } from '../structures/io.ts';
import { displaySettings, powerSetting } from './power-settings.ts';

const pdevice = pointerTo('DEVICE_OBJECT');

/** Tells the registrants of a setting one after the other. Record: [block, bytes, handles…]. */
function tell(nt: Nt, block: Va, bytes: number, handles: readonly Va[]): Outcome {
  const [handle, ...rest] = handles;
  if (handle === undefined) {
    nt.pool.freeKernel(block);
    return STATUS_SUCCESS;
  }
  const registered = nt.power.get(handle);
  if (registered === undefined) return tell(nt, block, bytes, rest);
  const args = [block, vaAdd(block, guidBytes), bytes, registered.context];
  return callGuest(registered.routine, args, 'told', [block, bytes, ...rest]);
}

const told = (nt: Nt, call: { readonly record: readonly number[] }): Outcome => {
  const [block, bytes, ...rest] = call.record as [Va, number, ...Va[]];
  return tell(nt, block, bytes, rest);
};

interface SettingRegistration {
  readonly SettingGuid: Va;
  readonly Callback: Va;
  readonly Context: bigint;
  readonly Handle: Va;
}

/** The callback hears the setting's value at once. */
function registerSetting(nt: Nt, args: SettingRegistration, call: Call): Outcome {
  if (args.Callback === nullVa) return STATUS_INVALID_PARAMETER;
  const guid = guidText(nt.memory.readBytes(args.SettingGuid, guidBytes));
  const { Callback: routine, Context: context } = args;
  const handle = nt.power.register({ kind: 'power setting', guid, routine, context, ...holderOf(nt, call) });
  if (args.Handle !== nullVa) nt.memory.writeVa(args.Handle, handle);
  const setting = powerSetting(nt, guid);
  return setting === undefined ? STATUS_SUCCESS : tell(nt, setting.block, setting.bytes, [handle]);
}

export const poRegistrations = ntExports('ntoskrnl.exe', {
  PoRegisterPowerSettingCallback: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-poregisterpowersettingcallback',
    irql: passiveOnly,
    params: { DeviceObject: pdevice, SettingGuid: PVOID, Callback: PVOID, Context: ULONG64, Handle: PVOID },
    returns: 'NTSTATUS',
    support: { partial: 'of the settings, those of power source, battery, scheme, lid and display have a value' },
    body: (nt, args, call) => registerSetting(nt, args, call),
    resume: { told },
  }),
  PoUnregisterPowerSettingCallback: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-pounregisterpowersettingcallback',
    irql: passiveOnly,
    params: { Handle: PVOID },
    returns: 'NTSTATUS',
    body: (nt, { Handle }) =>
      nt.power.unregister(Handle, 'power setting') ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER,
  }),
  /** With a handle, the state that it stands for changes. The system sleeps when the scenario says so, busy or not. */
  PoRegisterSystemState: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-poregistersystemstate',
    irql: upToApc,
    params: { StateHandle: PVOID, Flags: ULONG },
    returns: 'PVOID',
    body: (nt, { StateHandle }, call) => {
      if (StateHandle !== nullVa) return StateHandle;
      const what = { kind: 'system state', guid: '', routine: nullVa, context: 0n } as const;
      return nt.power.register({ ...what, ...holderOf(nt, call) });
    },
  }),
  PoUnregisterSystemState: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-pounregistersystemstate',
    irql: upToApc,
    params: { StateHandle: PVOID },
    returns: 'VOID',
    body: (nt, { StateHandle }) => void nt.power.unregister(StateHandle, 'system state') as undefined,
  }),
  /** Nothing sleeps for want of a user here. */
  PoSetSystemState: ntRoutine({
    doc: 'wdm.h; nf-wdm-posetsystemstate',
    irql: upToDispatch,
    params: { Flags: ULONG },
    returns: 'VOID',
    body: () => undefined,
  }),
  /** One counter for each device; it goes with the device. */
  PoRegisterDeviceForIdleDetection: ntRoutine({
    doc: 'wdm.h; nf-wdm-poregisterdeviceforidledetection',
    irql: upToApc,
    params: { DeviceObject: pdevice, ConservationIdleTime: ULONG, PerformanceIdleTime: ULONG, State: ULONG },
    returns: 'PVOID',
    support: { partial: 'no device ever becomes idle' },
    body: (nt, { DeviceObject, ConservationIdleTime, PerformanceIdleTime }) =>
      nt.power.idleCounter(DeviceObject, ConservationIdleTime, PerformanceIdleTime),
  }),
  PoSetDeviceBusyEx: ntRoutine({
    doc: 'wdm.h; nf-wdm-posetdevicebusyex',
    irql: anyIrql,
    params: { IdlePointer: pointerTo('ULONG') },
    returns: 'VOID',
    body: (nt, { IdlePointer }) => nt.memory.writeU32(IdlePointer, 0) as undefined,
  }),
  PoStartDeviceBusy: ntRoutine({
    doc: 'wdm.h; nf-wdm-postartdevicebusy',
    irql: anyIrql,
    params: { IdlePointer: pointerTo('ULONG') },
    returns: 'VOID',
    body: (nt, { IdlePointer }) => nt.memory.writeU32(IdlePointer, 0) as undefined,
  }),
  PoEndDeviceBusy: ntRoutine({
    doc: 'wdm.h; nf-wdm-poenddevicebusy',
    irql: anyIrql,
    params: { IdlePointer: pointerTo('ULONG') },
    returns: 'VOID',
    body: (nt, { IdlePointer }) => nt.memory.writeU32(IdlePointer, 0) as undefined,
  }),
  /** What drivers marked: nothing woke the system but the scenario. */
  PoGetSystemWake: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-pogetsystemwake',
    irql: upToDispatch,
    params: { Irp: pointerTo('IRP') },
    returns: 'BOOLEAN',
    body: ({ memory }, { Irp }) => (IRP.Flags.get(memory, Irp) & IrpFlag.SystemWake) !== 0,
  }),
  PoSetSystemWake: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-posetsystemwake',
    irql: upToDispatch,
    params: { Irp: pointerTo('IRP') },
    returns: 'VOID',
    body: ({ memory }, { Irp }) => {
      IRP.Flags.set(memory, Irp, (IRP.Flags.get(memory, Irp) | IrpFlag.SystemWake) >>> 0);
    },
  }),
  /** Seconds until a power request that is kept stops Windows. */
  PoQueryWatchdogTime: ntRoutine({
    doc: 'wdm.h; nf-wdm-poquerywatchdogtime',
    irql: upToDispatch,
    params: { Pdo: pdevice, SecondsRemaining: pointerTo('ULONG') },
    returns: 'BOOLEAN',
    support: { partial: 'always that no watchdog is set' },
    body: () => false,
  }),
});

export const poRegistrationInternals = ntInternals({
  PopNotifyPowerSetting: ntRoutine({
    doc: 'tells those who registered for a setting of the display its new value',
    irql: passiveOnly,
    params: { Setting: ULONG },
    returns: 'NTSTATUS',
    body: (nt, { Setting }) => {
      const guid = displaySettings[Setting] ?? '';
      const handles = [...nt.power.all()].filter((one) => one.guid === guid).map(({ handle }) => handle);
      const setting = handles.length === 0 ? undefined : powerSetting(nt, guid);
      return setting === undefined ? STATUS_SUCCESS : tell(nt, setting.block, setting.bytes, handles);
    },
    resume: { told },
  }),
});
