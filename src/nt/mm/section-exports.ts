/** Sections, views, and virtual memory of processes, as drivers use them. */
import { nullVa, type Va, vaToU64 } from '../../base/va.ts';
import { Access } from '../../engine/memory/layout.ts';
import type { Call } from '../declare/call.ts';
import { passiveOnly, upToApc } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { type Outcome, unsupported } from '../declare/outcome.ts';
import { ACCESS_MASK, HANDLE, PVOID, pointerTo, ULONG, ULONG64 } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import {
  STATUS_FREE_VM_NOT_AT_BASE,
  STATUS_INVALID_HANDLE,
  STATUS_INVALID_PAGE_PROTECTION,
  STATUS_INVALID_PARAMETER,
  STATUS_INVALID_PARAMETER_4,
  STATUS_INVALID_PARAMETER_6,
  STATUS_MEMORY_NOT_ALLOCATED,
  STATUS_NOT_MAPPED_VIEW,
  STATUS_OBJECT_NAME_COLLISION,
  STATUS_OBJECT_NAME_EXISTS,
  STATUS_OBJECT_TYPE_MISMATCH,
  STATUS_SECTION_TOO_BIG,
  STATUS_SUCCESS,
} from '../ntstatus.ts';
import { releaseObject } from '../ob/references.ts';
import { readUnicodeString } from '../rtl/guest-text.ts';
import { OBJECT_ATTRIBUTES } from '../structures/io.ts';
import { holderOf } from './holder.ts';
import { accessOfProtection } from './page-protection.ts';
import { physicalMemoryName } from './sections.ts';

const pattributes = pointerTo('OBJECT_ATTRIBUTES');
const objKernelHandle = 0x200;
const objOpenIf = 0x80;
/** Allocation attributes of a section. */
const Sec = { Image: 0x0100_0000, Reserve: 0x0400_0000, Commit: 0x0800_0000 } as const;
/** Types of an allocation of memory. */
const Mem = { Commit: 0x1000, Reserve: 0x2000, Decommit: 0x4000, Release: 0x8000 } as const;
const currentProcessHandle = -1;
const writeCopy = 0x08;

interface Named {
  readonly name: string | undefined;
  readonly flags: number;
  readonly isRelative: boolean;
}

function namedBy(nt: Nt, at: Va): Named {
  if (at === nullVa) return { name: undefined, flags: 0, isRelative: false };
  const name = OBJECT_ATTRIBUTES.ObjectName.get(nt.memory, at);
  return {
    name: name === nullVa ? undefined : readUnicodeString(nt.memory, name),
    flags: OBJECT_ATTRIBUTES.Attributes.get(nt.memory, at),
    isRelative: OBJECT_ATTRIBUTES.RootDirectory.get(nt.memory, at) !== nullVa,
  };
}

/** Makes a handle, which takes over the caller's reference. */
function handleTo(call: Call, body: Va, access: number, flags: number, handleAt: Va): void {
  const { nt } = call;
  const handle = nt.objects.createHandle(body, access, (flags & objKernelHandle) !== 0, holderOf(nt, call));
  releaseObject(nt, body);
  nt.memory.writeU64(handleAt, vaToU64(handle as Va));
}

interface CreateSection {
  readonly SectionHandle: Va;
  readonly DesiredAccess: number;
  readonly ObjectAttributes: Va;
  readonly MaximumSize: Va;
  readonly SectionPageProtection: number;
  readonly AllocationAttributes: number;
  readonly FileHandle: Va;
}

function createSection(nt: Nt, args: CreateSection, call: Call): Outcome {
  if (args.FileHandle !== nullVa) return unsupported('a section of a file');
  if ((args.AllocationAttributes & Sec.Image) !== 0) return unsupported('an image section');
  if ((args.AllocationAttributes & (Sec.Commit | Sec.Reserve)) === 0) return STATUS_INVALID_PARAMETER_6;
  const access = accessOfProtection(args.SectionPageProtection);
  if (args.SectionPageProtection === writeCopy) return unsupported('a section that is copied on write');
  if (access === undefined || access === 0) return STATUS_INVALID_PAGE_PROTECTION;
  const size = args.MaximumSize === nullVa ? 0n : nt.memory.readU64(args.MaximumSize);
  if (size === 0n) return STATUS_INVALID_PARAMETER_4;
  if (size > 2n ** 40n) return STATUS_SECTION_TOO_BIG;
  const { name, flags, isRelative } = namedBy(nt, args.ObjectAttributes);
  if (isRelative) return unsupported('a section relative to a directory handle');
  const existing = name === undefined ? undefined : nt.objects.lookup(name);
  if (existing?.object !== undefined && existing.remainder === '') {
    if ((flags & objOpenIf) === 0) return STATUS_OBJECT_NAME_COLLISION;
    if (existing.object.type !== 'Section') return STATUS_OBJECT_TYPE_MISMATCH;
    nt.objects.reference(existing.object.body);
    handleTo(call, existing.object.body, args.DesiredAccess, flags, args.SectionHandle);
    return STATUS_OBJECT_NAME_EXISTS;
  }
  const { status, body } = nt.sections.create(Number(size), access, name);
  if (status === STATUS_SUCCESS) handleTo(call, body, args.DesiredAccess, flags, args.SectionHandle);
  return status;
}

function openSection(call: Call, handleAt: Va, access: number, attributes: Va): Outcome {
  const { nt } = call;
  const { name = '', flags, isRelative } = namedBy(nt, attributes);
  if (isRelative) return unsupported('a section relative to a directory handle');
  if (name.toLowerCase() === physicalMemoryName.toLowerCase()) nt.sections.physicalMemory();
  const { status, object } = nt.objects.lookup(name);
  if (object === undefined) return status;
  if (object.type !== 'Section') return STATUS_OBJECT_TYPE_MISMATCH;
  nt.objects.reference(object.body);
  handleTo(call, object.body, access, flags, handleAt);
  return STATUS_SUCCESS;
}

/** The process of a handle; a status if it is none. */
function processOf(nt: Nt, handle: Va): { readonly status: number; readonly process: Va } {
  if (handle === currentProcessHandle) return { status: STATUS_SUCCESS, process: nt.scheduler.currentThread.process };
  const body = nt.objects.handle(handle)?.body;
  if (body === undefined) return { status: STATUS_INVALID_HANDLE, process: nullVa };
  const isProcess = nt.objects.get(body)?.type === 'Process';
  return { status: isProcess ? STATUS_SUCCESS : STATUS_OBJECT_TYPE_MISMATCH, process: body };
}

interface MapView {
  readonly SectionHandle: Va;
  readonly ProcessHandle: Va;
  readonly BaseAddress: Va;
  readonly SectionOffset: Va;
  readonly ViewSize: Va;
  readonly Protect: number;
}

function mapView(nt: Nt, args: MapView, call: Call): Outcome {
  const { memory } = nt;
  const access = accessOfProtection(args.Protect);
  if (access === undefined || access === 0) return STATUS_INVALID_PAGE_PROTECTION;
  // SECTION_MAP_WRITE, SECTION_MAP_READ
  const needed = (access & Access.Write) === 0 ? 4 : 2;
  const { status, entry } = nt.objects.resolveHandle(args.SectionHandle, needed, 'Section', false);
  if (entry === undefined) return status;
  const owner = processOf(nt, args.ProcessHandle);
  if (owner.status !== STATUS_SUCCESS) return owner.status;
  if (memory.readVa(args.BaseAddress) !== nullVa) return unsupported('a view at an address that the caller chose');
  const offset = args.SectionOffset === nullVa ? 0n : memory.readU64(args.SectionOffset);
  const size = memory.readU64(args.ViewSize);
  const view = nt.sections.map({
    section: entry.body,
    process: owner.process,
    offset: Number(offset),
    sizeBytes: Number(size),
    access,
    holder: holderOf(nt, call),
  });
  if (view.status !== STATUS_SUCCESS) return view.status;
  memory.writeVa(args.BaseAddress, view.va);
  memory.writeU64(args.ViewSize, BigInt(view.sizeBytes));
  return STATUS_SUCCESS;
}

function unmapView(nt: Nt, va: Va, process: Va): number {
  const view = nt.sections.containing(va, process, true);
  if (view === undefined) return STATUS_NOT_MAPPED_VIEW;
  nt.sections.unmap(view);
  return STATUS_SUCCESS;
}

/** MmMapViewInSystemSpace: the whole section if the size is 0. */
function mapInSystemSpace(nt: Nt, section: Va, baseAt: Va, sizeAt: Va, call: Call): Outcome {
  const known = nt.sections.get(section);
  if (known === undefined) return unsupported('a view of an address that is no section');
  const size = Number(nt.memory.readU64(sizeAt));
  const request = { section, process: nullVa, offset: 0, sizeBytes: size, access: known.access };
  const view = nt.sections.map({ ...request, holder: holderOf(nt, call) });
  if (view.status !== STATUS_SUCCESS) return view.status;
  nt.memory.writeVa(baseAt, view.va);
  nt.memory.writeU64(sizeAt, BigInt(view.sizeBytes));
  return STATUS_SUCCESS;
}

const mapInSystemRoutine = (doc: string) =>
  ntRoutine({
    doc,
    irql: upToApc,
    params: { Section: PVOID, MappedBase: PVOID, ViewSize: PVOID },
    returns: 'NTSTATUS',
    body: (nt, { Section, MappedBase, ViewSize }, call) => mapInSystemSpace(nt, Section, MappedBase, ViewSize, call),
  });

const unmapInSystemRoutine = (doc: string) =>
  ntRoutine({
    doc,
    irql: upToApc,
    params: { MappedBase: PVOID },
    returns: 'NTSTATUS',
    body: (nt, { MappedBase }) => unmapView(nt, MappedBase, nullVa),
  });

// ---- virtual memory

interface Allocation {
  readonly ProcessHandle: Va;
  readonly BaseAddress: Va;
  readonly RegionSize: Va;
  readonly AllocationType: number;
  readonly Protect: number;
}

function allocate(nt: Nt, args: Allocation, call: Call): Outcome {
  const { memory } = nt;
  const size = memory.readU64(args.RegionSize);
  const isKnown = (args.AllocationType & ~(Mem.Commit | Mem.Reserve)) === 0 && (args.AllocationType & Mem.Commit) !== 0;
  if (!isKnown || memory.readVa(args.BaseAddress) !== nullVa) {
    return unsupported('virtual memory that is reserved only, or at an address that the caller chose');
  }
  const access = accessOfProtection(args.Protect);
  if (access === undefined) return STATUS_INVALID_PAGE_PROTECTION;
  if (size === 0n) return STATUS_INVALID_PARAMETER_4;
  const owner = processOf(nt, args.ProcessHandle);
  if (owner.status !== STATUS_SUCCESS) return owner.status;
  const block = nt.sections.allocate(owner.process, Number(size), access, holderOf(nt, call));
  if (block.status !== STATUS_SUCCESS) return block.status;
  memory.writeVa(args.BaseAddress, block.va);
  memory.writeU64(args.RegionSize, BigInt(block.sizeBytes));
  return STATUS_SUCCESS;
}

function free(nt: Nt, processHandle: Va, baseAt: Va, sizeAt: Va, type: number): Outcome {
  const { memory } = nt;
  if (type === Mem.Decommit) return unsupported('ZwFreeVirtualMemory with MEM_DECOMMIT');
  if (type !== Mem.Release) return STATUS_INVALID_PARAMETER_4;
  const owner = processOf(nt, processHandle);
  if (owner.status !== STATUS_SUCCESS) return owner.status;
  const base = memory.readVa(baseAt);
  const block = nt.sections.containing(base, owner.process, false);
  if (block === undefined) return STATUS_MEMORY_NOT_ALLOCATED;
  const size = memory.readU64(sizeAt);
  if (size === 0n && base !== block.va) return STATUS_FREE_VM_NOT_AT_BASE;
  if (size !== 0n && (base !== block.va || Number(size) !== block.sizeBytes)) {
    return unsupported('ZwFreeVirtualMemory of a part of an allocation');
  }
  nt.sections.unmap(block);
  memory.writeU64(sizeAt, BigInt(block.sizeBytes));
  return STATUS_SUCCESS;
}

const createRoutine = (doc: string) =>
  ntRoutine({
    doc,
    irql: passiveOnly,
    params: {
      SectionHandle: PVOID,
      DesiredAccess: ACCESS_MASK,
      ObjectAttributes: pattributes,
      MaximumSize: PVOID,
      SectionPageProtection: ULONG,
      AllocationAttributes: ULONG,
      FileHandle: HANDLE,
    },
    returns: 'NTSTATUS',
    support: { partial: 'memory only, no files and images; reserved sections are committed' },
    body: (nt, args, call) => createSection(nt, args, call),
  });

const mapRoutine = (doc: string) =>
  ntRoutine({
    doc,
    irql: passiveOnly,
    params: {
      SectionHandle: HANDLE,
      ProcessHandle: HANDLE,
      BaseAddress: PVOID,
      ZeroBits: ULONG64,
      CommitSize: ULONG64,
      SectionOffset: PVOID,
      ViewSize: PVOID,
      InheritDisposition: ULONG,
      AllocationType: ULONG,
      Protect: ULONG,
    },
    returns: 'NTSTATUS',
    support: { partial: 'views at addresses that the caller chose' },
    body: (nt, args, call) =>
      args.InheritDisposition === 1 || args.InheritDisposition === 2
        ? mapView(nt, args, call)
        : STATUS_INVALID_PARAMETER,
  });

const allocateRoutine = (doc: string) =>
  ntRoutine({
    doc,
    irql: passiveOnly,
    params: {
      ProcessHandle: HANDLE,
      BaseAddress: PVOID,
      ZeroBits: ULONG64,
      RegionSize: PVOID,
      AllocationType: ULONG,
      Protect: ULONG,
    },
    returns: 'NTSTATUS',
    support: { partial: 'memory that is committed at once, where the kernel chooses' },
    body: (nt, args, call) => allocate(nt, args, call),
  });

const freeRoutine = (doc: string) =>
  ntRoutine({
    doc,
    irql: passiveOnly,
    params: { ProcessHandle: HANDLE, BaseAddress: PVOID, RegionSize: PVOID, FreeType: ULONG },
    returns: 'NTSTATUS',
    support: { partial: 'whole allocations' },
    body: (nt, args) => free(nt, args.ProcessHandle, args.BaseAddress, args.RegionSize, args.FreeType),
  });

export const mmSections = ntExports('ntoskrnl.exe', {
  ZwCreateSection: createRoutine('wdm.h; nf-wdm-zwcreatesection'),
  NtCreateSection: createRoutine('ntifs.h; nf-ntifs-ntcreatesection'),
  ZwOpenSection: ntRoutine({
    doc: 'wdm.h; nf-wdm-zwopensection',
    irql: passiveOnly,
    params: { SectionHandle: PVOID, DesiredAccess: ACCESS_MASK, ObjectAttributes: pattributes },
    returns: 'NTSTATUS',
    body: (_nt, args, call) => openSection(call, args.SectionHandle, args.DesiredAccess, args.ObjectAttributes),
  }),
  ZwMapViewOfSection: mapRoutine('wdm.h; nf-wdm-zwmapviewofsection'),
  NtMapViewOfSection: mapRoutine('ntifs.h; as ZwMapViewOfSection'),
  ZwUnmapViewOfSection: ntRoutine({
    doc: 'wdm.h; nf-wdm-zwunmapviewofsection',
    irql: passiveOnly,
    params: { ProcessHandle: HANDLE, BaseAddress: PVOID },
    returns: 'NTSTATUS',
    body: (nt, { ProcessHandle, BaseAddress }) => {
      const { status, process } = processOf(nt, ProcessHandle);
      return status === STATUS_SUCCESS ? unmapView(nt, BaseAddress, process) : status;
    },
  }),
  MmMapViewInSystemSpace: mapInSystemRoutine('ntddk.h; nf-ntddk-mmmapviewinsystemspace'),
  MmUnmapViewInSystemSpace: unmapInSystemRoutine('ntddk.h; nf-ntddk-mmunmapviewinsystemspace'),
  MmMapViewInSessionSpace: mapInSystemRoutine('ntddk.h; as MmMapViewInSystemSpace: there is one session'),
  MmUnmapViewInSessionSpace: unmapInSystemRoutine('ntddk.h; as MmUnmapViewInSystemSpace'),
  ZwAllocateVirtualMemory: allocateRoutine('ntifs.h; nf-ntifs-zwallocatevirtualmemory'),
  NtAllocateVirtualMemory: allocateRoutine('ntifs.h; nf-ntifs-ntallocatevirtualmemory'),
  ZwFreeVirtualMemory: freeRoutine('ntifs.h; nf-ntifs-zwfreevirtualmemory'),
  NtFreeVirtualMemory: freeRoutine('ntifs.h; nf-ntifs-ntfreevirtualmemory'),
});
