/** NtCreateFile, NtReadFile, NtWriteFile, NtDeviceIoControlFile, NtClose, and what the I/O manager does behind them. */
import { nullVa, type Va } from '../../base/va.ts';
import { ntExports, ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest, type Outcome } from '../declare/outcome.ts';
import { HANDLE, PVOID, ULONG } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { STATUS_INVALID_PARAMETER, STATUS_PENDING, STATUS_SUCCESS } from '../ntstatus.ts';
import { IrpFlag, MajorFunction } from '../structures/io.ts';
import { close, closed, closeResume, nextDeferred } from './close-file.ts';
import { control, controlParameters } from './control-request.ts';
import { createFrom, createParameters, createResume, openParameters } from './create-file.ts';
import { eventOf, forward, internalRequest, waitFor } from './internal-request.ts';
import { dispatched, readWrite, transferParameters, withFile } from './transfer.ts';

export const ioSystemServices = ntExports('ntoskrnl.exe', {
  NtCreateFile: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-ntcreatefile',
    irql: ['PASSIVE', 'PASSIVE'],
    params: createParameters,
    returns: 'NTSTATUS',
    support: { partial: 'files by number, allocation sizes' },
    body: (nt, args) => createFrom(nt, args, nt.previousMode === 0),
    resume: createResume,
  }),
  ZwCreateFile: ntRoutine({
    doc: 'wdm.h; nf-wdm-zwcreatefile',
    irql: ['PASSIVE', 'PASSIVE'],
    params: createParameters,
    returns: 'NTSTATUS',
    support: { partial: 'files by number, allocation sizes' },
    body: (nt, args) => createFrom(nt, args, true),
    resume: createResume,
  }),
  NtOpenFile: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-ntopenfile',
    irql: ['PASSIVE', 'PASSIVE'],
    params: openParameters,
    returns: 'NTSTATUS',
    support: { partial: 'files by number' },
    body: (nt, args) =>
      createFrom(nt, { ...args, FileAttributes: 0, CreateOptions: args.OpenOptions }, nt.previousMode === 0),
    resume: createResume,
  }),
  ZwOpenFile: ntRoutine({
    doc: 'wdm.h; nf-wdm-zwopenfile',
    irql: ['PASSIVE', 'PASSIVE'],
    params: openParameters,
    returns: 'NTSTATUS',
    support: { partial: 'files by number' },
    body: (nt, args) => createFrom(nt, { ...args, FileAttributes: 0, CreateOptions: args.OpenOptions }, true),
    resume: createResume,
  }),
  NtReadFile: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-ntreadfile',
    irql: ['PASSIVE', 'PASSIVE'],
    params: { ...transferParameters, Buffer: PVOID, Length: ULONG, ByteOffset: PVOID, Key: PVOID },
    returns: 'NTSTATUS',
    body: (nt, args) => readWrite(nt, MajorFunction.Read, args),
    resume: dispatched,
  }),
  NtWriteFile: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-ntwritefile',
    irql: ['PASSIVE', 'PASSIVE'],
    params: { ...transferParameters, Buffer: PVOID, Length: ULONG, ByteOffset: PVOID, Key: PVOID },
    returns: 'NTSTATUS',
    body: (nt, args) => readWrite(nt, MajorFunction.Write, args),
    resume: dispatched,
  }),
  NtDeviceIoControlFile: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-ntdeviceiocontrolfile',
    irql: ['PASSIVE', 'PASSIVE'],
    params: controlParameters,
    returns: 'NTSTATUS',
    body: (nt, args) =>
      args.ApcRoutine === nullVa
        ? control(nt, MajorFunction.DeviceControl, args, nt.previousMode)
        : STATUS_INVALID_PARAMETER,
    resume: dispatched,
  }),
  NtClose: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-ntclose',
    irql: ['PASSIVE', 'PASSIVE'],
    params: { Handle: HANDLE },
    returns: 'NTSTATUS',
    body: (nt, { Handle }) => close(nt, Handle),
    resume: closeResume,
  }),
  ZwClose: ntRoutine({
    doc: 'wdm.h; nf-wdm-zwclose',
    irql: ['PASSIVE', 'PASSIVE'],
    params: { Handle: HANDLE },
    returns: 'NTSTATUS',
    body: (nt, { Handle }) => close(nt, Handle),
    resume: closeResume,
  }),
});

/** Cancels, one after the other, those of the IRPs that have not completed. */
function cancelNext(nt: Nt, irps: readonly number[]): Outcome {
  const rest = irps.slice();
  while (rest.length > 0) {
    const irp = rest.shift() as Va;
    if (nt.io.irps.isOwnRequest(irp)) return callGuest(nt.entries.routineVa('IoCancelIrp'), [irp], 'cancelled', rest);
  }
  return STATUS_SUCCESS;
}

export const ioServiceInternals = ntInternals({
  NtCancelIoFile: ntRoutine({
    doc: 'cancels the pending requests of a file: CancelIo of the Windows API',
    irql: ['PASSIVE', 'PASSIVE'],
    params: { FileHandle: HANDLE, IoStatusBlock: PVOID },
    returns: 'NTSTATUS',
    body: (nt, { FileHandle }) =>
      withFile(nt, FileHandle, 0, (file) =>
        cancelNext(
          nt,
          [...nt.io.irps.outstanding()].filter((request) => request.file === file).map(({ irp }) => irp),
        ),
      ),
    resume: { cancelled: (nt, call) => cancelNext(nt, call.record) },
  }),
  /** What becomes of a thread's pending requests when it ends, also of files that it has closed. */
  IopCancelThreadIo: ntRoutine({
    doc: 'cancels the pending requests of the running thread',
    irql: ['PASSIVE', 'PASSIVE'],
    params: {},
    returns: 'NTSTATUS',
    body: (nt) => {
      const { kthread } = nt.scheduler.currentThread;
      return cancelNext(
        nt,
        [...nt.io.irps.outstanding()].filter(({ thread }) => thread === kthread).map(({ irp }) => irp),
      );
    },
    resume: { cancelled: (nt, call) => cancelNext(nt, call.record) },
  }),
  /** IRP_MJ_CLOSE for a file object without references, then its end. */
  IopDeleteFile: ntRoutine({
    doc: 'delete procedure of file objects',
    irql: ['PASSIVE', 'PASSIVE'],
    params: { FileObject: PVOID },
    returns: 'NTSTATUS',
    body: (nt, { FileObject }) => {
      const { irp, device, block } = internalRequest(
        nt,
        FileObject,
        IrpFlag.CloseOperation | IrpFlag.SynchronousApi,
        MajorFunction.Close,
        () => {},
      );
      return forward(nt, device, irp, 'dispatched', [FileObject, block]);
    },
    resume: {
      dispatched: (nt, call) =>
        call.status === STATUS_PENDING ? waitFor(eventOf(call.va(1)), 'completed', call.record) : closed(nt, call),
      completed: (nt, call) => closed(nt, call),
    },
  }),
  /** Sends IRP_MJ_CLOSE for the files whose last reference went at raised IRQL. */
  IopProcessDeferredDeletes: ntRoutine({
    doc: 'work of a system thread',
    irql: ['PASSIVE', 'PASSIVE'],
    params: {},
    returns: 'VOID',
    body: (nt) => nextDeferred(nt),
    resume: { deleted: (nt) => nextDeferred(nt) },
  }),
});
