import { describe, expect, it } from 'vitest';
import { GuestCode } from '../../../test/guest-code.ts';
import { KernelCaller } from '../../../test/kernel-caller.ts';

const source = `
  writer: enter
    call ExfAcquirePushLockExclusive(lock)
    log 10
    call KeDelayExecutionThread(0, 0, delay)
    log 11
    call ExfReleasePushLock(lock)
    leave
  reader: enter
    call ExfAcquirePushLockShared(lock)
    log 20
    call KeDelayExecutionThread(0, 0, delay)
    log 21
    call ExfReleasePushLockShared(lock)
    leave`;

function run(...labels: string[]): GuestCode {
  const code = new GuestCode(source, ['lock', 'delay']);
  code.nt.memory.writeU64(code.at('delay'), BigInt.asUintN(64, -10_000n));
  for (const label of labels) code.start(label);
  code.run();
  return code;
}

describe('push locks', () => {
  it('have one writer, or many readers', () => {
    const code = run('writer', 'reader', 'reader');
    expect(code.logged).toEqual([10, 11, 20, 20, 21, 21]);
    expect(code.nt.memory.readU64(code.at('lock'))).toBe(0n);
    expect(run('reader', 'writer', 'reader').logged).toEqual([20, 21, 10, 11, 20, 21]);
  });

  it('disable kernel APCs in the forms with flags', () => {
    const code = new GuestCode(
      `
      both: enter
        call ExAcquirePushLockExclusiveEx(lock, 0)
        call KeAreApcsDisabled()
        log rax
        call ExReleasePushLockExclusiveEx(lock, 0)
        call KeAreApcsDisabled()
        log rax
        leave`,
      ['lock'],
    );
    code.start('both');
    expect(code.run()).toEqual([1, 0]);
  });

  it('end the run if one is released that nobody holds', () => {
    const code = new GuestCode(source, ['lock', 'delay']);
    expect(() => code.call('ExfReleasePushLock', code.at('lock'))).toThrow('ended');
    expect(code.nt.end.value).toMatchObject({ kind: 'unsupported' });
  });
});

it.each([
  ['ExAcquirePushLockSharedEx', 'ExReleasePushLockSharedEx'],
  ['ExAcquirePushLockSharedEx', 'ExReleasePushLockEx'],
  ['ExAcquirePushLockExclusiveEx', 'ExReleasePushLockEx'],
])('%s enters a critical region, which %s leaves', (acquire, release) => {
  const kernel = new KernelCaller();
  const lock = kernel.nt.pool.allocateKernel(8, 'Test');
  kernel.call('ExInitializePushLock', lock);
  kernel.call(acquire, lock, 0);
  const other = kernel.outcome('ExfAcquirePushLockExclusive', lock);
  expect(other).toMatchObject({ action: 'wait' });
  expect(kernel.call('KeAreApcsDisabled')).toBe(1);
  kernel.call(release, lock, 0);
  expect(kernel.call('KeAreApcsDisabled')).toBe(0);
});

it('ExfReleasePushLockExclusive leaves a lock that ExfTryToWakePushLock need not wake anybody of', () => {
  const kernel = new KernelCaller();
  const lock = kernel.nt.pool.allocateKernel(8, 'Test');
  kernel.call('ExInitializePushLock', lock);
  kernel.call('ExfAcquirePushLockExclusive', lock);
  kernel.call('ExfReleasePushLockExclusive', lock);
  kernel.call('ExfTryToWakePushLock', lock);
  expect(kernel.nt.memory.readU64(lock)).toBe(0n);
  expect(kernel.outcome('ExReleasePushLockSharedEx', lock, 0)).toMatchObject({ action: 'unsupported' });
});
