/** IRPs: making, forwarding and completing them. */
import { assert } from '../../base/errors.ts';
import type { StoreCell, StoreMap } from '../../base/store.ts';
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { BugCheck } from '../declare/bug-check.ts';
import type { Call } from '../declare/call.ts';
import { chain } from '../declare/chain.ts';
import { callGuest, type Outcome } from '../declare/outcome.ts';
import { tagOf } from '../ex/pool.ts';
import { raiseToDispatch, spinning } from '../ke/spin-locks.ts';
import type { Nt } from '../nt.ts';
import { ntSuccess, STATUS_MORE_PROCESSING_REQUIRED, STATUS_PENDING } from '../ntstatus.ts';
import { DEVICE_OBJECT, IO_STACK_LOCATION, IoType, IRP, IrpFlag, MDL, StackControl } from '../structures/io.ts';
import { PoolType } from '../structures/pool.ts';
import { IrpCompletion } from './irp-completion.ts';

const irpTag = tagOf('Irp ');

/** A request that belongs to a thread, which the I/O manager ends. */
export interface ThreadRequest {
  readonly irp: Va;
  readonly thread: Va;
  readonly file: Va;
  /** Event object that the request holds a reference of; null if none. */
  readonly event: Va;
  /** Bytes of the caller's output buffer: no more is copied back. */
  readonly outputBytes: number;
  /** Completed before its dispatch routine returned; the service ends it when it sees that. */
  readonly isDeferred: boolean;
}

export class Irps {
  private readonly nt: Nt;
  private readonly pending: StoreMap<number, ThreadRequest>;
  private readonly completion: IrpCompletion;
  private readonly isCancelLockHeld: StoreCell<boolean>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.pending = nt.stores.map('io/pending-requests');
    this.completion = new IrpCompletion(nt, this);
    this.isCancelLockHeld = nt.stores.cell('io/cancel-lock-held', false);
  }

  /** The requests of threads that have not come to their end. */
  outstanding(): IterableIterator<ThreadRequest> {
    return this.pending.values();
  }

  static sizeBytes(stackSize: number): number {
    return IRP.sizeBytes + stackSize * IO_STACK_LOCATION.sizeBytes;
  }

  /** IoInitializeIrp: zeroes the packet and sets its stack up. */
  initialise(irp: Va, packetBytes: number, stackSize: number): void {
    const { memory } = this.nt;
    memory.fill(irp, packetBytes, 0);
    IRP.Type.set(memory, irp, IoType.Irp);
    IRP.Size.set(memory, irp, packetBytes);
    IRP.StackCount.set(memory, irp, stackSize);
    IRP.CurrentLocation.set(memory, irp, stackSize + 1);
    IRP.ApcEnvironment.set(memory, irp, 0);
    const list = IRP.ThreadListEntry.at(irp);
    memory.writeVa(list, list);
    memory.writeVa(vaAdd(list, 8), list);
    IRP.CurrentStackLocation.set(memory, irp, vaAdd(irp, Irps.sizeBytes(stackSize)));
  }

  /** An IRP of the I/O manager's own, freed when it completes. */
  allocateForRequest(stackSize: number, request: { readonly file: Va; readonly outputBytes: number }): Va {
    const irp = this.nt.pool.allocateKernel(Irps.sizeBytes(stackSize), 'Irp ');
    this.initialise(irp, Irps.sizeBytes(stackSize), stackSize);
    const thread = this.nt.scheduler.currentThread.kthread;
    IRP.Thread.set(this.nt.memory, irp, thread);
    IRP.OriginalFileObject.set(this.nt.memory, irp, request.file);
    this.pending.set(irp, { irp, thread, event: nullVa, isDeferred: false, ...request });
    return irp;
  }

  /** The request is about to be sent: it keeps its file and its event. */
  holdObjects(irp: Va, event: Va): void {
    const request = this.pending.get(irp);
    assert(request, 'only requests of threads hold objects');
    if (request.file !== nullVa) this.nt.objects.reference(request.file);
    if (event !== nullVa) this.nt.objects.reference(event);
    this.pending.set(irp, { ...request, event });
  }

  /** IoAllocateIrp: an IRP that the driver frees with IoFreeIrp. */
  allocateForDriver(stackSize: number, call: Call): Va | undefined {
    const bytes = Irps.sizeBytes(stackSize);
    const irp = this.nt.pool.allocate({ poolType: PoolType.NonPagedPoolNx, bytes, tag: irpTag, family: 'irp' }, call);
    if (irp !== undefined) this.initialise(irp, bytes, stackSize);
    return irp;
  }

  /** The request is sent by another thread than made it (in a DPC there is none that could end it): it is that one's. */
  adopt(irp: Va): void {
    const request = this.pending.get(irp);
    assert(request, 'only requests of threads change their thread');
    const thread = this.nt.scheduler.currentThread.kthread;
    IRP.Thread.set(this.nt.memory, irp, thread);
    this.pending.set(irp, { ...request, thread });
  }

  /** Ties an IRP of {@link allocateForDriver} to the thread: the I/O manager frees it when it completes. */
  tieToThread(irp: Va, outputBytes: number): void {
    const thread = this.nt.scheduler.currentThread.kthread;
    IRP.Thread.set(this.nt.memory, irp, thread);
    this.pending.set(irp, { irp, thread, file: nullVa, event: nullVa, outputBytes, isDeferred: false });
  }

  /** The driver frees the IRP itself. */
  untie(irp: Va): void {
    this.pending.delete(irp);
  }

  /** Takes a request back that was never sent. */
  discard(irp: Va): void {
    const { memory, pool } = this.nt;
    const system = IRP.SystemBuffer.get(memory, irp);
    if (system !== nullVa) pool.freeAny(system);
    this.releaseMdls(irp);
    this.pending.delete(irp);
    pool.freeAny(irp);
  }

  isOwnRequest(irp: Va): boolean {
    return this.pending.has(irp);
  }

  currentLocation(irp: Va): Va {
    return IRP.CurrentStackLocation.get(this.nt.memory, irp);
  }

  nextLocation(irp: Va): Va {
    return vaAdd(this.currentLocation(irp), -IO_STACK_LOCATION.sizeBytes);
  }

  /** IofCallDriver: one location down, and the dispatch routine of the device's driver is called. */
  callDriver(device: Va, irp: Va): Outcome {
    const { memory } = this.nt;
    const location = IRP.CurrentLocation.get(memory, irp) - 1;
    if (location <= 0) {
      throw new BugCheck(
        0x35,
        [irp, 0, 0, 0],
        'an IRP was passed to a lower driver, and it has no stack location left',
      );
    }
    const stack = this.nextLocation(irp);
    IRP.CurrentLocation.set(memory, irp, location);
    IRP.CurrentStackLocation.set(memory, irp, stack);
    IO_STACK_LOCATION.DeviceObject.set(memory, stack, device);
    const driverObject = DEVICE_OBJECT.DriverObject.get(memory, device);
    const routine = this.nt.io.drivers.majorFunction(driverObject, IO_STACK_LOCATION.MajorFunction.get(memory, stack));
    this.nt.events.emit('irpDispatched', { irp, device, routine });
    return callGuest(routine, [device, irp], 'dispatchReturned', [irp]);
  }

  /** The start of IofCompleteRequest; `complete` goes on from location to location. */
  beginCompletion(irp: Va, boost: number): Outcome {
    const { memory } = this.nt;
    const location = IRP.CurrentLocation.get(memory, irp);
    const count = IRP.StackCount.get(memory, irp);
    if (IRP.Type.get(memory, irp) !== IoType.Irp || location > count + 1) {
      throw new BugCheck(0x44, [irp, 0x0d62, 0, 0], 'an IRP was completed that has been completed already');
    }
    // Windows goes on, unless I/O verification is on.
    const status = IRP.Status.get(memory, irp);
    if (status === STATUS_PENDING || status === 0xffff_ffff) {
      this.nt.events.emit('irpCompletedWrongly', { irp, wrong: 'status', value: status });
    }
    const cancelRoutine = IRP.CancelRoutine.get(memory, irp);
    if (cancelRoutine !== nullVa) {
      this.nt.events.emit('irpCompletedWrongly', { irp, wrong: 'cancel-routine', value: cancelRoutine });
    }
    return this.complete(irp, boost);
  }

  /** Walks up the stack locations; calls completion routines on the way. */
  complete(irp: Va, boost: number): Outcome {
    const { memory } = this.nt;
    const count = IRP.StackCount.get(memory, irp);
    while (IRP.CurrentLocation.get(memory, irp) <= count) {
      const stack = this.currentLocation(irp);
      const control = IO_STACK_LOCATION.Control.get(memory, stack);
      const routine = IO_STACK_LOCATION.CompletionRoutine.get(memory, stack);
      const context = IO_STACK_LOCATION.Context.get(memory, stack);
      const isPending = (control & StackControl.PendingReturned) !== 0;
      const location = IRP.CurrentLocation.get(memory, irp) + 1;
      const above = vaAdd(stack, IO_STACK_LOCATION.sizeBytes);
      const isInvoked = this.invokes(irp, control);
      memory.fill(stack, IO_STACK_LOCATION.Control.offset + 1, 0);
      memory.fill(IO_STACK_LOCATION.CompletionRoutine.at(stack), 16, 0);
      IRP.PendingReturned.set(memory, irp, isPending ? 1 : 0);
      IRP.CurrentLocation.set(memory, irp, location);
      IRP.CurrentStackLocation.set(memory, irp, above);
      const isTop = location === count + 1;
      if (isInvoked) {
        const device = isTop ? nullVa : IO_STACK_LOCATION.DeviceObject.get(memory, above);
        return callGuest(routine, [device, irp, context], 'completionReturned', [irp, boost]);
      }
      if (isPending && !isTop) {
        const mark = IO_STACK_LOCATION.Control.get(memory, above) | StackControl.PendingReturned;
        IO_STACK_LOCATION.Control.set(memory, above, mark);
      }
    }
    return this.finish(irp, boost);
  }

  completionReturned(irp: Va, boost: number, status: number): Outcome {
    return status === STATUS_MORE_PROCESSING_REQUIRED ? undefined : this.complete(irp, boost);
  }

  private invokes(irp: Va, control: number): boolean {
    const { memory } = this.nt;
    const isSuccess = ntSuccess(IRP.Status.get(memory, irp));
    return (
      (isSuccess && (control & StackControl.InvokeOnSuccess) !== 0) ||
      (!isSuccess && (control & StackControl.InvokeOnError) !== 0) ||
      (IRP.Cancel.get(memory, irp) !== 0 && (control & StackControl.InvokeOnCancel) !== 0)
    );
  }

  /** No driver has the request any more. */
  private finish(irp: Va, boost: number): Outcome {
    const { memory } = this.nt;
    const status = IRP.Status.get(memory, irp);
    const request = this.pending.get(irp);
    if (request === undefined && (IRP.Flags.get(memory, irp) & IrpFlag.AssociatedIrp) !== 0) {
      return this.finishAssociated(irp, boost);
    }
    if (request === undefined) {
      throw new BugCheck(
        0x44,
        [irp, 0x0e00, 0, 0],
        'an IRP that a driver allocated was completed up to the I/O manager: its completion routine did not stop it',
      );
    }
    this.nt.events.emit('irpCompleted', { irp, status });
    this.completion.begin(request, boost);
    return undefined;
  }

  /** The dispatch routine answered: a request that is complete ends in its thread at once. */
  dispatched(irp: Va, status: number): void {
    const request = this.pending.get(irp);
    if (request?.isDeferred === true && status !== STATUS_PENDING) this.completion.end(request);
  }

  defer(request: ThreadRequest): void {
    this.pending.set(request.irp, { ...request, isDeferred: true });
  }

  /** Ends a request whose completion APC runs. */
  endOf(irp: Va): void {
    const request = this.pending.get(irp);
    if (request !== undefined) this.completion.end(request);
  }

  /** A thread that ends gives up the requests that do not come back. */
  abandon(thread: Va): void {
    for (const request of [...this.pending.values()]) {
      if (request.thread === thread) this.pending.set(request.irp, { ...request, thread: nullVa });
    }
  }

  /** One part of a master IRP is done; the last one completes the master. */
  private finishAssociated(irp: Va, boost: number): Outcome {
    const { memory } = this.nt;
    // AssociatedIrp is one union: the master here, and its count there.
    const master = IRP.SystemBuffer.get(memory, irp);
    const left = IRP.IrpCount.get(memory, master) - 1;
    IRP.IrpCount.set(memory, master, left);
    this.releaseMdls(irp);
    this.nt.pool.freeAny(irp);
    return left === 0 ? this.beginCompletion(master, boost) : undefined;
  }

  /** The IRP's MDLs, first to last. */
  mdls(irp: Va): readonly Va[] {
    const { memory } = this.nt;
    // All of them first: what is released may be unmapped.
    return [...chain(IRP.MdlAddress.get(memory, irp), nullVa, (at) => MDL.Next.get(memory, at), "an IRP's MDLs")];
  }

  private releaseMdls(irp: Va): void {
    for (const mdl of this.mdls(irp)) this.nt.mdls.release(mdl);
  }

  /** IoCancelIrp. The cancel routine is called with the cancel spin lock held, at DISPATCH_LEVEL, and releases it. */
  cancel(irp: Va): Outcome {
    const { memory } = this.nt;
    const irql = this.acquireCancelLock();
    IRP.Cancel.set(memory, irp, 1);
    const routine = IRP.CancelRoutine.get(memory, irp);
    if (routine === nullVa) {
      this.releaseCancelLock(irql);
      return false;
    }
    if (IRP.CurrentLocation.get(memory, irp) > IRP.StackCount.get(memory, irp) + 1) {
      throw new BugCheck(
        0x48,
        [irp, routine, 0, 0],
        'an IRP was cancelled that was completed with its cancel routine set',
      );
    }
    IRP.CancelRoutine.set(memory, irp, nullVa);
    IRP.CancelIrql.set(memory, irp, irql);
    const device = IO_STACK_LOCATION.DeviceObject.get(memory, this.currentLocation(irp));
    return callGuest(routine, [device, irp], 'cancelRoutineReturned', []);
  }

  /** The I/O manager's cancel spin lock; the IRQL before. */
  acquireCancelLock(): number {
    const irql = raiseToDispatch(this.nt);
    if (this.isCancelLockHeld.value) throw spinning(this.nt, 'the cancel spin lock');
    this.isCancelLockHeld.value = true;
    return irql;
  }

  releaseCancelLock(irql: number): void {
    this.isCancelLockHeld.value = false;
    this.nt.setIrql(irql & 15);
  }
}
