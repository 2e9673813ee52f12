/**
 * How a request ends when every driver has completed it. The part that touches its caller's memory runs in the caller's
 * thread: as a special kernel APC, or in the service that sent the request if it was complete by then.
 */
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { Access } from '../../engine/memory/layout.ts';
import { ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { PVOID, pointerTo } from '../declare/parameter-types.ts';
import { kernelMode } from '../ke/apcs.ts';
import { hasMdlFlag } from '../mm/mdl-layout.ts';
import type { Nt } from '../nt.ts';
import { releaseObjectLater } from '../ob/references.ts';
import { FILE_OBJECT, FileFlag, IO_STATUS_BLOCK, IRP, IrpFlag, MdlFlag } from '../structures/io.ts';
import type { Irps, ThreadRequest } from './irps.ts';

/** IRP.Tail.Apc: over everything that belonged to the drivers. */
const apcOffset = IRP.DriverContext.offset;
const isError = (status: number): boolean => status >>> 30 === 3;

export class IrpCompletion {
  private readonly nt: Nt;
  private readonly irps: Irps;

  constructor(nt: Nt, irps: Irps) {
    this.nt = nt;
    this.irps = irps;
  }

  /** IofCompleteRequest came to the top: in whatever thread, at up to DISPATCH_LEVEL. */
  begin(request: ThreadRequest, boost: number): void {
    const { memory, mdls, scheduler, apcs, entries } = this.nt;
    const { irp } = request;
    const flags = IRP.Flags.get(memory, irp);
    if ((flags & IrpFlag.CloseOperation) !== 0) {
      this.endOfClose(request, boost);
      return;
    }
    for (const mdl of this.irps.mdls(irp)) if (hasMdlFlag(memory, mdl, MdlFlag.PagesLocked)) mdls.unlock(mdl);
    if ((flags & IrpFlag.DeferIoCompletion) !== 0 && IRP.PendingReturned.get(memory, irp) === 0) {
      this.irps.defer(request);
      return;
    }
    const thread = scheduler.findThread(request.thread);
    if (thread === undefined || thread.state === 'terminated') {
      this.drop(request);
      return;
    }
    const apc = vaAdd(irp, apcOffset);
    const routines = { kernel: entries.routineVa('IopCompleteRequest'), rundown: nullVa, normal: nullVa };
    apcs.initialise(apc, request.thread, routines, kernelMode, 0n);
    apcs.insert(apc, 0n, 0n, boost);
  }

  /** In the request's thread, at APC_LEVEL. */
  end(request: ThreadRequest): void {
    const { memory } = this.nt;
    const { irp } = request;
    const status = IRP.Status.get(memory, irp);
    this.returnBuffer(request, status);
    this.report(request, status);
    this.release(request);
  }

  /** Cleanup and close, whose sender waits in its own thread, are reported from wherever they complete. */
  private endOfClose(request: ThreadRequest, boost: number): void {
    const { memory, dispatcher } = this.nt;
    const { irp } = request;
    const iosb = IRP.UserIosb.get(memory, irp);
    IO_STATUS_BLOCK.Status.set(memory, iosb, IRP.Status.get(memory, irp));
    IO_STATUS_BLOCK.Information.set(memory, iosb, IRP.Information.get(memory, irp));
    dispatcher.signal(IRP.UserEvent.get(memory, irp), 1, boost);
    this.release(request);
  }

  /** Nobody is left to be told. */
  private drop(request: ThreadRequest): void {
    const { memory, pool } = this.nt;
    const system = IRP.SystemBuffer.get(memory, request.irp);
    const flags = IRP.Flags.get(memory, request.irp);
    if ((flags & IrpFlag.DeallocateBuffer) !== 0 && system !== nullVa) pool.freeAny(system);
    this.release(request);
  }

  private release(request: ThreadRequest): void {
    const { nt } = this;
    const { irp, file, event } = request;
    for (const mdl of this.irps.mdls(irp)) nt.mdls.release(mdl);
    this.irps.untie(irp);
    nt.pool.freeAny(irp);
    if (event !== nullVa) releaseObjectLater(nt, event);
    if (file !== nullVa) nt.io.files.dereferenceLater(file);
  }

  /** Buffered output goes to the caller, unless the request failed with an error. */
  private returnBuffer({ irp, outputBytes }: ThreadRequest, status: number): void {
    const { memory, pool } = this.nt;
    const flags = IRP.Flags.get(memory, irp);
    if ((flags & IrpFlag.BufferedIo) === 0) return;
    const system = IRP.SystemBuffer.get(memory, irp);
    const user = IRP.UserBuffer.get(memory, irp);
    if ((flags & IrpFlag.InputOperation) !== 0 && !isError(status) && user !== nullVa && system !== nullVa) {
      const information = IRP.Information.get(memory, irp);
      const bytes = information > BigInt(outputBytes) ? outputBytes : Number(information);
      if (this.mayWrite(user, bytes)) memory.writeBytes(user, memory.readBytes(system, bytes));
    }
    if ((flags & IrpFlag.DeallocateBuffer) !== 0 && system !== nullVa) pool.freeAny(system);
  }

  /** Status block and event. A request that failed at once reports through the service's return value alone. */
  private report({ irp, file }: ThreadRequest, status: number): void {
    const { memory } = this.nt;
    const iosb = IRP.UserIosb.get(memory, irp);
    const wasPending = IRP.PendingReturned.get(memory, irp) !== 0;
    if (isError(status) && !wasPending) return;
    if (iosb !== nullVa && this.mayWrite(iosb, IO_STATUS_BLOCK.sizeBytes)) {
      IO_STATUS_BLOCK.Status.set(memory, iosb, status);
      IO_STATUS_BLOCK.Information.set(memory, iosb, IRP.Information.get(memory, irp));
    }
    const event = IRP.UserEvent.get(memory, irp);
    if (file !== nullVa) this.reportToFile(file, status, event === nullVa);
    if (event !== nullVa) this.nt.dispatcher.signal(event, 1);
  }

  /** A file's own event stands for requests without one, and for those that are waited for. */
  private reportToFile(file: Va, status: number, isOnlyEvent: boolean): void {
    const { memory, dispatcher } = this.nt;
    const isSynchronous = (FILE_OBJECT.Flags.get(memory, file) & FileFlag.SynchronousIo) !== 0;
    if (!isOnlyEvent && !isSynchronous) return;
    FILE_OBJECT.FinalStatus.set(memory, file, status);
    dispatcher.signal(FILE_OBJECT.Event.at(file), 1);
  }

  /** A program may have freed its memory meanwhile. What is wrong with a driver's own is left to fault. */
  private mayWrite(va: Va, bytes: number): boolean {
    return va < 0 || this.nt.memory.isAccessible(va, bytes, Access.Write);
  }
}

export const ioIrpCompletion = ntInternals({
  IopCompleteRequest: ntRoutine({
    doc: 'kernel routine of the APC that ends a request in its thread',
    irql: ['APC', 'APC'],
    params: { Apc: pointerTo('KAPC'), NormalRoutine: PVOID, NormalContext: PVOID, Argument1: PVOID },
    returns: 'VOID',
    body: (nt, { Apc }) => {
      nt.io.irps.endOf(vaAdd(Apc, -apcOffset));
    },
  }),
});
