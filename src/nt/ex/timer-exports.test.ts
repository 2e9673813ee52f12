import { describe, expect, it } from 'vitest';
import { GuestCode } from '../../../test/guest-code.ts';

const source = `
  callback: enter
    log rdx
    call KeGetCurrentIrql()
    log rax
    leave
  deleted: enter
    log rcx
    leave`;

const notification = 0x8000_0000;

describe('timers of the executive', () => {
  it('call back at DISPATCH_LEVEL, as often as their period says', () => {
    const code = new GuestCode(source);
    const timer = code.call('ExAllocateTimer', code.at('callback'), 5, 0);
    expect(code.call('ExSetTimer', timer, -10_000n, 20_000, 0)).toBe(0);
    const start = code.nt.clock.interruptTime;
    code.nt.run(() => false, start + 60_000);
    expect(code.logged).toEqual([5, 2, 5, 2, 5, 2]);
    expect(code.call('ExCancelTimer', timer, 0)).toBe(1);
    expect(code.call('ExCancelTimer', timer, 0)).toBe(0);
  });

  it('can be waited for', () => {
    const code = new GuestCode(source);
    const timer = code.call('ExAllocateTimer', 0, 0, notification);
    code.call('ExSetTimer', timer, -10_000n, 0, 0);
    expect(code.call('KeWaitForSingleObject', timer, 0, 0, 0, 0)).toBe(0);
  });

  it('are known until they are deleted', () => {
    const code = new GuestCode(source, ['parameters']);
    const timer = code.call('ExAllocateTimer', code.at('callback'), 0, 0);
    expect([...code.nt.executiveTimers.all()]).toMatchObject([{ timer }]);
    code.call('ExSetTimer', timer, -10_000n, 0, 0);
    code.nt.memory.writeVa((code.at('parameters') + 8) as never, code.at('deleted'));
    code.nt.memory.writeU64((code.at('parameters') + 16) as never, 9n);
    expect(code.call('ExDeleteTimer', timer, 1, 0, code.at('parameters'))).toBe(1);
    expect([...code.nt.executiveTimers.all()]).toEqual([]);
    expect(code.run()).toEqual([9]);
  });
});
