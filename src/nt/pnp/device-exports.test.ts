import { beforeEach, describe, expect, it } from 'vitest';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { readUnicodeString, readWide, textOfUtf16, utf16OfText } from '../rtl/guest-text.ts';

const invalidParameter = 0xc000_000d;
const tooSmall = 0xc000_0023;
const notFound = 0xc000_0034;
const exists = 0x4000_0000;
const guidBytes = Uint8Array.from([4, 3, 2, 1, 6, 5, 8, 7, 9, 10, 11, 12, 13, 14, 15, 16]);
const link = '\\??\\ROOT#POOLPROOF#0000#{01020304-0506-0708-090a-0b0c0d0e0f10}';

let kernel: KernelCaller;
let pdo: Va;
let block: Va;
let guid: Va;
let name: Va;

beforeEach(() => {
  kernel = new KernelCaller();
  const { nt, image } = kernel;
  pdo = nt.io.pnp.create([nt.io.drivers.create(image, 'caller').driverObject]);
  block = nt.pool.allocateKernel(0x200, 'Test');
  guid = nt.pool.allocateKernel(16, 'Test');
  name = nt.pool.allocateKernel(16, 'Test');
  nt.memory.writeBytes(guid, guidBytes);
});

const call = (routine: string, ...args: number[]): number => kernel.call(routine, ...args) >>> 0;

/** A UNICODE_STRING of the kernel's own. */
function stringOf(text: string): Va {
  const string = kernel.nt.pool.allocateKernel(16, 'Test');
  kernel.nt.io.drivers.writeString(string, text);
  return string;
}

describe('IoGetDeviceProperty', () => {
  const property = (index: number, room: number): { status: number; length: number; value: string } => {
    const { memory } = kernel.nt;
    const status = call('IoGetDeviceProperty', pdo, index, room, vaAdd(block, 8), block);
    const length = memory.readU32(block);
    return { status, length, value: status === 0 ? textOfUtf16(memory.readBytes(vaAdd(block, 8), length)) : '' };
  };

  it.each([
    [1, 'ROOT\\POOLPROOF\0\0'],
    [11, '\\Device\\00000001\0'],
    [15, 'ROOT\0'],
  ])('tells property %i', (index, value) => {
    expect(property(index, 0x100)).toEqual({ status: 0, length: value.length * 2, value });
    expect(property(index, value.length * 2 - 1)).toMatchObject({ status: tooSmall, length: value.length * 2 });
  });

  it('knows what the device does not have, and what is no property', () => {
    expect(property(9, 0x100)).toMatchObject({ status: notFound, length: 0 });
    expect(property(23, 0x100).status).toBe(0xc000_00f0);
  });

  it('stops Windows for a device that is no PDO', () => {
    expect(kernel.bugCheck('IoGetDeviceProperty', block, 1, 0, 0, block)).toMatchObject({ code: 0xca });
  });
});

describe('device interfaces', () => {
  const register = (reference: Va = nullVa): number => call('IoRegisterDeviceInterface', pdo, guid, reference, name);
  const list = (flags = 0): string => {
    expect(call('IoGetDeviceInterfaces', guid, nullVa, flags, block)).toBe(0);
    const { memory, pool } = kernel.nt;
    const at = memory.readVa(block);
    const bytes = [...pool.driverBlocks()].find(({ va }) => va === at)?.bytes ?? 0;
    const text = readWide(memory, at, bytes / 2);
    call('ExFreePool', at);
    return text;
  };

  it('have aliases: of another class, with the same reference, in a name that the driver frees', () => {
    const { memory, pool } = kernel.nt;
    const [reference, aliasName] = [stringOf('left'), stringOf('')];
    const otherGuid = kernel.nt.pool.allocateKernel(16, 'Test');
    memory.writeBytes(
      otherGuid,
      Uint8Array.from({ length: 16 }, (_, index) => index),
    );
    const alias = (): number => call('IoGetDeviceInterfaceAlias', name, otherGuid, aliasName);
    register(reference);
    expect(alias()).toBe(notFound);
    call('IoRegisterDeviceInterface', pdo, otherGuid, nullVa, aliasName);
    call('RtlFreeUnicodeString', aliasName);
    expect(alias()).toBe(notFound);
    call('IoRegisterDeviceInterface', pdo, otherGuid, reference, aliasName);
    const text = readUnicodeString(memory, aliasName);
    call('RtlFreeUnicodeString', aliasName);
    const before = [...pool.driverBlocks()].length;
    expect(alias()).toBe(0);
    expect(readUnicodeString(memory, aliasName)).toBe(text);
    expect([...pool.driverBlocks()]).toHaveLength(before + 1);
    call('RtlFreeUnicodeString', aliasName);
    expect([...pool.driverBlocks()]).toHaveLength(before);
  });

  it('have a name that the driver frees, and a link while they are enabled', () => {
    const { nt } = kernel;
    expect(register()).toBe(0);
    expect(readUnicodeString(nt.memory, name)).toBe(link);
    expect([...nt.pool.driverBlocks()].map(({ family, bytes }) => ({ family, bytes }))).toEqual([
      { family: 'string', bytes: utf16OfText(link).length + 2 },
    ]);
    expect(nt.objects.lookup(link).object).toBeUndefined();
    expect(list()).toBe('\0');
    expect(list(1)).toBe(`${link}\0\0`);
    expect(call('IoSetDeviceInterfaceState', name, 1)).toBe(0);
    expect(call('IoSetDeviceInterfaceState', name, 1)).toBe(exists);
    expect(nt.objects.lookup(link).object?.body).toBe(pdo);
    expect(list()).toBe(`${link}\0\0`);
    expect(call('IoSetDeviceInterfaceState', name, 0)).toBe(0);
    expect(call('IoSetDeviceInterfaceState', name, 0)).toBe(notFound);
    expect(nt.objects.lookup(link).object).toBeUndefined();
    call('RtlFreeUnicodeString', name);
    expect([...nt.pool.driverBlocks()]).toEqual([]);
  });

  it('share a link where only the reference string differs, which comes as the name of the file', () => {
    const { nt } = kernel;
    const [first, second] = [stringOf('one'), stringOf('two')];
    register(first);
    expect(readUnicodeString(nt.memory, name)).toBe(`${link}\\one`);
    register(second);
    const [one, two] = [stringOf(`${link}\\one`), stringOf(`${link}\\two`)];
    expect([one, two].map((string) => call('IoSetDeviceInterfaceState', string, 1))).toEqual([0, 0]);
    expect(nt.objects.lookup(`${link}\\two`)).toMatchObject({ object: { body: pdo }, remainder: '\\two' });
    call('IoSetDeviceInterfaceState', one, 0);
    expect(nt.objects.lookup(link).object?.body).toBe(pdo);
    call('IoSetDeviceInterfaceState', two, 0);
    expect(nt.objects.lookup(link).object).toBeUndefined();
    expect(register(stringOf('a\\b'))).toBe(invalidParameter);
  });

  it('go with the device', () => {
    register();
    call('IoSetDeviceInterfaceState', name, 1);
    kernel.nt.io.pnp.retire(pdo, 'removed');
    expect(kernel.nt.objects.lookup(link).object).toBeUndefined();
    expect(call('IoSetDeviceInterfaceState', name, 0)).toBe(notFound);
  });
});

describe('IoOpenDeviceRegistryKey', () => {
  it.each([
    [1, '\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Enum\\ROOT\\POOLPROOF\\0000\\Device Parameters'],
    [2, '\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Control\\Class\\{4d36e97d-e325-11ce-bfc1-08002be10318}\\0000'],
  ])('opens the key of type %i, with a handle that the driver closes', (type, path) => {
    const { nt } = kernel;
    const open = (): Va => {
      expect(call('IoOpenDeviceRegistryKey', pdo, type, 0xf003f, block)).toBe(0);
      return nt.memory.readVa(block);
    };
    const [first, second] = [open(), open()];
    const key = nt.registry.resolve(first).key;
    expect(key && nt.registry.tree.pathOf(key)).toBe(path);
    expect(nt.registry.resolve(second).key?.id).toBe(key?.id);
    expect(nt.objects.handle(first)?.imageIndex).toBe(kernel.image.index);
  });

  it('knows two keys', () => {
    expect(call('IoOpenDeviceRegistryKey', pdo, 3, 0, block)).toBe(invalidParameter);
    expect(kernel.outcome('IoOpenDeviceRegistryKey', pdo, 5, 0, block)).toMatchObject({ action: 'unsupported' });
  });
});

describe('IoOpenDeviceInterfaceRegistryKey', () => {
  const path = '\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Control\\DeviceClasses';
  const id = '{01020304-0506-0708-090a-0b0c0d0e0f10}';

  it.each([
    ['', '#'],
    ['left', '#left'],
  ])('opens the key of an interface with reference "%s"', (reference, name) => {
    const { nt } = kernel;
    const string = stringOf('');
    expect(call('IoRegisterDeviceInterface', pdo, guid, reference === '' ? nullVa : stringOf(reference), string)).toBe(
      0,
    );
    expect(call('IoOpenDeviceInterfaceRegistryKey', string, 0xf003f, block)).toBe(0);
    const handle = nt.memory.readVa(block);
    const { key } = nt.registry.resolve(handle);
    expect(key && nt.registry.tree.pathOf(key).toLowerCase()).toBe(
      `${path}\\${id}\\##?#ROOT#POOLPROOF#0000#${id}\\${name}\\Device Parameters`.toLowerCase(),
    );
    expect(nt.objects.handle(handle)?.imageIndex).toBe(kernel.image.index);
  });

  it('knows no interface that nobody registered', () => {
    expect(call('IoOpenDeviceInterfaceRegistryKey', stringOf(`${link}x`), 0xf003f, block)).toBe(notFound);
  });
});

describe('what devices tell', () => {
  it('PoSetPowerState answers with the state before', () => {
    const [d0, d3] = [1, 4];
    expect([d0, d3, d0].map((state) => call('PoSetPowerState', pdo, 1, state))).toEqual([0, d0, d3]);
    expect(call('PoSetPowerState', pdo, 0, d3)).toBe(0);
  });

  it('IoWMIRegistrationControl knows who is registered', () => {
    const [add, drop] = [1, 2];
    expect([add, add, drop, drop].map((action) => call('IoWMIRegistrationControl', pdo, action))).toEqual([
      0,
      exists,
      0,
      invalidParameter,
    ]);
    expect(call('IoWMIRegistrationControl', pdo, 77)).toBe(invalidParameter);
    expect(kernel.outcome('IoWMIRegistrationControl', pdo, 3)).toMatchObject({ action: 'unsupported' });
  });
});
