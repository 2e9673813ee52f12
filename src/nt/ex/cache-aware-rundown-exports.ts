/** Rundown protection with a count for each processor; there is one, so it is one count. */
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { upToApc, upToDispatch } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { POOL_TAG, POOL_TYPE, pointerTo, SIZE_T, ULONG } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { acquireRundown, releaseRundown, rundownResume, waitForRundown } from './resource-exports.ts';

const pref = pointerTo('EX_RUNDOWN_REF_CACHE_AWARE');
const blockBytes = 0x80;
/** Where the one count stands: on a cache line of its own. */
const countAt = 0x40;
const countOf = (ref: Va): Va => vaAdd(ref, countAt);

const setRoutine = (doc: string, value: bigint) =>
  ntRoutine({
    doc,
    irql: upToDispatch,
    params: { RunRefCacheAware: pref },
    returns: 'VOID',
    body: ({ memory }, { RunRefCacheAware }) => memory.writeU64(countOf(RunRefCacheAware), value) as undefined,
  });

const countRoutine = (doc: string, isAcquired: boolean, hasCount: boolean) =>
  ntRoutine({
    doc,
    irql: upToDispatch,
    params: { RunRefCacheAware: pref, Count: ULONG },
    returns: isAcquired ? 'BOOLEAN' : 'VOID',
    body: (nt: Nt, { RunRefCacheAware, Count }) => {
      const change = isAcquired ? acquireRundown : releaseRundown;
      return change(nt, countOf(RunRefCacheAware), hasCount ? Count : 1);
    },
  });

export const exCacheAwareRundown = ntExports('ntoskrnl.exe', {
  ExSizeOfRundownProtectionCacheAware: ntRoutine({
    doc: 'wdm.h; nf-wdm-exsizeofrundownprotectioncacheaware',
    irql: upToApc,
    params: {},
    returns: 'SIZE_T',
    body: () => blockBytes,
  }),
  ExInitializeRundownProtectionCacheAware: ntRoutine({
    doc: 'wdm.h; nf-wdm-exinitializerundownprotectioncacheaware',
    irql: upToApc,
    params: { RunRefCacheAware: pref, RunRefSize: SIZE_T },
    returns: 'VOID',
    body: ({ memory }, { RunRefCacheAware }) => memory.fill(RunRefCacheAware, blockBytes, 0) as undefined,
  }),
  /** The driver's block until ExFreeCacheAwareRundownProtection. */
  ExAllocateCacheAwareRundownProtection: ntRoutine({
    doc: 'wdm.h; nf-wdm-exallocatecacheawarerundownprotection',
    irql: upToApc,
    params: { PoolType: POOL_TYPE, PoolTag: POOL_TAG },
    returns: 'PVOID',
    body: (nt, { PoolType: poolType, PoolTag: tag }, call) =>
      nt.pool.allocate({ poolType, bytes: blockBytes, tag, isZeroed: true }, call) ?? nullVa,
  }),
  ExFreeCacheAwareRundownProtection: ntRoutine({
    doc: 'wdm.h; nf-wdm-exfreecacheawarerundownprotection',
    irql: upToApc,
    params: { RunRefCacheAware: pref },
    returns: 'VOID',
    body: (nt, { RunRefCacheAware }, call) => nt.pool.free(RunRefCacheAware, 0, call),
  }),
  ExReInitializeRundownProtectionCacheAware: setRoutine('wdm.h; nf-wdm-exreinitializerundownprotectioncacheaware', 0n),
  ExRundownCompletedCacheAware: setRoutine('wdm.h; nf-wdm-exrundowncompletedcacheaware', 1n),
  ExAcquireRundownProtectionCacheAware: countRoutine('wdm.h; nf-wdm-exacquirerundownprotectioncacheaware', true, false),
  ExAcquireRundownProtectionCacheAwareEx: countRoutine(
    'wdm.h; nf-wdm-exacquirerundownprotectioncacheawareex',
    true,
    true,
  ),
  ExReleaseRundownProtectionCacheAware: countRoutine(
    'wdm.h; nf-wdm-exreleaserundownprotectioncacheaware',
    false,
    false,
  ),
  ExReleaseRundownProtectionCacheAwareEx: countRoutine(
    'wdm.h; nf-wdm-exreleaserundownprotectioncacheawareex',
    false,
    true,
  ),
  ExWaitForRundownProtectionReleaseCacheAware: ntRoutine({
    doc: 'wdm.h; nf-wdm-exwaitforrundownprotectionreleasecacheaware',
    irql: upToApc,
    params: { RunRefCacheAware: pref },
    returns: 'VOID',
    body: (nt, { RunRefCacheAware }) => waitForRundown(nt, countOf(RunRefCacheAware)),
    resume: rundownResume,
  }),
});
