import {
  ascii,
  BUFFER_TOO_SMALL,
  DEVICE_NOT_READY,
  INVALID_PARAMETER,
  le,
  OBJECT_NAME_NOT_FOUND,
  run,
  SUCCESS,
  step,
} from '../steps.mjs';

const BIND = 'ioctl 0x222440';
const BREAK = 'ioctl 0x222444';
const COUNTS = 'ioctl 0x222448 out=16';

const text = 'the same on both';
const write = step(`write ${ascii(text)}`, SUCCESS, text.length);
const read = step(`read ${text.length}`, SUCCESS, text.length, ascii(text));
const counts = (...numbers) => step(COUNTS, SUCCESS, 16, numbers.map((number) => le(number, 4)).join(''));

const goodSteps = (device) => [
  step(`open \\\\.\\${device}`),
  step('read 16', DEVICE_NOT_READY, 0),
  step(`${BIND} in=00`, BUFFER_TOO_SMALL, 0),
  step(`${BIND} in=0007`, OBJECT_NAME_NOT_FOUND, 0),
  step(`${BIND} in=0001`, SUCCESS, 0),
  write,
  read,
  read,
  counts(1, 1, 1, 1),
  step(`${BIND} in=0102`, SUCCESS, 0),
  counts(1, 1, 0, 0),
  write,
  counts(1, 2, 0, 1),
  step('write 00*4096', '0xC0000011', 0),
  counts(1, 2, 0, 1),
  step('close'),
];

/** A disk has 2048 bytes. */
const offsetSteps = (device) => [
  step(`open \\\\.\\${device}`),
  step(`${BIND} in=0001`, SUCCESS, 0),
  step(`write ${ascii(text)} at=100`, SUCCESS, text.length),
  step(`write ${ascii('end')} at=0x7fd async`, SUCCESS, 3),
  step('read 4 at=98', SUCCESS, 4, `0000${ascii('th')}`),
  step('read 4 at=2044', SUCCESS, 4, `00${ascii('end')}`),
  step('read 4', SUCCESS, 4, '00000000'),
  step('read 4 at=2045', '0xC0000011', 0),
  step('read 4 at=0x100000064', '0xC0000011', 0),
  step('close'),
];

/** Two writes while the second disk is broken; reads come from the first one meanwhile. */
const brokenSteps = (device) => [
  step(`open \\\\.\\${device}`),
  step(`${BIND} in=0001`, SUCCESS, 0),
  write,
  step(`${BREAK} in=0501`, INVALID_PARAMETER, 0),
  step(`${BREAK} in=0101`, SUCCESS, 0),
  step(`write ${ascii('on neither')}`, DEVICE_NOT_READY, 0),
  step(`write ${ascii('nor this')}`, DEVICE_NOT_READY, 0),
  read,
  read,
  step(`${BREAK} in=0100`, SUCCESS, 0),
  write,
  step('close'),
];

/** The first disk is broken: no half was made yet. */
const firstSteps = (device) => [
  step(`open \\\\.\\${device}`),
  step(`${BIND} in=0201`, SUCCESS, 0),
  step(`${BREAK} in=0001`, SUCCESS, 0),
  step(`write ${ascii('on neither')}`, DEVICE_NOT_READY, 0),
  step(`${BREAK} in=0000`, SUCCESS, 0),
  write,
  step('close'),
];

export const pair = {
  compiler: 'gcc',
  leaks: 'a write that cannot be split leaves the associated IRP and the partial MDL that it has made already',
  seenWith: 'a mirror whose second disk is broken',
  leaky: [
    run('load', 'clean'),
    run('good', 'clean', goodSteps('LeakyMirror')),
    run('offsets', 'clean', offsetSteps('LeakyMirror')),
    run('broken', 'violation', brokenSteps('LeakyMirror')),
    run('first', 'clean', firstSteps('LeakyMirror')),
  ],
  clean: [
    run('load', 'clean'),
    run('good', 'clean', goodSteps('CleanMirror')),
    run('offsets', 'clean', offsetSteps('CleanMirror')),
    run('broken', 'clean', brokenSteps('CleanMirror')),
    run('first', 'clean', firstSteps('CleanMirror')),
  ],
};
