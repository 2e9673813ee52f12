/** A device whose driver's routines are labels of {@link GuestCode}. */
import type { Va } from '../src/base/va.ts';
import { vaAdd } from '../src/base/va.ts';
import { parsePe } from '../src/image/pe/index.ts';
import { DEVICE_OBJECT, DRIVER_OBJECT } from '../src/nt/structures/io.ts';
import type { GuestCode } from './guest-code.ts';
import { buildPe } from './pe-builder.ts';

export interface TestDevice {
  readonly driverObject: Va;
  readonly device: Va;
}

/** `majors`: major function code to label. The device is ready; `flags` are added to it. */
export function makeDevice(
  code: GuestCode,
  majors: Readonly<Record<number, string>>,
  options: { readonly name?: string; readonly startIo?: string; readonly flags?: number } = {},
): TestDevice {
  const { nt } = code;
  const image = nt.images.load(parsePe(buildPe({}).bytes, 'test.sys'), 'test.sys');
  const { driverObject } = nt.io.drivers.create(image, `test${image.index}`);
  nt.io.drivers.setState(driverObject, { state: 'loaded', entryStatus: 0 });
  for (const [major, label] of Object.entries(majors)) {
    nt.memory.writeVa(vaAdd(DRIVER_OBJECT.MajorFunction.at(driverObject), Number(major) * 8), code.at(label));
  }
  if (options.startIo !== undefined) DRIVER_OBJECT.DriverStartIo.set(nt.memory, driverObject, code.at(options.startIo));
  const device = addDevice(code, driverObject, options);
  return { driverObject, device };
}

export function addDevice(
  code: GuestCode,
  driverObject: Va,
  options: { readonly name?: string; readonly flags?: number } = {},
): Va {
  const { nt } = code;
  const { status, device } = nt.io.devices.create(
    {
      driverObject,
      extensionBytes: 0x40,
      name: options.name,
      deviceType: 0x22,
      characteristics: 0,
      isExclusive: false,
    },
    0,
  );
  if (status !== 0) throw new Error(`no device: ${status.toString(16)}`);
  DEVICE_OBJECT.Flags.set(nt.memory, device, options.flags ?? 0);
  return device;
}
