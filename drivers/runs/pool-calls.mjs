import { run, SUCCESS, step } from '../steps.mjs';

/** The calls of pool-calls in the order of their control codes; for each what stops the bad driver, and where. */
const calls = {
  AllocateNothing: ['0xC4', '0x0'],
  AllocatePagedHigh: ['0xC4', '0x1'],
  AllocateNonPagedHigh: ['0xC4', '0x2'],
  FreeUnknown: ['0xC4', '0x10'],
  FreePagedHigh: ['0xC4', '0x11'],
  FreeNonPagedHigh: ['0xC4', '0x12'],
  FreeTwice: ['0xC4', '0x13'],
  FreeLargeTwice: ['0xC4', '0x13'],
  FreeMiddle: ['0xC4', '0x13e'],
  FreeWithOtherTag: ['0xC2', '0xa'],
  AllocateWithoutTag: ['0xC2', '0x9b'],
  AllocateBig: ['0xC2', '0x9c'],
  AllocateWithBareTag: ['0xC2', '0x9d'],
  FreeWithTimer: ['0xC4', '0x15'],
  FreeWithResource: ['0xC4', '0x17'],
  FreeIrpAsPool: ['0xC4', '0x105'],
  AllocateQuotaInDpc: ['0xC4', '0x10b', 'ChargeInDpc'],
};
const names = Object.keys(calls);
const stepOf = (name, status) => step(`ioctl 0x${(0x222280 + 4 * names.indexOf(name)).toString(16)}`, status);

export const others = [
  {
    name: 'bad-pool-calls',
    folder: 'test/drivers',
    compiler: 'gcc',
    twin: 'clean-pool-calls',
    runs: names.map((name) => {
      const [code, parameter1, inFunction = name] = calls[name];
      return run(name, 'violation', [step('open \\Device\\BadPoolCalls'), stepOf(name, null)], {
        bugCheck: { code, parameter1, allocations: null, function: inFunction },
      });
    }),
  },
  {
    name: 'clean-pool-calls',
    folder: 'test/drivers',
    compiler: 'gcc',
    twin: 'bad-pool-calls',
    runs: [
      run('load', 'clean'),
      run('all', 'clean', [
        step('open \\Device\\CleanPoolCalls'),
        ...[...names, ...names].map((name) => stepOf(name, SUCCESS)),
        step('close'),
      ]),
    ],
  },
];
