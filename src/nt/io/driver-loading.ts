/** Loading and unloading a driver: DriverEntry, AddDevice-less legacy drivers, DriverUnload. */
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest, type Outcome } from '../declare/outcome.ts';
import { PVOID, ULONG } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { ntSuccess, STATUS_INVALID_DEVICE_REQUEST, STATUS_SUCCESS } from '../ntstatus.ts';
import { DEVICE_OBJECT, DeviceFlag, DRIVER_OBJECT } from '../structures/io.ts';
import { UNICODE_STRING } from '../structures/strings.ts';

const registryRoot = '\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Services\\';

/** DriverEntry returned: INIT goes, devices are ready; or the image goes without DriverUnload. */
function entryReturned(nt: Nt, driverObject: Va, registryPath: Va, status: number): Outcome {
  const { memory, io } = nt;
  const buffer = UNICODE_STRING.Buffer.get(memory, registryPath);
  nt.pool.freeKernel(buffer);
  nt.pool.freeKernel(registryPath);
  io.drivers.setState(driverObject, { entryStatus: status });
  if (!ntSuccess(status)) {
    io.drivers.finishUnload(driverObject);
    return status;
  }
  for (const { device } of io.devices.ofDriver(driverObject)) {
    DEVICE_OBJECT.Flags.set(memory, device, DEVICE_OBJECT.Flags.get(memory, device) & ~DeviceFlag.DeviceInitializing);
  }
  const driver = io.drivers.get(driverObject);
  if (driver) nt.images.discardInit(io.drivers.image(driver));
  io.drivers.setState(driverObject, { state: 'loaded' });
  return STATUS_SUCCESS;
}

export const ioDriverLoading = ntInternals({
  /** Calls DriverEntry of an image that is mapped. Runs in a system thread. */
  IopLoadDriver: ntRoutine({
    doc: 'loads a driver: driver object, DriverEntry',
    irql: ['PASSIVE', 'PASSIVE'],
    params: { ImageIndex: ULONG },
    returns: 'NTSTATUS',
    body: (nt, { ImageIndex }) => {
      const image = nt.images.byIndex(ImageIndex);
      if (image?.pe?.entryPointRva === undefined) return STATUS_INVALID_DEVICE_REQUEST;
      const { driverObject, serviceName } = nt.io.drivers.create(image, image.name);
      const registryPath = nt.pool.allocateKernel(UNICODE_STRING.sizeBytes, 'IoRp');
      nt.io.drivers.writeString(registryPath, registryRoot + serviceName);
      const entry = vaAdd(image.base, image.pe.entryPointRva);
      return callGuest(entry, [driverObject, registryPath], 'driverEntryReturned', [driverObject, registryPath]);
    },
    resume: {
      driverEntryReturned: (nt, call) => entryReturned(nt, call.va(0), call.va(1), call.status),
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
      nt.io.drivers.setState(DriverObject, { state: 'unloading' });
      nt.events.emit('driverUnloading', { image: nt.io.drivers.image(driver), driverObject: DriverObject });
      return callGuest(unload, [DriverObject], 'unloadReturned', [DriverObject]);
    },
    resume: {
      unloadReturned: (nt, call) => {
        nt.io.drivers.finishUnload(call.va(0));
        return STATUS_SUCCESS;
      },
    },
  }),
});
