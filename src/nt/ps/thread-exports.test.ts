import { beforeEach, describe, expect, it } from 'vitest';
import { GuestCode } from '../../../test/guest-code.ts';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { type Va, vaAdd } from '../../base/va.ts';

let kernel: KernelCaller;
beforeEach(() => {
  kernel = new KernelCaller();
});

describe('the running thread', () => {
  it.each(['PsGetCurrentProcess', 'IoGetCurrentProcess', 'PsGetCurrentThreadProcess'])('%s is its process', (name) => {
    const { nt } = kernel;
    expect(kernel.call(name)).toBe(nt.scheduler.currentThread.process);
    const at = nt.images.kernelExport('ntoskrnl.exe', 'PsInitialSystemProcess') as Va;
    expect(nt.memory.readVa(at)).toBe(kernel.call(name));
  });

  it('has a stack between its limits', () => {
    const code = new GuestCode(
      `
      thread: enter
        mov rbx, out
        mov [rbx+18h], rsp
        call IoGetInitialStack()
        mov [rbx+10h], rax
        mov rcx, rbx
        lea rdx, [rbx+8]
        mov rax, IoGetStackLimits
        call rax
        call ExGetPreviousMode()
        log rax
        leave`,
      ['out'],
    );
    code.start('thread');
    expect(code.run()).toEqual([0]);
    const [low, high, initial, rsp] = [0, 8, 16, 24].map((at) => code.nt.memory.readVa(vaAdd(code.at('out'), at)));
    expect(high).toBe(initial);
    expect((rsp as number) > (low as number) && (rsp as number) < (high as number)).toBe(true);
    expect((high as number) - (low as number)).toBeGreaterThanOrEqual(0x6000);
  });
});

describe('other threads and processes', () => {
  it.each([true, false])('are told by their object (system thread: %s)', (isSystem) => {
    const { nt } = kernel;
    const { requesterProcess, systemProcess } = nt.processor;
    const process = isSystem ? systemProcess : requesterProcess;
    const { kthread } = nt.scheduler.threads.create(process, isSystem);
    expect(kernel.call('IoThreadToProcess', kthread)).toBe(process);
    expect(kernel.call('PsGetThreadProcess', kthread)).toBe(process);
    expect(kernel.call('PsGetThreadProcessId', kthread)).toBe(kernel.call('PsGetProcessId', process));
    expect(kernel.call('IoIsSystemThread', kthread)).toBe(isSystem ? 1 : 0);
    expect(kernel.call('PsIsSystemThread', kthread)).toBe(isSystem ? 1 : 0);
  });

  it('have IDs that are multiples of 4; System is 4', () => {
    const { systemProcess, requesterProcess } = kernel.nt.processor;
    expect(kernel.call('PsGetProcessId', systemProcess)).toBe(4);
    const id = kernel.call('PsGetProcessId', requesterProcess);
    expect(id > 4 && id % 4 === 0).toBe(true);
  });

  it.each(['IoThreadToProcess', 'PsGetThreadProcess', 'PsGetThreadProcessId', 'PsGetProcessId', 'IoIsSystemThread'])(
    '%s does not answer about anything else',
    (name) => {
      const block = kernel.nt.pool.allocateKernel(0x40, 'Test');
      expect(kernel.outcome(name, block)).toMatchObject({ action: 'unsupported' });
    },
  );
});
