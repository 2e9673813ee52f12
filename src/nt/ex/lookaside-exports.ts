/** Ex*LookasideList*: lists that drivers use through their structure, and mostly by inlined code. */
import { nullVa, type Va } from '../../base/va.ts';
import { upToApc, upToDispatch } from '../declare/irql-ranges.ts';
import { type IrqlName, ntExports, ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest, type Outcome } from '../declare/outcome.ts';
import { POOL_TAG, POOL_TYPE, PVOID, pointerTo, SIZE_T, ULONG, USHORT } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { STATUS_INVALID_PARAMETER_4, STATUS_INVALID_PARAMETER_5, STATUS_SUCCESS } from '../ntstatus.ts';
import { GENERAL_LOOKASIDE } from '../structures/lookaside.ts';
import { PoolType, PoolTypeModifier } from '../structures/pool.ts';
import { popEntry, pushEntry, slistDepth } from './interlocked-list-exports.ts';

type IrqlRange = readonly [IrqlName, IrqlName];

const fixedDepth = { partial: 'a list keeps up to four blocks; Windows adapts that to its use' };

/** EX_LOOKASIDE_LIST_EX_FLAGS_… */
const ExFlag = { RaiseOnFail: 1, FailNoRaise: 2 } as const;

const initialiseParameters = (structure: string) => ({
  Lookaside: pointerTo(structure),
  Allocate: pointerTo('ALLOCATE_FUNCTION'),
  Free: pointerTo('FREE_FUNCTION'),
  Flags: ULONG,
  Size: SIZE_T,
  Tag: POOL_TAG,
  Depth: USHORT,
});

/** The POOL_TYPE that a LOOKASIDE_LIST_EX allocates with; undefined for flags that exclude each other or do not exist. */
function withFlags(poolType: number, flags: number): number | undefined {
  if (flags === 0) return poolType;
  if (flags === ExFlag.RaiseOnFail) return poolType | PoolTypeModifier.RaiseIfAllocationFailure;
  if (flags === ExFlag.FailNoRaise) return poolType | PoolTypeModifier.QuotaFailInsteadOfRaise;
  return undefined;
}

const knownPoolTypeBits = Object.values(PoolTypeModifier).reduce<number>((bits, bit) => bits | bit, 0x207);

/** POOL_TYPE 3 and 7 are no pools. */
function isPoolType(poolType: number): boolean {
  return (poolType & ~knownPoolTypeBits) === 0 && (poolType & 3) !== 3;
}

// ---- freeing what a list holds

/** Has the next block freed by the list's routine, and goes on at `freed` until the list is empty. */
function freeNext(nt: Nt, list: Va): Outcome {
  const entry = popEntry(nt, GENERAL_LOOKASIDE.ListHead.at(list));
  if (entry === nullVa) return undefined;
  // The plain lists' routines take the block alone, and do not see the second argument.
  return callGuest(GENERAL_LOOKASIDE.Free.get(nt.memory, list), [entry, list], 'freed', [list]);
}

const emptyingRoutine = (doc: string, irql: IrqlRange, structure: string, start?: (nt: Nt, list: Va) => void) =>
  ntRoutine({
    doc,
    irql,
    params: { Lookaside: pointerTo(structure) },
    returns: 'VOID',
    body: (nt, { Lookaside }) => {
      start?.(nt, Lookaside);
      return freeNext(nt, Lookaside);
    },
    resume: { freed: (nt, call) => freeNext(nt, call.va(0)) },
  });

const remove = (nt: Nt, list: Va): void => nt.lookasides.remove(list);

// ---- what drivers built for Windows 2000 call, and newer ones have inlined

function count(nt: Nt, list: Va, counter: 'TotalAllocates' | 'AllocateMisses' | 'TotalFrees' | 'FreeMisses'): void {
  const field = GENERAL_LOOKASIDE[counter];
  field.set(nt.memory, list, (field.get(nt.memory, list) + 1) >>> 0);
}

function allocateFrom(nt: Nt, list: Va): Outcome {
  const { memory } = nt;
  count(nt, list, 'TotalAllocates');
  const entry = popEntry(nt, GENERAL_LOOKASIDE.ListHead.at(list));
  if (entry !== nullVa) return entry;
  count(nt, list, 'AllocateMisses');
  const { Type, Size, Tag, Allocate } = GENERAL_LOOKASIDE;
  const args = [Type, Size, Tag].map((field) => field.get(memory, list));
  return callGuest(Allocate.get(memory, list), args, 'allocated');
}

function freeTo(nt: Nt, list: Va, entry: Va): Outcome {
  const head = GENERAL_LOOKASIDE.ListHead.at(list);
  count(nt, list, 'TotalFrees');
  if (slistDepth(nt, head) >= GENERAL_LOOKASIDE.Depth.get(nt.memory, list)) {
    count(nt, list, 'FreeMisses');
    return callGuest(GENERAL_LOOKASIDE.Free.get(nt.memory, list), [entry], 'freed');
  }
  const first = pushEntry(nt, head, entry);
  return typeof first === 'number' ? undefined : first;
}

const allocatingRoutine = (doc: string, irql: IrqlRange, structure: string) =>
  ntRoutine({
    doc,
    irql,
    params: { Lookaside: pointerTo(structure) },
    returns: 'PVOID',
    body: (nt, { Lookaside }) => allocateFrom(nt, Lookaside),
    resume: { allocated: (_nt, call) => call.resultVa },
  });

const freeingRoutine = (doc: string, irql: IrqlRange, structure: string) =>
  ntRoutine({
    doc,
    irql,
    params: { Lookaside: pointerTo(structure), Entry: PVOID },
    returns: 'VOID',
    body: (nt, { Lookaside, Entry }) => freeTo(nt, Lookaside, Entry),
    resume: { freed: () => undefined },
  });

export const exLookasides = ntExports('ntoskrnl.exe', {
  ExInitializeNPagedLookasideList: ntRoutine({
    doc: 'wdm.h; nf-wdm-exinitializenpagedlookasidelist',
    irql: upToDispatch,
    params: initialiseParameters('NPAGED_LOOKASIDE_LIST'),
    returns: 'VOID',
    support: fixedDepth,
    body: (nt, { Lookaside, Allocate, Free, Flags, Size, Tag }, call) => {
      const poolType = PoolType.NonPagedPool | Flags;
      return nt.lookasides.initialise(
        Lookaside,
        { poolType, bytes: Size, tag: Tag, allocate: Allocate, free: Free },
        call,
      );
    },
  }),
  /** POOL_NX_ALLOCATION changes nothing: no paged pool is executable. */
  ExInitializePagedLookasideList: ntRoutine({
    doc: 'wdm.h; nf-wdm-exinitializepagedlookasidelist',
    irql: upToApc,
    params: initialiseParameters('PAGED_LOOKASIDE_LIST'),
    returns: 'VOID',
    support: fixedDepth,
    body: (nt, { Lookaside, Allocate, Free, Flags, Size, Tag }, call) => {
      const poolType = PoolType.PagedPool | (Flags & ~PoolType.NonPagedPoolNx);
      return nt.lookasides.initialise(
        Lookaside,
        { poolType, bytes: Size, tag: Tag, allocate: Allocate, free: Free },
        call,
      );
    },
  }),
  ExInitializeLookasideListEx: ntRoutine({
    doc: 'wdm.h; nf-wdm-exinitializelookasidelistex',
    irql: upToDispatch,
    params: {
      Lookaside: pointerTo('LOOKASIDE_LIST_EX'),
      Allocate: pointerTo('ALLOCATE_FUNCTION_EX'),
      Free: pointerTo('FREE_FUNCTION_EX'),
      PoolType: POOL_TYPE,
      Flags: ULONG,
      Size: SIZE_T,
      Tag: POOL_TAG,
      Depth: USHORT,
    },
    returns: 'NTSTATUS',
    support: fixedDepth,
    body: (nt, { Lookaside, Allocate, Free, PoolType: asked, Flags, Size, Tag }, call) => {
      if (!isPoolType(asked)) return STATUS_INVALID_PARAMETER_4;
      const poolType = withFlags(asked, Flags);
      if (poolType === undefined) return STATUS_INVALID_PARAMETER_5;
      const request = { poolType, bytes: Size, tag: Tag, allocate: Allocate, free: Free };
      return nt.lookasides.initialise(Lookaside, request, call) ?? STATUS_SUCCESS;
    },
  }),
  ExDeleteNPagedLookasideList: emptyingRoutine(
    'wdm.h; nf-wdm-exdeletenpagedlookasidelist',
    upToDispatch,
    'NPAGED_LOOKASIDE_LIST',
    remove,
  ),
  ExDeletePagedLookasideList: emptyingRoutine(
    'wdm.h; nf-wdm-exdeletepagedlookasidelist',
    upToApc,
    'PAGED_LOOKASIDE_LIST',
    remove,
  ),
  ExDeleteLookasideListEx: emptyingRoutine(
    'wdm.h; nf-wdm-exdeletelookasidelistex',
    upToDispatch,
    'LOOKASIDE_LIST_EX',
    remove,
  ),
  /** Frees what the list holds; the list stays. */
  ExFlushLookasideListEx: emptyingRoutine('wdm.h; nf-wdm-exflushlookasidelistex', upToDispatch, 'LOOKASIDE_LIST_EX'),
  ExAllocateFromNPagedLookasideList: allocatingRoutine(
    'wdm.h; nf-wdm-exallocatefromnpagedlookasidelist',
    upToDispatch,
    'NPAGED_LOOKASIDE_LIST',
  ),
  ExAllocateFromPagedLookasideList: allocatingRoutine(
    'wdm.h; nf-wdm-exallocatefrompagedlookasidelist',
    upToApc,
    'PAGED_LOOKASIDE_LIST',
  ),
  ExFreeToNPagedLookasideList: freeingRoutine(
    'wdm.h; nf-wdm-exfreetonpagedlookasidelist',
    upToDispatch,
    'NPAGED_LOOKASIDE_LIST',
  ),
  ExFreeToPagedLookasideList: freeingRoutine(
    'wdm.h; nf-wdm-exfreetopagedlookasidelist',
    upToApc,
    'PAGED_LOOKASIDE_LIST',
  ),
});

export const exLookasideInternals = ntInternals({
  /** What a list that was deleted allocates with. */
  ExpDummyAllocate: ntRoutine({
    doc: 'allocates nothing',
    irql: upToDispatch,
    params: { PoolType: POOL_TYPE, NumberOfBytes: SIZE_T, Tag: POOL_TAG },
    returns: 'PVOID',
    body: () => 0,
  }),
});
