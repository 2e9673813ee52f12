import {
  ascii,
  BUFFER_TOO_SMALL,
  CRC_ERROR,
  INVALID_PARAMETER,
  le,
  OBJECT_NAME_NOT_FOUND,
  run,
  SUCCESS,
  step,
} from '../steps.mjs';

const CORRUPT = '0xC0000102';
const SHARING = '0xC0000043';

const store = (number, text, status = SUCCESS) => step(`ioctl 0x2225C0 in=${le(number, 4)}${ascii(text)}`, status, 0);
const load = (number, text) => step(`ioctl 0x2225C4 in=${le(number, 4)} out=64`, SUCCESS, text.length, ascii(text));
const refused = (number, status, room = 64) => step(`ioctl 0x2225C4 in=${le(number, 4)} out=${room}`, status, 0);
const damage = (number, offset, status = SUCCESS) =>
  step(`ioctl 0x2225C8 in=${le(number, 4)}${le(offset, 4)}`, status, 0);

const goodSteps = (device) => [
  step(`open \\\\.\\${device}`),
  refused(1, OBJECT_NAME_NOT_FOUND),
  store(1, 'the first text'),
  store(0xabcdef, 'another'),
  load(1, 'the first text'),
  load(0xabcdef, 'another'),
  store(1, 'shorter'),
  load(1, 'shorter'),
  refused(1, BUFFER_TOO_SMALL, 6),
  store(2, '', INVALID_PARAMETER),
  damage(9, 0, OBJECT_NAME_NOT_FOUND),
  damage(1, 0),
  refused(1, CORRUPT),
  store(1, 'as new'),
  load(1, 'as new'),
  step('close'),
];

/** The text is damaged behind the header, in two files; a file that stays open can be neither damaged nor stored anew. */
const damagedSteps = (device, again) => [
  step(`open \\\\.\\${device}`),
  store(1, 'text 1.'),
  store(2, 'text 2.'),
  damage(1, 12),
  damage(2, 18),
  refused(1, CRC_ERROR),
  refused(2, CRC_ERROR),
  store(1, 'again', again),
  step('close'),
];

export const pair = {
  compiler: 'gcc',
  leaks:
    'a file with a wrong checksum stays open, and the text that was read of it in pool: one handle and one `ATxt` each',
  seenWith: 'a file that was damaged',
  leaky: [
    run('good', 'clean', goodSteps('LeakyArchive')),
    run('damaged', 'violation', damagedSteps('LeakyArchive', SHARING)),
  ],
  clean: [
    run('load', 'clean'),
    run('good', 'clean', goodSteps('CleanArchive')),
    run('damaged', 'clean', damagedSteps('CleanArchive', SUCCESS)),
  ],
};
