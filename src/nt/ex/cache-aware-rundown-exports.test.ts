import { expect, it } from 'vitest';
import { GuestCode } from '../../../test/guest-code.ts';
import { AddressMap } from '../address-map.ts';

it('waits for those who are protected, and protects nobody after that', () => {
  const code = new GuestCode(
    `waiter: enter
       call ExWaitForRundownProtectionReleaseCacheAware(ref)
       log 2
       leave
     other: enter
       log 1
       call ExAcquireRundownProtectionCacheAware(ref)
       log rax
       call ExReleaseRundownProtectionCacheAware(ref)
       call ExReleaseRundownProtectionCacheAware(ref)
       leave`,
    ['ref'],
  );
  expect(code.call('ExSizeOfRundownProtectionCacheAware')).toBeLessThanOrEqual(0x100);
  code.call('ExInitializeRundownProtectionCacheAware', code.at('ref'), 0x80);
  expect(code.call('ExAcquireRundownProtectionCacheAwareEx', code.at('ref'), 2)).toBe(1);
  code.start('waiter');
  code.start('other');
  expect(code.run()).toEqual([1, 0, 2]);
  expect(code.call('ExAcquireRundownProtectionCacheAware', code.at('ref'))).toBe(0);
  code.call('ExReInitializeRundownProtectionCacheAware', code.at('ref'));
  expect(code.call('ExAcquireRundownProtectionCacheAware', code.at('ref'))).toBe(1);
});

it("gives the driver's memory", () => {
  const code = new GuestCode('', []);
  const block = code.call('ExAllocateCacheAwareRundownProtection', 512, 0x6e646e52);
  expect(block).toBeGreaterThanOrEqual(AddressMap.nonPagedPool.start);
  expect(code.call('ExAcquireRundownProtectionCacheAware', block)).toBe(1);
  expect([...code.nt.pool.driverBlocks()]).toHaveLength(1);
  code.call('ExFreeCacheAwareRundownProtection', block);
  expect([...code.nt.pool.driverBlocks()]).toHaveLength(0);
});
