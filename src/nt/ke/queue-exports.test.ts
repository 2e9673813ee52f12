import { describe, expect, it } from 'vitest';
import { GuestCode } from '../../../test/guest-code.ts';
import { vaAdd, vaLow } from '../../base/va.ts';

const source = `
  worker: enter
    call KeRemoveQueue(queue, 0, 0)
    log rax
    leave
  impatient: enter
    call KeRemoveQueue(queue, 0, zero)
    log rax
    leave`;

describe('kernel queues', () => {
  const prepare = (): { code: GuestCode; entries: number[]; queue: number } => {
    const code = new GuestCode(source, ['queue', 'entries', 'zero']);
    code.call('KeInitializeQueue', code.at('queue'), 0);
    return { code, queue: code.at('queue'), entries: [0, 16, 32].map((offset) => vaAdd(code.at('entries'), offset)) };
  };

  it('hand entries out in order, and from the head if inserted there', () => {
    const { code, queue, entries } = prepare();
    const [a, b, c] = entries as [number, number, number];
    expect(code.call('KeInsertQueue', queue, a)).toBe(0);
    expect(code.call('KeInsertQueue', queue, b)).toBe(1);
    expect(code.call('KeInsertHeadQueue', queue, c)).toBe(2);
    expect(code.call('KeReadStateQueue', queue)).toBe(3);
    expect([1, 2, 3].map(() => code.call('KeRemoveQueue', queue, 0, 0))).toEqual([c, a, b]);
    expect(code.call('KeReadStateQueue', queue)).toBe(0);
  });

  it('let threads wait for an entry, and only one of them have it', () => {
    const { code, queue, entries } = prepare();
    code.start('worker');
    code.start('worker');
    expect(code.run()).toEqual([]);
    code.call('KeInsertQueue', queue, entries[0] as number);
    expect(code.run()).toEqual([vaLow(entries[0] as never)]);
    expect([...code.nt.scheduler.all()].filter(({ state }) => state === 'waiting')).toHaveLength(1);
  });

  it('answer with the status of a wait that ended without one', () => {
    const { code } = prepare();
    code.start('impatient');
    expect(code.run()).toEqual([0x102]);
  });

  it('are run down to the entries that are left', () => {
    const { code, queue, entries } = prepare();
    expect(code.call('KeRundownQueue', queue)).toBe(0);
    for (const entry of entries) code.call('KeInsertQueue', queue, entry);
    expect(code.call('KeRundownQueue', queue)).toBe(entries[0]);
    expect(code.nt.memory.readVa(entries[2] as never)).toBe(entries[0]);
    expect(code.call('KeReadStateQueue', queue)).toBe(0);
  });
});

describe('stack callouts', () => {
  it('let the stack grow while the routine runs, as far as asked', () => {
    const code = new GuestCode(
      `
      deep: enter
        log 1
        mov rax, rsp
        sub rax, 0c000h
        mov qword ptr [rax], 5
        log 2
        leave
      caller: enter
        call KeExpandKernelStackAndCallout(deep, 0, size)
        log rax
        leave`.replace('size', '0xf000'),
      [],
    );
    const thread = code.start('caller');
    const { stackLimit } = code.nt.scheduler.thread(thread);
    expect(code.run()).toEqual([1, 2, 0]);
    expect(code.nt.scheduler.thread(thread).stackLimit).toBe(stackLimit);
    expect(code.call('KeExpandKernelStackAndCallout', code.at('deep'), 0, 0x2_0000) >>> 0).toBe(0xc000_00f1);
  });
});

describe('calls on every processor', () => {
  const source = `
    routine: enter
      call KeGetCurrentIrql()
      log rax
      mov eax, 77
      leave
    dpc: enter
      mov rbx, r8
      mov rdi, r9
      log rdx
      call KeGetCurrentIrql()
      log rax
      call KeSignalCallDpcSynchronize(rdi)
      log rax
      call KeSignalCallDpcDone(rbx)
      leave`;

  it('run once, at their IRQL', () => {
    const code = new GuestCode(source);
    expect(code.call('KeIpiGenericCall', code.at('routine'), 0)).toBe(77);
    code.call('KeGenericCallDpc', code.at('dpc'), 5);
    expect(code.logged).toEqual([14, 5, 2, 1]);
    expect(code.nt.cpu.state.irql).toBe(0);
  });
});
