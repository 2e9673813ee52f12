import { ascii, CANCELLED, INVALID_PARAMETER, le, run, SUCCESS, some, step } from '../steps.mjs';

const STATISTICS = 'ioctl 0x226300 out=16';
const TRUNCATE = 'ioctl 0x22A304';
const OVERFLOW = '0x80000005';
const BUSY = '0x80000011';

const statistics = (...counts) => counts.map((count) => le(count, 4)).join('');

const recordSteps = (device) => [
  step(`open \\\\.\\${device}`),
  step(`write ${ascii('one')}`, SUCCESS, 3),
  step(`write ${ascii('twelve bytes')}`, SUCCESS, 12),
  step('read 16', SUCCESS, 3, ascii('one')),
  step('read 6', OVERFLOW, 6, ascii('twelve')),
  step('write 00*513', INVALID_PARAMETER, 0),
  ...Array.from({ length: 32 }, () => step('write 55*8', SUCCESS, 8)),
  step('write 55*8', BUSY, 0),
  step(STATISTICS, SUCCESS, 16, statistics(32, 34, 0, 0)),
  step(TRUNCATE),
  step(`write ${ascii('left for unload')}`, SUCCESS, 15),
  step('close'),
];

/** The first read has no room for the record; the second one takes it, and the first one the next. */
const answeredSteps = (device) => [
  step(`open \\\\.\\${device}`),
  step('read 4 async', SUCCESS, 4, ascii('tiny')),
  step('read 64 async', SUCCESS, 9, ascii('quite big')),
  step(`write ${ascii('quite big')}`, SUCCESS, 9),
  step(`write ${ascii('tiny')}`, SUCCESS, 4),
  step(STATISTICS, SUCCESS, 16, statistics(0, 0, 2, 0)),
  step('close'),
];

/** Two reads are cancelled, one is closed over; the other file's read is answered. */
const cancelledSteps = (device) => [
  step(`h1=open \\\\.\\${device}`),
  step(`h2=open \\\\.\\${device}`),
  step('read h1 16 async', CANCELLED, 0),
  step('read h1 16 async', CANCELLED, 0),
  step('cancel h1'),
  step('read h1 16 async', CANCELLED, 0),
  step('read h2 16 async', SUCCESS, 5, ascii('still')),
  step('close h1'),
  step(`write h2 ${ascii('still')}`, SUCCESS, 5),
  step(STATISTICS, SUCCESS, 16, statistics(0, 0, 1, 3)),
  step('close h2'),
];

const cancelledAmounts = () => ({ count: 3, bytes: 48 });

export const pair = {
  compiler: 'gcc',
  leaks: 'a waiting read that is cancelled from its cancel-safe queue leaves its context: one `JrWt` each',
  seenWith: 'a plain run',
  leaky: [
    run('load', 'violation', [], { amounts: some }),
    run('records', 'clean', recordSteps('LeakyJournal')),
    run('answered', 'clean', answeredSteps('LeakyJournal')),
    run('cancelled', 'violation', cancelledSteps('LeakyJournal'), { amounts: cancelledAmounts }),
  ],
  clean: [
    run('load', 'clean'),
    run('records', 'clean', recordSteps('CleanJournal')),
    run('answered', 'clean', answeredSteps('CleanJournal')),
    run('cancelled', 'clean', cancelledSteps('CleanJournal')),
  ],
};
