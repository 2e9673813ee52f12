import { BUFFER_TOO_SMALL, le, run, SUCCESS, step } from '../steps.mjs';

const BUSY = 'ioctl 0x222500';
const DEVICE_BUSY = '0x80000011';

/** Times that the device fell asleep, woke, and refused to sleep; its power state (D0: 1). */
const counts = (...numbers) =>
  step('ioctl 0x222504 out=16', SUCCESS, 16, numbers.map((number) => le(number, 4)).join(''));

const sleepSteps = (device) => [
  step(`open \\\\.\\${device}`),
  step(`${BUSY} in=00`, BUFFER_TOO_SMALL, 0),
  counts(0, 0, 0, 1),
  step('suspend'),
  step('wait 1s'),
  step('resume'),
  counts(1, 1, 0, 1),
  step('suspend'),
  step('resume'),
  counts(2, 2, 0, 1),
  step('close'),
];

const busySteps = (device) => [
  step(`open \\\\.\\${device}`),
  step(`${BUSY} in=01000000`, SUCCESS, 0),
  step('suspend', DEVICE_BUSY),
  step('suspend', DEVICE_BUSY),
  counts(0, 0, 2, 1),
  step(`${BUSY} in=00000000`, SUCCESS, 0),
  step('suspend'),
  step('resume'),
  counts(1, 1, 2, 1),
  step('close'),
];

export const pair = {
  compiler: 'clang',
  leaks: 'a system power query that the device refuses leaves the context that was made for it: one `Doze` each',
  seenWith: 'a device that is busy when the system goes to sleep',
  leaky: [run('sleep', 'clean', sleepSteps('LeakyDoze')), run('busy', 'violation', busySteps('LeakyDoze'))],
  clean: [
    run('load', 'clean'),
    run('sleep', 'clean', sleepSteps('CleanDoze')),
    run('busy', 'clean', busySteps('CleanDoze')),
  ],
};
