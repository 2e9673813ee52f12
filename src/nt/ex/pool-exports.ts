/** ExAllocatePool* and ExFreePool*: how each form asks the one allocator. */
import { type Va, vaAdd } from '../../base/va.ts';
import { BugCheck } from '../declare/bug-check.ts';
import type { Call } from '../declare/call.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { type Outcome, raise, unsupported } from '../declare/outcome.ts';
import { POOL_TAG, POOL_TYPE, PVOID, SIZE_T, ULONG, ULONG64 } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER } from '../ntstatus.ts';
import { PoolFlag, PoolType, PoolTypeModifier } from '../structures/pool.ts';
import { isPagedPoolType, type PoolRequest, tagOf } from './pool.ts';

/** Tag that the forms without one give: `None`. */
const noTag = tagOf('None');

function allocate(nt: Nt, poolType: number, bytes: number, tag: number, call: Call, raises: boolean): Outcome {
  if ((poolType & PoolType.NonPagedPoolMustSucceed) !== 0) {
    throw new BugCheck(0xc2, [0x9a, poolType, bytes, tag], 'must-succeed pool was asked for, which no longer exists');
  }
  if ((poolType & PoolTypeModifier.Session) !== 0) return unsupported('session pool');
  const va = nt.pool.allocate({ poolType, bytes, tag }, call);
  if (va === undefined && raises) return raise(STATUS_INSUFFICIENT_RESOURCES);
  return va ?? 0;
}

/** Why the current process can't be charged for the block; undefined if it can. */
function quotaRefusal(nt: Nt, request: PoolRequest, caller: Call): number | undefined {
  const status = nt.poolQuota.refusal(isPagedPoolType(request.poolType), request.bytes);
  if (status !== undefined) nt.events.emit('poolAllocationFailed', { request, caller });
  return status;
}

/** As {@link allocate}, and the current process is charged. */
function allocateCharged(nt: Nt, poolType: number, bytes: number, tag: number, call: Call): Outcome {
  const raises = quotaRaises(poolType);
  const refusal = quotaRefusal(nt, { poolType, bytes, tag }, call);
  if (refusal !== undefined) return raises ? raise(refusal) : 0;
  const outcome = allocate(nt, poolType, bytes, tag, call, raises);
  if (typeof outcome === 'number' && outcome !== 0) {
    nt.poolQuota.charge(outcome as Va, isPagedPoolType(poolType), bytes);
  }
  return outcome;
}

const raisesIf = (poolType: number): boolean => (poolType & PoolTypeModifier.RaiseIfAllocationFailure) !== 0;
const quotaRaises = (poolType: number): boolean => (poolType & PoolTypeModifier.QuotaFailInsteadOfRaise) === 0;

/** The POOL_TYPE that POOL_FLAGS name; undefined if they name none or several. */
export function poolTypeOfFlags(flags: bigint): number | undefined {
  const kinds = flags & (PoolFlag.NonPaged | PoolFlag.NonPagedExecute | PoolFlag.Paged);
  const cacheAligned = (flags & PoolFlag.CacheAligned) !== 0n ? PoolType.NonPagedPoolCacheAligned : 0;
  if (kinds === PoolFlag.NonPaged) return PoolType.NonPagedPoolNx | cacheAligned;
  if (kinds === PoolFlag.NonPagedExecute) return PoolType.NonPagedPool | cacheAligned;
  if (kinds === PoolFlag.Paged) return PoolType.PagedPool | cacheAligned;
  return undefined;
}

const knownPoolFlags = 0x1n | 0x2n | 0x4n | 0x8n | 0x20n | 0x40n | 0x80n | 0x100n;
const firstOptionalPoolFlag = 1n << 32n;

function allocatePool2(nt: Nt, flags: bigint, bytes: number, tag: number, call: Call): Outcome {
  const required = flags & (firstOptionalPoolFlag - 1n);
  const poolType = poolTypeOfFlags(required);
  const raises = (required & PoolFlag.RaiseOnFailure) !== 0n;
  if (poolType === undefined || (required & ~knownPoolFlags) !== 0n || bytes === 0 || tag === 0) {
    return raises ? raise(STATUS_INVALID_PARAMETER) : 0;
  }
  if ((required & PoolFlag.Session) !== 0n) return unsupported('session pool');
  const isZeroed = (required & PoolFlag.Uninitialized) === 0n;
  const isCharged = (required & PoolFlag.UseQuota) !== 0n;
  const refusal = isCharged ? quotaRefusal(nt, { poolType, bytes, tag }, call) : undefined;
  if (refusal !== undefined) return raises ? raise(refusal) : 0;
  const va = nt.pool.allocate({ poolType, bytes, tag, isZeroed }, call);
  if (va === undefined) return raises ? raise(STATUS_INSUFFICIENT_RESOURCES) : 0;
  if (isCharged) nt.poolQuota.charge(va, isPagedPoolType(poolType), bytes);
  return va;
}

interface ExtendedParameters {
  readonly isSupported: boolean;
  readonly what: string;
}

/** Reads POOL_EXTENDED_PARAMETER entries (16 bytes: Type:8 Optional:1, then the value) of ExAllocatePool3. */
function extendedParameters(nt: Nt, at: Va, count: number): ExtendedParameters {
  const names = ['invalid type', 'priority', 'secure pool', 'NUMA node'];
  for (let index = 0; index < count; index++) {
    const word = nt.memory.readU32(vaAdd(at, index * 16));
    const type = word & 0xff;
    // Priority and node only advise; an optional parameter may be passed over.
    if (type !== 1 && type !== 3 && (word & 0x100) === 0) {
      return { isSupported: false, what: names[type] ?? `type ${type}` };
    }
  }
  return { isSupported: true, what: '' };
}

export const exPool = ntExports('ntoskrnl.exe', {
  /** Allocates without a tag; Windows records `None`. */
  ExAllocatePool: ntRoutine({
    doc: 'wdm.h; nf-wdm-exallocatepool',
    irql: ['PASSIVE', 'DISPATCH'],
    params: { PoolType: POOL_TYPE, NumberOfBytes: SIZE_T },
    returns: 'PVOID',
    body: (nt, { PoolType, NumberOfBytes }, call) =>
      allocate(nt, PoolType, NumberOfBytes, noTag, call, raisesIf(PoolType)),
  }),
  ExAllocatePoolWithTag: ntRoutine({
    doc: 'wdm.h; nf-wdm-exallocatepoolwithtag',
    irql: ['PASSIVE', 'DISPATCH'],
    params: { PoolType: POOL_TYPE, NumberOfBytes: SIZE_T, Tag: POOL_TAG },
    returns: 'PVOID',
    body: (nt, { PoolType, NumberOfBytes, Tag }, call) =>
      allocate(nt, PoolType, NumberOfBytes, Tag, call, raisesIf(PoolType)),
  }),
  ExAllocatePoolWithTagPriority: ntRoutine({
    doc: 'wdm.h; nf-wdm-exallocatepoolwithtagpriority',
    irql: ['PASSIVE', 'DISPATCH'],
    params: { PoolType: POOL_TYPE, NumberOfBytes: SIZE_T, Tag: POOL_TAG, Priority: ULONG },
    returns: 'PVOID',
    body: (nt, { PoolType, NumberOfBytes, Tag }, call) =>
      allocate(nt, PoolType, NumberOfBytes, Tag, call, raisesIf(PoolType)),
  }),
  /** Raises on failure unless POOL_QUOTA_FAIL_INSTEAD_OF_RAISE is given. */
  ExAllocatePoolWithQuota: ntRoutine({
    doc: 'wdm.h; nf-wdm-exallocatepoolwithquota',
    irql: ['PASSIVE', 'DISPATCH'],
    params: { PoolType: POOL_TYPE, NumberOfBytes: SIZE_T },
    returns: 'PVOID',
    body: (nt, { PoolType, NumberOfBytes }, call) => allocateCharged(nt, PoolType, NumberOfBytes, noTag, call),
  }),
  ExAllocatePoolWithQuotaTag: ntRoutine({
    doc: 'wdm.h; nf-wdm-exallocatepoolwithquotatag',
    irql: ['PASSIVE', 'DISPATCH'],
    params: { PoolType: POOL_TYPE, NumberOfBytes: SIZE_T, Tag: POOL_TAG },
    returns: 'PVOID',
    body: (nt, { PoolType, NumberOfBytes, Tag }, call) => allocateCharged(nt, PoolType, NumberOfBytes, Tag, call),
  }),
  /** Zeroed unless POOL_FLAG_UNINITIALIZED; NULL or an exception (POOL_FLAG_RAISE_ON_FAILURE) on bad flags, tag 0, size 0. */
  ExAllocatePool2: ntRoutine({
    doc: 'wdm.h; nf-wdm-exallocatepool2',
    irql: ['PASSIVE', 'DISPATCH'],
    params: { Flags: ULONG64, NumberOfBytes: SIZE_T, Tag: POOL_TAG },
    returns: 'PVOID',
    since: 19041,
    body: (nt, { Flags, NumberOfBytes, Tag }, call) => allocatePool2(nt, Flags, NumberOfBytes, Tag, call),
  }),
  ExAllocatePool3: ntRoutine({
    doc: 'wdm.h; nf-wdm-exallocatepool3',
    irql: ['PASSIVE', 'DISPATCH'],
    params: { Flags: ULONG64, NumberOfBytes: SIZE_T, Tag: POOL_TAG, ExtendedParameters: PVOID, Count: ULONG },
    returns: 'PVOID',
    since: 19041,
    support: { partial: 'secure pool' },
    body: (nt, { Flags, NumberOfBytes, Tag, ExtendedParameters, Count }, call) => {
      const extended = extendedParameters(nt, ExtendedParameters, Count);
      if (!extended.isSupported) return unsupported(`ExAllocatePool3 with ${extended.what}`);
      return allocatePool2(nt, Flags, NumberOfBytes, Tag, call);
    },
  }),
  ExFreePool: ntRoutine({
    doc: 'wdm.h; nf-wdm-exfreepool',
    irql: ['PASSIVE', 'DISPATCH'],
    params: { P: PVOID },
    returns: 'VOID',
    body: (nt, { P }, call) => nt.pool.free(P, 0, call),
  }),
  /** The tag must be the allocation's; 0 accepts any. */
  ExFreePoolWithTag: ntRoutine({
    doc: 'wdm.h; nf-wdm-exfreepoolwithtag',
    irql: ['PASSIVE', 'DISPATCH'],
    params: { P: PVOID, Tag: POOL_TAG },
    returns: 'VOID',
    body: (nt, { P, Tag }, call) => nt.pool.free(P, Tag, call),
  }),
  ExFreePool2: ntRoutine({
    doc: 'wdm.h; nf-wdm-exfreepool2',
    irql: ['PASSIVE', 'DISPATCH'],
    params: { P: PVOID, Tag: POOL_TAG, ExtendedParameters: PVOID, ExtendedParametersCount: ULONG },
    returns: 'VOID',
    since: 19041,
    body: (nt, { P, Tag }, call) => nt.pool.free(P, Tag, call),
  }),
});
