/**
 * How the device below the drivers behaves in a tour: a read or write that comes down to it is done, or fails as devices
 * fail, as the seed says. Without a tour it knows no such requests, as the root bus on Windows.
 */
import type { StoreCell } from '../../base/store.ts';
import { nullVa, type Va } from '../../base/va.ts';
import { pageSize } from '../../engine/memory/layout.ts';
import { mdlPages, readPfn } from '../mm/mdl-layout.ts';
import type { Nt } from '../nt.ts';
import {
  STATUS_DEVICE_DATA_ERROR,
  STATUS_DEVICE_NOT_CONNECTED,
  STATUS_INVALID_DEVICE_REQUEST,
  STATUS_IO_TIMEOUT,
  STATUS_SUCCESS,
} from '../ntstatus.ts';
import { IO_STACK_LOCATION, IRP, MajorFunction, MDL } from '../structures/io.ts';

const failures = [STATUS_IO_TIMEOUT, STATUS_DEVICE_DATA_ERROR, STATUS_DEVICE_NOT_CONNECTED] as const;
/** Of the requests that could be done, one in so many fails. */
const failing = 3;
/** What a read brings. */
const content = 0x5a;

export class LowerDevice {
  private readonly nt: Nt;
  private readonly trying: StoreCell<boolean>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.trying = nt.stores.cell('pnp/lower-device-tries', false);
  }

  get isTrying(): boolean {
    return this.trying.value;
  }

  /** From now on what can go wrong below does, now and then. */
  tryDrivers(): void {
    this.trying.value = true;
  }

  /** Its last way: what is done now has to end. */
  leaveDriversAlone(): void {
    this.trying.value = false;
  }

  /** The status that a read, write or control request ends with. */
  answer(irp: Va): number {
    const { memory, io, random } = this.nt;
    const location = io.irps.currentLocation(irp);
    const major = IO_STACK_LOCATION.MajorFunction.get(memory, location);
    const isRead = major === MajorFunction.Read;
    // What a control code of another bus would do is not guessed.
    if (!this.isTrying || !(isRead || major === MajorFunction.Write)) return STATUS_INVALID_DEVICE_REQUEST;
    if (random.u32() % failing === 0) return failures[random.u32() % failures.length] as number;
    const bytes = IO_STACK_LOCATION.ReadWriteLength.get(memory, location);
    if (isRead && bytes > 0 && !this.fill(irp, bytes)) return STATUS_INVALID_DEVICE_REQUEST;
    memory.writeU64(IRP.Information.at(irp), BigInt(bytes));
    return STATUS_SUCCESS;
  }

  /** Writes what was read into the request's buffer; false if it has none that a lower driver could use. */
  private fill(irp: Va, bytes: number): boolean {
    const { memory, addressSpace } = this.nt;
    const buffer = IRP.SystemBuffer.get(memory, irp);
    const mdl = IRP.MdlAddress.get(memory, irp);
    if (mdl === nullVa) {
      if (buffer === nullVa) return false;
      memory.fill(buffer, bytes, content);
      return true;
    }
    let offset = MDL.ByteOffset.get(memory, mdl);
    let left = Math.min(bytes, MDL.ByteCount.get(memory, mdl));
    for (let index = 0; index < mdlPages(memory, mdl) && left > 0; index++, offset = 0) {
      const frame = addressSpace.frames.frameOf(readPfn(memory, mdl, index));
      const part = Math.min(left, pageSize - offset);
      if (frame !== undefined) memory.frameBytes(frame).fill(content, offset, offset + part);
      left -= part;
    }
    return true;
  }
}
