/** Memory: memcpy, memset, memcmp and the Rtl*Memory names that the kernel exports for them. */
import { type Va, vaAdd, vaLow } from '../../base/va.ts';
import { GuestFault } from '../../engine/memory/guest-fault.ts';
import type { GuestMemory } from '../../engine/memory/guest-memory.ts';
import { Access, pageMask, pageSize } from '../../engine/memory/layout.ts';
import { type IrqlName, ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { PVOID, SIZE_T, UCHAR, ULONG } from '../declare/parameter-types.ts';

const leftInPage = (va: Va): number => pageSize - (vaLow(va) & pageMask);

/** Bytes that are equal from the start on, at most `bytes`. */
export function equalBytes(memory: GuestMemory, left: Va, right: Va, bytes: number): number {
  for (let done = 0; done < bytes; ) {
    const [atLeft, atRight] = [vaAdd(left, done), vaAdd(right, done)];
    const part = Math.min(bytes - done, leftInPage(atLeft), leftInPage(atRight));
    const a = memory.offsetOf(atLeft, Access.Read, part);
    const b = memory.offsetOf(atRight, Access.Read, part);
    for (let index = 0; index < part; index++) {
      if (memory.u8[a + index] !== memory.u8[b + index]) return done + index;
    }
    done += part;
  }
  return bytes;
}

/** memcmp: -1, 0 or 1. */
export function compareBytes(memory: GuestMemory, left: Va, right: Va, bytes: number): number {
  const equal = equalBytes(memory, left, right, bytes);
  if (equal === bytes) return 0;
  return memory.readU8(vaAdd(left, equal)) < memory.readU8(vaAdd(right, equal)) ? -1 : 1;
}

/** The first `byte` in [va, va + bytes), or undefined. */
export function findByte(memory: GuestMemory, va: Va, byte: number, bytes: number): Va | undefined {
  for (let done = 0; done < bytes; ) {
    const part = Math.min(bytes - done, leftInPage(vaAdd(va, done)));
    const offset = memory.offsetOf(vaAdd(va, done), Access.Read, part);
    const found = memory.u8.subarray(offset, offset + part).indexOf(byte);
    if (found >= 0) return vaAdd(va, done + found);
    done += part;
  }
  return undefined;
}

/** Bytes from the start on that repeat the ULONG; whole ULONGs only. */
export function equalUlongs(memory: GuestMemory, va: Va, bytes: number, pattern: number): number {
  const whole = bytes - (bytes % 4);
  for (let done = 0; done < whole; done += 4) if (memory.readU32(vaAdd(va, done)) !== pattern) return done;
  return whole;
}

/** What user space has at these addresses is another process's, and no memory at all to the running one. */
function checkProcess(memory: GuestMemory, va: Va, access: Access, bytes: number): void {
  if (bytes > 0 && memory.hidesUserPage(va)) throw new GuestFault(va, access, 'not-mapped');
}

function copy(memory: GuestMemory, to: Va, from: Va, bytes: number): void {
  checkProcess(memory, from, Access.Read, bytes);
  checkProcess(memory, to, Access.Write, bytes);
  memory.copy(to, from, bytes);
}

function fill(memory: GuestMemory, va: Va, bytes: number, byte: number): void {
  checkProcess(memory, va, Access.Write, bytes);
  memory.fill(va, bytes, byte);
}

const anyIrql = ['PASSIVE', 'HIGH'] as const satisfies readonly [IrqlName, IrqlName];

/** The kernel's memcpy is its memmove: overlap is right in all of them. */
function copies(doc: string) {
  return ntRoutine({
    doc,
    irql: anyIrql,
    params: { Destination: PVOID, Source: PVOID, Length: SIZE_T },
    returns: 'PVOID',
    body: (nt, { Destination, Source, Length }) => {
      copy(nt.memory, Destination, Source, Length);
      return Destination;
    },
  });
}

export const rtlMemory = ntExports('ntoskrnl.exe', {
  memcpy: copies('string.h; kernel CRT'),
  memmove: copies('string.h; kernel CRT'),
  RtlCopyMemory: copies('wdm.h; nf-wdm-rtlcopymemory'),
  RtlMoveMemory: copies('wdm.h; nf-wdm-rtlmovememory'),
  RtlCopyMemoryNonTemporal: copies('wdm.h; nf-wdm-rtlcopymemorynontemporal'),
  memset: ntRoutine({
    doc: 'string.h; kernel CRT',
    irql: anyIrql,
    params: { Destination: PVOID, Fill: UCHAR, Length: SIZE_T },
    returns: 'PVOID',
    body: (nt, { Destination, Fill, Length }) => {
      fill(nt.memory, Destination, Length, Fill);
      return Destination;
    },
  }),
  RtlFillMemory: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtlfillmemory',
    irql: anyIrql,
    params: { Destination: PVOID, Length: SIZE_T, Fill: UCHAR },
    returns: 'VOID',
    body: (nt, { Destination, Length, Fill }) => {
      fill(nt.memory, Destination, Length, Fill);
    },
  }),
  RtlZeroMemory: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtlzeromemory',
    irql: anyIrql,
    params: { Destination: PVOID, Length: SIZE_T },
    returns: 'VOID',
    body: (nt, { Destination, Length }) => {
      fill(nt.memory, Destination, Length, 0);
    },
  }),
  memcmp: ntRoutine({
    doc: 'string.h; kernel CRT',
    irql: anyIrql,
    params: { Buffer1: PVOID, Buffer2: PVOID, Length: SIZE_T },
    returns: 'LONG',
    body: (nt, { Buffer1, Buffer2, Length }) => compareBytes(nt.memory, Buffer1, Buffer2, Length),
  }),
  memchr: ntRoutine({
    doc: 'string.h; kernel CRT',
    irql: anyIrql,
    params: { Buffer: PVOID, Byte: UCHAR, Length: SIZE_T },
    returns: 'PVOID',
    body: (nt, { Buffer, Byte, Length }) => findByte(nt.memory, Buffer, Byte, Length) ?? 0,
  }),
  RtlCompareMemory: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtlcomparememory',
    irql: anyIrql,
    params: { Source1: PVOID, Source2: PVOID, Length: SIZE_T },
    returns: 'SIZE_T',
    body: (nt, { Source1, Source2, Length }) => equalBytes(nt.memory, Source1, Source2, Length),
  }),
  RtlCompareMemoryUlong: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-rtlcomparememoryulong',
    irql: anyIrql,
    params: { Source: PVOID, Length: SIZE_T, Pattern: ULONG },
    returns: 'SIZE_T',
    body: (nt, { Source, Length, Pattern }) => equalUlongs(nt.memory, Source, Length, Pattern),
  }),
});
