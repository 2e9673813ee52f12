/** MDLs as drivers use them: IoAllocateMdl to IoFreeMdl, locking, and mapping. */
import { nullVa, type Va } from '../../base/va.ts';
import { BugCheck } from '../declare/bug-check.ts';
import type { Call } from '../declare/call.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { type Outcome, raise, unsupported } from '../declare/outcome.ts';
import { BOOLEAN, KPROCESSOR_MODE, PVOID, pointerTo, SIZE_T, ULONG } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import {
  STATUS_INSUFFICIENT_RESOURCES,
  STATUS_INVALID_PAGE_PROTECTION,
  STATUS_NOT_MAPPED_VIEW,
  STATUS_SUCCESS,
} from '../ntstatus.ts';
import { MDL, MdlFlag } from '../structures/io.ts';
import { holderOf } from './holder.ts';
import { hasMdlFlag, initialiseMdl, mdlPages, mdlSizeBytes, pageOf } from './mdl-layout.ts';
import type { MappingRights } from './mdls.ts';
import { accessOfProtection } from './page-protection.ts';

const PMDL = pointerTo('MDL');
const kernelMode = 0;
/** Bits of MM_PAGE_PRIORITY, wdm.h. */
const mdlMappingNoWrite = 0x8000_0000;
const mdlMappingNoExecute = 0x4000_0000;

function rightsOf(priority: number): MappingRights {
  return { isWritable: (priority & mdlMappingNoWrite) === 0, isExecutable: (priority & mdlMappingNoExecute) === 0 };
}

/** Maps for the kernel; out of addresses: NULL, or bug check 0x3F as the caller wants it. */
function mapForKernel(nt: Nt, mdl: Va, rights: MappingRights, isFatal: boolean, call: Call): Outcome {
  const va = nt.mdls.mapToSystem(mdl, rights, holderOf(nt, call));
  if (va === undefined && isFatal) {
    throw new BugCheck(
      0x3f,
      [0, mdlPages(nt.memory, mdl), 0, 0],
      'an MDL could not be mapped: no system addresses left',
    );
  }
  return va ?? nullVa;
}

function mapForUser(nt: Nt, mdl: Va, rights: MappingRights, call: Call): Outcome {
  return nt.mdls.mapToUser(mdl, rights, holderOf(nt, call)) ?? raise(STATUS_INSUFFICIENT_RESOURCES);
}

export const ioMdls = ntExports('ntoskrnl.exe', {
  /** NULL if memory is short. The page frame numbers stay as the memory was. */
  IoAllocateMdl: ntRoutine({
    doc: 'wdm.h; nf-wdm-ioallocatemdl',
    irql: ['PASSIVE', 'DISPATCH'],
    params: {
      VirtualAddress: PVOID,
      Length: ULONG,
      SecondaryBuffer: BOOLEAN,
      ChargeQuota: BOOLEAN,
      Irp: pointerTo('IRP'),
    },
    returns: 'PVOID',
    support: { partial: 'quota is not charged, so it never runs out' },
    body: (nt, { VirtualAddress, Length, SecondaryBuffer, Irp }, call) =>
      nt.mdls.allocate(VirtualAddress, Length, Irp, SecondaryBuffer, call) ?? nullVa,
  }),
  IoFreeMdl: ntRoutine({
    doc: 'wdm.h; nf-wdm-iofreemdl',
    irql: ['PASSIVE', 'DISPATCH'],
    params: { Mdl: PMDL },
    returns: 'VOID',
    body: (nt, { Mdl }, call) => nt.mdls.free(Mdl, call),
  }),
  IoBuildPartialMdl: ntRoutine({
    doc: 'wdm.h; nf-wdm-iobuildpartialmdl',
    irql: ['PASSIVE', 'DISPATCH'],
    params: { SourceMdl: PMDL, TargetMdl: PMDL, VirtualAddress: PVOID, Length: ULONG },
    returns: 'VOID',
    body: (nt, { SourceMdl, TargetMdl, VirtualAddress, Length }) =>
      nt.mdls.buildPartial(SourceMdl, TargetMdl, VirtualAddress, Length),
  }),
});

export const mmMdls = ntExports('ntoskrnl.exe', {
  MmSizeOfMdl: ntRoutine({
    doc: 'wdm.h; nf-wdm-mmsizeofmdl',
    irql: ['PASSIVE', 'HIGH'],
    params: { Base: PVOID, Length: SIZE_T },
    returns: 'SIZE_T',
    body: (_nt, { Base, Length }) => mdlSizeBytes(Base, Length),
  }),
  /** In memory of the driver's, or from pool if there is none. */
  MmCreateMdl: ntRoutine({
    doc: 'wdm.h; nf-wdm-mmcreatemdl (obsolete: IoAllocateMdl)',
    irql: ['PASSIVE', 'DISPATCH'],
    params: { MemoryDescriptorList: PMDL, Base: PVOID, Length: SIZE_T },
    returns: 'PVOID',
    support: { partial: 'only in memory that the driver gives' },
    body: (nt, { MemoryDescriptorList, Base, Length }) => {
      if (MemoryDescriptorList === nullVa) return unsupported('MmCreateMdl without memory for the MDL');
      initialiseMdl(nt.memory, MemoryDescriptorList, Base, Length, 0);
      return MemoryDescriptorList;
    },
  }),
  MmBuildMdlForNonPagedPool: ntRoutine({
    doc: 'wdm.h; nf-wdm-mmbuildmdlfornonpagedpool',
    irql: ['PASSIVE', 'DISPATCH'],
    params: { MemoryDescriptorList: PMDL },
    returns: 'VOID',
    body: (nt, { MemoryDescriptorList }) => nt.mdls.buildForNonPagedPool(MemoryDescriptorList),
  }),
  /** Raises STATUS_ACCESS_VIOLATION for a user buffer that does not allow the access. Operation 0: read. */
  MmProbeAndLockPages: ntRoutine({
    doc: 'wdm.h; nf-wdm-mmprobeandlockpages',
    irql: ['PASSIVE', 'DISPATCH'],
    params: { MemoryDescriptorList: PMDL, AccessMode: KPROCESSOR_MODE, Operation: ULONG },
    returns: 'VOID',
    body: (nt, { MemoryDescriptorList, AccessMode, Operation }, call) => {
      const mode = AccessMode === kernelMode ? 'kernel' : 'user';
      const status = nt.mdls.locks.lock(MemoryDescriptorList, mode, Operation !== 0, holderOf(nt, call));
      return status === STATUS_SUCCESS ? undefined : raise(status);
    },
  }),
  MmUnlockPages: ntRoutine({
    doc: 'wdm.h; nf-wdm-mmunlockpages',
    irql: ['PASSIVE', 'DISPATCH'],
    params: { MemoryDescriptorList: PMDL },
    returns: 'VOID',
    body: (nt, { MemoryDescriptorList }) => nt.mdls.unlock(MemoryDescriptorList),
  }),
  MmMapLockedPagesSpecifyCache: ntRoutine({
    doc: 'wdm.h; nf-wdm-mmmaplockedpagesspecifycache',
    irql: ['PASSIVE', 'DISPATCH'],
    params: {
      MemoryDescriptorList: PMDL,
      AccessMode: KPROCESSOR_MODE,
      CacheType: ULONG,
      RequestedAddress: PVOID,
      BugCheckOnFailure: ULONG,
      Priority: ULONG,
    },
    returns: 'PVOID',
    support: { partial: 'a user-mode mapping at a requested address; caching has no effect' },
    body: (nt, { MemoryDescriptorList, AccessMode, RequestedAddress, BugCheckOnFailure, Priority }, call) => {
      const rights = rightsOf(Priority);
      if (AccessMode === kernelMode) {
        return mapForKernel(nt, MemoryDescriptorList, rights, BugCheckOnFailure !== 0, call);
      }
      if (RequestedAddress !== nullVa) return unsupported('MmMapLockedPagesSpecifyCache at a requested user address');
      return mapForUser(nt, MemoryDescriptorList, rights, call);
    },
  }),
  MmMapLockedPages: ntRoutine({
    doc: 'wdm.h; nf-wdm-mmmaplockedpages (obsolete: MmMapLockedPagesSpecifyCache)',
    irql: ['PASSIVE', 'DISPATCH'],
    params: { MemoryDescriptorList: PMDL, AccessMode: KPROCESSOR_MODE },
    returns: 'PVOID',
    body: (nt, { MemoryDescriptorList, AccessMode }, call) =>
      AccessMode === kernelMode
        ? mapForKernel(nt, MemoryDescriptorList, rightsOf(0), true, call)
        : mapForUser(nt, MemoryDescriptorList, rightsOf(0), call),
  }),
  MmUnmapLockedPages: ntRoutine({
    doc: 'wdm.h; nf-wdm-mmunmaplockedpages',
    irql: ['PASSIVE', 'DISPATCH'],
    params: { BaseAddress: PVOID, MemoryDescriptorList: PMDL },
    returns: 'VOID',
    body: (nt, { BaseAddress, MemoryDescriptorList }) => nt.mdls.unmap(BaseAddress, MemoryDescriptorList),
  }),
  MmProtectMdlSystemAddress: ntRoutine({
    doc: 'wdm.h; nf-wdm-mmprotectmdlsystemaddress',
    irql: ['PASSIVE', 'DISPATCH'],
    params: { MemoryDescriptorList: PMDL, NewProtect: ULONG },
    returns: 'NTSTATUS',
    body: (nt, { MemoryDescriptorList, NewProtect }) => {
      const access = accessOfProtection(NewProtect);
      if (access === undefined) return STATUS_INVALID_PAGE_PROTECTION;
      if (!hasMdlFlag(nt.memory, MemoryDescriptorList, MdlFlag.MappedToSystemVa)) return STATUS_NOT_MAPPED_VIEW;
      const page = pageOf(MDL.MappedSystemVa.get(nt.memory, MemoryDescriptorList));
      return nt.mdls.mappings.protect(page, access) ? STATUS_SUCCESS : STATUS_NOT_MAPPED_VIEW;
    },
  }),
});
