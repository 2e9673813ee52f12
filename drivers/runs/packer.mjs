import {
  ascii,
  BUFFER_OVERFLOW,
  BUFFER_TOO_SMALL,
  END_OF_FILE,
  INFO_LENGTH_MISMATCH,
  INVALID_PARAMETER,
  le,
  NO_MORE_ENTRIES,
  NOT_SUPPORTED,
  run,
  STACK_OVERFLOW,
  SUCCESS,
  some,
  step,
} from '../steps.mjs';

/** Records of a document. */
const record = (type, data = '') => le(type, 2) + le(data.length / 2, 2) + data;
const text = (value) => record(1, ascii(value));
const number = (value) => record(2, le(value, 8));
const group = (...records) => record(3) + records.join('') + record(4);
const reference = (target) => record(5, le(target, 4));

const compile = (document, status = SUCCESS) => step(`ioctl 0x222440 in=${document}`, status, 0);
const statistics = (...values) =>
  step('ioctl 0x222448 out=12', SUCCESS, 12, values.map((value) => le(value, 4)).join(''));
const steps = (device, middle) => [step(`open \\\\.\\${device}`), ...middle, step('close')];

/** Items of the image: type, length, the group they are in, data. */
const item = (type, length, parent, data = '') => le(type, 2) + le(length, 2) + le(parent, 4) + data;
const image = item(3, 0, 0) + item(1, 4, 1, ascii('pump')) + item(2, 8, 1, le(42, 8)) + item(5, 4, 0, le(8, 4));
const good = [
  step('ioctl 0x222446 out=16', NO_MORE_ENTRIES, 0),
  compile(group(text('pump'), number(42)) + reference(1)),
  step('ioctl 0x222446 out=64', SUCCESS, 48, image),
  step('ioctl 0x222446 out=8', BUFFER_OVERFLOW),
  compile(record(9), NOT_SUPPORTED),
  compile(record(3) + text('never closed'), END_OF_FILE),
  compile(record(3).repeat(9), STACK_OVERFLOW),
  compile(record(2, '00'), INFO_LENGTH_MISMATCH),
  compile(le(1, 2) + le(50, 2), BUFFER_TOO_SMALL),
  compile(text('another') + record(0)),
  statistics(2, 5, 5),
];
const badText = [
  compile(text('before') + text(''), INVALID_PARAMETER),
  compile(number(1) + text('ab\0') + text('behind'), INVALID_PARAMETER),
  statistics(0, 2, 0),
];
const badReference = [
  compile(text('a') + reference(7), INVALID_PARAMETER),
  compile(text('a') + text('b') + reference(2), INVALID_PARAMETER),
];

export const pair = {
  compiler: 'clang',
  leaks:
    'the newer and rarer pool calls, and returns in the wrong place: a record with a bad text (`PkRc`), the index when a reference points forward (`PkIx`)',
  seenWith: 'a plain run; references: `--do` below',
  leaky: [
    run('load', 'violation', [], { amounts: ({ tag }) => (tag === 'PkRc' ? some() : null) }),
    run('good', 'clean', steps('LeakyPacker', good)),
    run('bad-text', 'violation', steps('LeakyPacker', badText)),
    run('bad-reference', 'violation', steps('LeakyPacker', badReference)),
  ],
  clean: [
    run('load', 'clean'),
    run('good', 'clean', steps('CleanPacker', good)),
    run('refused', 'clean', steps('CleanPacker', [...badText, ...badReference, ...badReference])),
  ],
};
