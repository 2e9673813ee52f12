import { describe, expect, it } from 'vitest';
import { GuestCode } from '../../../test/guest-code.ts';
import { vaAdd } from '../../base/va.ts';
import { DISPATCHER_HEADER, FAST_MUTEX } from '../structures/ke.ts';

const secondsAgo = -10_000_000n;

describe('events', () => {
  const waiters = (type: number, change: string): GuestCode => {
    const code = new GuestCode(
      `
      waiter: enter
        call KeWaitForSingleObject(event, 0, 0, 0, 0)
        log rax
        leave
      setter: enter
        ${change}
        log rax
        leave`,
      ['event'],
    );
    code.call('KeInitializeEvent', code.at('event'), type, 0);
    code.start('waiter');
    code.start('waiter');
    code.run();
    code.start('setter');
    return code;
  };

  it('lets everybody through a notification event, and stays set', () => {
    const code = waiters(0, 'call KeSetEvent(event, 0, 0)');
    // The setter goes on first: no wait ends inside KeSetEvent.
    expect(code.run()).toEqual([0, 0, 0]);
    expect(code.call('KeReadStateEvent', code.at('event'))).toBe(1);
  });

  it('lets one through a synchronization event, and is reset by that', () => {
    const code = waiters(1, 'call KeSetEvent(event, 0, 0)');
    expect(code.run()).toEqual([0, 0]);
    expect(code.call('KeReadStateEvent', code.at('event'))).toBe(0);
    expect([...code.nt.scheduler.all()].filter(({ state }) => state === 'waiting')).toHaveLength(1);
  });

  it('pulses: whoever waits goes on, and the event is not set', () => {
    const code = waiters(0, 'call KePulseEvent(event, 0, 0)');
    expect(code.run()).toEqual([0, 0, 0]);
    expect(code.call('KeReadStateEvent', code.at('event'))).toBe(0);
  });

  it('answers with the state before', () => {
    const code = new GuestCode('', ['event']);
    const event = code.at('event');
    code.call('KeInitializeEvent', event, 0, 1);
    expect(code.call('KeSetEvent', event, 0, 0)).toBe(1);
    expect(code.call('KeResetEvent', event)).toBe(1);
    expect(code.call('KeResetEvent', event)).toBe(0);
    code.call('KeSetEvent', event, 0, 0);
    code.call('KeClearEvent', event);
    expect(code.call('KeReadStateEvent', event)).toBe(0);
  });

  it('keeps the processor from Wait = TRUE to the wait', () => {
    const code = new GuestCode(
      `
      both: enter
        call KeSetEvent(first, 0, 1)
        call KeGetCurrentIrql()
        log rax
        call KeWaitForSingleObject(first, 0, 0, 0, 0)
        log rax
        call KeGetCurrentIrql()
        log rax
        leave`,
      ['first'],
    );
    code.call('KeInitializeEvent', code.at('first'), 1, 0);
    code.start('both');
    expect(code.run()).toEqual([2, 0, 0]);
  });
});

describe('waits', () => {
  it('times out when its time has come', () => {
    const code = new GuestCode('', ['event', 'timeout']);
    code.call('KeInitializeEvent', code.at('event'), 0, 0);
    code.nt.memory.writeU64(code.at('timeout'), BigInt.asUintN(64, secondsAgo));
    const before = code.nt.clock.interruptTime;
    expect(code.call('KeWaitForSingleObject', code.at('event'), 0, 0, 0, code.at('timeout'))).toBe(0x102);
    expect(code.nt.clock.interruptTime - before).toBe(10_000_000);
    code.nt.memory.writeU64(code.at('timeout'), 0n);
    expect(code.call('KeWaitForSingleObject', code.at('event'), 0, 0, 0, code.at('timeout'))).toBe(0x102);
    expect(code.nt.clock.interruptTime - before).toBe(10_000_000);
  });

  it('waits for all or for any', () => {
    const code = new GuestCode('', ['array', 'a', 'b', 'timeout']);
    const [a, b, array] = [code.at('a'), code.at('b'), code.at('array')];
    for (const event of [a, b]) code.call('KeInitializeEvent', event, 1, 0);
    code.nt.memory.writeVa(array, a);
    code.nt.memory.writeVa(vaAdd(array, 8), b);
    code.call('KeSetEvent', b, 0, 0);
    const wait = (type: number): number =>
      code.call('KeWaitForMultipleObjects', 2, array, type, 0, 0, 0, code.at('timeout'), 0);
    expect(wait(0)).toBe(0x102);
    expect(code.call('KeReadStateEvent', b)).toBe(1);
    expect(wait(1)).toBe(1);
    expect(code.call('KeReadStateEvent', b)).toBe(0);
    code.call('KeSetEvent', a, 0, 0);
    code.call('KeSetEvent', b, 0, 0);
    expect(wait(0)).toBe(0);
    expect(wait(1)).toBe(0x102);
  });

  it('stops the machine for more objects than a thread has wait blocks', () => {
    const code = new GuestCode('', ['array']);
    expect(() => code.call('KeWaitForMultipleObjects', 4, code.at('array'), 1, 0, 0, 0, 0, 0)).toThrow('ended');
    expect(code.bugCheck?.[0]).toBe(0x0c);
  });

  it('stops the machine when it would have to block at DISPATCH_LEVEL', () => {
    const code = new GuestCode(
      `
      raised: enter
        call KeRaiseIrqlToDpcLevel()
        call KeWaitForSingleObject(event, 0, 0, 0, 0)
        leave`,
      ['event'],
    );
    code.call('KeInitializeEvent', code.at('event'), 0, 0);
    code.start('raised');
    code.run();
    expect(code.bugCheck?.[0]).toBe(0xb8);
  });

  it('refuses what is no dispatcher object', () => {
    const code = new GuestCode('', ['nothing']);
    DISPATCHER_HEADER.Type.set(code.nt.memory, code.at('nothing'), 0x55);
    expect(() => code.call('KeWaitForSingleObject', code.at('nothing'), 0, 0, 0, 0)).toThrow('ended');
    expect(code.bugCheck?.[0]).toBe(0x0a);
  });
});

describe('mutexes', () => {
  it('is owned recursively, disables APCs, and goes to the next', () => {
    const code = new GuestCode(
      `
      owner: enter
        call KeWaitForSingleObject(mutex, 0, 0, 0, 0)
        call KeWaitForSingleObject(mutex, 0, 0, 0, 0)
        call KeAreApcsDisabled()
        log rax
        call KeDelayExecutionThread(0, 0, delay)
        call KeReleaseMutex(mutex, 0)
        log rax
        call KeReleaseMutex(mutex, 0)
        log rax
        call KeAreApcsDisabled()
        log rax
        leave
      next: enter
        call KeWaitForMutexObject(mutex, 0, 0, 0, 0)
        log 77
        call KeReleaseMutex(mutex, 0)
        leave`,
      ['mutex', 'delay'],
    );
    code.nt.memory.writeU64(code.at('delay'), BigInt.asUintN(64, secondsAgo));
    code.call('KeInitializeMutex', code.at('mutex'), 0);
    code.start('owner');
    code.start('next');
    expect(code.run()).toEqual([1, 0xffff_ffff, 0, 0, 77]);
    expect(code.call('KeReadStateMutex', code.at('mutex'))).toBe(1);
    expect(code.nt.end.value).toBeUndefined();
  });

  it('raises for a thread that does not own it', () => {
    const code = new GuestCode('', ['mutex']);
    code.call('KeInitializeMutex', code.at('mutex'), 0);
    expect(() => code.call('KeReleaseMutex', code.at('mutex'), 0)).toThrow('ended');
    // Nobody catches it in a system thread.
    expect(code.bugCheck?.slice(0, 2)).toEqual([0x7e, 0xc000_0046 | 0]);
  });

  it('stops the machine when its owner ends', () => {
    const code = new GuestCode(
      `
      owner: enter
        call KeWaitForSingleObject(mutex, 0, 0, 0, 0)
        call PsTerminateSystemThread(0)
        leave`,
      ['mutex'],
    );
    code.call('KeInitializeMutex', code.at('mutex'), 0);
    const thread = code.start('owner');
    code.run();
    expect(code.bugCheck).toEqual([0x4000_008a, thread, code.at('mutex'), 0, 0]);
  });
});

describe('semaphores', () => {
  it('counts, wakes as many as it counts, and has a limit', () => {
    const code = new GuestCode(
      `
      waiter: enter
        call KeWaitForSingleObject(semaphore, 0, 0, 0, 0)
        log 1
        leave`,
      ['semaphore'],
    );
    const semaphore = code.at('semaphore');
    code.call('KeInitializeSemaphore', semaphore, 0, 3);
    for (let count = 0; count < 3; count++) code.start('waiter');
    code.run();
    expect(code.call('KeReleaseSemaphore', semaphore, 0, 2, 0)).toBe(0);
    expect(code.run()).toEqual([1, 1]);
    expect(code.call('KeReleaseSemaphore', semaphore, 0, 3, 0)).toBe(0);
    expect(code.call('KeReadStateSemaphore', semaphore)).toBe(2);
    expect(() => code.call('KeReleaseSemaphore', semaphore, 0, 2, 0)).toThrow('ended');
    expect(code.bugCheck?.slice(0, 2)).toEqual([0x7e, 0xc000_0047 | 0]);
  });
});

describe('spin locks', () => {
  const life = (body: string): GuestCode => {
    const code = new GuestCode(`thread: enter\n${body}\nleave\nroutine: enter\n${body}\nleave`, [
      'lock',
      'handle',
      'dpc',
    ]);
    code.start('thread');
    code.run();
    return code;
  };

  it('raises to DISPATCH_LEVEL and lowers to what it is given', () => {
    const code = life(`
      call KeInitializeSpinLock(lock)
      call KeAcquireSpinLockRaiseToDpc(lock)
      log rax
      call KeGetCurrentIrql()
      log rax
      call KeTryToAcquireSpinLockAtDpcLevel(lock)
      log rax
      call KeReleaseSpinLock(lock, 0)
      call KeGetCurrentIrql()
      log rax`);
    expect(code.logged).toEqual([0, 2, 0, 0]);
    expect(code.nt.memory.readU64(code.at('lock'))).toBe(0n);
  });

  it('ends in the watchdog when a thread takes it twice', () => {
    const code = life(`
      call KeAcquireSpinLockRaiseToDpc(lock)
      call KeAcquireSpinLockAtDpcLevel(lock)`);
    expect(code.bugCheck?.slice(0, 2)).toEqual([0x133, 1]);
  });

  it('queues in the stack', () => {
    const code = life(`
      call KeAcquireInStackQueuedSpinLock(lock, handle)
      call KeGetCurrentIrql()
      log rax
      call KeReleaseInStackQueuedSpinLock(handle)
      call KeGetCurrentIrql()
      log rax
      call KeAcquireInStackQueuedSpinLock(lock, handle)
      call KeAcquireInStackQueuedSpinLockAtDpcLevel(lock, handle)`);
    expect(code.logged).toEqual([2, 0]);
    expect(code.bugCheck?.slice(0, 2)).toEqual([0x133, 1]);
  });

  it('is shared by many or exclusive to one', () => {
    const code = life(`
      call ExAcquireSpinLockShared(lock)
      call ExAcquireSpinLockSharedAtDpcLevel(lock)
      call ExTryConvertSharedSpinLockExclusive(lock)
      log rax
      call ExReleaseSpinLockSharedFromDpcLevel(lock)
      call ExTryConvertSharedSpinLockExclusive(lock)
      log rax
      call ExTryAcquireSpinLockSharedAtDpcLevel(lock)
      log rax
      call ExReleaseSpinLockExclusive(lock, 0)`);
    expect(code.logged).toEqual([0, 1, 0]);
    expect(code.nt.memory.readU32(code.at('lock'))).toBe(0);
    expect(code.nt.end.value).toBeUndefined();
  });
});

describe('fast mutexes', () => {
  const contended = (acquire: string, release: string): GuestCode => {
    const code = new GuestCode(
      `
      holder: enter
        call ${acquire}(mutex)
        call KeGetCurrentIrql()
        log rax
        call KeDelayExecutionThread(0, 0, delay)
        log 1
        call ${release}(mutex)
        call KeGetCurrentIrql()
        log rax
        leave
      other: enter
        call ${acquire}(mutex)
        log 2
        call ${release}(mutex)
        leave`,
      ['mutex', 'delay'],
    );
    code.nt.memory.writeU64(code.at('delay'), BigInt.asUintN(64, secondsAgo));
    code.call('ExInitializeFastMutex', code.at('mutex'));
    code.start('holder');
    code.start('other');
    code.start('other');
    code.run();
    return code;
  };

  it('runs at APC_LEVEL, and who waits gets it in turn', () => {
    const code = contended('ExAcquireFastMutex', 'ExReleaseFastMutex');
    expect(code.logged).toEqual([1, 1, 0, 2, 2]);
    expect(FAST_MUTEX.Count.get(code.nt.memory, code.at('mutex'))).toBe(1);
    expect(FAST_MUTEX.Contention.get(code.nt.memory, code.at('mutex'))).toBe(2);
    expect(code.nt.end.value).toBeUndefined();
  });

  it('leaves the IRQL alone in the guarded form, and disables all APCs', () => {
    const code = contended('KeAcquireGuardedMutex', 'KeReleaseGuardedMutex');
    expect(code.logged).toEqual([0, 1, 0, 2, 2]);
    const states = [...code.nt.scheduler.all()].map(({ specialApcDisable }) => specialApcDisable);
    expect(states.every((count) => count === 0)).toBe(true);
  });

  it('is tried without waiting', () => {
    const code = new GuestCode(
      `
      thread: enter
        call ExTryToAcquireFastMutex(mutex)
        log rax
        call ExTryToAcquireFastMutex(mutex)
        log rax
        call KeGetCurrentIrql()
        log rax
        call ExReleaseFastMutex(mutex)
        call KeGetCurrentIrql()
        log rax
        leave`,
      ['mutex'],
    );
    code.call('ExInitializeFastMutex', code.at('mutex'));
    code.start('thread');
    expect(code.run()).toEqual([1, 0, 1, 0]);
  });
});

describe('critical regions', () => {
  it('may not be left open by a system call', () => {
    const code = new GuestCode('');
    expect(() => code.call('KeEnterCriticalRegion')).toThrow('ended');
    expect(code.bugCheck?.[0]).toBe(0x01);
  });
});
