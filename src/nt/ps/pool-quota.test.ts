import { describe, expect, it } from 'vitest';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { tagOf } from '../ex/pool.ts';
import { STATUS_INSUFFICIENT_RESOURCES, STATUS_QUOTA_EXCEEDED } from '../ntstatus.ts';

const tag = tagOf('Quot');
const [nonPagedNx, paged, failInsteadOfRaise] = [0x200, 1, 8];
const [useQuota, raiseOnFailure, nonPagedFlag] = [0x1n, 0x20n, 0x40n];
const raised = (status: number) => ({ action: 'raise', status });

/** In the requesting process, which may have 1000 bytes of each pool. */
function setUp(isSystem = false): KernelCaller {
  const t = new KernelCaller({ poolQuota: { pagedBytes: 1000, nonPagedBytes: 1000 } });
  const { scheduler } = t.nt;
  const thread = isSystem ? scheduler.systemThread : scheduler.requester;
  scheduler.start(thread, t.nt.entries.routineVa('ExFreePool'), [0]);
  t.nt.scheduler.dispatchNext(Number.POSITIVE_INFINITY);
  return t;
}

describe('pool that is charged to a process', () => {
  it('raises STATUS_QUOTA_EXCEEDED where the process may have no more, and what is freed may be had again', () => {
    const t = setUp();
    const first = t.call('ExAllocatePoolWithQuotaTag', nonPagedNx, 600, tag);
    expect(t.outcome('ExAllocatePoolWithQuotaTag', nonPagedNx, 500, tag)).toMatchObject(raised(STATUS_QUOTA_EXCEEDED));
    expect(t.outcome('ExAllocatePoolWithQuota', nonPagedNx, 500)).toMatchObject(raised(STATUS_QUOTA_EXCEEDED));
    expect(t.call('ExAllocatePoolWithQuotaTag', nonPagedNx | failInsteadOfRaise, 500, tag)).toBe(0);
    t.call('ExFreePool', first);
    expect(t.call('ExAllocatePoolWithQuotaTag', nonPagedNx, 1000, tag)).not.toBe(0);
    expect(t.nt.poolQuota.usage).toMatchObject({ nonPagedBytes: 1000, peakNonPagedBytes: 1000 });
  });

  it('is charged for each pool apart', () => {
    const t = setUp();
    t.call('ExAllocatePoolWithQuotaTag', nonPagedNx, 900, tag);
    t.call('ExAllocatePoolWithQuotaTag', paged, 700, tag);
    expect(t.outcome('ExAllocatePoolWithQuotaTag', paged, 301, tag)).toMatchObject(raised(STATUS_QUOTA_EXCEEDED));
    expect(t.nt.poolQuota.usage).toMatchObject({ nonPagedBytes: 900, pagedBytes: 700 });
  });

  it('is NULL from ExAllocatePool2, or an exception where the flags say so', () => {
    const t = setUp();
    t.call('ExAllocatePool2', nonPagedFlag | useQuota, 900, tag);
    expect(t.call('ExAllocatePool2', nonPagedFlag | useQuota, 200, tag)).toBe(0);
    const flags = nonPagedFlag | useQuota | raiseOnFailure;
    expect(t.outcome('ExAllocatePool2', flags, 200, tag)).toMatchObject(raised(STATUS_QUOTA_EXCEEDED));
    expect(t.call('ExAllocatePool2', nonPagedFlag, 200, tag)).not.toBe(0);
  });

  it('is STATUS_INSUFFICIENT_RESOURCES where the machine itself has not that much', () => {
    const status = raised(STATUS_INSUFFICIENT_RESOURCES);
    expect(setUp().outcome('ExAllocatePoolWithQuotaTag', nonPagedNx, 0x1_0000_0000, tag)).toMatchObject(status);
  });

  it('is never charged to the System process', () => {
    const t = setUp(true);
    expect(t.call('ExAllocatePoolWithQuotaTag', nonPagedNx, 5000, tag)).not.toBe(0);
    expect(t.nt.poolQuota.usage).toMatchObject({ nonPagedBytes: 0 });
  });

  it('is charged for IRPs whose maker says so', () => {
    const t = setUp();
    const irp = t.call('IoAllocateIrp', 1, true);
    expect(t.nt.poolQuota.usage.nonPagedBytes).toBe(0xd0 + 0x48);
    expect(t.call('IoAllocateIrp', 11, true)).toBe(0);
    expect(t.call('IoAllocateIrp', 11, false)).not.toBe(0);
    t.call('IoFreeIrp', irp);
    expect(t.nt.poolQuota.usage.nonPagedBytes).toBe(0);
  });

  it('is not charged without the quota forms', () => {
    const t = setUp();
    t.call('ExAllocatePoolWithTag', nonPagedNx, 5000, tag);
    expect(t.nt.poolQuota.usage).toMatchObject({ nonPagedBytes: 0, pagedBytes: 0 });
  });
});
