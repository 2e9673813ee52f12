import { describe, expect, it } from 'vitest';
import { GuestCode } from '../../../test/guest-code.ts';
import { addDevice, makeDevice } from '../../../test/test-device.ts';
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { DeviceFlag, IO_STACK_LOCATION, IRP } from '../structures/io.ts';

const bufferedControl = 0x22_2000;
const outDirectControl = 0x22_2002;
const neitherControl = 0x22_2003;

/** Dispatch routines: one completes with 4 bytes, one lets the request pend for `completer`, one fails. */
const source = `
  completes: enter
    mov rbx, [rdx+18h]
    mov dword ptr [rbx], 0x12345678
    mov dword ptr [rdx+30h], 0
    mov qword ptr [rdx+38h], 4
    call IofCompleteRequest(rdx, 0)
    xor eax, eax
    leave
  pends: enter
    mov rax, [rdx+0b8h]
    or byte ptr [rax+3], 1
    mov rbx, rdx
    mov rax, waiting
    mov [rax], rbx
    mov eax, 103h
    leave
  completer: enter
    mov rax, waiting
    mov rdx, [rax]
    mov dword ptr [rdx+30h], 0
    mov qword ptr [rdx+38h], 0
    call IofCompleteRequest(rdx, 0)
    leave
  fails: enter
    mov dword ptr [rdx+30h], 0xc0000010
    mov qword ptr [rdx+38h], 0
    call IofCompleteRequest(rdx, 0)
    mov eax, 0xc0000010
    leave
  frees: enter
    mov rbx, rdx
    log 50
    call IoFreeIrp(rbx)
    mov eax, 0xc0000016
    leave
  forwarder: enter
    mov rax, device
    mov rcx, [rax]
    mov rax, irp
    mov rdx, [rax]
    call IoForwardIrpSynchronously(rcx, rdx)
    log rax
    leave`;

const names = ['waiting', 'device', 'irp', 'event', 'iosb', 'input', 'output'];

function setUp(major: number, label: string, flags = 0): { readonly code: GuestCode; readonly device: Va } {
  const code = new GuestCode(source, names);
  const { device } = makeDevice(code, { [major]: label }, { flags });
  code.call('KeInitializeEvent', code.at('event'), 0, 0);
  return { code, device };
}

const irpBlocks = (code: GuestCode): number =>
  [...code.nt.pool.driverBlocks()].filter(({ family }) => family === 'irp').length;

function control(code: GuestCode, device: Va, controlCode: number): Va {
  const args = [controlCode, device, code.at('input'), 8, code.at('output'), 16, 0, code.at('event'), code.at('iosb')];
  return code.call('IoBuildDeviceIoControlRequest', ...args) as Va;
}

describe('IoBuildDeviceIoControlRequest', () => {
  it('copies buffered output back, sets status and event, and frees everything', () => {
    const { code, device } = setUp(0x0e, 'completes');
    const { memory } = code.nt;
    const irp = control(code, device, bufferedControl);
    const location = code.nt.io.irps.nextLocation(irp);
    expect(IO_STACK_LOCATION.MajorFunction.get(memory, location)).toBe(0x0e);
    expect(IO_STACK_LOCATION.IoControlCode.get(memory, location)).toBe(bufferedControl);
    expect(IO_STACK_LOCATION.InputBufferLength.get(memory, location)).toBe(8);
    expect(IO_STACK_LOCATION.OutputBufferLength.get(memory, location)).toBe(16);
    expect(irpBlocks(code)).toBe(2);
    expect(code.call('IofCallDriver', device, irp)).toBe(0);
    expect(memory.readU32(code.at('output'))).toBe(0x1234_5678);
    expect(memory.readU64(vaAdd(code.at('iosb'), 8))).toBe(4n);
    expect(code.call('KeReadStateEvent', code.at('event'))).toBe(1);
    expect(irpBlocks(code)).toBe(0);
  });

  it('lets the event say when a request that pended is complete', () => {
    const { code, device } = setUp(0x0e, 'pends');
    expect(code.call('IofCallDriver', device, control(code, device, bufferedControl))).toBe(0x103);
    expect(code.call('KeReadStateEvent', code.at('event'))).toBe(0);
    code.start('completer');
    code.run();
    expect(code.call('KeReadStateEvent', code.at('event'))).toBe(1);
    expect(irpBlocks(code)).toBe(0);
  });

  it('reports a failure at once through the return value alone', () => {
    const { code, device } = setUp(0x0e, 'fails');
    expect(code.call('IofCallDriver', device, control(code, device, bufferedControl)) >>> 0).toBe(0xc000_0010);
    expect(code.call('KeReadStateEvent', code.at('event'))).toBe(0);
    expect(irpBlocks(code)).toBe(0);
  });

  it('describes direct output by an MDL, and passes raw pointers for METHOD_NEITHER', () => {
    const { code, device } = setUp(0x0e, 'completes');
    const { memory } = code.nt;
    const direct = control(code, device, outDirectControl);
    expect(IRP.MdlAddress.get(memory, direct)).not.toBe(nullVa);
    expect(IRP.SystemBuffer.get(memory, direct)).not.toBe(nullVa);
    const neither = control(code, device, neitherControl);
    expect(IRP.UserBuffer.get(memory, neither)).toBe(code.at('output'));
    const location = code.nt.io.irps.nextLocation(neither);
    expect(IO_STACK_LOCATION.Type3InputBuffer.get(memory, location)).toBe(code.at('input'));
  });
});

describe('IoBuildSynchronousFsdRequest', () => {
  it('reads through a system buffer', () => {
    const { code, device } = setUp(3, 'completes', DeviceFlag.BufferedIo);
    const args = [3, device, code.at('output'), 16, nullVa, code.at('event'), code.at('iosb')];
    const irp = code.call('IoBuildSynchronousFsdRequest', ...args) as Va;
    expect(code.call('IofCallDriver', device, irp)).toBe(0);
    expect(code.nt.memory.readU32(code.at('output'))).toBe(0x1234_5678);
    expect(irpBlocks(code)).toBe(0);
  });
});

describe('IoAllocateIrp', () => {
  it('belongs to the driver, whose completion routine frees it', () => {
    const { code, device } = setUp(0x0e, 'fails');
    const irp = code.call('IoAllocateIrp', 1, 0) as Va;
    const location = code.nt.io.irps.nextLocation(irp);
    IO_STACK_LOCATION.MajorFunction.set(code.nt.memory, location, 0x0e);
    IO_STACK_LOCATION.CompletionRoutine.set(code.nt.memory, location, code.at('frees'));
    IO_STACK_LOCATION.Control.set(code.nt.memory, location, 0xe0);
    expect(irpBlocks(code)).toBe(1);
    code.call('IofCallDriver', device, irp);
    expect(code.logged).toEqual([50]);
    expect(irpBlocks(code)).toBe(0);
  });

  it('is freed once', () => {
    const { code } = setUp(0x0e, 'fails');
    const irp = code.call('IoAllocateIrp', 2, 0);
    code.call('IoFreeIrp', irp);
    expect(() => code.call('IoFreeIrp', irp)).toThrow('ended');
    expect(code.bugCheck?.slice(0, 2)).toEqual([0x44, irp]);
  });

  it('has no stack location for one driver too many', () => {
    const { code, device } = setUp(0x0e, 'fails');
    const irp = code.call('IoAllocateIrp', 0, 0);
    expect(() => code.call('IofCallDriver', device, irp)).toThrow('ended');
    expect(code.bugCheck?.slice(0, 2)).toEqual([0x35, irp]);
  });

  it('is as new after IoReuseIrp', () => {
    const { code } = setUp(0x0e, 'fails');
    const irp = code.call('IoAllocateIrp', 2, 0) as Va;
    const { memory } = code.nt;
    IRP.CurrentLocation.set(memory, irp, 1);
    IRP.Cancel.set(memory, irp, 1);
    code.call('IoReuseIrp', irp, 0xc000_0120);
    expect(IRP.CurrentLocation.get(memory, irp)).toBe(3);
    expect(IRP.Cancel.get(memory, irp)).toBe(0);
    expect(IRP.Status.get(memory, irp)).toBe(0xc000_0120);
  });

  it('completes its master with the last associated IRP', () => {
    const { code, device } = setUp(0x0e, 'fails');
    const master = control(code, device, bufferedControl);
    const { memory } = code.nt;
    IRP.Flags.set(memory, master, 0);
    const parts = [1, 2].map(() => code.call('IoMakeAssociatedIrp', master, 1) as Va);
    IRP.IrpCount.set(memory, master, 2);
    for (const part of parts) {
      IO_STACK_LOCATION.MajorFunction.set(memory, code.nt.io.irps.nextLocation(part), 0x0e);
    }
    IRP.CurrentLocation.set(memory, master, 2);
    const [first, second] = parts as [Va, Va];
    code.call('IofCallDriver', device, first);
    expect(code.call('KeReadStateEvent', code.at('event'))).toBe(0);
    code.call('IofCallDriver', device, second);
    expect(code.nt.end.value).toBeUndefined();
    expect(code.call('KeReadStateEvent', code.at('event'))).toBe(1);
  });
});

describe('IoForwardIrpSynchronously', () => {
  it('comes back when the lower driver is done', () => {
    const { code, device: lower } = setUp(0x0e, 'pends');
    const upper = addDevice(code, code.nt.io.devices.get(lower)?.driverObject ?? nullVa);
    code.nt.io.devices.attach(upper, lower);
    const { memory } = code.nt;
    // As if the upper driver's dispatch routine had it.
    const irp = control(code, upper, bufferedControl);
    IRP.CurrentStackLocation.set(memory, irp, code.nt.io.irps.nextLocation(irp));
    IRP.CurrentLocation.set(memory, irp, 2);
    memory.writeVa(code.at('device'), lower);
    memory.writeVa(code.at('irp'), irp);
    code.start('forwarder');
    expect(code.run()).toEqual([]);
    code.start('completer');
    expect(code.run()).toEqual([1]);
    // Not complete: it is the upper driver's again.
    expect(IRP.CurrentLocation.get(memory, irp)).toBe(2);
    expect(code.call('KeReadStateEvent', code.at('event'))).toBe(0);
  });
});
