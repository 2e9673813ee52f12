import { beforeEach, describe, expect, it } from 'vitest';
import { CpuMachine, codeVa, dataVa, noHooks } from '../../../test/engine/cpu-machine.ts';
import { type Va, vaAdd } from '../../base/va.ts';
import type { DevicePages } from './device-pages.ts';
import { GuestFault } from './guest-fault.ts';
import { Access, PageFlag, pageSize, systemSpaceStart } from './layout.ts';

const deviceVa = (systemSpaceStart + 0x50_0000) as Va;
const readWrite = Access.Read | Access.Write;

/** Notes each access; what is read is `bytes` of a row that counts reads. */
class Recorder implements DevicePages {
  readonly log: string[] = [];
  readonly bytes = new Uint8Array(pageSize).map((_, index) => index * 7);
  retired: () => number = () => 0;
  readonly times: number[] = [];

  load(_frame: number, offset: number, bytes: 1 | 2 | 4): number {
    this.log.push(`load${bytes} ${offset.toString(16)}`);
    this.times.push(this.retired());
    return this.peek(_frame, offset, bytes);
  }

  store(_frame: number, offset: number, bytes: 1 | 2 | 4, value: number): void {
    this.log.push(`store${bytes} ${offset.toString(16)}=${value.toString(16)}`);
    this.times.push(this.retired());
    for (let index = 0; index < bytes; index++) this.bytes[offset + index] = (value >>> (index * 8)) & 0xff;
  }

  peek(_frame: number, offset: number, bytes: 1 | 2 | 4): number {
    let value = 0;
    for (let index = bytes - 1; index >= 0; index--) value = value * 256 + (this.bytes[offset + index] as number);
    return value;
  }
}

let device: Recorder;
beforeEach(() => {
  device = new Recorder();
});

function machineWith(source: string, deviceTouched?: () => boolean): CpuMachine {
  const hooks = deviceTouched === undefined ? noHooks : { ...noHooks, deviceTouched };
  const machine = new CpuMachine(source, { hooks });
  attach(machine);
  machine.cpu.state.setGprVa(1, deviceVa);
  machine.cpu.state.setGprVa(2, dataVa);
  return machine;
}

function attach({ memory, cpu }: CpuMachine): void {
  memory.device = device;
  memory.mapPage(deviceVa, memory.allocateFrame() as number, readWrite | PageFlag.Device);
  memory.mapPage(vaAdd(deviceVa, pageSize), memory.allocateFrame() as number, readWrite);
  device.retired = () => cpu.retired;
}

describe('instructions', () => {
  it.each([
    ['mov al, [rcx+1]', ['load1 1']],
    ['mov ax, [rcx+2]', ['load2 2']],
    ['mov eax, [rcx+8]', ['load4 8']],
    ['mov rax, [rcx+8]', ['load4 8', 'load4 c']],
    ['movups xmm0, [rcx+16]', ['load4 10', 'load4 14', 'load4 18', 'load4 1c']],
    ['movdqa [rcx], xmm0', ['store4 0=0', 'store4 4=0', 'store4 8=0', 'store4 c=0']],
    ['cmpxchg [rcx+4], edx', ['load4 4', 'store4 4=312a231c']],
    ['bts dword ptr [rcx], 5', ['load4 0', 'store4 0=150e0720']],
    ['push qword ptr [rcx]\npop rax', ['load4 0', 'load4 4']],
    ['mov eax, [rcx+3]', ['load1 3', 'load2 4', 'load1 6']],
    ['mov [rcx+4], eax', ['store4 4=11223344']],
    ['mov [rcx+4], rax', ['store4 4=11223344', 'store4 8=55667788']],
    ['mov [rcx+6], al', ['store1 6=44']],
    ['or dword ptr [rcx], 1', ['load4 0', 'store4 0=150e0701']],
    ['add eax, [rcx]', ['load4 0']],
    ['cmp dword ptr [rcx], 5', ['load4 0']],
  ])('%s', (instruction, expected) => {
    const machine = machineWith(`${instruction}\nret`);
    machine.set('rax', 0x5566_7788_1122_3344n);
    expect(machine.run().kind).toBe('host');
    expect(device.log).toEqual(expected);
  });

  it('give what the device gave', () => {
    const machine = machineWith('mov eax, [rcx+4]\nmov r8, [rcx+8]\nlock xadd [rcx+16], edx\nret');
    machine.set('rdx', 5);
    machine.run();
    expect(machine.get('rax')).toBe(0x312a231cn);
    expect(machine.get('r8')).toBe(0x69625b544d463f38n);
    expect(machine.get('rdx')).toBe(0x857e7770n);
    expect(device.peek(0, 16, 4)).toBe(0x857e7775);
    expect(device.log).toEqual(['load4 4', 'load4 8', 'load4 c', 'load4 10', 'store4 10=857e7775']);
  });

  it('across the end of a page, each part where it belongs', () => {
    const machine = machineWith('mov rax, [rcx]\nmov [rcx], rdx\nret');
    machine.cpu.state.setGprVa(1, vaAdd(deviceVa, pageSize - 4));
    machine.memory.writeU32(vaAdd(deviceVa, pageSize), 0xaabb_ccdd);
    machine.set('rdx', 0x1111_1111_2222_2222n);
    machine.run();
    expect(machine.get('rax')).toBe(0xaabbccddf9f2ebe4n);
    expect(device.log).toEqual(['load4 ffc', 'store4 ffc=22222222']);
    expect(machine.memory.readU32(vaAdd(deviceVa, pageSize))).toBe(0x1111_1111);
  });

  it('nothing is stored when the other page faults', () => {
    const machine = machineWith('mov [rcx], rdx\nret');
    machine.memory.unmapPage(vaAdd(deviceVa, pageSize));
    machine.cpu.state.setGprVa(1, vaAdd(deviceVa, pageSize - 4));
    expect(machine.run()).toMatchObject({ kind: 'fault', vector: 14, va: vaAdd(deviceVa, pageSize), rip: codeVa });
    expect(device.log).toEqual([]);
  });

  it('fault where the page may not be written', () => {
    const machine = machineWith('mov eax, [rcx]\nmov [rcx], eax\nret');
    machine.memory.protectPage(deviceVa, Access.Read | PageFlag.Device);
    expect(machine.run()).toMatchObject({ kind: 'fault', va: deviceVa, access: Access.Write });
    expect(device.log).toEqual(['load4 0']);
  });

  it.each([
    ['to a device', 'mov rsi, rdx\nmov rdi, rcx', ['store4 0=100', 'store4 4=302', 'store4 8=504']],
    ['from a device', 'mov rsi, rcx\nmov rdi, rdx', ['load4 0', 'load4 4', 'load4 8']],
  ])('rep movsd %s, element by element', (_, setup, expected) => {
    const machine = machineWith(`${setup}\nmov ecx, 3\nrep movsd\nret`);
    machine.memory.writeBytes(dataVa, Uint8Array.of(0, 1, 0, 0, 2, 3, 0, 0, 4, 5, 0, 0));
    machine.run();
    expect(device.log).toEqual(expected);
    expect(machine.get('rcx')).toBe(0n);
    expect(machine.memory.readU32(vaAdd(dataVa, 8))).toBe(expected[0] === 'load4 0' ? 0x4d463f38 : 0x504);
  });

  it('rep stosw', () => {
    const machine = machineWith('mov rdi, rcx\nmov ecx, 2\nmov eax, 0x1234\nrep stosw\nret');
    machine.run();
    expect(device.log).toEqual(['store2 0=1234', 'store2 2=1234']);
  });

  it('the time of each access is exact, also in a loop, and the same however the program is run', () => {
    const source = 'xor eax, eax\nnext: inc eax\nmov [rcx], eax\nadd edx, [rcx]\ncmp eax, 20\njb next\nret';
    const runs = [10_000, 3].map((fuel) => {
      device = new Recorder();
      const machine = machineWith(source);
      while (machine.run(fuel).kind === 'fuel');
      return { times: device.times, state: machine.stateText() };
    });
    expect(runs[1]).toEqual(runs[0]);
    expect(runs[0]?.times.slice(0, 4)).toEqual([2, 3, 7, 8]);
  });

  it('lets the host in behind each one', () => {
    let touches = 0;
    const machine = machineWith('mov eax, [rcx]\nmov ebx, [rcx+4]\nret', () => ++touches > 1);
    expect(machine.run()).toEqual({ kind: 'host' });
    expect(machine.cpu.state.rip).toBe(vaAdd(codeVa, 2));
    expect(machine.cpu.retired).toBe(1);
    machine.run();
    expect(touches).toBe(2);
  });

  it('sees code that changed since it polled there', () => {
    const machine = machineWith('mov eax, [rcx]\nret');
    for (const displacement of [0, 4]) {
      machine.memory.writeBytes(codeVa, Uint8Array.of(0x8b, 0x41, displacement, 0xc3));
      machine.cpu.state.rip = codeVa;
      machine.run();
      machine.cpu.state.setGprVa(4, vaAdd(machine.cpu.state.gprVa(4), 0));
    }
    expect(device.log).toEqual(['load4 0', 'load4 4']);
  });
});

describe('the host', () => {
  it('loads and stores', () => {
    const { memory } = machineWith('ret');
    expect(memory.readU8(vaAdd(deviceVa, 1))).toBe(7);
    expect(memory.readU64(deviceVa)).toBe(0x312a231c150e0700n);
    memory.writeU16(vaAdd(deviceVa, 2), 0x1234);
    memory.writeU64(vaAdd(deviceVa, 8), 0x1111_1111_2222_2222n);
    memory.writeVa(vaAdd(deviceVa, 16), deviceVa);
    expect(device.log).toEqual([
      'load1 1',
      'load4 0',
      'load4 4',
      'store2 2=1234',
      'store4 8=22222222',
      'store4 c=11111111',
      'store4 10=500000',
      'store4 14=fffff800',
    ]);
    expect(memory.readVa(vaAdd(deviceVa, 16))).toBe(deviceVa);
  });

  it('copies between memory and a device, and fills', () => {
    const { memory } = machineWith('ret');
    memory.copy(dataVa, vaAdd(deviceVa, 4), 6);
    expect(Array.from(memory.readBytes(dataVa, 6))).toEqual([28, 35, 42, 49, 56, 63]);
    memory.copy(deviceVa, dataVa, 4);
    memory.fill(vaAdd(deviceVa, 8), 4, 0xee);
    memory.writeBytes(vaAdd(deviceVa, pageSize - 2), Uint8Array.of(1, 2, 3));
    expect(device.log).toEqual(['load4 4', 'load2 8', 'store4 0=312a231c', 'store4 8=eeeeeeee', 'store2 ffe=201']);
    expect(memory.readU8(vaAdd(deviceVa, pageSize))).toBe(3);
    memory.copy(vaAdd(deviceVa, 0x101), vaAdd(deviceVa, 0x100), 4);
    expect(Array.from(memory.readBytes(vaAdd(deviceVa, 0x101), 4))).toEqual([0, 7, 14, 21]);
  });

  it('stores nothing of a write whose second page faults', () => {
    const { memory } = machineWith('ret');
    memory.unmapPage(vaAdd(deviceVa, pageSize));
    expect(() => memory.writeU32(vaAdd(deviceVa, pageSize - 2), 1)).toThrow(GuestFault as never);
    expect(device.log).toEqual([]);
  });

  it('peeks without being noticed', () => {
    const { memory } = machineWith('ret');
    memory.writeU32(vaAdd(deviceVa, pageSize), 0x0403_0201);
    const peeked = memory.peekBytes(vaAdd(deviceVa, pageSize - 3), 5);
    expect(Array.from(peeked ?? [])).toEqual([0xeb, 0xf2, 0xf9, 1, 2]);
    expect(memory.peekBytes(vaAdd(deviceVa, 2 * pageSize - 1), 2)).toBeUndefined();
    expect(device.log).toEqual([]);
    memory.device = { ...device, load: () => 0, store: () => {}, peek: () => undefined };
    expect(memory.peekBytes(deviceVa, 4)).toBeUndefined();
  });

  it('has the mapping in snapshots', () => {
    const machine = machineWith('mov eax, [rcx]\nret');
    const snapshot = machine.memory.snapshot();
    const other = new CpuMachine('ret', { restore: snapshot });
    other.memory.device = device;
    other.run();
    expect(device.log).toEqual(['load4 0']);
  });
});
