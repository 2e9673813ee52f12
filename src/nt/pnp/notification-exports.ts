/** Notifications of the PnP manager: registration, and the walks over those who registered. */
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { BugCheck } from '../declare/bug-check.ts';
import type { Call, ResumedCall } from '../declare/call.ts';
import { passiveOnly, upToDispatch } from '../declare/irql-ranges.ts';
import { Irql, ntExports, ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest, type Outcome } from '../declare/outcome.ts';
import { PVOID, pointerTo, ULONG, ULONG64 } from '../declare/parameter-types.ts';
import { holderOf } from '../mm/holder.ts';
import type { Nt } from '../nt.ts';
import {
  ntSuccess,
  STATUS_INVALID_DEVICE_REQUEST,
  STATUS_INVALID_PARAMETER,
  STATUS_NO_SUCH_DEVICE,
  STATUS_PENDING,
  STATUS_SUCCESS,
} from '../ntstatus.ts';
import { guidBytes, guidText } from '../rtl/guid.ts';
import { IO_STACK_LOCATION, MajorFunction } from '../structures/io.ts';
import {
  DEVICE_INTERFACE_CHANGE_NOTIFICATION,
  DeviceRelation,
  PLUGPLAY_NOTIFICATION_HEADER,
  PNP_PARAMETERS,
  PnpMinor,
  TARGET_DEVICE_CUSTOM_NOTIFICATION,
} from '../structures/pnp.ts';
import { interfaceNotification, isSystemEvent, removalNotification, targetEventNumber } from './notification-data.ts';
import type { NotificationCategory } from './notifications.ts';
import { takeRelations } from './relations.ts';
import { makeStackRequest, sendStackRequest, stackRequestResume } from './stack-requests.ts';

const pdevice = pointerTo('DEVICE_OBJECT');
/** IO_NOTIFICATION_EVENT_CATEGORY, from 1. */
const categories: readonly (NotificationCategory | undefined)[] = [
  undefined,
  'hardware-profile',
  'interface',
  'target',
];
/** PNPNOTIFY_DEVICE_INTERFACE_INCLUDE_EXISTING_INTERFACES */
const includeExisting = 1;

// ---- walks. Record: [block, status, entry now, entries to come…]; the block is freed at the end.

/** Calls the next one who is still registered. */
function tellNext(nt: Nt, block: Va, status: number, entries: readonly number[]): Outcome {
  for (const [index, entry] of entries.entries()) {
    const registered = nt.io.notifications.get(entry as Va);
    if (registered === undefined) continue;
    if (registered.category === 'target') {
      TARGET_DEVICE_CUSTOM_NOTIFICATION.FileObject.set(nt.memory, block, registered.file);
      if (isQueryRemove(nt, block)) nt.io.notifications.noteAsked(registered);
    }
    const record = [block, status, registered.driverObject, registered.routine, ...entries.slice(index + 1)];
    return callGuest(registered.routine, [block, registered.context], 'told', record);
  }
  nt.pool.freeKernel(block);
  return status;
}

/** A callback returned: as it was called, or Windows stops. The first that refuses a removal ends the walk. */
function told(nt: Nt, call: ResumedCall): Outcome {
  const [block, before, driverObject, routine, ...rest] = call.record as [Va, number, Va, Va, ...number[]];
  const { irql } = nt.cpu.state;
  const { kernelApcDisable, specialApcDisable } = nt.scheduler.currentThread;
  if (irql !== Irql.PASSIVE || kernelApcDisable !== 0 || specialApcDisable !== 0) {
    const disabled = ((specialApcDisable & 0xffff) * 0x1_0000 + (kernelApcDisable & 0xffff)) >>> 0;
    const summary = 'a plug-and-play notification callback returned at another IRQL, or with APCs disabled';
    throw new BugCheck(0xca, [0xa, driverObject, irql, disabled], summary, routine);
  }
  if (!isQueryRemove(nt, block) || ntSuccess(call.status)) return tellNext(nt, block, before, rest);
  nt.pool.freeKernel(block);
  return call.status;
}

function isQueryRemove(nt: Nt, block: Va): boolean {
  return eventOf(nt, block).startsWith('{CB3A4006-');
}

const eventOf = (nt: Nt, structure: Va): string =>
  guidText(nt.memory.readBytes(PLUGPLAY_NOTIFICATION_HEADER.Event.at(structure), guidBytes));

// ---- registration

interface Registration {
  readonly EventCategory: number;
  readonly EventCategoryFlags: number;
  readonly EventCategoryData: Va;
  readonly DriverObject: Va;
  readonly CallbackRoutine: Va;
  readonly Context: bigint;
  readonly NotificationEntry: Va;
}

function register(nt: Nt, args: Registration, call: Call): Outcome {
  const category = categories[args.EventCategory];
  const needsData = category !== 'hardware-profile';
  if (category === undefined || needsData !== (args.EventCategoryData !== nullVa)) return STATUS_INVALID_PARAMETER;
  if (category === 'target') return askForTarget(nt, args);
  const guid = category === 'interface' ? guidText(nt.memory.readBytes(args.EventCategoryData, guidBytes)) : '';
  const entry = add(nt, args, { category, guid, file: nullVa, pdo: nullVa }, call);
  if (category !== 'interface' || (args.EventCategoryFlags & includeExisting) === 0) return STATUS_SUCCESS;
  const blocks = [...nt.io.interfaces.all()]
    .filter((one) => one.isEnabled && one.guid.toUpperCase() === guid)
    .map(({ link }) => interfaceNotification(nt, guid, link, true));
  return tellExisting(nt, entry, blocks);
}

function add(
  nt: Nt,
  args: Omit<Registration, 'EventCategoryData' | 'EventCategory' | 'EventCategoryFlags'>,
  what: { category: NotificationCategory; guid: string; file: Va; pdo: Va },
  call: Call | ResumedCall,
): Va {
  const entry = nt.io.notifications.register({
    ...what,
    driverObject: args.DriverObject,
    routine: args.CallbackRoutine,
    context: args.Context,
    ...holderOf(nt, call),
  });
  nt.memory.writeVa(args.NotificationEntry, entry);
  return entry;
}

/** Record: [entry, blocks…]. */
function tellExisting(nt: Nt, entry: Va, blocks: readonly Va[]): Outcome {
  const registered = nt.io.notifications.get(entry);
  const [first] = blocks;
  if (registered !== undefined && first !== undefined) {
    return callGuest(registered.routine, [first, registered.context], 'toldExisting', [entry, ...blocks]);
  }
  for (const block of blocks) nt.pool.freeKernel(block);
  return STATUS_SUCCESS;
}

/** Asks the file's device which PDO is below it. Record, after [block, irp]: the arguments. */
function askForTarget(nt: Nt, args: Registration): Outcome {
  const file = args.EventCategoryData;
  if (nt.objects.get(file)?.type !== 'File') return STATUS_INVALID_PARAMETER;
  const device = nt.io.files.device(file);
  const request = makeStackRequest(nt, device, MajorFunction.Pnp, PnpMinor.QueryDeviceRelations, (location) => {
    PNP_PARAMETERS.RelationType.set(nt.memory, location, DeviceRelation.TargetDevice);
    IO_STACK_LOCATION.FileObject.set(nt.memory, location, file);
  });
  // The context has 64 bits, and a word of a record 53.
  const context = [Number(args.Context >> 32n), Number(args.Context & 0xffff_ffffn)];
  const record = [file, args.DriverObject, args.CallbackRoutine, args.NotificationEntry, ...context];
  return sendStackRequest(nt, request, record);
}

function targetFound(nt: Nt, call: ResumedCall, status: number, information: Va): Outcome {
  const pdo = takeRelations(nt, status, information)[0];
  if (!ntSuccess(status)) return status;
  if (pdo === undefined || nt.io.pnp.get(pdo) === undefined) return STATUS_NO_SUCH_DEVICE;
  const args = {
    DriverObject: call.va(3),
    CallbackRoutine: call.va(4),
    NotificationEntry: call.va(5),
    Context: (BigInt(call.word(6)) << 32n) | BigInt(call.word(7)),
  };
  add(nt, args, { category: 'target', guid: '', file: call.va(2), pdo }, call);
  return STATUS_SUCCESS;
}

// ---- events of drivers

/** A copy for the registrants; undefined: the structure says that it is too short. */
function customNotification(nt: Nt, structure: Va): Va | number {
  if (isSystemEvent(eventOf(nt, structure))) return STATUS_INVALID_DEVICE_REQUEST;
  const bytes = PLUGPLAY_NOTIFICATION_HEADER.Size.get(nt.memory, structure);
  const file = TARGET_DEVICE_CUSTOM_NOTIFICATION.FileObject.get(nt.memory, structure);
  if (bytes < TARGET_DEVICE_CUSTOM_NOTIFICATION.CustomDataBuffer.offset || file !== nullVa) {
    return STATUS_INVALID_PARAMETER;
  }
  const block = nt.pool.allocateKernel(Math.max(bytes, TARGET_DEVICE_CUSTOM_NOTIFICATION.sizeBytes), 'PnpN');
  nt.memory.writeBytes(block, nt.memory.readBytes(structure, bytes));
  return block;
}

const unregister = (name: string) =>
  ntRoutine({
    doc: `wdm.h; nf-wdm-${name.toLowerCase()}`,
    irql: passiveOnly,
    params: { NotificationEntry: PVOID },
    returns: 'NTSTATUS',
    body: (nt, { NotificationEntry }) => {
      nt.io.notifications.unregister(NotificationEntry);
      return STATUS_SUCCESS;
    },
  });

export const pnpNotifications = ntExports('ntoskrnl.exe', {
  IoRegisterPlugPlayNotification: ntRoutine({
    doc: 'wdm.h; nf-wdm-ioregisterplugplaynotification',
    irql: passiveOnly,
    params: {
      EventCategory: ULONG,
      EventCategoryFlags: ULONG,
      EventCategoryData: PVOID,
      DriverObject: pointerTo('DRIVER_OBJECT'),
      CallbackRoutine: PVOID,
      Context: ULONG64,
      NotificationEntry: PVOID,
    },
    returns: 'NTSTATUS',
    support: { partial: 'the hardware profile never changes' },
    body: (nt, args, call) => register(nt, args, call),
    resume: {
      toldExisting: (nt, call) => {
        const [entry, block, ...rest] = call.record as [Va, Va, ...Va[]];
        nt.pool.freeKernel(block);
        return tellExisting(nt, entry, rest);
      },
      ...stackRequestResume((nt, call, { status, information }) => targetFound(nt, call, status, information)),
    },
  }),
  /** No callback runs meanwhile: they and this routine run in threads that take turns only where they wait. */
  IoUnregisterPlugPlayNotification: unregister('IoUnregisterPlugPlayNotification'),
  IoUnregisterPlugPlayNotificationEx: unregister('IoUnregisterPlugPlayNotificationEx'),
  IoReportTargetDeviceChange: ntRoutine({
    doc: 'wdm.h; nf-wdm-ioreporttargetdevicechange',
    irql: passiveOnly,
    params: { PhysicalDeviceObject: pdevice, NotificationStructure: PVOID },
    returns: 'NTSTATUS',
    body: (nt, { PhysicalDeviceObject, NotificationStructure }) => {
      const { pdo } = nt.io.pnp.present(PhysicalDeviceObject);
      const block = customNotification(nt, NotificationStructure);
      if (block >= 0) return block;
      return tellNext(nt, block as Va, STATUS_SUCCESS, nt.io.notifications.ofDevice(pdo));
    },
    resume: { told },
  }),
  IoReportTargetDeviceChangeAsynchronous: ntRoutine({
    doc: 'wdm.h; nf-wdm-ioreporttargetdevicechangeasynchronous',
    irql: upToDispatch,
    params: { PhysicalDeviceObject: pdevice, NotificationStructure: PVOID, Callback: PVOID, Context: ULONG64 },
    returns: 'NTSTATUS',
    body: (nt, { PhysicalDeviceObject, NotificationStructure, Callback, Context }) => {
      const { pdo } = nt.io.pnp.present(PhysicalDeviceObject);
      const block = customNotification(nt, NotificationStructure);
      if (block >= 0) return block;
      const context = [Number(Context >> 32n), Number(Context & 0xffff_ffffn)];
      nt.io.deviceQueries.queueCall('PnpNotifyCustomEvent', [block, pdo, Callback, ...context]);
      return STATUS_PENDING;
    },
  }),
});

export const pnpNotificationInternals = ntInternals({
  PnpNotifyTargetDeviceChange: ntRoutine({
    doc: 'tells those who registered for a device what happens to it; a refusal of a removal is the result',
    irql: passiveOnly,
    params: { Event: ULONG, PhysicalDeviceObject: PVOID },
    returns: 'NTSTATUS',
    body: (nt, { Event, PhysicalDeviceObject }) => {
      const { notifications } = nt.io;
      const asked = notifications.takeAsked(PhysicalDeviceObject);
      const isCancelled = Event === targetEventNumber('removeCancelled');
      const entries = isCancelled ? asked : notifications.ofDevice(PhysicalDeviceObject);
      if (entries.length === 0) return STATUS_SUCCESS;
      return tellNext(nt, removalNotification(nt, Event), STATUS_SUCCESS, entries);
    },
    resume: { told },
  }),
  PnpNotifyInterfaceClassChange: ntRoutine({
    doc: 'tells those who registered for a class of device interfaces',
    irql: passiveOnly,
    params: { Notification: PVOID },
    returns: 'VOID',
    body: (nt, { Notification }) => {
      const at = DEVICE_INTERFACE_CHANGE_NOTIFICATION.InterfaceClassGuid.at(Notification);
      const guid = guidText(nt.memory.readBytes(at, guidBytes));
      return tellNext(nt, Notification, STATUS_SUCCESS, nt.io.notifications.ofClass(guid));
    },
    resume: { told },
  }),
  PnpNotifyCustomEvent: ntRoutine({
    doc: "tells those who registered for a device of a driver's own event, then the driver",
    irql: passiveOnly,
    params: {
      Notification: PVOID,
      PhysicalDeviceObject: PVOID,
      Callback: PVOID,
      ContextHigh: ULONG,
      ContextLow: ULONG,
    },
    returns: 'VOID',
    body: (nt, args) => {
      const entries = nt.io.notifications.ofDevice(args.PhysicalDeviceObject);
      const routine = nt.entries.routineVa('PnpNotifyEntries');
      const list = nt.pool.allocateKernel(entries.length * 8 + 8, 'PnpN');
      for (const [index, entry] of entries.entries()) nt.memory.writeVa(vaAdd(list, index * 8), entry);
      const record = [args.Callback, args.ContextHigh, args.ContextLow];
      return callGuest(routine, [args.Notification, list, entries.length], 'allTold', record);
    },
    resume: {
      allTold: (_nt, call) => {
        const callback = call.va(0);
        const context = (BigInt(call.word(1)) << 32n) | BigInt(call.word(2));
        return callback === nullVa ? undefined : callGuest(callback, [context], 'over', []);
      },
      over: () => undefined,
    },
  }),
  PnpNotifyEntries: ntRoutine({
    doc: 'tells a list of registrants one after the other',
    irql: passiveOnly,
    params: { Notification: PVOID, List: PVOID, Count: ULONG },
    returns: 'NTSTATUS',
    body: (nt, { Notification, List, Count }) => {
      const entries = Array.from({ length: Count }, (_, index) => nt.memory.readVa(vaAdd(List, index * 8)));
      nt.pool.freeKernel(List);
      return tellNext(nt, Notification, STATUS_SUCCESS, entries);
    },
    resume: { told },
  }),
});
