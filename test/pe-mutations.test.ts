import { expect, it } from 'vitest';
import { runMutations } from '../fuzz/pe-mutations.ts';
import { buildPe, unwindInfo } from './pe-builder.ts';

const code = new Uint8Array(0x200).fill(0x90);
code.set([0x48, 0x83, 0xec, 0x28, 0xff, 0x15, 0, 0, 0, 0, 0x48, 0x83, 0xc4, 0x28, 0xc3]);
code.set([0x55, 0x48, 0x83, 0xec, 0x20, 0x48, 0x8d, 0x6c, 0x24, 0x20, 0x48, 0x8d, 0x65, 0, 0x5d, 0xc3], 0x20);
code.set([0x5b, 0x41, 0x5c, 0xc3], 0x9c);

/** Everything that a driver image can have. */
const full = buildPe({
  code,
  imports: { 'ntoskrnl.exe': ['DbgPrint', 7, '__C_specific_handler'], 'hal.dll': ['KeStallExecutionProcessor'] },
  exports: [
    { name: 'one', offset: 0 },
    { name: 'two', offset: 0x20 },
    { forwarder: 'ntoskrnl.DbgPrint', name: 'three' },
  ],
  functions: [
    { begin: 0, end: 0x10, unwind: unwindInfo({ prolog: 4, codes: [[4, 2, 4]] }) },
    {
      begin: 0x20,
      end: 0x30,
      unwind: (at) =>
        unwindInfo({
          flags: 3,
          prolog: 10,
          frameRegister: 5,
          frameOffset: 2,
          codes: [
            [10, 3, 0],
            [5, 2, 3],
            [1, 0, 5],
          ],
          tail: [at.textRva + 0x100, 1, at.textRva + 0x2a, at.textRva + 0x2c, 1, at.textRva + 0x2c],
        }),
    },
    {
      begin: 0x60,
      end: 0xa0,
      unwind: unwindInfo({
        version: 2,
        prolog: 6,
        codes: [
          [4, 6, 1],
          [0x20, 6, 0],
          [6, 2, 4],
          [2, 0, 3],
          [1, 0, 12],
        ],
      }),
    },
    {
      begin: 0xc0,
      end: 0xe0,
      unwind: (at) =>
        unwindInfo({ flags: 4, codes: [[0, 4, 3], 2], tail: [at.textRva, at.textRva + 0x10, at.unwindRva(0)] }),
    },
    { begin: 0x100, end: 0x120, unwind: unwindInfo({ codes: [[0, 10, 1]] }) },
  ],
  relocations: (at) => [at.textRva + 0x180, at.textRva + 0x188, at.textRva + 0x1f0],
  sections: [
    { name: 'PAGE', virtualSize: 0x2345 },
    { name: 'INIT', data: [1] },
  ],
  codeView: { guid: new Uint8Array(16), age: 1, path: 'x.pdb' },
  loadConfig: (at) => ({ 88: at.imageBase + 0x1010n, 112: at.imageBase + 0x1020n }),
});

it('answers 2,000 damaged images with a result or a refusal, in bounded time', () => {
  const result = runMutations([full.bytes], 2000, 20_25);
  expect(result.accepted).toBeGreaterThan(200);
  expect(result.refused).toBeGreaterThan(200);
  expect([...result.codes.keys()].sort()).toEqual(['PP1001', 'PP1002', 'PP1003', 'PP1004', 'PP1005']);
  expect(result.slowestMs).toBeLessThan(5000);
});
