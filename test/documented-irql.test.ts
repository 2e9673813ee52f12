/** The IRQL that each routine of the kernel declares is the documented one, but for what stands here with its reason. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { kernelComponents } from '../src/nt/components.ts';
import { Irql } from '../src/nt/declare/nt-routine.ts';

/** Why a routine may be called at more levels than its page says first. No routine may be called at fewer. */
const exceptions: readonly { readonly reason: string; readonly names: readonly (string | RegExp)[] }[] = [
  {
    reason: 'any level while the bitmap is resident, says the page',
    names: [/^Rtl(Set|Clear|Find|AreBits|NumberOf|Test)\w*(Bit|Bits|Run|Clear|Set)\w*$/],
  },
  {
    reason: 'up to DISPATCH_LEVEL while table and elements are resident, say the remarks',
    names: [/^Rtl\w+GenericTable\w*$/, /^RtlNumberGenericTableElements/],
  },
  {
    reason: 'computes on its arguments alone',
    names: [/^Rtl(Time|Seconds)\w+/, 'FsRtlDissectName', 'RtlCaptureContext'],
  },
  {
    reason: 'the level is that of the caller, whom it never comes back to',
    names: ['ExRaiseAccessViolation', 'ExRaiseDatatypeMisalignment'],
  },
  {
    reason: 'touches only what its caller gives it: a lower bound of the page that no rule of the verifier has',
    names: [
      'ExAcquireFastMutexUnsafe',
      'ExAcquireSpinLockShared',
      'ExInitializeFastMutex',
      'ExQueryDepthSList',
      'ExReleaseFastMutexUnsafe',
      'ExTryConvertSharedSpinLockExclusive',
      'KeInitializeSemaphore',
      'KeReleaseSpinLockFromDpcLevel',
      'KeTryToAcquireSpinLockAtDpcLevel',
      'RtlDowncaseUnicodeChar',
      'RtlFindUnicodePrefix',
      'RtlFreeUTF8String',
      'RtlGetOwnerSecurityDescriptor',
      'RtlSetDaclSecurityDescriptor',
    ],
  },
  {
    reason: 'reads a field of the thread or the machine',
    names: [
      'ExIsProcessorFeaturePresent',
      'IoGetInitialStack',
      'IoGetTopLevelIrp',
      'IoIsSystemThread',
      'IoIsWdmVersionAvailable',
      'IoSetTopLevelIrp',
      'IoThreadToProcess',
      'PsGetThreadId',
      'PsIsSystemThread',
    ],
  },
  {
    reason:
      'up to DISPATCH_LEVEL for resources and references in resident memory, as the rules of the verifier have it',
    names: [
      'ExConvertExclusiveToSharedLite',
      'ExDeleteResourceLite',
      /^Ex(Re)?InitializeRundownProtection$/,
      'ExReleaseResourceAndLeaveCriticalRegion',
      'ExRundownCompleted',
    ],
  },
  { reason: 'as KeSetEvent and KeWaitForSingleObject, which it calls', names: ['ZwSetEvent', 'ZwWaitForSingleObject'] },
];

const isException = (name: string): boolean =>
  exceptions.some(({ names }) => names.some((one) => (typeof one === 'string' ? one === name : one.test(name))));

const order: readonly string[] = Object.keys(Irql);

type Range = readonly [low: string, high: string];
const isWithin = ([low, high]: Range, [outerLow, outerHigh]: Range): boolean =>
  order.indexOf(low) >= order.indexOf(outerLow) && order.indexOf(high) <= order.indexOf(outerHigh);

const documented = new Map<string, Range>(
  readFileSync(new URL('documented-irql.tsv', import.meta.url), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split('\t') as [string, string, string])
    .map(([name, low, high]) => [name, [low, high]]),
);

const compared = kernelComponents
  .filter(({ isExported }) => isExported)
  .flatMap(({ routines }) => Object.entries(routines))
  .flatMap(([name, { irql }]): { name: string; declared: Range; page: Range }[] => {
    const page = documented.get(name);
    return page === undefined ? [] : [{ name, declared: irql, page }];
  });
const show = ({ name, declared, page }: (typeof compared)[number]): string =>
  `${name}: ${declared.join(' to ')}, documented ${page.join(' to ')}`;

describe('the IRQL of routines', () => {
  it('is never less than the documented one', () => {
    expect(compared.filter(({ declared, page }) => !isWithin(page, declared)).map(show)).toEqual([]);
  });

  it('is more only with a reason', () => {
    const wider = compared.filter(({ declared, page }) => !isWithin(declared, page));
    expect(wider.filter(({ name }) => !isException(name)).map(show)).toEqual([]);
  });

  it('is more where an exception says so', () => {
    for (const name of exceptions.flatMap(({ names }) => names)) {
      if (typeof name !== 'string') continue;
      const routine = compared.find((one) => one.name === name);
      expect(routine && isWithin(routine.declared, routine.page), name).toBe(false);
    }
  });

  it('is compared for most routines', () => expect(compared.length).toBeGreaterThan(500));
});
