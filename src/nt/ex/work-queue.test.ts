import { describe, expect, it } from 'vitest';
import { GuestCode } from '../../../test/guest-code.ts';
import { WORK_QUEUE_ITEM } from '../structures/io-queues.ts';

function item(code: GuestCode, name: string, routine: string, parameter: bigint): void {
  WORK_QUEUE_ITEM.WorkerRoutine.set(code.nt.memory, code.at(name), code.at(routine));
  WORK_QUEUE_ITEM.Parameter.set(code.nt.memory, code.at(name), parameter);
}

const source = `
  logger: enter
    log rcx
    leave
  blocker: enter
    log rcx
    call KeWaitForSingleObject(event, 0, 0, 0, 0)
    log 100
    leave
  raiser: enter
    call KeRaiseIrqlToDpcLevel()
    leave
  queuer: enter
    call ExQueueWorkItem(first, 1)
    call ExQueueWorkItem(second, 1)
    log 0
    leave
  setter: enter
    call KeSetEvent(event, 0, 0)
    leave`;

const names = ['first', 'second', 'event'];

describe('work items', () => {
  it('run in the order in which they were queued', () => {
    const code = new GuestCode(source, names);
    item(code, 'first', 'logger', 1n);
    item(code, 'second', 'logger', 2n);
    code.start('queuer');
    expect(code.run()).toEqual([0, 1, 2]);
    expect(code.nt.workQueue.items).toEqual([]);
  });

  it('do not wait for one that blocks', () => {
    const code = new GuestCode(source, names);
    code.call('KeInitializeEvent', code.at('event'), 0, 0);
    item(code, 'first', 'blocker', 1n);
    item(code, 'second', 'logger', 2n);
    code.start('queuer');
    expect(code.run()).toEqual([0, 1, 2]);
    code.start('setter');
    expect(code.run()).toEqual([0, 1, 2, 100]);
  });

  it('can be queued again when they ran', () => {
    const code = new GuestCode(source, names);
    item(code, 'first', 'logger', 1n);
    code.call('ExQueueWorkItem', code.at('first'), 1);
    code.run();
    code.call('ExQueueWorkItem', code.at('first'), 1);
    expect(code.run()).toEqual([1, 1]);
  });

  it('are in one queue at a time', () => {
    const code = new GuestCode(
      `${source}
      twice: enter
        call ExQueueWorkItem(first, 1)
        call ExQueueWorkItem(first, 1)
        leave`,
      names,
    );
    item(code, 'first', 'logger', 1n);
    code.start('twice');
    code.run();
    expect(code.bugCheck?.slice(0, 3)).toEqual([0xe4, 1, code.at('first')]);
  });

  it('return at PASSIVE_LEVEL', () => {
    const code = new GuestCode(source, names);
    item(code, 'first', 'raiser', 1n);
    code.call('ExQueueWorkItem', code.at('first'), 1);
    code.run();
    expect(code.bugCheck?.slice(0, 3)).toEqual([0xe1, code.at('raiser'), 2]);
  });
});

describe('the priority of work', () => {
  it('is that of its queue, and more urgent items go first', () => {
    const code = new GuestCode(
      `
      work: enter
        mov rbx, rcx
        call KeGetCurrentThread()
        call KeQueryPriorityThread(rax)
        log rax
        leave
      all: enter
        call KeRaiseIrqlToDpcLevel()
        call ExQueueWorkItem(normal, 3)
        call ExQueueWorkItem(critical, 0)
        call ExQueueWorkItem(custom, 36)
        call ExQueueWorkItem(delayed, 1)
        call KeLowerIrql(0)
        leave`,
      ['normal', 'critical', 'custom', 'delayed'],
    );
    for (const name of ['normal', 'critical', 'custom', 'delayed']) {
      code.nt.memory.writeVa((code.at(name) + 0x10) as never, code.at('work'));
    }
    code.start('all', code.nt.processor.systemProcess, 8);
    expect(code.run()).toEqual([13, 12, 8, 4]);
  });
});
