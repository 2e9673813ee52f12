import { beforeEach, describe, expect, it } from 'vitest';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { OBJECT_ATTRIBUTES } from '../structures/io.ts';

const nameNotFound = 0xc000_0034;

let kernel: KernelCaller;
let block: Va;
let attributes: Va;

beforeEach(() => {
  kernel = new KernelCaller();
  const { memory, pool, io } = kernel.nt;
  block = pool.allocateKernel(0x100, 'Test');
  attributes = pool.allocateKernel(OBJECT_ATTRIBUTES.sizeBytes, 'Test');
  memory.fill(attributes, OBJECT_ATTRIBUTES.sizeBytes, 0);
  memory.fill(block, 0x100, 0);
  const name = pool.allocateKernel(16, 'Test');
  io.drivers.writeString(name, '\\Device\\Nowhere');
  OBJECT_ATTRIBUTES.Length.set(memory, attributes, OBJECT_ATTRIBUTES.sizeBytes);
  OBJECT_ATTRIBUTES.ObjectName.set(memory, attributes, name);
});

/** Up to EaLength: reads, shares all, opens what is there. */
const opening = (): number[] => [block, 0x8000_0000, attributes, vaAdd(block, 8), nullVa, 0, 7, 1, 0, nullVa, 0];
const ofFile = [0, 0, 0] as const;

describe('IoCreateFile and its newer form', () => {
  it('answer as ZwCreateFile does', () => {
    expect(kernel.call('ZwCreateFile', ...opening()) >>> 0).toBe(nameNotFound);
    expect(kernel.call('IoCreateFile', ...opening(), ...ofFile) >>> 0).toBe(nameNotFound);
    expect(kernel.call('IoCreateFileEx', ...opening(), ...ofFile, nullVa) >>> 0).toBe(nameNotFound);
  });

  it('make no pipes and mailslots', () => {
    expect(kernel.outcome('IoCreateFile', ...opening(), 1, 0, 0)).toMatchObject({ action: 'unsupported' });
  });

  it('take no device from a driver context, but an empty context', () => {
    const context = vaAdd(block, 0x40);
    kernel.nt.memory.writeU16(context, 0x28);
    expect(kernel.call('IoCreateFileEx', ...opening(), ...ofFile, context) >>> 0).toBe(nameNotFound);
    kernel.nt.memory.writeVa(vaAdd(context, 0x10), block);
    expect(kernel.outcome('IoCreateFileEx', ...opening(), ...ofFile, context)).toMatchObject({ action: 'unsupported' });
  });
});

describe('ZwOpenFile', () => {
  it('says that a name is not there', () => {
    const found = kernel.call('ZwOpenFile', block, 0x8000_0000, attributes, vaAdd(block, 8), 7, 0) >>> 0;
    expect(found).toBe(nameNotFound);
    expect(kernel.nt.memory.readVa(block)).toBe(nullVa);
  });
});
