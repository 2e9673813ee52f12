import { describe, expect, it } from 'vitest';
import { GuestCode } from '../../../test/guest-code.ts';
import { makeDevice } from '../../../test/test-device.ts';
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { DEVICE_OBJECT, IO_STACK_LOCATION, IRP } from '../structures/io.ts';
import { IO_REMOVE_LOCK } from '../structures/io-queues.ts';

/** A queue of one IRP, in `slot`; every callback logs its number. */
const csqSource = `
  insert: enter
    log 1
    mov rax, slot
    mov [rax], rdx
    leave
  refuse: enter
    log 1
    mov eax, 0xc0000001
    leave
  remove: enter
    log 2
    mov rax, slot
    mov qword ptr [rax], 0
    leave
  peek: enter
    log 3
    mov rax, slot
    mov rax, [rax]
    cmp rdx, 0
    je peeked
    xor eax, eax
    peeked: leave
  lock: enter
    mov rbx, rdx
    log 4
    call KeAcquireSpinLockRaiseToDpc(spin)
    mov [rbx], al
    leave
  unlock: enter
    mov rbx, rdx
    log 5
    call KeReleaseSpinLock(spin, rbx)
    leave
  cancelled: enter
    log 6
    call KeGetCurrentIrql()
    log rax
    leave`;

const callbacks = ['remove', 'peek', 'lock', 'unlock', 'cancelled'];

function queue(form: 'IoCsqInitialize' | 'IoCsqInitializeEx', insert: string): { code: GuestCode; irp: Va } {
  const code = new GuestCode(csqSource, ['csq', 'slot', 'spin', 'context']);
  makeDevice(code, {});
  code.call(form, code.at('csq'), code.at(insert), ...callbacks.map((name) => code.at(name)));
  const irp = code.call('IoAllocateIrp', 1, 0) as Va;
  // As in a dispatch routine: the IRP stands at its one location.
  IRP.CurrentStackLocation.set(code.nt.memory, irp, code.nt.io.irps.nextLocation(irp));
  IRP.CurrentLocation.set(code.nt.memory, irp, 1);
  return { code, irp };
}

const isPending = (code: GuestCode, irp: Va): boolean =>
  (IO_STACK_LOCATION.Control.get(code.nt.memory, code.nt.io.irps.currentLocation(irp)) & 1) !== 0;

describe('cancel-safe queues', () => {
  it('inserts, marks pending, and gives the IRP back', () => {
    const { code, irp } = queue('IoCsqInitialize', 'insert');
    code.call('IoCsqInsertIrp', code.at('csq'), irp, 0);
    expect(code.logged).toEqual([4, 1, 5]);
    expect(isPending(code, irp)).toBe(true);
    expect(IRP.CancelRoutine.get(code.nt.memory, irp)).toBe(code.nt.entries.routineVa('IopCsqCancelRoutine'));
    expect(code.call('IoCsqRemoveNextIrp', code.at('csq'), 0)).toBe(irp);
    expect(code.logged).toEqual([4, 1, 5, 4, 3, 2, 5]);
    expect(IRP.CancelRoutine.get(code.nt.memory, irp)).toBe(nullVa);
    expect(code.call('IoCsqRemoveNextIrp', code.at('csq'), 0)).toBe(0);
  });

  it('hands a cancelled IRP to the driver outside the lock', () => {
    const { code, irp } = queue('IoCsqInitialize', 'insert');
    code.call('IoCsqInsertIrp', code.at('csq'), irp, 0);
    expect(code.call('IoCancelIrp', irp)).toBe(1);
    expect(code.logged).toEqual([4, 1, 5, 4, 2, 5, 6, 0]);
    expect(code.call('IoCancelIrp', irp)).toBe(0);
    expect(code.nt.end.value).toBeUndefined();
  });

  it('does not keep an IRP that was cancelled before', () => {
    const { code, irp } = queue('IoCsqInitialize', 'insert');
    IRP.Cancel.set(code.nt.memory, irp, 1);
    code.call('IoCsqInsertIrp', code.at('csq'), irp, 0);
    expect(code.logged).toEqual([4, 1, 2, 5, 6, 0]);
  });

  it('passes on why the driver refused an IRP, which does not pend then', () => {
    const { code, irp } = queue('IoCsqInitializeEx', 'refuse');
    expect(code.call('IoCsqInsertIrpEx', code.at('csq'), irp, 0, 0) >>> 0).toBe(0xc000_0001);
    expect(code.logged).toEqual([4, 1, 5]);
    expect(isPending(code, irp)).toBe(false);
    expect(IRP.CancelRoutine.get(code.nt.memory, irp)).toBe(nullVa);
  });

  it('finds an IRP by its context', () => {
    const { code, irp } = queue('IoCsqInitialize', 'insert');
    code.call('IoCsqInsertIrp', code.at('csq'), irp, code.at('context'));
    expect(code.call('IoCsqRemoveIrp', code.at('csq'), code.at('context'))).toBe(irp);
    expect(code.call('IoCsqRemoveIrp', code.at('csq'), code.at('context'))).toBe(0);
    code.call('IoCsqInsertIrp', code.at('csq'), irp, code.at('context'));
    code.call('IoCancelIrp', irp);
    expect(code.call('IoCsqRemoveIrp', code.at('csq'), code.at('context'))).toBe(0);
  });

  it('skips an IRP that is being cancelled', () => {
    const { code, irp } = queue('IoCsqInitialize', 'insert');
    code.call('IoCsqInsertIrp', code.at('csq'), irp, 0);
    IRP.CancelRoutine.set(code.nt.memory, irp, nullVa);
    expect(code.call('IoCsqRemoveNextIrp', code.at('csq'), 0)).toBe(0);
  });
});

describe('cancelling', () => {
  const source = `
    keeps: enter
      call KeGetCurrentIrql()
      log rax
      call IoAcquireCancelSpinLock(irql)
      leave
    gives: enter
      movzx ebx, byte ptr [rdx+45h]
      log rbx
      call IoReleaseCancelSpinLock(rbx)
      leave`;

  function cancel(routine: string): GuestCode {
    const code = new GuestCode(source, ['irql']);
    const irp = code.call('IoAllocateIrp', 1, 0) as Va;
    IRP.CurrentStackLocation.set(code.nt.memory, irp, code.nt.io.irps.nextLocation(irp));
    IRP.CurrentLocation.set(code.nt.memory, irp, 1);
    IRP.CancelRoutine.set(code.nt.memory, irp, code.at(routine));
    const { scheduler, entries } = code.nt;
    scheduler.start(scheduler.systemThread, entries.routineVa('IoCancelIrp'), [irp]);
    code.run();
    return code;
  }

  it('calls the cancel routine with the lock held, which releases it', () => {
    const code = cancel('gives');
    expect(code.logged).toEqual([0]);
    expect(code.nt.end.value).toBeUndefined();
    expect(code.nt.scheduler.thread(code.nt.scheduler.systemThread).result).toBe(1);
  });

  it('ends in the watchdog when the cancel routine takes the lock again', () => {
    const code = cancel('keeps');
    expect(code.logged).toEqual([2]);
    expect(code.bugCheck?.slice(0, 2)).toEqual([0x133, 1]);
  });
});

describe('remove locks', () => {
  it('counts users, refuses new ones, and waits for the last', () => {
    const code = new GuestCode(
      `
      remover: enter
        call IoAcquireRemoveLockEx(lock, 1, 0, 1, 32)
        log rax
        call IoReleaseRemoveLockAndWaitEx(lock, 1, 32)
        log 5
        leave`,
      ['lock'],
    );
    const lock = code.at('lock');
    code.call('IoInitializeRemoveLockEx', lock, 0, 0, 0, 32);
    expect(code.call('IoAcquireRemoveLockEx', lock, 2, 0, 1, 32)).toBe(0);
    code.start('remover');
    expect(code.run()).toEqual([0]);
    expect(code.call('IoAcquireRemoveLockEx', lock, 3, 0, 1, 32) >>> 0).toBe(0xc000_0056);
    code.call('IoReleaseRemoveLockEx', lock, 2, 32);
    expect(code.run()).toEqual([0, 5]);
    expect(IO_REMOVE_LOCK.IoCount.get(code.nt.memory, lock)).toBe(0);
  });

  it('initialises what only drivers compiled for debugging have', () => {
    const code = new GuestCode('', ['lock']);
    code.call('IoInitializeRemoveLockEx', code.at('lock'), 0x41424344, 2, 7, 0x78);
    const debug = vaAdd(code.at('lock'), 0x20);
    expect(code.nt.memory.readU32(debug)).toBe(0x204c_4f43);
    expect(code.nt.memory.readU64(vaAdd(debug, 8))).toBe(7680n);
    expect(code.nt.memory.readU32(vaAdd(debug, 16))).toBe(0x4142_4344);
    expect(code.nt.memory.readVa(vaAdd(debug, 24))).toBe(vaAdd(debug, 24));
  });
});

describe('StartIo', () => {
  const source = `
    startio: enter
      mov rbx, rdx
      call KeGetCurrentIrql()
      log rax
      log rbx
      leave
    next: enter
      call KeRaiseIrqlToDpcLevel()
      mov rax, device
      mov rcx, [rax]
      call IoStartNextPacket(rcx, 0)
      call KeLowerIrql(0)
      leave
    cancel: enter
      movzx ebx, byte ptr [rdx+45h]
      log 7
      call IoReleaseCancelSpinLock(rbx)
      leave`;

  function setUp(): { code: GuestCode; device: Va; irps: readonly Va[] } {
    const code = new GuestCode(source, ['device', 'key']);
    const { device } = makeDevice(code, {}, { startIo: 'startio' });
    code.nt.memory.writeVa(code.at('device'), device);
    const irps = [1, 2, 3].map(() => code.call('IoAllocateIrp', 1, 0) as Va);
    return { code, device, irps };
  }

  const low = (irps: readonly Va[], ...indices: readonly number[]): number[] =>
    indices.flatMap((index) => [2, (irps[index] as number) >>> 0]);

  it('starts one request at a time, in turn', () => {
    const { code, device, irps } = setUp();
    for (const irp of irps) code.call('IoStartPacket', device, irp, 0, 0);
    expect(code.logged).toEqual(low(irps, 0));
    expect(DEVICE_OBJECT.CurrentIrp.get(code.nt.memory, device)).toBe(irps[0]);
    for (let count = 0; count < 3; count++) {
      code.start('next');
      code.run();
    }
    expect(code.logged).toEqual(low(irps, 0, 1, 2));
    expect(DEVICE_OBJECT.CurrentIrp.get(code.nt.memory, device)).toBe(nullVa);
    code.call('IoStartPacket', device, irps[1] as Va, 0, 0);
    expect(code.logged).toEqual(low(irps, 0, 1, 2, 1));
  });

  it('sorts by key', () => {
    const { code, device, irps } = setUp();
    for (const [index, irp] of irps.entries()) {
      code.nt.memory.writeU32(code.at('key'), 10 - index);
      code.call('IoStartPacket', device, irp, code.at('key'), 0);
    }
    code.start('next');
    code.run();
    expect(code.logged).toEqual(low(irps, 0, 2));
  });

  it('cancels at once a queued request that was cancelled before', () => {
    const { code, device, irps } = setUp();
    code.call('IoStartPacket', device, irps[0] as Va, 0, code.at('cancel'));
    IRP.Cancel.set(code.nt.memory, irps[1] as Va, 1);
    code.call('IoStartPacket', device, irps[1] as Va, 0, code.at('cancel'));
    expect(code.logged).toEqual([...low(irps, 0), 7]);
    expect(code.nt.end.value).toBeUndefined();
  });
});
