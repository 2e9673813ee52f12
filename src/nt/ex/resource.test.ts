import { describe, expect, it } from 'vitest';
import { GuestCode } from '../../../test/guest-code.ts';
import { ERESOURCE } from '../structures/executive.ts';

const source = `
  writer: enter
    call ExEnterCriticalRegionAndAcquireResourceExclusive(resource)
    log 10
    call ExAcquireResourceSharedLite(resource, 1)
    log rax
    call KeDelayExecutionThread(0, 0, delay)
    call ExReleaseResourceLite(resource)
    log 11
    call ExReleaseResourceAndLeaveCriticalRegion(resource)
    leave
  reader: enter
    call KeEnterCriticalRegion()
    call ExAcquireResourceSharedLite(resource, 1)
    log 20
    call KeDelayExecutionThread(0, 0, delay)
    log 21
    call ExReleaseResourceLite(resource)
    call KeLeaveCriticalRegion()
    leave
  try: enter
    call ExAcquireResourceSharedLite(resource, 0)
    log rax
    call ExTryToAcquireResourceExclusiveLite(resource)
    log rax
    leave
  rundown: enter
    call ExWaitForRundownProtectionRelease(ref)
    log 30
    call ExAcquireRundownProtection(ref)
    log rax
    leave`;

function start(...labels: readonly string[]): GuestCode {
  const code = new GuestCode(source, ['resource', 'delay', 'ref']);
  code.nt.memory.writeU64(code.at('delay'), BigInt.asUintN(64, -10_000n));
  code.call('ExInitializeResourceLite', code.at('resource'));
  for (const label of labels) code.start(label);
  return code;
}

describe('resources', () => {
  it('has one writer, recursively, and lets the readers in together', () => {
    const code = start('writer', 'reader', 'reader');
    expect(code.run()).toEqual([10, 1, 11, 20, 20, 21, 21]);
    expect(ERESOURCE.ActiveCount.get(code.nt.memory, code.at('resource'))).toBe(0);
    expect(code.nt.end.value).toBeUndefined();
  });

  it('lets a writer wait for the readers, and new readers behind it', () => {
    const code = start('reader', 'writer', 'reader');
    expect(code.run()).toEqual([20, 21, 10, 1, 11, 20, 21]);
  });

  it('answers FALSE to who does not wait', () => {
    const code = start('reader', 'try');
    expect(code.run()).toEqual([20, 1, 0, 21]);
  });

  it('is released by an owner', () => {
    const code = start();
    expect(() => code.call('ExReleaseResourceLite', code.at('resource'))).toThrow('ended');
    expect(code.bugCheck?.slice(0, 2)).toEqual([0xe3, code.at('resource')]);
  });

  it('is known until it is deleted', () => {
    const code = start();
    expect([...code.nt.resources.all()]).toHaveLength(1);
    expect(code.call('ExDeleteResourceLite', code.at('resource'))).toBe(0);
    expect([...code.nt.resources.all()]).toHaveLength(0);
  });
});

describe('rundown protection', () => {
  it('waits for who has it, and gives it to nobody then', () => {
    const code = start();
    const ref = code.at('ref');
    code.call('ExInitializeRundownProtection', ref);
    expect(code.call('ExAcquireRundownProtection', ref)).toBe(1);
    expect(code.call('ExAcquireRundownProtectionEx', ref, 2)).toBe(1);
    code.start('rundown');
    expect(code.run()).toEqual([]);
    expect(code.call('ExAcquireRundownProtection', ref)).toBe(0);
    code.call('ExReleaseRundownProtectionEx', ref, 2);
    expect(code.run()).toEqual([]);
    code.call('ExReleaseRundownProtection', ref);
    expect(code.run()).toEqual([30, 0]);
    code.call('ExReInitializeRundownProtection', ref);
    expect(code.call('ExAcquireRundownProtection', ref)).toBe(1);
  });
});
