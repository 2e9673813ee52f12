import { describe, expect, it } from 'vitest';
import { GuestCode } from '../../../test/guest-code.ts';
import type { Va } from '../../base/va.ts';
import { KAPC } from '../structures/ke.ts';

const source = `
  kernel: enter
    call KeGetCurrentIrql()
    log rax
    leave
  normal: enter
    log 10
    log rcx
    log rdx
    log r8
    call KeGetCurrentIrql()
    log rax
    leave
  replaced: enter
    mov r10, 0
    mov [rdx], r10
    log 11
    leave
  guarded: enter
    call KeEnterGuardedRegion()
    call KeInsertQueueApc(apc, 0, 0, 0)
    log rax
    call KeLeaveGuardedRegion()
    log 2
    leave
  critical: enter
    call KeEnterCriticalRegion()
    call KeInsertQueueApc(apc, 0, 0, 0)
    log 1
    call KeLeaveCriticalRegion()
    log 2
    leave
  raised: enter
    call KfRaiseIrql(1)
    call KeInsertQueueApc(apc, 0, 0, 0)
    log 1
    call KeInsertQueueApc(apc, 0, 0, 0)
    log rax
    call KeLowerIrql(0)
    log 2
    leave
  twice: enter
    call KfRaiseIrql(1)
    call KeInsertQueueApc(apc, 7, 8, 0)
    call KeInsertQueueApc(special, 0, 0, 0)
    call KeLowerIrql(0)
    log 2
    leave
  ends: enter
    call PsTerminateSystemThread(0)
    leave
  waiter: enter
    call KeWaitForSingleObject(event, 0, 0, 0, 0)
    log rax
    leave
  alertable: enter
    call KeWaitForSingleObject(event, 0, 0, 1, 0)
    log rax
    leave
  usermode: enter
    call KeWaitForSingleObject(event, 0, 1, 1, 0)
    log rax
    leave`;

type Kind = { readonly normal?: string; readonly kernel?: string; readonly mode?: number };

function prepare(thread: (code: GuestCode) => Va, kind: Kind = {}): GuestCode {
  const code = new GuestCode(source, ['apc', 'special', 'event']);
  code.call('KeInitializeEvent', code.at('event'), 1, 0);
  const normal = kind.normal === undefined ? 0 : code.at(kind.normal);
  const target = thread(code);
  code.call(
    'KeInitializeApc',
    code.at('apc'),
    target,
    0,
    code.at(kind.kernel ?? 'kernel'),
    0,
    normal,
    kind.mode ?? 0,
    6,
  );
  code.call('KeInitializeApc', code.at('special'), target, 0, code.at('kernel'), 0, 0, 0, 0);
  return code;
}

/** A thread that is created before its code starts, so that its APC can be prepared. */
function selfTargeted(label: string, kind: Kind = {}): GuestCode {
  const code = prepare((made) => made.nt.scheduler.threads.create(made.nt.processor.systemProcess, true).kthread, kind);
  const thread = KAPC.Thread.get(code.nt.memory, code.at('apc'));
  code.nt.scheduler.start(thread, code.at(label), []);
  return code;
}

describe('kernel APCs', () => {
  it('run at APC_LEVEL, before what queued them goes on', () => {
    const code = selfTargeted('guarded');
    expect(code.run()).toEqual([1, 1, 2]);
    expect(KAPC.Inserted.get(code.nt.memory, code.at('apc'))).toBe(0);
    expect([...code.nt.apcs.queued()]).toEqual([]);
  });

  it('wait for the end of APC_LEVEL, and are queued once', () => {
    expect(selfTargeted('raised').run()).toEqual([1, 0, 1, 2]);
  });

  it('run in a critical region if they are special, and after it if they are normal', () => {
    expect(selfTargeted('critical').run()).toEqual([1, 1, 2]);
    expect(selfTargeted('critical', { normal: 'normal' }).run()).toEqual([1, 1, 10, 6, 0, 0, 0, 2]);
  });

  it('run special ones first, and normal routines at PASSIVE_LEVEL with their three arguments', () => {
    const { run } = { run: () => selfTargeted('twice', { normal: 'normal' }).run() };
    expect(run()).toEqual([1, 1, 10, 6, 7, 8, 0, 2]);
  });

  it('interrupt a wait, which goes on', () => {
    const code = prepare((made) => made.start('waiter'));
    code.run();
    expect(code.call('KeInsertQueueApc', code.at('apc'), 0, 0, 0)).toBe(1);
    expect(code.run()).toEqual([1]);
    const thread = KAPC.Thread.get(code.nt.memory, code.at('apc'));
    expect(code.nt.scheduler.thread(thread)).toMatchObject({ state: 'waiting' });
    code.call('KeSetEvent', code.at('event'), 0, 0);
    expect(code.run()).toEqual([1, 0]);
  });

  it('reach a thread that rests in its program', () => {
    const code = prepare((made) => made.nt.scheduler.requester);
    expect(code.call('KeInsertQueueApc', code.at('apc'), 0, 0, 0)).toBe(1);
    expect(code.run()).toEqual([1]);
    expect(code.nt.scheduler.thread(code.nt.scheduler.requester).state).toBe('idle');
  });

  it('can be taken back', () => {
    const code = prepare((made) => made.start('waiter'));
    code.run();
    const thread = KAPC.Thread.get(code.nt.memory, code.at('apc'));
    code.nt.scheduler.update(thread, { specialApcDisable: -1 });
    code.call('KeInsertQueueApc', code.at('apc'), 0, 0, 0);
    expect(code.call('KeRemoveQueueApc', code.at('apc'))).toBe(1);
    expect(code.call('KeRemoveQueueApc', code.at('apc'))).toBe(0);
    expect(code.run()).toEqual([]);
  });

  it('are refused for a thread that has ended', () => {
    const code = selfTargeted('ends');
    code.nt.objects.reference(KAPC.Thread.get(code.nt.memory, code.at('apc')));
    code.run();
    expect(code.call('KeInsertQueueApc', code.at('apc'), 0, 0, 0)).toBe(0);
  });
});

describe('user APCs', () => {
  it('end an alertable wait of user mode, and no other', () => {
    const kind = { normal: 'normal', kernel: 'replaced', mode: 1 };
    const wait = (label: string): GuestCode => {
      const code = prepare((made) => made.start(label), kind);
      code.run();
      expect(code.call('KeInsertQueueApc', code.at('apc'), 0, 0, 0)).toBe(1);
      code.run();
      return code;
    };
    expect(wait('usermode').logged).toEqual([0xc0, 11]);
    expect(wait('alertable').logged).toEqual([]);
    expect(wait('waiter').logged).toEqual([]);
  });

  it('run their kernel routine when the thread goes back to its program; code of the program is not run', () => {
    for (const [kernel, ended] of [
      ['replaced', undefined],
      ['kernel', 'unsupported'],
    ] as const) {
      const code = prepare((made) => made.nt.scheduler.requester, { normal: 'normal', kernel, mode: 1 });
      const { scheduler } = code.nt;
      code.call('KeInsertQueueApc', code.at('apc'), 0, 0, 0);
      expect(code.run()).toEqual([]);
      scheduler.start(scheduler.requester, code.at('usermode'), []);
      expect(code.run()).toEqual(kernel === 'replaced' ? [0xc0, 11] : [0xc0, 1]);
      expect(code.nt.end.value?.kind).toBe(ended);
      expect(scheduler.thread(scheduler.requester).state).toBe(ended === undefined ? 'idle' : 'running');
    }
  });
});

describe('alerts', () => {
  it('end an alertable wait, or the next one', () => {
    const code = prepare((made) => made.start('alertable'));
    code.run();
    const thread = KAPC.Thread.get(code.nt.memory, code.at('apc'));
    expect(code.call('KeAlertThread', thread, 0)).toBe(0);
    expect(code.run()).toEqual([0x101]);
    const { systemThread } = code.nt.scheduler;
    expect(code.call('KeAlertThread', systemThread, 0)).toBe(0);
    expect(code.call('KeAlertThread', systemThread, 0)).toBe(1);
    expect(code.call('KeWaitForSingleObject', code.at('event'), 0, 0, 1, 0)).toBe(0x101);
    code.call('KeAlertThread', systemThread, 0);
    expect(code.call('KeTestAlertThread', 0)).toBe(1);
    expect(code.call('KeTestAlertThread', 0)).toBe(0);
  });

  it('leave other waits alone', () => {
    const code = prepare((made) => made.start('waiter'));
    code.run();
    code.call('KeAlertThread', KAPC.Thread.get(code.nt.memory, code.at('apc')), 0);
    expect(code.run()).toEqual([]);
  });
});
