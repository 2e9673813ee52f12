import { ACCESS_VIOLATION, le, run, SUCCESS, some, step, TIMEOUT } from '../steps.mjs';

/** Input of the channel's transform, and what it answers when the bytes follow the header. */
function transform(source, length, key, inline = '') {
  const body = Buffer.from(inline, 'ascii').toString('hex');
  return `${le(source, 8)}${le(length, 4)}${le(key, 1)}000000${body}`;
}
function transformed(text, key) {
  return Buffer.from([...Buffer.from(text, 'ascii')].map((byte, i) => byte ^ ((key + i) & 0xff))).toString('hex');
}

const transferSteps = (device) => [
  step(`open \\\\.\\${device}`),
  step(`ioctl 0x2220C0 in=${le(256, 4)}`, SUCCESS, 0),
  step(`ioctl 0x2220C5 in=00 out=32`, SUCCESS, 32),
  step(`ioctl 0x2220D0 in=${le(100, 4)}`, SUCCESS, 0),
  step(`ioctl 0x2220CA in=00 out=48`, SUCCESS, 32),
  step(`ioctl 0x2220D0 in=${le(100, 4)}`, TIMEOUT, 0),
  step(`ioctl 0x2220CF in=${transform(0, 8, 0x5a, 'channel!')} out=8`, SUCCESS, 8, transformed('channel!', 0x5a)),
  step('close'),
];

const faultSteps = (device) => [
  step(`open \\\\.\\${device}`),
  step(`ioctl 0x2220CF in=${transform(0x10, 40, 1)} out=40`, ACCESS_VIOLATION, 0),
  step(`ioctl 0x2220CF in=${transform(-0x100000, 72, 1)} out=72`, ACCESS_VIOLATION, 0),
  step('close'),
];

export const pair = {
  compiler: 'clang',
  leaks:
    "close forgets the handle's ring (`ChRg`); an exception handler forgets a scratch buffer (`ChSc`); both are allocated in inlined functions",
  seenWith: 'a plain run',
  leaky: [
    run('load', 'violation', [], { amounts: some }),
    run('transfer', 'violation', transferSteps('LeakyChannel')),
    run('fault', 'violation', faultSteps('LeakyChannel')),
  ],
  clean: [
    run('load', 'clean'),
    run('transfer', 'clean', transferSteps('CleanChannel')),
    run('fault', 'clean', faultSteps('CleanChannel')),
  ],
};
