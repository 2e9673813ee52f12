import { describe, expect, it } from 'vitest';
import { GuestCode } from '../../../test/guest-code.ts';

const second = 10_000_000;

/** A DPC routine that logs its system argument, and the IRQL at which it runs. */
const dpcRoutine = `
  routine: enter
    mov rbx, r8
    call KeGetCurrentIrql()
    log rax
    log rbx
    leave`;

describe('DPCs', () => {
  it('runs at once below DISPATCH_LEVEL, at DISPATCH_LEVEL', () => {
    const code = new GuestCode(
      `${dpcRoutine}
      thread: enter
        call KeInsertQueueDpc(dpc, 5, 6)
        log rax
        leave`,
      ['dpc'],
    );
    code.call('KeInitializeDpc', code.at('dpc'), code.at('routine'), 1);
    code.start('thread');
    // The DPC interrupts the thread where the call returns.
    expect(code.run()).toEqual([2, 5, 1]);
  });

  it('waits while the IRQL is raised, is queued once, and can be taken back', () => {
    const code = new GuestCode(
      `${dpcRoutine}
      thread: enter
        call KeRaiseIrqlToDpcLevel()
        call KeInsertQueueDpc(dpc, 5, 6)
        log rax
        call KeInsertQueueDpc(dpc, 7, 8)
        log rax
        call KeInsertQueueDpc(other, 9, 10)
        call KeRemoveQueueDpc(other)
        log rax
        call KeRemoveQueueDpc(other)
        log rax
        call KeLowerIrql(0)
        log 99
        leave`,
      ['dpc', 'other'],
    );
    for (const dpc of ['dpc', 'other']) code.call('KeInitializeDpc', code.at(dpc), code.at('routine'), 0);
    code.start('thread');
    expect(code.run()).toEqual([1, 0, 1, 0, 2, 5, 99]);
  });

  it('puts important ones first', () => {
    const code = new GuestCode(
      `${dpcRoutine}
      thread: enter
        call KeRaiseIrqlToDpcLevel()
        call KeInsertQueueDpc(dpc, 1, 0)
        call KeInsertQueueDpc(other, 2, 0)
        call KeLowerIrql(0)
        leave`,
      ['dpc', 'other'],
    );
    for (const dpc of ['dpc', 'other']) code.call('KeInitializeDpc', code.at(dpc), code.at('routine'), 0);
    code.call('KeSetImportanceDpc', code.at('other'), 2);
    code.start('thread');
    expect(code.run()).toEqual([2, 2, 2, 1]);
  });

  it('has no second processor to run on', () => {
    const code = new GuestCode(dpcRoutine, ['dpc']);
    code.call('KeInitializeDpc', code.at('dpc'), code.at('routine'), 0);
    code.call('KeSetTargetProcessorDpc', code.at('dpc'), 0);
    expect(code.call('KeInsertQueueDpc', code.at('dpc'), 1, 2)).toBe(1);
    code.call('KeSetTargetProcessorDpc', code.at('dpc'), 1);
    expect(() => code.call('KeInsertQueueDpc', code.at('dpc'), 1, 2)).toThrow('ended');
    expect(code.bugCheck).toEqual([0xc7, 3, code.at('dpc'), 1, 1]);
  });
});

describe('timers', () => {
  it('is signalled when due; notification timers stay so', () => {
    const code = new GuestCode('', ['timer', 'timeout']);
    const { clock } = code.nt;
    for (const [type, after] of [
      [0, 1],
      [1, 0],
    ] as const) {
      code.call('KeInitializeTimerEx', code.at('timer'), type);
      const start = clock.interruptTime;
      expect(code.call('KeSetTimer', code.at('timer'), -2 * second, 0)).toBe(0);
      expect(code.call('KeReadStateTimer', code.at('timer'))).toBe(0);
      expect(code.call('KeWaitForSingleObject', code.at('timer'), 0, 0, 0, 0)).toBe(0);
      expect(clock.interruptTime - start).toBe(2 * second);
      expect(code.call('KeReadStateTimer', code.at('timer'))).toBe(after);
    }
  });

  it('takes absolute system time', () => {
    const code = new GuestCode('', ['timer']);
    const { clock } = code.nt;
    code.call('KeInitializeTimer', code.at('timer'));
    const start = clock.interruptTime;
    const due = clock.systemTime + BigInt(3 * second);
    code.call('KeSetTimer', code.at('timer'), due, 0);
    code.call('KeWaitForSingleObject', code.at('timer'), 0, 0, 0, 0);
    expect(clock.interruptTime - start).toBe(3 * second);
  });

  it('queues its DPC each period until it is cancelled', () => {
    const code = new GuestCode(
      `
      routine: enter
        inc dword ptr [rdx]
        cmp dword ptr [rdx], 3
        jne done
        call KeCancelTimer(timer)
        log rax
        done: leave`,
      ['timer', 'dpc', 'count'],
    );
    const { clock } = code.nt;
    code.call('KeInitializeTimer', code.at('timer'));
    code.call('KeInitializeDpc', code.at('dpc'), code.at('routine'), code.at('count'));
    const start = clock.interruptTime;
    code.call('KeSetTimerEx', code.at('timer'), -second, 500, code.at('dpc'));
    expect(code.run()).toEqual([1]);
    expect(clock.interruptTime - start).toBe(2 * second);
    expect(code.nt.memory.readU32(code.at('count'))).toBe(3);
    expect(code.call('KeCancelTimer', code.at('timer'))).toBe(0);
  });

  it('starts anew when it is set again', () => {
    const code = new GuestCode('', ['timer']);
    code.call('KeInitializeTimer', code.at('timer'));
    expect(code.call('KeSetTimer', code.at('timer'), -second, 0)).toBe(0);
    const start = code.nt.clock.interruptTime;
    expect(code.call('KeSetCoalescableTimer', code.at('timer'), -5 * second, 0, 100, 0)).toBe(1);
    code.call('KeWaitForSingleObject', code.at('timer'), 0, 0, 0, 0);
    expect(code.nt.clock.interruptTime - start).toBe(5 * second);
  });
});

describe('time', () => {
  it('passes while the processor stalls, on every clock', () => {
    const code = new GuestCode('', ['time']);
    const { memory } = code.nt;
    const counter = code.call('KeQueryPerformanceCounter', code.at('time'));
    expect(memory.readU64(code.at('time'))).toBe(10_000_000n);
    code.call('KeQuerySystemTimePrecise', code.at('time'));
    const system = memory.readU64(code.at('time'));
    code.call('KeStallExecutionProcessor', 50);
    expect(code.call('KeQueryPerformanceCounter', 0) - counter).toBe(500);
    code.call('KeQuerySystemTimePrecise', code.at('time'));
    expect(memory.readU64(code.at('time')) - system).toBe(500n);
  });
});
