import { BUFFER_TOO_SMALL, le, NOT_FOUND, OBJECT_NAME_NOT_FOUND, run, SUCCESS, some, step } from '../steps.mjs';

const COLLISION = '0xC0000035';
const BUSY = '0x80000011';

const plug = (serial) => `ioctl 0x2A24C0 in=${le(serial, 4)}`;
const unplug = (serial) => `ioctl 0x2A24C4 in=${le(serial, 4)}`;
/** Serial numbers of the children, all of them started. */
const list = (...serials) =>
  step(
    'ioctl 0x2A24C8 out=64',
    SUCCESS,
    serials.length * 8,
    serials.map((serial) => le(serial, 4) + le(1, 4)).join(''),
  );

const unplugSteps = (device) => [
  step(`open \\\\.\\${device}`),
  list(),
  step(plug(0x12), SUCCESS, 0),
  step(plug(0xabcdef01), SUCCESS, 0),
  step(plug(0x12), COLLISION, 0),
  step('ioctl 0x2A24C0 in=00', BUFFER_TOO_SMALL, 0),
  step('wait 10ms'),
  list(0x12, 0xabcdef01),
  step(unplug(0x12), SUCCESS, 0),
  step('wait 10ms'),
  list(0xabcdef01),
  step(unplug(0x12), NOT_FOUND, 0),
  step(unplug(0xabcdef01), SUCCESS, 0),
  step('wait 10ms'),
  list(),
  step('close'),
];

/** Two children are left when the hub is removed; a third one is unplugged before. */
const removeSteps = (device) => [
  step(`open \\\\.\\${device}`),
  ...[1, 2, 3].map((serial) => step(plug(serial), SUCCESS, 0)),
  step('wait 10ms'),
  step(unplug(2), SUCCESS, 0),
  step('wait 10ms'),
  list(1, 3),
  step('close'),
  step('remove'),
  step(`open \\\\.\\${device}`, OBJECT_NAME_NOT_FOUND),
];

const surpriseSteps = (device) => [
  step(`open \\\\.\\${device}`),
  ...[1, 2, 3, 4].map((serial) => step(plug(serial), SUCCESS, 0)),
  step(plug(5), BUSY, 0),
  step('wait 10ms'),
  step(unplug(3), SUCCESS, 0),
  step(unplug(4), SUCCESS, 0),
  step('wait 10ms'),
  step('close'),
  step('surprise-remove'),
];

export const pair = {
  compiler: 'gcc',
  leaks: 'a bus driver that is removed leaves the labels of the children that it still has: one `HLab` each',
  seenWith: 'a plain run',
  leaky: [
    run('load', 'violation', [], { amounts: some }),
    run('unplug', 'clean', unplugSteps('LeakyHub')),
    run('remove', 'violation', removeSteps('LeakyHub')),
    run('surprise', 'violation', surpriseSteps('LeakyHub')),
  ],
  clean: [
    run('load', 'clean'),
    run('unplug', 'clean', unplugSteps('CleanHub')),
    run('remove', 'clean', removeSteps('CleanHub')),
    run('surprise', 'clean', surpriseSteps('CleanHub')),
  ],
};
