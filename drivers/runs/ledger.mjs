import {
  ACCESS_VIOLATION,
  ascii,
  BUFFER_TOO_SMALL,
  INVALID_PARAMETER,
  le,
  run,
  SOME_NOT_MAPPED,
  SUCCESS,
  some,
  step,
} from '../steps.mjs';

/** Input of a post: entries of [amount, category, day] behind the header, or somewhere else. */
const post = (entries) =>
  `ioctl 0x222403 in=${le(entries.length, 8)}${le(0, 8)}${entries.map(([amount, category, day]) => le(amount, 8) + le(category, 4) + le(day, 4)).join('')}`;
const postFrom = (count, address) => `ioctl 0x222403 in=${le(count, 8)}${le(address, 8)}`;
const draw = (destination, bytes) => `ioctl 0x222407 in=${le(destination, 8)}${le(bytes, 8)} out=144`;

const entries = [
  [1250, 0, 3],
  [-400, 2, 5],
  [75, 2, 4],
];
const balance = (total, batches, count) => le(total, 8) + le(batches, 4) + le(count, 4);
/** Sum, count and last day of the categories. */
const categories =
  le(1250, 8) + le(1, 4) + le(3, 4) + '00'.repeat(16) + le(-325, 8) + le(2, 4) + le(5, 4) + '00'.repeat(5 * 16);

const steps = (device, middle) => [step(`open \\\\.\\${device}`), ...middle, step('close')];
const bookkeeping = [
  step(post(entries), SUCCESS, 0),
  step(draw(0, 144), SUCCESS, 144, balance(925, 1, 3) + categories),
  step(
    post([
      [10, 1, 1],
      [20, 99, 1],
    ]),
    SOME_NOT_MAPPED,
    0,
  ),
  step('ioctl 0x222408 out=16', SUCCESS, 16, balance(935, 2, 4)),
  step(`ioctl 0x22240C in=${ascii('rent is due')}`, SUCCESS, 0),
  step(`ioctl 0x22240C in=${ascii('rent is paid')}`, SUCCESS, 0),
  step(post([]), INVALID_PARAMETER, 0),
  step(`ioctl 0x222403 in=${le(2, 8)}${le(0, 8)}00`, BUFFER_TOO_SMALL, 0),
  step(postFrom(257, 16), INVALID_PARAMETER, 0),
];
const badEntries = [step(postFrom(3, 0x10), ACCESS_VIOLATION, 0), step(postFrom(2, -0x1000), ACCESS_VIOLATION, 0)];
const badDestination = [
  step(post(entries), SUCCESS, 0),
  step(draw(0x20, 144), ACCESS_VIOLATION, 0),
  step(draw(-0x100000, 16), ACCESS_VIOLATION, 0),
  step('ioctl 0x222408 out=16', SUCCESS, 16, balance(925, 1, 3)),
];

export const pair = {
  compiler: 'clang',
  leaks:
    'pool charged to quota: a batch whose entries cannot be read (`LgBa`, forgotten by `__except`), a statement that cannot be written (`LgSt`, forgotten by `__finally`)',
  seenWith: 'a plain run',
  leaky: [
    run('load', 'violation', [], { amounts: some }),
    run('bookkeeping', 'clean', steps('LeakyLedger', bookkeeping)),
    run('bad-entries', 'violation', steps('LeakyLedger', badEntries)),
    run('bad-destination', 'violation', steps('LeakyLedger', badDestination)),
  ],
  clean: [
    run('load', 'clean'),
    run('all', 'clean', steps('CleanLedger', [...bookkeeping, ...badEntries, ...badEntries])),
    run('bad-destination', 'clean', steps('CleanLedger', badDestination)),
  ],
};
