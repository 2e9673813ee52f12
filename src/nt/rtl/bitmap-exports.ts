/** The bitmap routines of the run-time library. */
import type { Va } from '../../base/va.ts';
import { type IrqlName, ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { PVOID, pointerTo, ULONG, ULONG64 } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { RTL_BITMAP } from '../structures/run-time-library.ts';
import { type BitRun, Bits, changeAllBits, changeBits } from './bitmap.ts';

const PRTL_BITMAP = pointerTo('RTL_BITMAP');
const notFound = 0xffff_ffff;
const anyIrql = ['PASSIVE', 'HIGH'] as const satisfies readonly [IrqlName, IrqlName];

function changeRange(doc: string, isSet: boolean) {
  return ntRoutine({
    doc,
    irql: anyIrql,
    params: { BitMapHeader: PRTL_BITMAP, StartingIndex: ULONG, Length: ULONG },
    returns: 'VOID',
    body: (nt, { BitMapHeader, StartingIndex, Length }) => {
      changeBits(nt.memory, BitMapHeader, StartingIndex, Length, isSet);
    },
  });
}

function changeOne(doc: string, isSet: boolean) {
  return ntRoutine({
    doc,
    irql: anyIrql,
    params: { BitMapHeader: PRTL_BITMAP, BitNumber: ULONG },
    returns: 'VOID',
    body: (nt, { BitMapHeader, BitNumber }) => {
      changeBits(nt.memory, BitMapHeader, BitNumber, 1, isSet);
    },
  });
}

function changeAll(doc: string, isSet: boolean) {
  return ntRoutine({
    doc,
    irql: anyIrql,
    params: { BitMapHeader: PRTL_BITMAP },
    returns: 'VOID',
    body: (nt, { BitMapHeader }) => {
      changeAllBits(nt.memory, BitMapHeader, isSet);
    },
  });
}

function areAll(doc: string, isSet: boolean) {
  return ntRoutine({
    doc,
    irql: anyIrql,
    params: { BitMapHeader: PRTL_BITMAP, StartingIndex: ULONG, Length: ULONG },
    returns: 'BOOLEAN',
    body: (nt, { BitMapHeader, StartingIndex, Length }) =>
      Bits.read(nt.memory, BitMapHeader).areAll(isSet, StartingIndex, Length),
  });
}

function count(doc: string, isSet: boolean) {
  return ntRoutine({
    doc,
    irql: anyIrql,
    params: { BitMapHeader: PRTL_BITMAP },
    returns: 'ULONG',
    body: (nt, { BitMapHeader }) => Bits.read(nt.memory, BitMapHeader).count(isSet),
  });
}

/** Finds a run and, with `changes`, turns it over. */
function find(doc: string, isSet: boolean, changes: boolean) {
  return ntRoutine({
    doc,
    irql: anyIrql,
    params: { BitMapHeader: PRTL_BITMAP, NumberToFind: ULONG, HintIndex: ULONG },
    returns: 'ULONG',
    body: (nt, { BitMapHeader, NumberToFind, HintIndex }) => {
      const found = Bits.read(nt.memory, BitMapHeader).find(isSet, NumberToFind, HintIndex);
      if (found !== undefined && changes) changeBits(nt.memory, BitMapHeader, found, NumberToFind, !isSet);
      return found ?? notFound;
    },
  });
}

/** Stores where the run starts and returns its length. */
function putRun(nt: Nt, run: BitRun | undefined, start: Va): number {
  if (run !== undefined) nt.memory.writeU32(start, run.start);
  return run?.length ?? 0;
}

function findRun(doc: string, search: (bits: Bits) => BitRun | undefined) {
  return ntRoutine({
    doc,
    irql: anyIrql,
    params: { BitMapHeader: PRTL_BITMAP, StartingIndex: PVOID },
    returns: 'ULONG',
    body: (nt, { BitMapHeader, StartingIndex }) =>
      putRun(nt, search(Bits.read(nt.memory, BitMapHeader)), StartingIndex),
  });
}

function findRunFrom(doc: string, search: (bits: Bits, from: number) => BitRun | undefined) {
  return ntRoutine({
    doc,
    irql: anyIrql,
    params: { BitMapHeader: PRTL_BITMAP, FromIndex: ULONG, StartingRunIndex: PVOID },
    returns: 'ULONG',
    body: (nt, { BitMapHeader, FromIndex, StartingRunIndex }) =>
      putRun(nt, search(Bits.read(nt.memory, BitMapHeader), FromIndex), StartingRunIndex),
  });
}

export const rtlBitmaps = ntExports('ntoskrnl.exe', {
  RtlInitializeBitMap: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtlinitializebitmap',
    irql: anyIrql,
    params: { BitMapHeader: PRTL_BITMAP, BitMapBuffer: PVOID, SizeOfBitMap: ULONG },
    returns: 'VOID',
    body: ({ memory }, { BitMapHeader, BitMapBuffer, SizeOfBitMap }) => {
      RTL_BITMAP.SizeOfBitMap.set(memory, BitMapHeader, SizeOfBitMap);
      RTL_BITMAP.Buffer.set(memory, BitMapHeader, BitMapBuffer);
    },
  }),
  RtlSetBits: changeRange('wdm.h; nf-wdm-rtlsetbits', true),
  RtlClearBits: changeRange('wdm.h; nf-wdm-rtlclearbits', false),
  RtlSetBit: changeOne('wdm.h; nf-wdm-rtlsetbit', true),
  RtlClearBit: changeOne('wdm.h; nf-wdm-rtlclearbit', false),
  RtlSetAllBits: changeAll('wdm.h; nf-wdm-rtlsetallbits', true),
  RtlClearAllBits: changeAll('wdm.h; nf-wdm-rtlclearallbits', false),
  RtlAreBitsSet: areAll('wdm.h; nf-wdm-rtlarebitsset', true),
  RtlAreBitsClear: areAll('wdm.h; nf-wdm-rtlarebitsclear', false),
  RtlNumberOfSetBits: count('wdm.h; nf-wdm-rtlnumberofsetbits', true),
  RtlNumberOfClearBits: count('wdm.h; nf-wdm-rtlnumberofclearbits', false),
  RtlFindClearBits: find('wdm.h; nf-wdm-rtlfindclearbits', false, false),
  RtlFindSetBits: find('wdm.h; nf-wdm-rtlfindsetbits', true, false),
  RtlFindClearBitsAndSet: find('wdm.h; nf-wdm-rtlfindclearbitsandset', false, true),
  RtlFindSetBitsAndClear: find('wdm.h; nf-wdm-rtlfindsetbitsandclear', true, true),
  RtlFindFirstRunClear: findRun('wdm.h; nf-wdm-rtlfindfirstrunclear', (bits) => bits.nextRun(false, 0)),
  RtlFindLongestRunClear: findRun('wdm.h; nf-wdm-rtlfindlongestrunclear', (bits) => bits.longestRun(false)),
  RtlFindNextForwardRunClear: findRunFrom('wdm.h; nf-wdm-rtlfindnextforwardrunclear', (bits, from) =>
    bits.nextRun(false, from),
  ),
  RtlFindLastBackwardRunClear: findRunFrom('wdm.h; nf-wdm-rtlfindlastbackwardrunclear', (bits, from) =>
    bits.lastRun(false, from),
  ),
  RtlTestBit: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtltestbit',
    irql: anyIrql,
    params: { BitMapHeader: PRTL_BITMAP, BitNumber: ULONG },
    returns: 'BOOLEAN',
    body: ({ memory }, { BitMapHeader, BitNumber }) => {
      const byte = RTL_BITMAP.Buffer.get(memory, BitMapHeader) + Math.floor(BitNumber / 8);
      return ((memory.readU8(byte as Va) >>> (BitNumber & 7)) & 1) !== 0;
    },
  }),
  RtlFindMostSignificantBit: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtlfindmostsignificantbit',
    irql: anyIrql,
    params: { Set: ULONG64 },
    returns: 'LONG',
    body: (_nt, { Set: bits }) => (bits === 0n ? -1 : bits.toString(2).length - 1),
  }),
  RtlFindLeastSignificantBit: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtlfindleastsignificantbit',
    irql: anyIrql,
    params: { Set: ULONG64 },
    returns: 'LONG',
    body: (_nt, { Set: bits }) => (bits === 0n ? -1 : (bits & -bits).toString(2).length - 1),
  }),
});
