import { BUFFER_TOO_SMALL, le, OBJECT_NAME_NOT_FOUND, run, SUCCESS, some, step, utf16 } from '../steps.mjs';

const ADD = 'ioctl 0x2223C0';
const CHOOSE = 'ioctl 0x2223C4';
const LIST = 'ioctl 0x2223C8';
const DELETE = 'ioctl 0x2223CC';
const COLLISION = '0xC0000035';
const TYPE_MISMATCH = '0xC0000024';
const [NONE, SZ, BINARY, DWORD] = [0, 1, 3, 4];

const name = (text) => utf16(text.padEnd(8));
const add = (profile, rateType, rate, labelType = SZ) =>
  `${ADD} in=${name(profile)}${le(rateType, 4)}${le(rate, 4)}${le(labelType, 4)}${utf16(`${profile}\0`.padEnd(8, '\0'))}`;
const choose = (profile) => `${CHOOSE} in=${name(profile)} out=24`;
const answer = (rate, profile) => le(rate, 4) + le(8, 4) + utf16(profile.padEnd(8, '\0'));

const goodSteps = (device) => [
  step(`open \\\\.\\${device}`),
  step(`${LIST} out=64`, SUCCESS, 0),
  step(add('slow', DWORD, 10), SUCCESS, 0),
  step(add('fast', DWORD, 1000), SUCCESS, 0),
  step(add('SLOW', DWORD, 11), COLLISION, 0),
  step(`${LIST} out=64`, SUCCESS, 8, le(1000, 4) + le(10, 4)),
  step(`${LIST} out=4`, SUCCESS, 4, le(1000, 4)),
  step(choose('slow'), SUCCESS, 24, answer(10, 'slow')),
  step(choose('none'), OBJECT_NAME_NOT_FOUND, 0),
  step(`${CHOOSE} in=00 out=24`, BUFFER_TOO_SMALL, 0),
  step(`${DELETE} in=${name('slow')}`, SUCCESS, 0),
  step(choose('slow'), OBJECT_NAME_NOT_FOUND, 0),
  step('close'),
];

/** A Rate that is text, chosen twice. */
const typeSteps = (device) => [
  step(`open \\\\.\\${device}`),
  step(add('text', SZ, 10), SUCCESS, 0),
  step(choose('text'), TYPE_MISMATCH, 0),
  step(choose('text'), TYPE_MISMATCH, 0),
  step(`${DELETE} in=${name('text')}`, SUCCESS, 0),
  step(add('text', DWORD, 10, SZ), SUCCESS, 0),
  step(choose('text'), SUCCESS, 24, answer(10, 'text')),
  step('close'),
];

const namelessSteps = (device) => [
  step(`open \\\\.\\${device}`),
  step(add('one', NONE, 0), SUCCESS, 0),
  step(add('two', DWORD, 2), SUCCESS, 0),
  step(`${LIST} out=64`, SUCCESS, 4, le(2, 4)),
  step(`${LIST} out=64`, SUCCESS, 4, le(2, 4)),
  step(choose('one'), OBJECT_NAME_NOT_FOUND, 0),
  step(add('bad', DWORD, 3, BINARY), SUCCESS, 0),
  step(`${DELETE} in=${name('bad')}`, SUCCESS, 0),
  step('close'),
];

export const pair = {
  compiler: 'gcc',
  leaks:
    'a registry value of the wrong type leaves the buffer that it was read into (`PVal`); a key that lacks a value stays open',
  seenWith: 'a plain run; a key that lacks the value',
  leaky: [
    // No key lacks the value that the tour asks for.
    run('load', 'violation', [], { amounts: (_, runs) => (runs.includes('type') ? some() : null) }),
    run('good', 'clean', goodSteps('LeakyProfile')),
    run('type', 'violation', typeSteps('LeakyProfile')),
    run('nameless', 'violation', namelessSteps('LeakyProfile')),
  ],
  clean: [
    run('load', 'clean'),
    run('good', 'clean', goodSteps('CleanProfile')),
    run('type', 'clean', typeSteps('CleanProfile')),
    run('nameless', 'clean', namelessSteps('CleanProfile')),
  ],
};
