import { describe, expect, it } from 'vitest';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { AddressMap } from '../address-map.ts';
import { KUSER_SHARED_DATA } from '../structures/ke.ts';

describe('the kernel', () => {
  const kernel = new KernelCaller();
  const { nt } = kernel;
  const byteAt = (name: string): number | undefined => {
    const va = nt.images.kernelExport('ntoskrnl.exe', name);
    return va === undefined ? undefined : nt.memory.readU8(va);
  };

  it('says everywhere that a debugger is attached', () => {
    expect(byteAt('KdDebuggerEnabled')).toBe(1);
    expect(byteAt('KdDebuggerNotPresent')).toBe(0);
    expect(kernel.call('KdRefreshDebuggerNotPresent')).toBe(0);
    expect(KUSER_SHARED_DATA.KdDebuggerEnabled.get(nt.memory, AddressMap.sharedUserData)).toBe(3);
  });
});
