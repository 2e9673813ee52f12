import { ascii, INVALID_PARAMETER, le, run, SUCCESS, some, step } from '../steps.mjs';

const DISMISS = 'ioctl 0x222380';
const DELIVERED = 'ioctl 0x222384';

/** The receipt of a parcel: the digest is Bernstein's, with exclusive or. */
function receipt(number, text) {
  let digest = 5381;
  for (const byte of Buffer.from(text, 'latin1')) digest = (Math.imul(digest, 33) ^ byte) >>> 0;
  return le(number, 4) + le(text.length, 4) + le(digest, 4);
}

const write = (text) => step(`write ${ascii(text)}`, SUCCESS, text.length);

const deliveredSteps = (device) => [
  step(`open \\\\.\\${device}`),
  step(DISMISS),
  write('a parcel'),
  write('another one'),
  step('wait 50ms'),
  step(`${DELIVERED} out=64`, SUCCESS, 24, receipt(0, 'a parcel') + receipt(1, 'another one')),
  ...['three', 'four', 'five', 'six'].map(write),
  step('wait 200ms'),
  step(`${DELIVERED} out=24`, SUCCESS, 24, receipt(2, 'three') + receipt(3, 'four')),
  step('write 00*1001', INVALID_PARAMETER, 0),
  step('close'),
];

/** The first parcel is on its way, and arrives; the other two wait. */
const dismissedSteps = (device) => [
  step(`open \\\\.\\${device}`),
  write('on its way'),
  write('waits'),
  write('waits too'),
  step('wait 5ms'),
  step(DISMISS),
  step(`${DELIVERED} out=64`, SUCCESS, 12, receipt(0, 'on its way')),
  write('after that'),
  step('wait 50ms'),
  step(`${DELIVERED} out=64`, SUCCESS, 24, receipt(0, 'on its way') + receipt(3, 'after that')),
  step('close'),
];

/** Unloaded while the courier is on its way with the first. */
const unloadSteps = (device) => [
  step(`open \\\\.\\${device}`),
  ...['first', 'second', 'third'].map(write),
  step('wait 1ms'),
  step('close'),
];

export const pair = {
  compiler: 'clang',
  leaks: 'a system thread that is told to end leaves the parcels in its queue: one `Parc` each',
  seenWith: 'a plain run',
  leaky: [
    run('load', 'violation', [], { amounts: some }),
    run('delivered', 'clean', deliveredSteps('LeakyCourier')),
    run('dismissed', 'violation', dismissedSteps('LeakyCourier'), {
      amounts: () => ({ count: 2, bytes: 2 * 24 + 'waits'.length + 'waits too'.length }),
    }),
    run('unload', 'violation', unloadSteps('LeakyCourier'), {
      amounts: () => ({ count: 2, bytes: 2 * 24 + 'second'.length + 'third'.length }),
    }),
  ],
  clean: [
    run('load', 'clean'),
    run('delivered', 'clean', deliveredSteps('CleanCourier')),
    run('dismissed', 'clean', dismissedSteps('CleanCourier')),
    run('unload', 'clean', unloadSteps('CleanCourier')),
  ],
};
