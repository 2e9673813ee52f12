/** Loading and unloading a driver: DriverEntry, DriverUnload. */
import { assert } from '../../base/errors.ts';
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { BugCheck } from '../declare/bug-check.ts';
import { Irql, ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest, type Outcome } from '../declare/outcome.ts';
import { PVOID, ULONG } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { ntSuccess, STATUS_INVALID_DEVICE_REQUEST, STATUS_SUCCESS } from '../ntstatus.ts';
import { announceDriver } from '../ps/process-life.ts';
import { DEVICE_OBJECT, DeviceFlag, DRIVER_EXTENSION, DRIVER_OBJECT, DriverFlag } from '../structures/io.ts';
import { UNICODE_STRING } from '../structures/strings.ts';

/** The registry path that DriverEntry and DllInitialize are given. */
export const serviceKeyPath = (serviceName: string): string =>
  `\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Services\\${serviceName}`;

/** The worker thread that loads and unloads drivers stops Windows if the driver does not come back as it was called. */
export function checkWorkerReturn(nt: Nt, name: string, driverRoutine: Va, worker: Va): void {
  const { irql } = nt.cpu.state;
  const { kernelApcDisable, specialApcDisable } = nt.scheduler.currentThread;
  if (irql !== Irql.PASSIVE) {
    throw new BugCheck(0xe1, [worker, irql, 0, 0], `${name} returned at IRQL ${irql}`, driverRoutine);
  }
  if (kernelApcDisable !== 0 || specialApcDisable !== 0) {
    const disabled = ((specialApcDisable & 0xffff) * 0x1_0000 + (kernelApcDisable & 0xffff)) >>> 0;
    const summary = `${name} returned with APCs disabled: a critical or guarded region was entered and not left`;
    throw new BugCheck(0x01, [worker, 0, disabled, 1], summary, driverRoutine);
  }
}

function callEntry(nt: Nt, imageIndex: number): Outcome {
  const image = nt.images.byIndex(imageIndex);
  if (image?.pe?.entryPointRva === undefined) return STATUS_INVALID_DEVICE_REQUEST;
  const { driverObject, serviceName } = nt.io.drivers.create(image, image.name);
  nt.registry.addService(serviceName, image.fileName);
  const registryPath = nt.pool.allocateKernel(UNICODE_STRING.sizeBytes, 'IoRp');
  const pathBuffer = nt.io.drivers.writeString(registryPath, serviceKeyPath(serviceName));
  const entry = vaAdd(image.base, image.pe.entryPointRva);
  const record = [driverObject, registryPath, pathBuffer];
  return callGuest(entry, [driverObject, registryPath], 'driverEntryReturned', record);
}

/** DriverEntry returned: INIT goes, devices are ready; or the image goes without DriverUnload. */
function entryReturned(nt: Nt, driverObject: Va, registryPath: Va, pathBuffer: Va, status: number): Outcome {
  const { memory, io } = nt;
  nt.pool.freeKernel(pathBuffer);
  nt.pool.freeKernel(registryPath);
  io.drivers.setState(driverObject, { entryStatus: status });
  const driver = io.drivers.get(driverObject);
  assert(driver, 'a driver that is loading has its record');
  const image = io.drivers.image(driver);
  checkWorkerReturn(
    nt,
    'DriverEntry',
    vaAdd(image.base, image.pe?.entryPointRva ?? 0),
    nt.entries.routineVa('IopLoadDriver'),
  );
  if (!ntSuccess(status)) {
    io.drivers.finishUnload(driverObject);
    return status;
  }
  for (const { device } of io.devices.ofDriver(driverObject)) {
    DEVICE_OBJECT.Flags.set(memory, device, DEVICE_OBJECT.Flags.get(memory, device) & ~DeviceFlag.DeviceInitializing);
  }
  nt.images.discardInit(image);
  io.drivers.setState(driverObject, { state: 'loaded' });
  io.drivers.addFlags(driverObject, DriverFlag.Initialized);
  if (io.drivers.addDeviceRoutine(driverObject) === nullVa) io.drivers.addFlags(driverObject, DriverFlag.LegacyDriver);
  return reinitialise(nt, driverObject);
}

/** What the driver registered to be called after DriverEntry, also meanwhile. */
function reinitialise(nt: Nt, driverObject: Va): Outcome {
  const next = nt.io.reinitializations.take(driverObject);
  if (next === undefined) return STATUS_SUCCESS;
  const extension = DRIVER_OBJECT.DriverExtension.get(nt.memory, driverObject);
  const count = DRIVER_EXTENSION.Count.get(nt.memory, extension) + 1;
  DRIVER_EXTENSION.Count.set(nt.memory, extension, count);
  return callGuest(next.routine, [driverObject, next.context, count], 'reinitialized', [driverObject, next.routine]);
}

export const ioDriverLoading = ntInternals({
  /** Calls DriverEntry of an image that is mapped. Runs in a system thread. */
  IopLoadDriver: ntRoutine({
    doc: 'loads a driver: driver object, DriverEntry',
    irql: ['PASSIVE', 'PASSIVE'],
    params: { ImageIndex: ULONG },
    returns: 'NTSTATUS',
    body: (nt, { ImageIndex }) => announceDriver(nt, ImageIndex) ?? callEntry(nt, ImageIndex),
    resume: {
      announced: (nt, call) => callEntry(nt, call.word(0)),
      driverEntryReturned: (nt, call) => entryReturned(nt, call.va(0), call.va(1), call.va(2), call.status),
      reinitialized: (nt, call) => {
        checkWorkerReturn(nt, 'the reinitialization routine', call.va(1), nt.entries.routineVa('IopLoadDriver'));
        return reinitialise(nt, call.va(0));
      },
    },
  }),
  /** Calls DriverUnload and lets the image go, as NtUnloadDriver has it done in a system thread. */
  IopUnloadDriver: ntRoutine({
    doc: 'unloads a driver: DriverUnload, then the image if nothing refers to it',
    irql: ['PASSIVE', 'PASSIVE'],
    params: { DriverObject: PVOID },
    returns: 'NTSTATUS',
    body: (nt, { DriverObject }) => {
      const unload = DRIVER_OBJECT.DriverUnload.get(nt.memory, DriverObject);
      const driver = nt.io.drivers.get(DriverObject);
      if (unload === nullVa || driver === undefined) return STATUS_INVALID_DEVICE_REQUEST;
      nt.io.drivers.markForUnload(DriverObject);
      nt.io.drivers.addFlags(DriverObject, DriverFlag.UnloadInvoked);
      nt.io.drivers.setState(DriverObject, { state: 'unloading' });
      nt.events.emit('driverUnloading', { image: nt.io.drivers.image(driver), driverObject: DriverObject });
      return callGuest(unload, [DriverObject], 'unloadReturned', [DriverObject, unload]);
    },
    resume: {
      unloadReturned: (nt, call) => {
        checkWorkerReturn(nt, 'DriverUnload', call.va(1), nt.entries.routineVa('IopUnloadDriver'));
        nt.io.drivers.finishUnload(call.va(0));
        return STATUS_SUCCESS;
      },
    },
  }),
});
