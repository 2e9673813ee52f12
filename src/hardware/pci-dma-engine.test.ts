import { beforeEach, describe, expect, it } from 'vitest';
import { StoreBytes } from '../base/store-bytes.ts';
import { modelProblem } from './check-model.ts';
import { type DeviceHost, pciCompatibleIds, pciDeviceId, pciHardwareIds } from './device-model.ts';
import { deviceModels, findDeviceModel } from './index.ts';
import { pciDmaEngine } from './pci-dma-engine.ts';

const hostBytes = 0x4000;
const Register = { status: 0x0c, low: 0x10, high: 0x14, length: 0x18, offset: 0x1c, command: 0x20 } as const;

/** A machine with 16 KB of memory at address 0. */
class TestHost implements DeviceHost {
  readonly numbers = new Float64Array(pciDmaEngine.state?.numbers ?? 0);
  readonly memory = (pciDmaEngine.state?.memory ?? []).map((size) => new StoreBytes(size));
  readonly ram = new Uint8Array(hostBytes);
  readonly log: string[] = [];
  now = 0;
  isBusMaster = true;
  usesMessages = false;
  due: number | undefined;

  setLine(isAsserted: boolean): void {
    if (!this.usesMessages) this.log.push(isAsserted ? 'line up' : 'line down');
  }

  sendMessage(index: number): void {
    this.log.push(`message ${index}`);
  }

  dmaRead(address: bigint, into: Uint8Array): boolean {
    const at = Number(address);
    if (at + into.length > hostBytes) return false;
    into.set(this.ram.subarray(at, at + into.length));
    return true;
  }

  dmaWrite(address: bigint, bytes: Uint8Array): boolean {
    const at = Number(address);
    if (at + bytes.length > hostBytes) return false;
    this.ram.set(bytes, at);
    return true;
  }

  schedule(delayNs: number, _cookie: number): void {
    this.due = this.now + delayNs;
  }

  cancel(_cookie: number): void {
    this.due = undefined;
  }

  reset(): void {
    this.numbers.fill(0);
    for (const block of this.memory) block.clear();
    this.due = undefined;
    pciDmaEngine.reset?.(this);
  }

  /** Time passes up to the end of the transfer; how long that was. */
  pass(): number {
    const { due } = this;
    if (due === undefined) return 0;
    const duration = due - this.now;
    this.now = due;
    this.due = undefined;
    pciDmaEngine.due?.(this, 0);
    return duration;
  }
}

let host: TestHost;
beforeEach(() => {
  host = new TestHost();
});

const read = (offset: number, bytes: 1 | 2 | 4 = 4): number => pciDmaEngine.read(host, { range: 0, offset, bytes });
const write = (offset: number, value: number): void => pciDmaEngine.write(host, { range: 0, offset, bytes: 4 }, value);

function start(command: number, address: number, length: number, offset = 0): void {
  write(Register.low, address);
  write(Register.length, length);
  write(Register.offset, offset);
  write(Register.command, command);
}

const errorCode = (): number => read(0x28);
const transferred = (): number => read(0x24);

describe('the DMA engine', () => {
  it('is a model that can be', () => {
    expect(deviceModels.map(modelProblem)).toEqual([undefined]);
    expect(findDeviceModel('pci-dma-engine')).toBe(pciDmaEngine);
  });

  it('has registers of 32 bits', () => {
    expect([read(0), read(4), read(0, 2), read(0x30), read(0x20)]).toEqual([
      0x0d4a5050, 1, 0xffff_ffff, 0xffff_ffff, 0,
    ]);
    write(0, 5);
    write(0x24, 5);
    expect([read(0), read(0x24)]).toEqual([0x0d4a5050, 0]);
  });

  it('takes 1 us and 1 ns for each byte, and moves the bytes then', () => {
    host.ram.set([1, 2, 3], 0x100);
    start(1, 0x100, 3, 0x20);
    expect(read(Register.status)).toBe(1);
    host.ram.set([9], 0x100);
    expect(host.pass()).toBe(1003);
    expect([read(Register.status), transferred(), errorCode()]).toEqual([2, 3, 0]);
    start(2, 0x200, 4, 0x20);
    host.pass();
    expect(Array.from(host.ram.subarray(0x200, 0x205))).toEqual([9, 2, 3, 0, 0]);
  });

  it('says how far it came when memory ends', () => {
    start(1, hostBytes - 0x1800, 0x2000);
    host.pass();
    expect([read(Register.status), errorCode(), transferred()]).toEqual([4, 1, 0x1800]);
  });

  it.each([
    ['a table that is no memory', 0x101, hostBytes, 1, 0, 1],
    ['more than it has', 1, 0, 0x10_0001, 0, 2],
    ['an offset beyond what it has', 1, 0, 0, 0x20_0000, 2],
    ['too many descriptors', 0x102, 0, 0xffff_ffff, 0, 2],
    ['no command', 0x103, 0, 1, 0, 4],
    ['another one', 0x201, 0, 1, 0, 4],
  ])('error: %s', (_, command, address, length, offset, code) => {
    start(command, address, length, offset);
    host.pass();
    expect([read(Register.status), errorCode(), transferred()]).toEqual([4, code, 0]);
  });

  it('needs to be a bus master, at the start and at the end', () => {
    host.isBusMaster = false;
    start(1, 0, 4);
    expect([read(Register.status), errorCode()]).toEqual([4, 5]);
    write(Register.status, 4);
    host.isBusMaster = true;
    start(1, 0, 4);
    host.isBusMaster = false;
    host.pass();
    expect([read(Register.status), errorCode()]).toEqual([4, 5]);
  });

  it('a table whose fragments are more than it has moves nothing', () => {
    const table = new DataView(host.ram.buffer);
    table.setUint32(0x08, 0xff_0000, true);
    start(0x102, 0, 1);
    host.pass();
    expect([errorCode(), transferred()]).toEqual([2, 0]);
  });

  it('asserts the line while an end is not acknowledged and the interrupt enabled', () => {
    start(1, 0, 4);
    host.pass();
    host.log.length = 0;
    write(0x08, 2);
    write(Register.status, 2);
    write(Register.command, 0);
    write(0x08, 0);
    expect(host.log).toEqual(['line up', 'line down', 'line up', 'line down']);
  });

  it('sends a message when it would assert the line, once', () => {
    host.usesMessages = true;
    write(0x08, 2);
    write(Register.command, 0);
    write(Register.command, 0);
    write(Register.status, 6);
    write(Register.command, 0);
    expect(host.log).toEqual(['message 0', 'message 0']);
  });

  it('forgets everything at a reset', () => {
    host.ram.fill(7);
    start(1, 0, 16);
    host.pass();
    start(1, 0, 16);
    write(0x08, 3);
    expect([read(0x08), read(Register.status), read(Register.length), host.due]).toEqual([2, 0, 0, undefined]);
    start(2, 0, 16);
    host.pass();
    expect(host.ram[0]).toBe(0);
  });
});

it('names of PCI devices', () => {
  expect(pciHardwareIds(pciDmaEngine.pci)).toEqual([
    'PCI\\VEN_5050&DEV_0D4A&REV_01',
    'PCI\\VEN_5050&DEV_0D4A',
    'PCI\\VEN_5050&CC_088000',
  ]);
  const pci = { ...pciDmaEngine.pci, subsystemVendor: 0x1af4, subsystem: 0x1100 };
  expect(pciHardwareIds(pci).slice(0, 2)).toEqual([
    'PCI\\VEN_5050&DEV_0D4A&SUBSYS_11001AF4&REV_01',
    'PCI\\VEN_5050&DEV_0D4A&SUBSYS_11001AF4',
  ]);
  expect(pciDeviceId(pci)).toBe('PCI\\VEN_5050&DEV_0D4A&SUBSYS_11001AF4&REV_01');
  expect(pciCompatibleIds(pci)).toContain('PCI\\CC_0880');
});

it.each([
  [{ ranges: [{ type: 'port', bytes: 512 }] }, 'a range of ports has 4, 8, … 256 bytes'],
  [{ ranges: [{ type: 'port', bytes: 8, is64Bit: true }] }, 'ports have no 64-bit addresses'],
  [{ ranges: Array(4).fill({ type: 'memory', bytes: 16, is64Bit: true }) }, 'more than six base address registers'],
  [{ interrupts: { messages: 3 } }, 'it has 0, 1, 2, 4, 8, 16 or 32 messages'],
  [{ state: { memory: [1.5] } }, 'sizes that are no whole numbers'],
  [{ name: 'Ab\n' }, 'other characters'],
] as const)('a model that cannot be: %o', (change, problem) => {
  expect(modelProblem({ ...pciDmaEngine, ...change } as typeof pciDmaEngine)).toContain(problem);
});
