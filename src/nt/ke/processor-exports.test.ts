import { beforeEach, describe, expect, it } from 'vitest';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { GROUP_AFFINITY, PROCESSOR_NUMBER } from '../structures/ke.ts';

const invalidParameter = 0xc000_000d;

let kernel: KernelCaller;
let block: Va;

beforeEach(() => {
  kernel = new KernelCaller();
  block = kernel.nt.pool.allocateKernel(0x100, 'Test');
});

const call = (routine: string, ...args: (number | bigint)[]): number => kernel.call(routine, ...args);

describe('there is one processor in one group and one node', () => {
  it.each([
    ['KeQueryActiveProcessorCount', nullVa, 1],
    ['KeQueryActiveProcessors', 0, 1],
    ['KeQueryMaximumProcessorCount', 0, 1],
    ['KeQueryActiveProcessorCountEx', 0, 1],
    ['KeQueryActiveProcessorCountEx', 0xffff, 1],
    ['KeQueryActiveProcessorCountEx', 1, 0],
    ['KeQueryMaximumProcessorCountEx', 0xffff, 1],
    ['KeQueryMaximumProcessorCountEx', 2, 0],
    ['KeQueryActiveGroupCount', 0, 1],
    ['KeQueryMaximumGroupCount', 0, 1],
    ['KeQueryGroupAffinity', 0, 1],
    ['KeQueryGroupAffinity', 1, 0],
    ['KeQueryHighestNodeNumber', 0, 0],
    ['KeGetCurrentNodeNumber', 0, 0],
  ] as const)('%s(%i): %i', (routine, argument, answer) => {
    expect(call(routine, argument)).toBe(answer);
  });

  it('says it in data and as a mask too', () => {
    const { memory, images } = kernel.nt;
    expect(memory.readU32(images.kernelExport('ntoskrnl.exe', 'KeNumberProcessors') as Va)).toBe(1);
    call('KeQueryActiveProcessorCount', block);
    expect(memory.readU64(block)).toBe(1n);
  });

  it('numbers it 0, and knows no other', () => {
    const { memory } = kernel.nt;
    memory.writeU32(block, 0xffff_ffff);
    expect(call('KeGetCurrentProcessorNumberEx', block)).toBe(0);
    expect(memory.readU32(block)).toBe(0);
    expect(call('KeGetCurrentProcessorNumberEx', nullVa)).toBe(0);
    memory.writeU32(block, 0xffff_ffff);
    expect(call('KeGetProcessorNumberFromIndex', 1, block) >>> 0).toBe(invalidParameter);
    expect(memory.readU32(block)).toBe(0xffff_ffff);
    expect(call('KeGetProcessorNumberFromIndex', 0, block)).toBe(0);
    expect(memory.readU32(block)).toBe(0);
    expect(call('KeGetProcessorIndexFromNumber', block)).toBe(0);
    PROCESSOR_NUMBER.Number.set(memory, block, 1);
    expect(call('KeGetProcessorIndexFromNumber', block) >>> 0).toBe(0xffff_ffff);
    memory.writeU32(block, 0);
    PROCESSOR_NUMBER.Group.set(memory, block, 1);
    expect(call('KeGetProcessorIndexFromNumber', block) >>> 0).toBe(0xffff_ffff);
  });

  it('has what every x64 processor has', () => {
    // PF_XMMI64_INSTRUCTIONS_AVAILABLE, PF_NX_ENABLED, PF_COMPARE_EXCHANGE128; PF_FLOATING_POINT_EMULATED, PF_3DNOW.
    expect([10, 12, 14, 1, 7, 0x1000].map((feature) => call('ExIsProcessorFeaturePresent', feature))).toEqual([
      1, 1, 1, 0, 0, 0,
    ]);
  });
});

describe('the system affinity', () => {
  it('answers what was in force before, and goes back to it', () => {
    expect(call('KeSetSystemAffinityThreadEx', 1)).toBe(0);
    expect(call('KeSetSystemAffinityThreadEx', 1)).toBe(1);
    call('KeRevertToUserAffinityThreadEx', 1);
    expect(call('KeSetSystemAffinityThreadEx', 1)).toBe(1);
    call('KeRevertToUserAffinityThreadEx', 0);
    expect(call('KeSetSystemAffinityThreadEx', 1)).toBe(0);
  });

  it('is not changed by a mask without an active processor', () => {
    expect(call('KeSetSystemAffinityThreadEx', 2)).toBe(0);
    call('KeSetSystemAffinityThread', 1);
    expect(call('KeSetSystemAffinityThreadEx', 0)).toBe(0);
    call('KeSetSystemAffinityThread', 2);
    call('KeRevertToUserAffinityThreadEx', 2);
    expect(call('KeSetSystemAffinityThreadEx', 1)).toBe(1);
    call('KeRevertToUserAffinityThread');
    expect(call('KeSetSystemAffinityThreadEx', 1)).toBe(0);
  });

  const affinity = (group: number, mask: bigint): Va => {
    kernel.nt.memory.fill(block, GROUP_AFFINITY.sizeBytes, 0);
    GROUP_AFFINITY.Group.set(kernel.nt.memory, block, group);
    GROUP_AFFINITY.Mask.set(kernel.nt.memory, block, mask);
    return block;
  };

  it('is of a group too', () => {
    const { memory } = kernel.nt;
    const previous = vaAdd(block, 0x40);
    const previousMask = (): bigint => GROUP_AFFINITY.Mask.get(memory, previous);
    memory.fill(previous, GROUP_AFFINITY.sizeBytes, 0xff);
    call('KeSetSystemGroupAffinityThread', affinity(1, 1n), previous);
    expect([...memory.readBytes(previous, GROUP_AFFINITY.sizeBytes)].every((byte) => byte === 0)).toBe(true);
    call('KeSetSystemGroupAffinityThread', affinity(0, 1n), previous);
    expect(previousMask()).toBe(0n);
    call('KeSetSystemGroupAffinityThread', affinity(0, 1n), previous);
    expect(previousMask()).toBe(1n);
    call('KeRevertToUserGroupAffinityThread', affinity(1, 1n));
    call('KeRevertToUserGroupAffinityThread', affinity(0, 2n));
    call('KeSetSystemGroupAffinityThread', affinity(0, 1n), previous);
    expect(previousMask()).toBe(1n);
    call('KeRevertToUserGroupAffinityThread', affinity(0, 0n));
    call('KeSetSystemGroupAffinityThread', affinity(0, 1n), previous);
    expect(previousMask()).toBe(0n);
    call('KeSetSystemGroupAffinityThread', affinity(0, 1n), nullVa);
  });
});
