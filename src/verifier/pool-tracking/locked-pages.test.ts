import { describe, expect, it } from 'vitest';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { type Va, vaAdd } from '../../base/va.ts';
import { BugCheck } from '../../nt/declare/bug-check.ts';
import { endProcess } from '../../nt/ps/process-end.ts';
import { LockedPages } from './locked-pages.ts';

const [userMode, writeAccess] = [1, 1];

function lockUserPages(t: KernelCaller, bytes: number): Va {
  const mdl = t.callVa('IoAllocateMdl', t.nt.userMemory.allocate(bytes), bytes, false, false, 0);
  t.call('MmProbeAndLockPages', mdl, userMode, writeAccess);
  return mdl;
}

function end(t: KernelCaller): BugCheck | undefined {
  try {
    endProcess(t.nt, t.nt.processor.requesterProcess);
    return undefined;
  } catch (thrown) {
    if (thrown instanceof BugCheck) return thrown;
    throw thrown;
  }
}

describe('pages that are locked when their process ends', () => {
  it('are 0xCB with the record of the lock, the MDL and the number of pages', () => {
    const t = new KernelCaller();
    new LockedPages(t.nt);
    const mdl = lockUserPages(t, 0x1800);
    const pages = t.nt.mdls.locks.of(mdl)?.pages;
    const bugCheck = end(t);
    expect([bugCheck?.code, ...(bugCheck?.parameters.slice(1) ?? [])]).toEqual([0xcb, 0, mdl, pages]);
    const record = bugCheck?.parameters[0] as Va;
    expect(t.nt.memory.readVa(record)).toBe(mdl);
    expect(t.nt.memory.readVa(vaAdd(record, 8))).toBe(t.nt.processor.requesterProcess);
  });

  it('are 0x76 with the process and all of its locked pages, without Pool tracking', () => {
    const t = new KernelCaller();
    const pages = [0x1000, 0x3000].map((bytes) => t.nt.mdls.locks.of(lockUserPages(t, bytes))?.pages ?? 0);
    expect(end(t)).toMatchObject({
      code: 0x76,
      parameters: [0, t.nt.processor.requesterProcess, (pages[0] as number) + (pages[1] as number), 0],
    });
  });

  it('include those whose MDL was freed', () => {
    const t = new KernelCaller();
    new LockedPages(t.nt);
    const mdl = lockUserPages(t, 0x1000);
    t.call('IoFreeMdl', mdl);
    expect(end(t)).toMatchObject({ code: 0xcb });
  });

  it('are no matter once they are unlocked, nor are pages of system memory', () => {
    const t = new KernelCaller();
    new LockedPages(t.nt);
    const mdl = lockUserPages(t, 0x1000);
    t.call('MmUnlockPages', mdl);
    const buffer = t.callVa('ExAllocatePoolWithTag', 0x200, 0x100, 0x7473_6554);
    const kernelMdl = t.callVa('IoAllocateMdl', buffer, 0x100, false, false, 0);
    t.call('MmProbeAndLockPages', kernelMdl, 0, writeAccess);
    expect(end(t)).toBeUndefined();
    expect([...t.nt.mdls.outstandingLocks()]).toHaveLength(1);
  });
});
