/** Lists that routines of the executive guard: doubly linked, singly linked, and sequenced (SLIST_HEADER). */
import { nullVa, type Va, vaAdd, vaFromU64, vaLow, vaToU64 } from '../../base/va.ts';
import { anyIrql } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { type Outcome, raise } from '../declare/outcome.ts';
import { LARGE_INTEGER, pointerTo, ULONG } from '../declare/parameter-types.ts';
import { checkForward, insertBetween, removeHead } from '../ke/lists.ts';
import { withLock } from '../ke/spin-locks.ts';
import type { Nt } from '../nt.ts';
import { STATUS_DATATYPE_MISALIGNMENT } from '../ntstatus.ts';
import { LIST_ENTRY } from '../structures/ke.ts';

const plock = pointerTo('KSPIN_LOCK');
const plist = pointerTo('LIST_ENTRY');
const psingle = pointerTo('SINGLE_LIST_ENTRY');
const pslist = pointerTo('SLIST_HEADER');
const pentry = pointerTo('SLIST_ENTRY');

// ---- SLIST_HEADER, x64: depth in bits 0-15, sequence in 16-63 of the first half; first entry in bits 4-63 of the second.

const depthMask = 0xffffn;
const linkMask = ~0xfn;

interface SlistHeader {
  readonly depth: bigint;
  readonly sequence: bigint;
  readonly first: Va;
}

function readHeader(nt: Nt, head: Va): SlistHeader {
  const word = nt.memory.readU64(head);
  const first = vaFromU64(nt.memory.readU64(vaAdd(head, 8)) & linkMask & 0xffff_ffff_ffff_ffffn);
  return { depth: word & depthMask, sequence: word >> 16n, first };
}

function writeHeader(nt: Nt, head: Va, { depth, sequence, first }: SlistHeader): void {
  nt.memory.writeU64(head, BigInt.asUintN(64, (sequence << 16n) | (depth & depthMask)));
  nt.memory.writeU64(vaAdd(head, 8), vaToU64(first));
}

/** The entry that was first; NULL if the list was empty. Entries must be aligned to 16. */
export function pushEntry(nt: Nt, head: Va, entry: Va): Outcome {
  if ((vaLow(entry) & 15) !== 0) return raise(STATUS_DATATYPE_MISALIGNMENT);
  const { depth, sequence, first } = readHeader(nt, head);
  nt.memory.writeVa(entry, first);
  writeHeader(nt, head, { depth: depth + 1n, sequence: sequence + 1n, first: entry });
  return first;
}

/** The entry that was first; NULL if the list is empty. */
export function popEntry(nt: Nt, head: Va): Va {
  const { depth, sequence, first } = readHeader(nt, head);
  if (first === nullVa) return nullVa;
  writeHeader(nt, head, { depth: depth - 1n, sequence: sequence + 1n, first: nt.memory.readVa(first) });
  return first;
}

/** Entries in the list, modulo 2^16. */
export function slistDepth(nt: Nt, head: Va): number {
  return nt.memory.readU16(head);
}

/** Empties the list; its first entry, with the others behind it. */
function flush(nt: Nt, head: Va): Va {
  const { sequence, first } = readHeader(nt, head);
  if (first !== nullVa) writeHeader(nt, head, { depth: 0n, sequence: sequence + 1n, first: nullVa });
  return first;
}

const pushRoutine = (doc: string) =>
  ntRoutine({
    doc,
    irql: anyIrql,
    params: { ListHead: pslist, ListEntry: pentry },
    returns: 'PVOID',
    body: (nt, { ListHead, ListEntry }) => pushEntry(nt, ListHead, ListEntry),
  });

const popRoutine = (doc: string) =>
  ntRoutine({
    doc,
    irql: anyIrql,
    params: { ListHead: pslist },
    returns: 'PVOID',
    body: (nt, { ListHead }) => popEntry(nt, ListHead),
  });

const flushRoutine = (doc: string) =>
  ntRoutine({
    doc,
    irql: anyIrql,
    params: { ListHead: pslist },
    returns: 'PVOID',
    body: (nt, { ListHead }) => flush(nt, ListHead),
  });

export const exInterlockedLists = ntExports('ntoskrnl.exe', {
  ExInterlockedInsertHeadList: ntRoutine({
    doc: 'wdm.h; nf-wdm-exinterlockedinsertheadlist',
    irql: anyIrql,
    params: { ListHead: plist, ListEntry: plist, Lock: plock },
    returns: 'PVOID',
    body: (nt, { ListHead, ListEntry, Lock }) =>
      withLock(nt, Lock, () => {
        const first = LIST_ENTRY.Flink.get(nt.memory, ListHead);
        insertBetween(nt, ListHead, first, ListEntry);
        return first === ListHead ? nullVa : first;
      }),
  }),
  ExInterlockedInsertTailList: ntRoutine({
    doc: 'wdm.h; nf-wdm-exinterlockedinserttaillist',
    irql: anyIrql,
    params: { ListHead: plist, ListEntry: plist, Lock: plock },
    returns: 'PVOID',
    body: (nt, { ListHead, ListEntry, Lock }) =>
      withLock(nt, Lock, () => {
        const last = LIST_ENTRY.Blink.get(nt.memory, ListHead);
        checkForward(nt, last, ListHead);
        insertBetween(nt, last, ListHead, ListEntry);
        return last === ListHead ? nullVa : last;
      }),
  }),
  ExInterlockedRemoveHeadList: ntRoutine({
    doc: 'wdm.h; nf-wdm-exinterlockedremoveheadlist',
    irql: anyIrql,
    params: { ListHead: plist, Lock: plock },
    returns: 'PVOID',
    body: (nt, { ListHead, Lock }) => withLock(nt, Lock, () => removeHead(nt, ListHead)),
  }),
  ExInterlockedPushEntryList: ntRoutine({
    doc: 'wdm.h; nf-wdm-exinterlockedpushentrylist',
    irql: anyIrql,
    params: { ListHead: psingle, ListEntry: psingle, Lock: plock },
    returns: 'PVOID',
    body: (nt, { ListHead, ListEntry, Lock }) =>
      withLock(nt, Lock, () => {
        const first = nt.memory.readVa(ListHead);
        nt.memory.writeVa(ListEntry, first);
        nt.memory.writeVa(ListHead, ListEntry);
        return first;
      }),
  }),
  ExInterlockedPopEntryList: ntRoutine({
    doc: 'wdm.h; nf-wdm-exinterlockedpopentrylist',
    irql: anyIrql,
    params: { ListHead: psingle, Lock: plock },
    returns: 'PVOID',
    body: (nt, { ListHead, Lock }) =>
      withLock(nt, Lock, () => {
        const first = nt.memory.readVa(ListHead);
        if (first !== nullVa) nt.memory.writeVa(ListHead, nt.memory.readVa(first));
        return first;
      }),
  }),
  ExInterlockedAddUlong: ntRoutine({
    doc: 'wdm.h; nf-wdm-exinterlockedaddulong',
    irql: anyIrql,
    params: { Addend: pointerTo('ULONG'), Increment: ULONG, Lock: plock },
    returns: 'ULONG',
    body: (nt, { Addend, Increment, Lock }) =>
      withLock(nt, Lock, () => {
        const before = nt.memory.readU32(Addend);
        nt.memory.writeU32(Addend, (before + Increment) >>> 0);
        return before;
      }),
  }),
  ExInterlockedAddLargeInteger: ntRoutine({
    doc: 'wdm.h; nf-wdm-exinterlockedaddlargeinteger',
    irql: anyIrql,
    params: { Addend: pointerTo('LARGE_INTEGER'), Increment: LARGE_INTEGER, Lock: plock },
    returns: 'LONG64',
    body: (nt, { Addend, Increment, Lock }) =>
      withLock(nt, Lock, () => {
        const before = nt.memory.readU64(Addend);
        nt.memory.writeU64(Addend, BigInt.asUintN(64, before + Increment));
        return before;
      }),
  }),
  InitializeSListHead: ntRoutine({
    doc: 'wdm.h; nf-wdm-initializeslisthead',
    irql: anyIrql,
    params: { SListHead: pslist },
    returns: 'VOID',
    body: (nt, { SListHead }) => {
      if ((vaLow(SListHead) & 15) !== 0) return raise(STATUS_DATATYPE_MISALIGNMENT);
      nt.memory.fill(SListHead, 16, 0);
      return undefined;
    },
  }),
  ExpInterlockedPushEntrySList: pushRoutine('wdm.h; the export behind ExInterlockedPushEntrySList on x64'),
  ExpInterlockedPopEntrySList: popRoutine('wdm.h; the export behind ExInterlockedPopEntrySList on x64'),
  ExpInterlockedFlushSList: flushRoutine('wdm.h; the export behind ExInterlockedFlushSList on x64'),
  ExInterlockedPushEntrySList: pushRoutine('wdm.h; nf-wdm-exinterlockedpushentryslist'),
  ExInterlockedPopEntrySList: popRoutine('wdm.h; nf-wdm-exinterlockedpopentryslist'),
  ExInterlockedFlushSList: flushRoutine('wdm.h; nf-wdm-exinterlockedflushslist'),
  InterlockedPushEntrySList: pushRoutine('winnt.h; as ExInterlockedPushEntrySList, without a lock'),
  InterlockedPopEntrySList: popRoutine('winnt.h; as ExInterlockedPopEntrySList, without a lock'),
  ExQueryDepthSList: ntRoutine({
    doc: 'wdm.h; nf-wdm-exquerydepthslist',
    irql: anyIrql,
    params: { SListHead: pslist },
    returns: 'ULONG',
    body: (nt, { SListHead }) => slistDepth(nt, SListHead),
  }),
});
