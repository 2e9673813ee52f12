import { beforeEach, expect, it } from 'vitest';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { nullVa, type Va } from '../../base/va.ts';
import { FAST_MUTEX } from '../structures/ke.ts';

let kernel: KernelCaller;
let mutex: Va;

beforeEach(() => {
  kernel = new KernelCaller();
  mutex = kernel.nt.pool.allocateKernel(FAST_MUTEX.sizeBytes, 'Test');
  kernel.call('KeInitializeGuardedMutex', mutex);
});

const owner = (): Va => FAST_MUTEX.Owner.get(kernel.nt.memory, mutex);
const apcsDisabled = (): number => kernel.call('KeAreAllApcsDisabled');
const irql = (): number => kernel.nt.cpu.state.irql;

it.each([
  ['ExAcquireFastMutexUnsafe', 'ExReleaseFastMutexUnsafe'],
  ['KeAcquireGuardedMutexUnsafe', 'KeReleaseGuardedMutexUnsafe'],
])('%s leaves IRQL and APCs as they are', (acquire, release) => {
  kernel.call(acquire, mutex);
  expect(owner()).toBe(kernel.nt.scheduler.currentThread.kthread);
  expect([irql(), apcsDisabled()]).toEqual([0, 0]);
  expect(kernel.outcome(acquire, mutex)).toMatchObject({ action: 'wait' });
  kernel.call(release, mutex);
  expect(owner()).toBe(nullVa);
});

it('a guarded mutex disables APCs without raising, only when it is acquired', () => {
  expect(kernel.call('KeTryToAcquireGuardedMutex', mutex)).toBe(1);
  expect([irql(), apcsDisabled()]).toEqual([0, 1]);
  expect(kernel.call('KeTryToAcquireGuardedMutex', mutex)).toBe(0);
  kernel.call('KeReleaseGuardedMutex', mutex);
  expect(apcsDisabled()).toBe(0);
});

it.each(['ExReleaseFastMutexUnsafe', 'KeReleaseGuardedMutexUnsafe'])('%s of a free mutex is told', (release) => {
  expect(kernel.outcome(release, mutex)).toMatchObject({ action: 'unsupported' });
});

it('KeAreAllApcsDisabled is true at APC_LEVEL and in guarded regions, not in critical ones', () => {
  kernel.call('KeEnterCriticalRegion');
  expect(apcsDisabled()).toBe(0);
  kernel.call('KeLeaveCriticalRegion');
  kernel.call('KeEnterGuardedRegion');
  expect(apcsDisabled()).toBe(1);
  kernel.call('KeLeaveGuardedRegion');
  kernel.nt.setIrql(1);
  expect(apcsDisabled()).toBe(1);
});
