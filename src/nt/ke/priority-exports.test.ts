import { describe, expect, it } from 'vitest';
import { GuestCode } from '../../../test/guest-code.ts';
import { Nt } from '../nt.ts';

const system = (code: GuestCode) => code.nt.processor.systemProcess;

describe('priorities', () => {
  const source = `
    waiter: enter
      call KeWaitForSingleObject(event, 0, 0, 0, 0)
      log 1
      leave
    setter: enter
      call KeSetEvent(event, 0, 0)
      call KeGetCurrentIrql()
      log 2
      leave
    raised: enter
      call KeRaiseIrqlToDpcLevel()
      call KeSetEvent(event, 0, 0)
      log 2
      call KeLowerIrql(0)
      log 3
      leave
    worker: enter
      log 7
      leave
    yields: enter
      log 5
      call ZwYieldExecution()
      log rax
      log 6
      leave`;

  it('lets a real-time thread that becomes ready run at once', () => {
    const code = new GuestCode(source, ['event']);
    code.call('KeInitializeEvent', code.at('event'), 1, 0);
    code.start('waiter', system(code), 16);
    code.run();
    code.start('setter', system(code), 8);
    expect(code.run()).toEqual([1, 2]);
  });

  it('keeps the processor at DISPATCH_LEVEL', () => {
    const code = new GuestCode(source, ['event']);
    code.call('KeInitializeEvent', code.at('event'), 1, 0);
    code.start('waiter', system(code), 20);
    code.run();
    code.start('raised', system(code), 8);
    expect(code.run()).toEqual([2, 1, 3]);
  });

  it('starts the higher one first', () => {
    const code = new GuestCode(source, ['event']);
    code.start('worker', system(code), 8);
    code.start('yields', system(code), 9);
    expect(code.run()).toEqual([5, 7, 0, 6]);
  });

  it('answers when nobody else is ready', () => {
    const code = new GuestCode(source, ['event']);
    expect(code.call('ZwYieldExecution')).toBe(0x4000_0024);
  });

  it('does not let a busy thread starve the others', () => {
    const code = new GuestCode(
      `
      busy: enter
      again:
        pause
        mov rax, flag
        mov eax, [rax]
        test eax, eax
        je again
        log 1
        leave
      helper: enter
        mov rax, flag
        mov ecx, 1
        mov [rax], ecx
        log 2
        leave`,
      ['flag', 'thread'],
    );
    code.start('busy', system(code), 12);
    code.start('helper', system(code), 8);
    expect(code.run()).toEqual([2, 1]);
  });

  it('boosts who waited, for some turns', () => {
    const code = new GuestCode(source, ['event']);
    const event = code.at('event');
    code.call('KeInitializeEvent', event, 1, 0);
    const thread = code.start('waiter', system(code), 8);
    code.run();
    code.nt.dispatcher.signal(event, 1, 6);
    expect(code.nt.scheduler.thread(thread).priority).toBe(14);
  });

  it('says what a thread has, and had', () => {
    const code = new GuestCode('', []);
    const { systemThread } = code.nt.scheduler;
    expect(code.call('KeQueryPriorityThread', systemThread)).toBe(12);
    expect(code.call('KeSetPriorityThread', systemThread, 16)).toBe(12);
    expect(code.call('KeQueryPriorityThread', systemThread)).toBe(16);
    expect(code.call('KeSetBasePriorityThread', systemThread, 2)).toBe(4);
    expect(code.call('KeQueryPriorityThread', systemThread)).toBe(10);
    expect(code.call('KeSetBasePriorityThread', systemThread, -16)).toBe(2);
    expect(code.call('KeQueryPriorityThread', systemThread)).toBe(1);
  });
});

describe('the seed', () => {
  it('says who is first among equals, the same each time', () => {
    const orders = [1, 2, 3, 4, 5, 6, 7, 8].map((seed) => {
      const nt = new Nt({ seed, instructionLimit: 1_000_000, ramBytes: 0x200_0000 });
      for (let id = 0; id < 4; id++) nt.scheduler.ready.add(-(id + 1) as never, 8);
      return [0, 1, 2, 3].map(() => nt.scheduler.ready.take()).join();
    });
    expect(new Set(orders).size).toBeGreaterThan(3);
  });
});
