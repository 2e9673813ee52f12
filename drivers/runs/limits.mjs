import { run } from '../steps.mjs';

// They try the limits of the engine, and are not shown to users.
export const others = [
  {
    name: 'spin',
    folder: 'test/drivers',
    compiler: 'gcc',
    twin: null,
    runs: [run('load', 'incomplete', [], { driverEntryStatus: null })],
  },
  {
    name: 'recurse',
    folder: 'test/drivers',
    compiler: 'gcc',
    twin: null,
    // UNEXPECTED_KERNEL_MODE_TRAP with EXCEPTION_DOUBLE_FAULT.
    runs: [
      run('load', 'violation', [], {
        driverEntryStatus: null,
        bugCheck: { code: '0x7F', parameter1: '0x8', allocations: null },
      }),
    ],
  },
  { name: 'poolbench', folder: 'test/drivers', compiler: 'gcc', twin: null, runs: [run('load', 'clean')] },
];
