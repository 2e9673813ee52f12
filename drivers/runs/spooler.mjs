import { ascii, CANCELLED, INVALID_PARAMETER, le, run, SUCCESS, some, step } from '../steps.mjs';

const JAM = 'ioctl 0x222400';
const PAGES = 'ioctl 0x222404 out=12';
const DATA_ERROR = '0xC000009C';

/** What the printer has put out: pages, bytes of its language, and the checksum of the last page. */
function pages(...texts) {
  let checksum = 0;
  for (const byte of Buffer.from(texts.at(-1), 'latin1'))
    checksum = (((checksum << 5) | (checksum >>> 27)) ^ byte) >>> 0;
  const bytes = texts.reduce((sum, text) => sum + 2 * text.length, 0);
  return le(texts.length, 4) + le(bytes, 4) + le(checksum, 4);
}

const write = (text, status = SUCCESS) => step(`write ${ascii(text)}`, status, status === SUCCESS ? text.length : 0);
const later = (text, status = SUCCESS) =>
  step(`write ${ascii(text)} async`, status, status === SUCCESS ? text.length : 0);

const printSteps = (device) => [
  step(`open \\\\.\\${device}`),
  write('title page'),
  later('chapter one'),
  later('chapter two'),
  step('write 00*257', INVALID_PARAMETER, 0),
  step('wait 100ms'),
  step(PAGES, SUCCESS, 12, pages('title page', 'chapter one', 'chapter two')),
  step(`${JAM} in=01000000`, SUCCESS, 0),
  write('never seen', DATA_ERROR),
  step(`${JAM} in=00000000`, SUCCESS, 0),
  write('index'),
  step('close'),
];

/** The first page is being printed and comes out; the other two are taken back. */
const cancelSteps = (device) => [
  step(`open \\\\.\\${device}`),
  later('comes out'),
  later('does not', CANCELLED),
  later('does neither', CANCELLED),
  step('wait 1ms'),
  step('cancel'),
  step('wait 50ms'),
  step(PAGES, SUCCESS, 12, pages('comes out')),
  step('close'),
];

/** The close of one file takes its waiting pages with it, and leaves the other's. */
const closeSteps = (device) => [
  step(`h1=open \\\\.\\${device}`),
  step(`h2=open \\\\.\\${device}`),
  step(`write h1 ${ascii('comes out')} async`, SUCCESS, 9),
  step(`write h1 ${ascii('does not')} async`, CANCELLED, 0),
  step(`write h2 ${ascii('does too')} async`, SUCCESS, 8),
  step('close h1'),
  step('wait 100ms'),
  step(`${PAGES.replace('ioctl', 'ioctl h2')}`, SUCCESS, 12, pages('comes out', 'does too')),
  step('close h2'),
];

export const pair = {
  compiler: 'gcc',
  leaks: 'a queued write that is cancelled before StartIo has it leaves its translated page: one `Page` each',
  seenWith: 'a plain run',
  leaky: [
    run('load', 'violation', [], { amounts: some }),
    run('print', 'clean', printSteps('LeakySpooler')),
    run('cancel', 'violation', cancelSteps('LeakySpooler')),
    run('close', 'clean', closeSteps('LeakySpooler')),
  ],
  clean: [
    run('load', 'clean'),
    run('print', 'clean', printSteps('CleanSpooler')),
    run('cancel', 'clean', cancelSteps('CleanSpooler')),
    run('close', 'clean', closeSteps('CleanSpooler')),
  ],
};
