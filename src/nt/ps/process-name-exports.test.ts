import { expect, it } from 'vitest';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { vaAdd } from '../../base/va.ts';
import { readUnicodeString } from '../rtl/guest-text.ts';

it('gives the path of a program in a block of the driver, and its name', () => {
  const caller = new KernelCaller();
  const { nt } = caller;
  const { requesterProcess, systemProcess } = nt.processor;
  const at = nt.pool.allocateKernel(8, 'Test');
  expect(caller.call('SeLocateProcessImageName', requesterProcess, at)).toBe(0);
  const name = nt.memory.readVa(at);
  expect(readUnicodeString(nt.memory, name)).toBe('\\Device\\HarddiskVolume1\\Windows\\System32\\poolproof.exe');
  caller.call('ExFreePoolWithTag', name, 0);
  const letters = (process: number): string =>
    String.fromCharCode(...nt.memory.readBytes(caller.callVa('PsGetProcessImageFileName', process), 15)).replace(
      /\0+$/,
      '',
    );
  expect([letters(requesterProcess), letters(systemProcess)]).toEqual(['poolproof.exe', 'System']);
  expect(caller.outcome('PsGetProcessImageFileName', vaAdd(at, 8))).toMatchObject({ action: 'unsupported' });
});
