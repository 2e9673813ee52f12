/** Physical addresses: what lies behind a virtual one, device memory, and what RAM there is. */
import { nullVa, type Va, vaAdd, vaFromU64, vaLow } from '../../base/va.ts';
import { Access, pageMask, pageSize } from '../../engine/memory/layout.ts';
import { BugCheck } from '../declare/bug-check.ts';
import type { Call } from '../declare/call.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { unsupported } from '../declare/outcome.ts';
import { PVOID, pointerTo, SIZE_T, ULONG, ULONG64 } from '../declare/parameter-types.ts';
import { tagOf } from '../ex/pool.ts';
import type { Nt } from '../nt.ts';
import { STATUS_INVALID_ADDRESS, STATUS_INVALID_PARAMETER, STATUS_SUCCESS } from '../ntstatus.ts';
import { PoolType } from '../structures/pool.ts';
import { firstPfn } from './frames.ts';
import { holderOf } from './holder.ts';
import { pageOf, spannedPages } from './mdl-layout.ts';
import { accessOfProtection } from './page-protection.ts';

const noDevices =
  'addresses outside of RAM have no device but those of a device model: they read as 0xFF, and hold what is written while mapped';

/** MmMapIoSpace: null if the range is empty, no physical one, or addresses are used up. */
function mapIoSpace(nt: Nt, physical: bigint, bytes: number, flags: number, call: Call): Va {
  const { frames } = nt.addressSpace;
  const offset = Number(physical & BigInt(pageMask));
  const first = Number(physical >> 12n);
  const pages = Math.ceil((offset + bytes) / pageSize);
  if (bytes === 0 || !frames.isPhysical(first) || !frames.isPhysical(first + pages - 1)) return nullVa;
  if (pages > nt.memory.frameCount) return nullVa;
  const pfns = Array.from({ length: pages }, (_, index) => first + index);
  const request = { purpose: 'io-space', mdl: nullVa, pfns, flags, ...holderOf(nt, call) } as const;
  const va = nt.mdls.mappings.map(request);
  return va === undefined ? nullVa : vaAdd(va, offset);
}

function unmapIoSpace(nt: Nt, va: Va, bytes: number): undefined {
  const pages = spannedPages(va, bytes);
  const mapping = nt.mdls.mappings.at(pageOf(va));
  if (mapping?.purpose !== 'io-space') {
    throw new BugCheck(0xda, [0x400, va, pages, 0], 'an address was unmapped as device memory that is not mapped so');
  }
  if (mapping.pages !== pages) {
    throw new BugCheck(0xda, [0x305, va, pages, mapping.pages], 'device memory was unmapped with another size');
  }
  nt.mdls.mappings.unmap(mapping.va);
}

/** Copies until something is not there; what was copied so far is the result. */
function copyVirtual(nt: Nt, target: Va, source: Va, bytes: number): number {
  const { memory } = nt;
  for (let done = 0; done < bytes; ) {
    const at = vaAdd(source, done);
    const part = Math.min(bytes - done, pageSize - (vaLow(at) & pageMask));
    if (!memory.isAccessible(at, 1, Access.Read)) return done;
    memory.writeBytes(vaAdd(target, done), memory.readBytes(at, part));
    done += part;
  }
  return bytes;
}

function copyPhysical(nt: Nt, target: Va, source: bigint, bytes: number): number {
  const { memory } = nt;
  for (let done = 0; done < bytes; ) {
    const address = source + BigInt(done);
    const pfn = Number(address >> 12n);
    const offset = Number(address & BigInt(pageMask));
    const part = Math.min(bytes - done, pageSize - offset);
    if (!nt.addressSpace.frames.isRam(pfn)) return done;
    const start = memory.frameOffset(pfn - firstPfn) + offset;
    memory.writeBytes(vaAdd(target, done), memory.u8.slice(start, start + part));
    done += part;
  }
  return bytes;
}

export const mmPhysicalMemory = ntExports('ntoskrnl.exe', {
  /** 0 for an address that is not mapped. */
  MmGetPhysicalAddress: ntRoutine({
    doc: 'wdm.h; nf-ntddk-mmgetphysicaladdress',
    irql: ['PASSIVE', 'HIGH'],
    params: { BaseAddress: PVOID },
    returns: 'ULONG64',
    body: (nt, { BaseAddress }) => nt.addressSpace.frames.physicalAddress(BaseAddress) ?? 0,
  }),
  /** The lowest system address of several. */
  MmGetVirtualForPhysical: ntRoutine({
    doc: 'ntddk.h; undocumented: PVOID MmGetVirtualForPhysical(PHYSICAL_ADDRESS)',
    irql: ['PASSIVE', 'HIGH'],
    params: { PhysicalAddress: ULONG64 },
    returns: 'PVOID',
    support: { partial: 'which one of several mappings Windows would name is not known; page tables have no address' },
    body: (nt, { PhysicalAddress }) => {
      const frame = nt.addressSpace.frames.frameOf(Number(PhysicalAddress >> 12n));
      const pages = frame === undefined ? [] : nt.memory.mappingsOfFrame(frame).slice();
      const page = pages.sort((a, b) => a - b)[0];
      return page === undefined ? nullVa : vaAdd(page, Number(PhysicalAddress & BigInt(pageMask)));
    },
  }),
  MmMapIoSpace: ntRoutine({
    doc: 'wdm.h; nf-wdm-mmmapiospace',
    irql: ['PASSIVE', 'DISPATCH'],
    params: { PhysicalAddress: ULONG64, NumberOfBytes: SIZE_T, CacheType: ULONG },
    returns: 'PVOID',
    support: { partial: noDevices },
    body: (nt, { PhysicalAddress, NumberOfBytes }, call) =>
      mapIoSpace(nt, PhysicalAddress, NumberOfBytes, Access.Read | Access.Write, call),
  }),
  MmMapIoSpaceEx: ntRoutine({
    doc: 'wdm.h; nf-wdm-mmmapiospaceex',
    irql: ['PASSIVE', 'DISPATCH'],
    params: { PhysicalAddress: ULONG64, NumberOfBytes: SIZE_T, Protect: ULONG },
    returns: 'PVOID',
    support: { partial: noDevices },
    body: (nt, { PhysicalAddress, NumberOfBytes, Protect }, call) => {
      const flags = accessOfProtection(Protect) ?? 0;
      return flags === 0 ? nullVa : mapIoSpace(nt, PhysicalAddress, NumberOfBytes, flags, call);
    },
  }),
  MmUnmapIoSpace: ntRoutine({
    doc: 'wdm.h; nf-wdm-mmunmapiospace',
    irql: ['PASSIVE', 'DISPATCH'],
    params: { BaseAddress: PVOID, NumberOfBytes: SIZE_T },
    returns: 'VOID',
    body: (nt, { BaseAddress, NumberOfBytes }) => unmapIoSpace(nt, BaseAddress, NumberOfBytes),
  }),
  /** An array of {base, bytes} that ends with zeros, in nonpaged pool that the driver frees. */
  MmGetPhysicalMemoryRanges: ntRoutine({
    doc: 'ntddk.h; undocumented: PPHYSICAL_MEMORY_RANGE MmGetPhysicalMemoryRanges(void)',
    irql: ['PASSIVE', 'PASSIVE'],
    params: {},
    returns: 'PVOID',
    body: (nt, _args, call) => {
      const request = { poolType: PoolType.NonPagedPoolNx, bytes: 32, tag: tagOf('hPmM'), isZeroed: true };
      const ranges = nt.pool.allocate(request, call);
      if (ranges === undefined) return nullVa;
      nt.memory.writeU64(ranges, BigInt(firstPfn * pageSize));
      nt.memory.writeU64(vaAdd(ranges, 8), BigInt(nt.memory.frameCount * pageSize));
      return ranges;
    },
  }),
  /** Flags 1: a physical source, 2: a virtual one. */
  MmCopyMemory: ntRoutine({
    doc: 'ntddk.h; nf-ntddk-mmcopymemory',
    irql: ['PASSIVE', 'APC'],
    params: {
      TargetAddress: PVOID,
      SourceAddress: ULONG64,
      NumberOfBytes: SIZE_T,
      Flags: ULONG,
      NumberOfBytesTransferred: pointerTo('SIZE_T'),
    },
    returns: 'NTSTATUS',
    support: { partial: 'physical addresses outside of RAM' },
    body: (nt, { TargetAddress, SourceAddress, NumberOfBytes, Flags, NumberOfBytesTransferred }) => {
      nt.memory.writeU64(NumberOfBytesTransferred, 0n);
      if (Flags !== 1 && Flags !== 2) return STATUS_INVALID_PARAMETER;
      const source = vaFromU64(SourceAddress);
      if (Flags === 2 && source >= 0) return unsupported('MmCopyMemory from a user address');
      const copied =
        Flags === 1
          ? copyPhysical(nt, TargetAddress, SourceAddress, NumberOfBytes)
          : copyVirtual(nt, TargetAddress, source, NumberOfBytes);
      nt.memory.writeU64(NumberOfBytesTransferred, BigInt(copied));
      return copied === NumberOfBytes ? STATUS_SUCCESS : STATUS_INVALID_ADDRESS;
    },
  }),
});
