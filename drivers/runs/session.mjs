import { BUFFER_TOO_SMALL, INVALID_PARAMETER, le, NOT_FOUND, run, SUCCESS, some, step, utf16 } from '../steps.mjs';

const NAME_INVALID = '0xC0000033';
const TOO_MANY = '0xC00000CE';
const COMMITTED = '0xC0000021';

const set = (name, value, handle = '') => `ioctl ${handle}0x222480 in=${le(name, 4)}${utf16(value)}`;
const get = (name, room, handle = '') => `ioctl ${handle}0x222484 in=${le(name, 4)} out=${room}`;
const open = (device, name, rest, status) => step(`${name}=open \\\\.\\${device}${rest}`, status);

const goodSteps = (device) => [
  open(device, 'p', '\\plain'),
  open(device, 's', '\\Sealed\\42'),
  step(set(1, 'red', 'p '), SUCCESS, 0),
  step(set(1, 'green', 'p '), SUCCESS, 0),
  step(get(1, 64, 'p '), SUCCESS, 10, utf16('green')),
  step(get(1, 64, 's '), NOT_FOUND, 0),
  step(set(1, 'blue', 's '), SUCCESS, 0),
  step(set(1, 'black', 's '), COMMITTED, 0),
  step(get(1, 8, 's '), SUCCESS, 8, utf16('blue')),
  step(get(1, 4, 's '), BUFFER_TOO_SMALL, 0),
  step('ioctl s 0x222480 in=00', BUFFER_TOO_SMALL, 0),
  step(set(2, 'x'.repeat(65), 's '), INVALID_PARAMETER, 0),
  step('close p'),
  step('close s'),
];

const nameSteps = (device) => [
  open(device, 'a', '\\plane', NAME_INVALID),
  open(device, 'b', '\\sealed\\', NAME_INVALID),
  open(device, 'c', '\\sealed\\7'),
  step(set(9, 'kept', 'c '), SUCCESS, 0),
  step('close c'),
];

/** Four are let in, two are not; then one goes and another is let in. */
const fullSteps = (device) => [
  ...['a', 'b', 'c', 'd'].map((name) => open(device, name, '')),
  open(device, 'e', '', TOO_MANY),
  open(device, 'f', '\\plain', TOO_MANY),
  step('close b'),
  open(device, 'g', '\\plain'),
  ...['a', 'c', 'd', 'g'].map((name) => step(`close ${name}`)),
];

export const pair = {
  compiler: 'clang',
  leaks: 'an open that fails leaves the session that was made for it: one `Sess` each',
  seenWith: 'a plain run',
  leaky: [
    run('load', 'violation', [], { amounts: some }),
    run('good', 'clean', goodSteps('LeakySession')),
    run('name', 'violation', nameSteps('LeakySession')),
    run('full', 'violation', fullSteps('LeakySession')),
  ],
  clean: [
    run('load', 'clean'),
    run('good', 'clean', goodSteps('CleanSession')),
    run('name', 'clean', nameSteps('CleanSession')),
    run('full', 'clean', fullSteps('CleanSession')),
  ],
};
