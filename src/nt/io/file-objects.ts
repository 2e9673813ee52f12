import type { StoreCell } from '../../base/store.ts';
import { nullVa, type Va } from '../../base/va.ts';
import { BugCheck } from '../declare/bug-check.ts';
import type { Nt } from '../nt.ts';
import { DEVICE_OBJECT, FILE_OBJECT, FileFlag, IoType } from '../structures/io.ts';
import { DispatcherType } from '../structures/ke.ts';
import { UNICODE_STRING } from '../structures/strings.ts';

/** File objects: one for each open of a device. */
export class FileObjects {
  private readonly nt: Nt;
  /** Files whose last reference went where no request may be sent; IRP_MJ_CLOSE follows at PASSIVE_LEVEL. */
  private readonly deferred: StoreCell<readonly Va[]>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.deferred = nt.stores.cell<readonly Va[]>('io/deferred-file-deletes', []);
  }

  create(device: Va, name: string, access: number, shareAccess: number, isSynchronous: boolean): Va {
    const { memory, pool, objects } = this.nt;
    const file = pool.allocateKernel(FILE_OBJECT.sizeBytes, 'File');
    FILE_OBJECT.Type.set(memory, file, IoType.File);
    FILE_OBJECT.Size.set(memory, file, FILE_OBJECT.sizeBytes);
    FILE_OBJECT.DeviceObject.set(memory, file, device);
    FILE_OBJECT.Flags.set(memory, file, isSynchronous ? FileFlag.SynchronousIo : 0);
    FILE_OBJECT.ReadAccess.set(memory, file, (access & 0x8000_0001) !== 0 ? 1 : 0);
    FILE_OBJECT.WriteAccess.set(memory, file, (access & 0x4000_0002) !== 0 ? 1 : 0);
    FILE_OBJECT.SharedRead.set(memory, file, shareAccess & 1);
    FILE_OBJECT.SharedWrite.set(memory, file, (shareAccess >> 1) & 1);
    FILE_OBJECT.SharedDelete.set(memory, file, (shareAccess >> 2) & 1);
    if (name !== '') this.nt.io.drivers.writeString(FILE_OBJECT.FileName.at(file), name);
    this.nt.dispatcher.initialise(FILE_OBJECT.Lock.at(file), DispatcherType.EventSynchronization, 6, 0);
    this.nt.dispatcher.initialise(FILE_OBJECT.Event.at(file), DispatcherType.EventNotification, 6, 0);
    objects.create(file, 'File', undefined);
    this.nt.io.devices.changeReferenceCount(device, 1);
    return file;
  }

  device(file: Va): Va {
    return FILE_OBJECT.DeviceObject.get(this.nt.memory, file);
  }

  /** Frees a file object that nobody refers to; its driver has seen IRP_MJ_CLOSE (or refused the create). */
  free(file: Va): void {
    const { memory, pool } = this.nt;
    const device = this.device(file);
    const name = UNICODE_STRING.Buffer.get(memory, FILE_OBJECT.FileName.at(file));
    if (name !== nullVa) pool.freeAny(name);
    pool.freeKernel(file);
    this.nt.io.devices.changeReferenceCount(device, -1);
  }

  /** Whether another file is open on an exclusive device. */
  isInUse(device: Va): boolean {
    return DEVICE_OBJECT.ReferenceCount.get(this.nt.memory, device) > 0;
  }

  /** Drops a reference at any IRQL; IRP_MJ_CLOSE is sent later by a system thread. */
  dereferenceLater(file: Va): void {
    const { objects } = this.nt;
    if (objects.get(file) === undefined) {
      const summary = 'a reference to a file object was dropped that a driver had dropped already';
      throw new BugCheck(0x18, [0, file, 2, 0], summary);
    }
    if (objects.dereference(file) === 0) this.deferred.value = [...this.deferred.value, file];
  }

  /** The next file to close; removed from the list. */
  takeDeferred(): Va | undefined {
    const [first, ...rest] = this.deferred.value;
    if (first !== undefined) this.deferred.value = rest;
    return first;
  }

  get hasDeferred(): boolean {
    return this.deferred.value.length > 0;
  }
}
