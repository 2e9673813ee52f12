import { beforeEach, describe, expect, it } from 'vitest';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { parseGuid } from '../rtl/guid.ts';

const notFound = 0xc000_0034;
const tooSmall = 0xc000_0023;
const uint32 = 7;

describe('IoSetDevicePropertyData and IoGetDevicePropertyData', () => {
  let kernel: KernelCaller;
  let pdo: Va;
  let key: Va;
  let block: Va;

  const keyFor = (guid: string, number: number): void => {
    kernel.nt.memory.writeBytes(key, parseGuid(guid) ?? new Uint8Array());
    kernel.nt.memory.writeU32(vaAdd(key, 16), number);
  };

  beforeEach(() => {
    kernel = new KernelCaller();
    pdo = kernel.nt.io.pnp.create([]);
    key = kernel.nt.pool.allocateKernel(0x20, 'Test');
    block = kernel.nt.pool.allocateKernel(0x40, 'Test');
    keyFor('{01020304-0506-0708-090A-0B0C0D0E0F10}', 2);
  });

  const set = (value: number, type = uint32): number => {
    kernel.nt.memory.writeU32(block, value);
    return kernel.call('IoSetDevicePropertyData', pdo, key, 0, 0, type, 4, block) >>> 0;
  };
  const get = (bytes: number, lcid = 0) => {
    const [data, size, type] = [0, 8, 12].map((offset) => vaAdd(block, offset)) as [Va, Va, Va];
    const status = kernel.call('IoGetDevicePropertyData', pdo, key, lcid, 0, bytes, data, size, type) >>> 0;
    const [value, length, kind] = [data, size, type].map((at) => kernel.nt.memory.readU32(at));
    return { status, value, length, type: kind };
  };

  it('keep a value by key and language', () => {
    expect(get(4)).toMatchObject({ status: notFound, length: 0 });
    expect(set(0x1234)).toBe(0);
    kernel.nt.memory.writeU32(block, 0);
    expect(get(4)).toEqual({ status: 0, value: 0x1234, length: 4, type: uint32 });
    expect(get(3)).toMatchObject({ status: tooSmall, length: 4 });
    expect(get(4, 0x409).status).toBe(notFound);
    keyFor('{01020304-0506-0708-090A-0B0C0D0E0F10}', 3);
    expect(get(4).status).toBe(notFound);
  });

  it('delete what is set to be empty', () => {
    expect(set(1)).toBe(0);
    expect(set(0, 0)).toBe(0);
    expect(get(4).status).toBe(notFound);
  });

  it('are of one device', () => {
    expect(set(1)).toBe(0);
    pdo = kernel.nt.io.pnp.create([]);
    expect(get(4).status).toBe(notFound);
    expect(kernel.bugCheck('IoSetDevicePropertyData', block, key, 0, 0, uint32, 4, block)).toMatchObject({
      code: 0xca,
    });
  });

  it('name the properties of the system that are not told', () => {
    keyFor('{A45C254E-DF1C-4EFD-8020-67D146A850E0}', 14);
    expect(kernel.outcome('IoGetDevicePropertyData', pdo, key, 0, 0, 4, block, block, block)).toMatchObject({
      action: 'unsupported',
    });
  });

  it('of an interface take one that is registered', () => {
    const name = kernel.nt.pool.allocateKernel(0x10, 'Test');
    expect(kernel.call('IoSetDeviceInterfacePropertyData', name, key, 0, 0, uint32, 4, block) >>> 0).toBe(notFound);
    expect(kernel.call('IoRegisterDeviceInterface', pdo, key, nullVa, name)).toBe(0);
    kernel.nt.memory.writeU32(block, 5);
    expect(kernel.call('IoSetDeviceInterfacePropertyData', name, key, 0, 0, uint32, 4, block)).toBe(0);
    const [size, type] = [vaAdd(block, 8), vaAdd(block, 12)];
    expect(kernel.call('IoGetDeviceInterfacePropertyData', name, key, 0, 0, 4, block, size, type)).toBe(0);
    expect(kernel.nt.memory.readU32(block)).toBe(5);
    expect(get(4).status).toBe(notFound);
  });
});
