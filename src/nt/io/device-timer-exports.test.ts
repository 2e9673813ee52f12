import { describe, expect, it } from 'vitest';
import { GuestCode } from '../../../test/guest-code.ts';
import type { Va } from '../../base/va.ts';

const source = `
  tick: enter
    log rdx
    call KeGetCurrentIrql()
    log rax
    leave`;

function device(code: GuestCode): Va {
  const driverObject = code.nt.pool.allocateKernel(0x150, 'Driv');
  const request = { name: undefined, deviceType: 0x22, characteristics: 0, isExclusive: false };
  return code.nt.io.devices.create({ driverObject, extensionBytes: 0, ...request }, 0).device;
}

describe('device timers', () => {
  it('tick once a second at DISPATCH_LEVEL until they are stopped', () => {
    const code = new GuestCode(source);
    const made = device(code);
    expect(code.call('IoInitializeTimer', made, code.at('tick'), 7)).toBe(0);
    code.call('IoStartTimer', made);
    code.nt.run(() => false, code.nt.clock.interruptTime + 25_000_000);
    expect(code.logged).toEqual([7, 2, 7, 2]);
    code.call('IoStopTimer', made);
    expect(code.run()).toEqual([7, 2, 7, 2]);
  });

  it('go with their device', () => {
    const code = new GuestCode(source);
    const made = device(code);
    code.call('IoInitializeTimer', made, code.at('tick'), 7);
    code.call('IoStartTimer', made);
    code.call('IoDeleteDevice', made);
    expect([...code.nt.timers.all()]).toEqual([]);
    expect(code.run()).toEqual([]);
  });

  it('end the run if they are started before they are initialised', () => {
    const code = new GuestCode(source);
    expect(() => code.call('IoStartTimer', device(code))).toThrow('ended');
  });
});

describe('devices to verify', () => {
  it('belong to a thread', () => {
    const code = new GuestCode(source);
    const { systemThread, requester } = code.nt.scheduler;
    code.call('IoSetDeviceToVerify', systemThread, 0x1000);
    expect(code.call('IoGetDeviceToVerify', systemThread)).toBe(0x1000);
    expect(code.call('IoGetDeviceToVerify', requester)).toBe(0);
    code.call('IoSetDeviceToVerify', systemThread, 0);
    expect(code.call('IoGetDeviceToVerify', systemThread)).toBe(0);
  });
});
