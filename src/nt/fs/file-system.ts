/**
 * The file system: one volume, `\Device\HarddiskVolume1`, which drivers know as `C:` and `\SystemRoot`. Its driver's
 * dispatch routines are the kernel's own (file-system-driver.ts). It appears when somebody first looks for it.
 */
import type { StoreCell, StoreMap } from '../../base/store.ts';
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import type { Nt } from '../nt.ts';
import { DEVICE_OBJECT, DRIVER_OBJECT, IoType, majorFunctionCount } from '../structures/io.ts';
import { Opens } from './opens.ts';
import { Volume } from './volume.ts';

export const volumeName = '\\Device\\HarddiskVolume1';
const fileDeviceDiskFileSystem = 8;
/** Names that only lead to the volume. */
const names = /^\\(?:systemroot|device\\harddiskvolume1|(?:\?\?|dosdevices|global\?\?)\\c:)(?=\\|$)/i;

export class FileSystem {
  readonly volume: Volume;
  readonly opens: Opens;
  private readonly nt: Nt;
  private readonly device_: StoreCell<Va>;
  /** File objects of images, by path on the volume. */
  private readonly imageFiles: StoreMap<string, Va>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.volume = new Volume(nt.stores, () => Number(nt.clock.systemTime));
    this.opens = new Opens(nt.stores);
    this.device_ = nt.stores.cell('fs/device', nullVa);
    this.imageFiles = nt.stores.map('fs/image-files');
  }

  /** The volume's device; null as long as nobody looked for it. */
  get device(): Va {
    return this.device_.value;
  }

  /** File object of an image, which its section keeps for as long as the machine lives. `path`: on the volume. */
  imageFile(path: string): Va {
    const known = this.imageFiles.get(path);
    if (known !== undefined) return known;
    this.mountFor(volumeName);
    const [execute, readAndDelete] = [0x20, 5];
    const file = this.nt.io.files.create(this.device, path, execute, readAndDelete, true);
    this.imageFiles.set(path, file);
    return file;
  }

  /** Called with every name that is looked up. */
  mountFor(path: string): void {
    if (this.device !== nullVa || !names.test(path)) return;
    const { memory, pool, entries, io, objects } = this.nt;
    const driverObject = pool.allocateKernel(DRIVER_OBJECT.sizeBytes, 'Driv');
    DRIVER_OBJECT.Type.set(memory, driverObject, IoType.Driver);
    DRIVER_OBJECT.Size.set(memory, driverObject, DRIVER_OBJECT.sizeBytes);
    io.drivers.writeString(DRIVER_OBJECT.DriverName.at(driverObject), '\\FileSystem\\Ntfs');
    const dispatch = entries.routineVa('IopFileSystemDispatch');
    for (let major = 0; major < majorFunctionCount; major++) {
      memory.writeVa(vaAdd(DRIVER_OBJECT.MajorFunction.at(driverObject), major * 8), dispatch);
    }
    objects.create(driverObject, 'Driver', '\\FileSystem\\Ntfs');
    const request = { driverObject, extensionBytes: 0, deviceType: fileDeviceDiskFileSystem, characteristics: 0 };
    const { device } = io.devices.create({ ...request, name: volumeName, isExclusive: false }, 0);
    this.device_.value = device;
    DEVICE_OBJECT.Flags.set(memory, device, 0);
    objects.createSymbolicLink('\\??\\C:', volumeName);
    objects.createSymbolicLink('\\SystemRoot', `${volumeName}\\Windows`);
    this.volume.format();
  }
}
