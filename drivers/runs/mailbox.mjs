import {
  BUFFER_TOO_SMALL,
  CANCELLED,
  CRC_ERROR,
  le,
  NO_MORE_ENTRIES,
  NOT_SUPPORTED,
  run,
  SUCCESS,
  some,
  step,
} from '../steps.mjs';

/** Input of the mailbox's post: kind, length, checksum, body. `error` spoils the checksum. */
function post(kind, text, error = 0) {
  const body = Buffer.from(text, 'ascii');
  let sum = body.length;
  for (const byte of body) sum = (Math.imul(sum, 31) + byte) >>> 0;
  return le(kind, 4) + le(body.length, 4) + le((sum + error) >>> 0, 4) + body.toString('hex');
}

const POST = 'ioctl 0x222080';
const FETCH = 'ioctl 0x222084';
const WAIT = 'ioctl 0x222088';
const DEPTH = 'ioctl 0x22208C';

const goodSteps = (device) => [
  step(`open \\\\.\\${device}`),
  step(`${POST} in=${post(1, 'hello')}`, SUCCESS, 0),
  step(`${POST} in=${post(2, 'samples!')}`, SUCCESS, 0),
  step(`${DEPTH} out=4`, SUCCESS, 4, le(2, 4)),
  step(`${FETCH} out=64`, SUCCESS, 5, Buffer.from('hello').toString('hex')),
  step(`${POST} in=${post(7, 'unknown kind')}`, NOT_SUPPORTED, 0),
  step(`${POST} in=0000`, BUFFER_TOO_SMALL, 0),
  step(`${FETCH} out=64`, SUCCESS, 8, Buffer.from('samples!').toString('hex')),
  step(`${FETCH} out=64`, NO_MORE_ENTRIES, 0),
  step(`${POST} in=${post(1, 'left for unload')}`, SUCCESS, 0),
  step('close'),
];

const badSteps = (device) => [
  step(`open \\\\.\\${device}`),
  step(`${POST} in=${post(1, 'hello', 1)}`, CRC_ERROR, 0),
  step(`${POST} in=${post(2, '0123456789abcdef', 1)}`, CRC_ERROR, 0),
  step('close'),
];

const cancelSteps = (device) => [
  step(`open \\\\.\\${device}`),
  step(`${WAIT} out=64 async`, CANCELLED, 0),
  step('cancel'),
  step(`${WAIT} out=64 async`, CANCELLED, 0),
  step('close'),
];

const waitSteps = (device) => [
  step(`open \\\\.\\${device}`),
  step(`${WAIT} out=64 async`, SUCCESS, 5, Buffer.from('hello').toString('hex')),
  step(`${POST} in=${post(1, 'hello')}`, SUCCESS, 0),
  step('close'),
];

export const pair = {
  compiler: 'gcc',
  leaks: 'a message whose checksum is wrong is not freed: one `Mail` per bad request; the allocation is a tail jump',
  seenWith: 'a plain run',
  leaky: [
    run('load', 'violation', [], { amounts: some }),
    run('good', 'clean', goodSteps('LeakyMailbox')),
    run('cancel', 'clean', cancelSteps('LeakyMailbox')),
    run('wait', 'clean', waitSteps('LeakyMailbox')),
    run('bad-checksum', 'violation', badSteps('LeakyMailbox')),
  ],
  clean: [
    run('load', 'clean'),
    run('good', 'clean', goodSteps('CleanMailbox')),
    run('cancel', 'clean', cancelSteps('CleanMailbox')),
    run('wait', 'clean', waitSteps('CleanMailbox')),
    run('bad-checksum', 'clean', badSteps('CleanMailbox')),
  ],
};
