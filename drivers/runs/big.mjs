import { run, SUCCESS, step } from '../steps.mjs';

export const single = {
  compiler: 'gcc',
  about:
    'nothing: 40 KB of code (unrolled digests, a sort, a parser, a virtual machine) that checks its own answers in DriverEntry',
  runs: [
    run('load', 'clean'),
    run('check', 'clean', [step('open \\\\.\\PoolproofBig'), step('ioctl 0x222140', SUCCESS, 0), step('close')]),
  ],
};
