/** Share access that drivers keep for their own files, and small questions about requests. */
import { nullVa, type Va } from '../../base/va.ts';
import type { GuestMemory } from '../../engine/memory/guest-memory.ts';
import { anyIrql, passiveOnly } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { ACCESS_MASK, BOOLEAN, PVOID, pointerTo, ULONG } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { STATUS_SHARING_VIOLATION, STATUS_SUCCESS } from '../ntstatus.ts';
import { FILE_OBJECT, FileFlag, IO_STACK_LOCATION, IRP, IrpFlag, MajorFunction } from '../structures/io.ts';
import { SHARE_ACCESS } from '../structures/tables.ts';

const pfile = pointerTo('FILE_OBJECT');
const pshare = pointerTo('SHARE_ACCESS');

interface Wish {
  readonly read: boolean;
  readonly write: boolean;
  readonly delete: boolean;
  readonly shareRead: boolean;
  readonly shareWrite: boolean;
  readonly shareDelete: boolean;
}

/** Reads of programs count as executing too; appending is writing. */
function wishOf(access: number, share: number): Wish {
  return {
    read: (access & 0x21) !== 0,
    write: (access & 0x6) !== 0,
    delete: (access & 0x1_0000) !== 0,
    shareRead: (share & 1) !== 0,
    shareWrite: (share & 2) !== 0,
    shareDelete: (share & 4) !== 0,
  };
}

const uses = ({ read, write, delete: deletes }: Wish): boolean => read || write || deletes;

/** Writes the wish to the file object; one that neither reads, writes nor deletes shares nothing. */
function mark(memory: GuestMemory, file: Va, wish: Wish): void {
  const bit = (value: boolean): number => (value ? 1 : 0);
  FILE_OBJECT.ReadAccess.set(memory, file, bit(wish.read));
  FILE_OBJECT.WriteAccess.set(memory, file, bit(wish.write));
  FILE_OBJECT.DeleteAccess.set(memory, file, bit(wish.delete));
  if (!uses(wish)) return;
  FILE_OBJECT.SharedRead.set(memory, file, bit(wish.shareRead));
  FILE_OBJECT.SharedWrite.set(memory, file, bit(wish.shareWrite));
  FILE_OBJECT.SharedDelete.set(memory, file, bit(wish.shareDelete));
}

/** What a file object was marked with. */
function marked(memory: GuestMemory, file: Va): Wish {
  return {
    read: FILE_OBJECT.ReadAccess.get(memory, file) !== 0,
    write: FILE_OBJECT.WriteAccess.get(memory, file) !== 0,
    delete: FILE_OBJECT.DeleteAccess.get(memory, file) !== 0,
    shareRead: FILE_OBJECT.SharedRead.get(memory, file) !== 0,
    shareWrite: FILE_OBJECT.SharedWrite.get(memory, file) !== 0,
    shareDelete: FILE_OBJECT.SharedDelete.get(memory, file) !== 0,
  };
}

/** Counts an open in (1) or out (-1). */
function count(memory: GuestMemory, share: Va, wish: Wish, by: number): void {
  if (!uses(wish)) return;
  const change = (field: (typeof SHARE_ACCESS)['OpenCount'], isCounted: boolean): void => {
    if (isCounted) field.set(memory, share, (field.get(memory, share) + by) >>> 0);
  };
  change(SHARE_ACCESS.OpenCount, true);
  change(SHARE_ACCESS.Readers, wish.read);
  change(SHARE_ACCESS.Writers, wish.write);
  change(SHARE_ACCESS.Deleters, wish.delete);
  change(SHARE_ACCESS.SharedRead, wish.shareRead);
  change(SHARE_ACCESS.SharedWrite, wish.shareWrite);
  change(SHARE_ACCESS.SharedDelete, wish.shareDelete);
}

function mayShare(memory: GuestMemory, share: Va, wish: Wish): boolean {
  const opens = SHARE_ACCESS.OpenCount.get(memory, share);
  const allShare = (field: (typeof SHARE_ACCESS)['OpenCount']): boolean => field.get(memory, share) >= opens;
  const none = (field: (typeof SHARE_ACCESS)['OpenCount']): boolean => field.get(memory, share) === 0;
  return (
    (!wish.read || allShare(SHARE_ACCESS.SharedRead)) &&
    (!wish.write || allShare(SHARE_ACCESS.SharedWrite)) &&
    (!wish.delete || allShare(SHARE_ACCESS.SharedDelete)) &&
    (wish.shareRead || none(SHARE_ACCESS.Readers)) &&
    (wish.shareWrite || none(SHARE_ACCESS.Writers)) &&
    (wish.shareDelete || none(SHARE_ACCESS.Deleters))
  );
}

const byFile = {
  DesiredAccess: ACCESS_MASK,
  DesiredShareAccess: ULONG,
  FileObject: pfile,
  ShareAccess: pshare,
} as const;

/** Paging I/O goes by its own flag; buffered control requests count as synchronous on any file. */
function isSynchronous({ memory, io }: Nt, irp: Va): boolean {
  const flags = IRP.Flags.get(memory, irp);
  if ((flags & IrpFlag.PagingIo) !== 0) return (flags & IrpFlag.SynchronousPagingIo) !== 0;
  if ((flags & IrpFlag.SynchronousApi) !== 0) return true;
  const location = io.irps.currentLocation(irp);
  const file = IO_STACK_LOCATION.FileObject.get(memory, location);
  if (file !== nullVa && (FILE_OBJECT.Flags.get(memory, file) & FileFlag.SynchronousIo) !== 0) return true;
  const major = IO_STACK_LOCATION.MajorFunction.get(memory, location);
  const isControl = major === MajorFunction.DeviceControl || major === MajorFunction.FileSystemControl;
  return isControl && (memory.readU32(IO_STACK_LOCATION.Parameter2.at(location)) & 3) === 0;
}

export const ioShareAccess = ntExports('ntoskrnl.exe', {
  IoCheckShareAccess: ntRoutine({
    doc: 'wdm.h; nf-wdm-iocheckshareaccess',
    irql: passiveOnly,
    params: { ...byFile, Update: BOOLEAN },
    returns: 'NTSTATUS',
    body: ({ memory }, { DesiredAccess, DesiredShareAccess, FileObject, ShareAccess, Update }) => {
      const wish = wishOf(DesiredAccess, DesiredShareAccess);
      mark(memory, FileObject, wish);
      if (!uses(wish)) return STATUS_SUCCESS;
      if (!mayShare(memory, ShareAccess, wish)) return STATUS_SHARING_VIOLATION;
      if (Update) count(memory, ShareAccess, wish, 1);
      return STATUS_SUCCESS;
    },
  }),
  IoSetShareAccess: ntRoutine({
    doc: 'wdm.h; nf-wdm-iosetshareaccess',
    irql: passiveOnly,
    params: byFile,
    returns: 'VOID',
    body: ({ memory }, { DesiredAccess, DesiredShareAccess, FileObject, ShareAccess }) => {
      const wish = wishOf(DesiredAccess, DesiredShareAccess);
      mark(memory, FileObject, wish);
      memory.fill(ShareAccess, SHARE_ACCESS.sizeBytes, 0);
      count(memory, ShareAccess, wish, 1);
    },
  }),
  IoUpdateShareAccess: ntRoutine({
    doc: 'wdm.h; nf-wdm-ioupdateshareaccess',
    irql: passiveOnly,
    params: { FileObject: pfile, ShareAccess: pshare },
    returns: 'VOID',
    body: ({ memory }, { FileObject, ShareAccess }) =>
      count(memory, ShareAccess, marked(memory, FileObject), 1) as undefined,
  }),
  IoRemoveShareAccess: ntRoutine({
    doc: 'wdm.h; nf-wdm-ioremoveshareaccess',
    irql: passiveOnly,
    params: { FileObject: pfile, ShareAccess: pshare },
    returns: 'VOID',
    body: ({ memory }, { FileObject, ShareAccess }) =>
      count(memory, ShareAccess, marked(memory, FileObject), -1) as undefined,
  }),
  IoIsOperationSynchronous: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-ioisoperationsynchronous',
    irql: anyIrql,
    params: { Irp: pointerTo('IRP') },
    returns: 'BOOLEAN',
    body: (nt, { Irp }) => isSynchronous(nt, Irp),
  }),
  IoGetTopLevelIrp: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-iogettoplevelirp',
    irql: anyIrql,
    params: {},
    returns: 'PVOID',
    body: (nt) => nt.io.topLevelIrps.get(nt.scheduler.currentThread.kthread) ?? nullVa,
  }),
  IoSetTopLevelIrp: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-iosettoplevelirp',
    irql: anyIrql,
    params: { Irp: PVOID },
    returns: 'VOID',
    body: (nt, { Irp }) => {
      const { kthread } = nt.scheduler.currentThread;
      if (Irp === nullVa) nt.io.topLevelIrps.delete(kthread);
      else nt.io.topLevelIrps.set(kthread, Irp);
    },
  }),
});
