import {
  ascii,
  BUFFER_OVERFLOW,
  BUFFER_TOO_SMALL,
  CANCELLED,
  DEVICE_DATA_ERROR,
  INVALID_PARAMETER,
  le,
  NO_MORE_ENTRIES,
  run,
  SUCCESS,
  some,
  step,
} from '../steps.mjs';

/** Pins a buffer; in the end it holds what was stamped. */
const pin = (bytes, status, text = '', offset = 0) =>
  step(
    `ioctl 0x222543 out=${bytes} async`,
    status,
    status === SUCCESS ? offset + text.length : 0,
    status === SUCCESS ? '00'.repeat(offset) + ascii(text) : undefined,
  );
const stamp = (text, offset = 0, status = SUCCESS) =>
  step(`ioctl 0x222544 in=${le(offset, 8)}${ascii(text)}`, status, 0);
const count = (pinned, stamped) => step('ioctl 0x222548 out=8', SUCCESS, 8, le(pinned, 4) + le(stamped, 4));
const steps = (device, middle) => [step(`open \\\\.\\${device}`), ...middle, step('close')];

const stamped = [
  pin(64, SUCCESS, 'received', 4),
  pin(16, SUCCESS, 'a second one'),
  count(2, 0),
  stamp('received', 4),
  stamp('a second one'),
  stamp('nobody waits', 0, NO_MORE_ENTRIES),
  step('ioctl 0x222544 in=0000000000000000', BUFFER_TOO_SMALL, 0),
  step('ioctl 0x222543', INVALID_PARAMETER, 0),
  count(0, 2),
];
const ended = [pin(64, CANCELLED), pin(5000, CANCELLED), step('cancel'), count(0, 0), pin(8, CANCELLED)];
const tooLong = [
  pin(16, DEVICE_DATA_ERROR),
  stamp('longer than what is pinned', 0, BUFFER_OVERFLOW),
  pin(16, DEVICE_DATA_ERROR),
  stamp('short', 12, BUFFER_OVERFLOW),
  count(0, 0),
];

export const pair = {
  compiler: 'clang',
  leaks:
    'pages of the caller that are locked while a request waits: a stamp that does not fit frees the MDL and does not unlock',
  seenWith: 'a plain run; `--do` below',
  leaky: [
    run('load', 'violation', [], { amounts: some, bugCheck: { code: '0xCB', parameter1: null, allocations: null } }),
    run('stamped', 'clean', steps('LeakyPinboard', stamped)),
    run('ended', 'clean', steps('LeakyPinboard', ended)),
    // DRIVER_LEFT_LOCKED_PAGES_IN_PROCESS; the parameters are addresses.
    run('too-long', 'violation', steps('LeakyPinboard', tooLong), {
      bugCheck: { code: '0xCB', parameter1: null, allocations: null },
    }),
  ],
  clean: [
    run('load', 'clean'),
    run('stamped', 'clean', steps('CleanPinboard', stamped)),
    run('ended', 'clean', steps('CleanPinboard', ended)),
    run('too-long', 'clean', steps('CleanPinboard', [...tooLong, ...tooLong])),
  ],
};
