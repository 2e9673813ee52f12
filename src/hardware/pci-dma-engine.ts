/**
 * A bus master that copies between the host's memory and 1 MB of its own: enough of a device for drivers that do DMA to be
 * run in earnest. `drivers/include/dma-engine.h` is what drivers see of it. Like hardware it takes its time, reports what
 * went wrong, and writes wherever it is told to.
 */
import type { DeviceAccess, DeviceHost, DeviceModel } from './device-model.ts';

const vendor = 0x5050;
const device = 0x0d4a;
const memoryBytes = 0x10_0000;

/** Offsets in range 0. */
const Register = {
  Id: 0x00,
  Version: 0x04,
  Control: 0x08,
  Status: 0x0c,
  AddressLow: 0x10,
  AddressHigh: 0x14,
  Length: 0x18,
  DeviceOffset: 0x1c,
  Command: 0x20,
  Transferred: 0x24,
  ErrorCode: 0x28,
  Fault: 0x2c,
} as const;
const registerBytes = 0x30;

const Control = { Reset: 1, InterruptEnable: 2 } as const;
const Status = { Busy: 1, Done: 2, Error: 4 } as const;
const Command = { Read: 1, Write: 2, Descriptors: 0x100 } as const;
const ErrorCode = { None: 0, HostAddress: 1, DeviceOffset: 2, Busy: 3, Command: 4, BusMaster: 5 } as const;

const descriptorBytes = 16;
/** More than fill its memory are not looked at. */
const maximumDescriptors = 0x1_0000;
/** A transfer's latency, and what each byte adds, in nanoseconds. */
const latencyNs = 1000;
const byteNs = 1;
/** What a defect writes. */
const faultByte = 0xee;
const hostPage = 0x1000;

/** The registers stand in the numbers by their offset; behind them what no driver sees. */
const runningCommand = registerBytes / 4;
const wasAsserted = runningCommand + 1;
const transferEnds = 0;

const get = (host: DeviceHost, register: number): number => host.numbers[register / 4] ?? 0;

function set(host: DeviceHost, register: number, value: number): void {
  host.numbers[register / 4] = value >>> 0;
}

/** The line follows the level; a message is sent when it rises. */
function updateInterrupt(host: DeviceHost): void {
  const isEnabled = (get(host, Register.Control) & Control.InterruptEnable) !== 0;
  const isAsserted = isEnabled && (get(host, Register.Status) & (Status.Done | Status.Error)) !== 0;
  const wasBefore = host.numbers[wasAsserted] !== 0;
  host.numbers[wasAsserted] = isAsserted ? 1 : 0;
  host.setLine(isAsserted);
  if (isAsserted && !wasBefore && host.usesMessages) host.sendMessage(0);
}

function raise(host: DeviceHost, bits: number): void {
  set(host, Register.Status, get(host, Register.Status) | bits);
  updateInterrupt(host);
}

function fail(host: DeviceHost, code: number): void {
  set(host, Register.ErrorCode, code);
  raise(host, Status.Error);
}

// ---- a transfer

interface Fragment {
  readonly address: bigint;
  readonly bytes: number;
}

const addressOf = (host: DeviceHost): bigint =>
  (BigInt(get(host, Register.AddressHigh)) << 32n) | BigInt(get(host, Register.AddressLow));

/** Where the host's side lies, or the error that finding out met. */
function fragmentsOf(host: DeviceHost, command: number): readonly Fragment[] | number {
  const room = memoryBytes - get(host, Register.DeviceOffset);
  const length = get(host, Register.Length);
  if ((command & Command.Descriptors) === 0) {
    return length > room ? ErrorCode.DeviceOffset : [{ address: addressOf(host), bytes: length }];
  }
  if (length > maximumDescriptors || room < 0) return ErrorCode.DeviceOffset;
  const fragments: Fragment[] = [];
  const table = new Uint8Array(length * descriptorBytes);
  if (!host.dmaRead(addressOf(host), table)) return ErrorCode.HostAddress;
  const view = new DataView(table.buffer);
  let total = 0;
  for (let at = 0; at < table.length; at += descriptorBytes) {
    const bytes = view.getUint32(at + 8, true);
    total += bytes;
    if (total > room) return ErrorCode.DeviceOffset;
    fragments.push({ address: view.getBigUint64(at, true), bytes });
  }
  return fragments;
}

/** Why a command cannot even start. */
function refusal(host: DeviceHost, command: number): number | undefined {
  if ((get(host, Register.Status) & Status.Busy) !== 0) return ErrorCode.Busy;
  const direction = command & ~Command.Descriptors;
  if (direction !== Command.Read && direction !== Command.Write) return ErrorCode.Command;
  return host.isBusMaster ? undefined : ErrorCode.BusMaster;
}

function start(host: DeviceHost, command: number): void {
  const refused = refusal(host, command);
  if (refused !== ErrorCode.Busy) set(host, Register.Transferred, 0);
  if (refused !== undefined) {
    fail(host, refused);
    return;
  }
  set(host, Register.ErrorCode, ErrorCode.None);
  const fragments = fragmentsOf(host, command);
  const bytes = typeof fragments === 'number' ? 0 : fragments.reduce((sum, fragment) => sum + fragment.bytes, 0);
  host.numbers[runningCommand] = command;
  set(host, Register.Status, get(host, Register.Status) | Status.Busy);
  host.schedule(latencyNs + bytes * byteNs, transferEnds);
}

function finish(host: DeviceHost): void {
  const command = host.numbers[runningCommand] ?? 0;
  const failure = transfer(host, command);
  set(host, Register.Status, get(host, Register.Status) & ~Status.Busy);
  if (failure !== undefined) fail(host, failure);
  else raise(host, Status.Done);
}

/** Moves the bytes; the error that it met. */
function transfer(host: DeviceHost, command: number): number | undefined {
  if (!host.isBusMaster) return ErrorCode.BusMaster;
  const fragments = fragmentsOf(host, command);
  if (typeof fragments === 'number') return fragments;
  const isWrite = (command & Command.Write) !== 0;
  let done = 0;
  for (const fragment of fragments) {
    const moved = move(host, fragment, get(host, Register.DeviceOffset) + done, isWrite);
    done += moved;
    set(host, Register.Transferred, done);
    if (moved < fragment.bytes) return ErrorCode.HostAddress;
  }
  if (isWrite) provoke(host, fragments);
  return undefined;
}

/** Bytes that were moved: all, or those before the page that is no memory. */
function move(host: DeviceHost, { address, bytes }: Fragment, offset: number, isWrite: boolean): number {
  const [memory] = host.memory;
  if (memory === undefined) return 0;
  const buffer = new Uint8Array(Math.min(bytes, hostPage));
  for (let done = 0; done < bytes; ) {
    const at = address + BigInt(done);
    const part = buffer.subarray(0, Math.min(bytes - done, hostPage - Number(at % BigInt(hostPage))));
    if (isWrite) memory.read(offset + done, part);
    if (!(isWrite ? host.dmaWrite(at, part) : host.dmaRead(at, part))) return done;
    if (!isWrite) memory.write(offset + done, part);
    done += part.length;
  }
  return bytes;
}

/** The defect: bytes around what the driver asked for. Where there is no memory they are lost. */
function provoke(host: DeviceHost, fragments: readonly Fragment[]): void {
  const fault = get(host, Register.Fault);
  const [first, last] = [fragments[0], fragments[fragments.length - 1]];
  if (first === undefined || last === undefined) return;
  const [behind, before] = [fault & 0xffff, fault >>> 16];
  host.dmaWrite(last.address + BigInt(last.bytes), new Uint8Array(behind).fill(faultByte));
  if (first.address >= BigInt(before)) {
    host.dmaWrite(first.address - BigInt(before), new Uint8Array(before).fill(faultByte));
  }
}

// ---- registers

function registerValue(host: DeviceHost, { offset, bytes }: DeviceAccess): number {
  if (bytes !== 4 || offset >= registerBytes) return 0xffff_ffff;
  if (offset === Register.Id) return ((device << 16) | vendor) >>> 0;
  if (offset === Register.Version) return 1;
  return offset === Register.Command ? 0 : get(host, offset);
}

function write(host: DeviceHost, { offset, bytes }: DeviceAccess, value: number): void {
  if (bytes !== 4) return;
  switch (offset) {
    case Register.Control:
      if ((value & Control.Reset) !== 0) host.reset();
      set(host, Register.Control, value & Control.InterruptEnable);
      updateInterrupt(host);
      return;
    case Register.Status:
      set(host, Register.Status, get(host, Register.Status) & ~(value & (Status.Done | Status.Error)));
      updateInterrupt(host);
      return;
    case Register.Command:
      start(host, value);
      return;
    case Register.AddressLow:
    case Register.AddressHigh:
    case Register.Length:
    case Register.DeviceOffset:
    case Register.Fault:
      set(host, offset, value);
  }
}

export const pciDmaEngine: DeviceModel = {
  name: 'pci-dma-engine',
  description: 'a bus master with 1 MB of memory that copies to and from host memory (drivers/include/dma-engine.h)',
  pci: { vendor, device, classCode: 0x08_8000, revision: 1 },
  ranges: [{ type: 'memory', bytes: 0x1000, is64Bit: true }],
  interrupts: { line: true, messages: 1 },
  state: { numbers: wasAsserted + 1, memory: [memoryBytes] },
  read: registerValue,
  peek: registerValue,
  write,
  due: finish,
};
