import { struct, u16, u32, u64 } from '../declare/struct.ts';

/** In front of every block smaller than a page. `PreviousSize:8 PoolIndex:8`, `BlockSize:8 PoolType:8`, in 16-byte units. */
export const POOL_HEADER = struct('_POOL_HEADER', {
  Ulong1Low: u16,
  Ulong1High: u16,
  PoolTag: u32,
  ProcessBilled: u64,
});

/** POOL_TYPE, wdm.h: the base types. */
export const PoolType = {
  NonPagedPool: 0,
  PagedPool: 1,
  NonPagedPoolMustSucceed: 2,
  NonPagedPoolCacheAligned: 4,
  PagedPoolCacheAligned: 5,
  NonPagedPoolCacheAlignedMustS: 6,
  NonPagedPoolNx: 0x200,
  NonPagedPoolNxCacheAligned: 0x204,
} as const;

/** Modifiers that are ORed into a POOL_TYPE. */
export const PoolTypeModifier = {
  QuotaFailInsteadOfRaise: 0x8,
  RaiseIfAllocationFailure: 0x10,
  Session: 0x20,
  Cold: 0x100,
  ZeroAllocation: 0x400,
} as const;

/** POOL_FLAGS of ExAllocatePool2, wdm.h. */
export const PoolFlag = {
  UseQuota: 0x1n,
  Uninitialized: 0x2n,
  Session: 0x4n,
  CacheAligned: 0x8n,
  RaiseOnFailure: 0x20n,
  NonPaged: 0x40n,
  NonPagedExecute: 0x80n,
  Paged: 0x100n,
} as const;
