/**
 * How the device below the drivers behaves in a tour: a read, write or control request that comes down to it is done, or
 * fails as devices fail, as the seed says. Without a tour it knows no such requests, as the root bus on Windows.
 */
import type { StoreCell, StoreMap } from '../../base/store.ts';
import { nullVa, type Va } from '../../base/va.ts';
import { pageSize } from '../../engine/memory/layout.ts';
import { mdlPages, readPfn } from '../mm/mdl-layout.ts';
import type { Nt } from '../nt.ts';
import {
  STATUS_CANCELLED,
  STATUS_DEVICE_BUSY,
  STATUS_DEVICE_DATA_ERROR,
  STATUS_DEVICE_NOT_CONNECTED,
  STATUS_INVALID_DEVICE_REQUEST,
  STATUS_IO_TIMEOUT,
  STATUS_SUCCESS,
  STATUS_UNSUCCESSFUL,
} from '../ntstatus.ts';
import { IO_STACK_LOCATION, IRP, MajorFunction, MDL } from '../structures/io.ts';

/** The last: a request may end as cancelled without having been, when the device was reset. */
const failures = [STATUS_IO_TIMEOUT, STATUS_DEVICE_DATA_ERROR, STATUS_DEVICE_NOT_CONNECTED, STATUS_CANCELLED] as const;
/** Of the requests that could be done, one in so many fails. */
const failing = 3;
/** Of the questions that a bus may say no to, one in so many is refused. */
const refusing = 5;
/** What a read brings. A control request brings zeros. */
const content = 0x5a;
const userMode = 1;
/** The low two bits of a control code. */
const methodNeither = 3;

export class LowerDevice {
  private readonly nt: Nt;
  private readonly trying: StoreCell<boolean>;
  /** IRP_MN_WAIT_WAKE requests that pend, by PDO. */
  private readonly wakeRequests: StoreMap<number, Va>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.trying = nt.stores.cell('pnp/lower-device-tries', false);
    this.wakeRequests = nt.stores.map('pnp/wake-requests');
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
    if (!this.isTrying || major === MajorFunction.InternalDeviceControl) return STATUS_INVALID_DEVICE_REQUEST;
    const isControl = major === MajorFunction.DeviceControl;
    if (isControl && random.u32() % failing === 0) return STATUS_INVALID_DEVICE_REQUEST;
    if (random.u32() % failing === 0) return failures[random.u32() % failures.length] as number;
    return isControl ? this.control(irp, location) : this.transfer(irp, location, major === MajorFunction.Read);
  }

  /** Whether the bus says no to a question, as it may for a device that came after another one. */
  refusesPower(pdo: Va): number {
    const { io, random } = this.nt;
    const isRefused = this.isTrying && io.pnp.hasPredecessor(pdo) && random.u32() % refusing === 0;
    return isRefused ? STATUS_UNSUCCESSFUL : STATUS_SUCCESS;
  }

  private transfer(irp: Va, location: Va, isRead: boolean): number {
    const { memory } = this.nt;
    const bytes = IO_STACK_LOCATION.ReadWriteLength.get(memory, location);
    if (isRead && bytes > 0 && !this.fill(irp, bytes, content)) return STATUS_INVALID_DEVICE_REQUEST;
    memory.writeU64(IRP.Information.at(irp), BigInt(bytes));
    return STATUS_SUCCESS;
  }

  /** A program gets zeros; what another bus would answer a driver of its own accord is not made up. */
  private control(irp: Va, location: Va): number {
    const { memory } = this.nt;
    const bytes = IO_STACK_LOCATION.OutputBufferLength.get(memory, location);
    if (bytes > 0) {
      const method = IO_STACK_LOCATION.IoControlCode.get(memory, location) & methodNeither;
      const isForDriver = IRP.RequestorMode.get(memory, irp) !== userMode;
      if (isForDriver || method === methodNeither || !this.fill(irp, bytes, 0)) return STATUS_INVALID_DEVICE_REQUEST;
    }
    memory.writeU64(IRP.Information.at(irp), BigInt(bytes));
    return STATUS_SUCCESS;
  }

  // ---- IRP_MN_WAIT_WAKE

  /** The request of a device that may wake the system; null for none. */
  wakeRequest(pdo: Va): Va {
    return this.wakeRequests.get(pdo) ?? nullVa;
  }

  /** Keeps a request until the device wakes the system, goes, or the request is cancelled; else the status it ends with. */
  keepWakeRequest(pdo: Va, irp: Va): number | undefined {
    const { memory, entries } = this.nt;
    if (this.wakeRequests.has(pdo)) return STATUS_DEVICE_BUSY;
    if (IRP.Cancel.get(memory, irp) !== 0) return STATUS_CANCELLED;
    IRP.CancelRoutine.set(memory, irp, entries.routineVa('IopCancelWakeRequest'));
    this.wakeRequests.set(pdo, irp);
    return undefined;
  }

  /** The request, to be completed with `status`; null if there is none. */
  takeWakeRequest(pdo: Va, status: number): Va {
    const irp = this.wakeRequest(pdo);
    if (irp === nullVa) return nullVa;
    this.wakeRequests.delete(pdo);
    IRP.CancelRoutine.set(this.nt.memory, irp, nullVa);
    IRP.Status.set(this.nt.memory, irp, status);
    return irp;
  }

  /** Writes what was read into the request's buffer; false if it has none that a lower driver could use. */
  private fill(irp: Va, bytes: number, value: number): boolean {
    const { memory, addressSpace } = this.nt;
    const buffer = IRP.SystemBuffer.get(memory, irp);
    const mdl = IRP.MdlAddress.get(memory, irp);
    if (mdl === nullVa) {
      if (buffer === nullVa) return false;
      memory.fill(buffer, bytes, value);
      return true;
    }
    let offset = MDL.ByteOffset.get(memory, mdl);
    let left = Math.min(bytes, MDL.ByteCount.get(memory, mdl));
    for (let index = 0; index < mdlPages(memory, mdl) && left > 0; index++, offset = 0) {
      const frame = addressSpace.frames.frameOf(readPfn(memory, mdl, index));
      const part = Math.min(left, pageSize - offset);
      if (frame !== undefined) memory.frameBytes(frame).fill(value, offset, offset + part);
      left -= part;
    }
    return true;
  }
}
