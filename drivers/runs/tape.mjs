import {
  ascii,
  CRC_ERROR,
  END_OF_FILE,
  END_OF_MEDIA,
  INVALID_PARAMETER,
  le,
  run,
  SUCCESS,
  some,
  step,
} from '../steps.mjs';

const write = (byte, count, status = SUCCESS) => step(`write ${byte}*${count}`, status, status === SUCCESS ? count : 0);
const read = (count, found, digits) => step(`read ${count}`, SUCCESS, found, digits);
const rewind = step('ioctl 0x222500', SUCCESS, 0);
/** Of `length` bytes 0x41 from the start, after `chunks` were moved. `error` spoils the checksum. */
function verify(written, chunks, length, error = 0) {
  const data = `${ascii('TAPE')}${le(1, 4)}${le(written, 4)}${le(chunks, 4)}${'41'.repeat(length)}${ascii('THE END.')}`;
  const sum = [...Buffer.from(data, 'hex')].reduce((sum, byte) => (Math.imul(sum, 31) + byte) >>> 0, 0);
  return step(
    `ioctl 0x222504 in=${le(0, 4)}${le(length, 4)}${le(sum + error, 4)}`,
    error === 0 ? SUCCESS : CRC_ERROR,
    0,
  );
}
const steps = (device, middle) => [step(`open \\\\.\\${device}`), ...middle, step('close')];

/** Nothing but whole chunks, over the borders of pages. */
const chunks = [
  step('read 10', END_OF_FILE, 0),
  write('41', 5120),
  verify(5120, 5, 100),
  write('42', 1024),
  rewind,
  read(4096, 4096, '41'.repeat(4096)),
  read(2048, 2048, '41'.repeat(1024) + '42'.repeat(1024)),
  step('read 1024', END_OF_FILE, 0),
  write('00', 16384, END_OF_MEDIA),
  rewind,
  write('43', 1024),
  step(`ioctl 0x222504 in=${le(1000, 4)}${le(25, 4)}${le(0, 4)}`, INVALID_PARAMETER, 0),
];
const short = [write('41', 1500), rewind, read(700, 700, '41'.repeat(700))];
const mismatch = [write('41', 2048), verify(2048, 2, 2048, 1), verify(2048, 2, 10, 1), verify(2048, 2, 2048)];

export const pair = {
  compiler: 'gcc',
  leaks:
    'MDLs: the partial one of a transfer whose last chunk is short, and the rest of a chain when a checksum is wrong',
  seenWith: 'a plain run',
  leaky: [
    // The tour writes 64 bytes, and verifies a byte of them: the data and the end mark stay.
    run('load', 'violation', [], { amounts: some }),
    run('chunks', 'clean', steps('LeakyTape', chunks)),
    run('short', 'violation', steps('LeakyTape', short)),
    run('mismatch', 'violation', steps('LeakyTape', mismatch)),
  ],
  clean: [
    run('load', 'clean'),
    run('chunks', 'clean', steps('CleanTape', chunks)),
    run('short', 'clean', steps('CleanTape', [...short, rewind, ...short])),
    run('mismatch', 'clean', steps('CleanTape', mismatch)),
  ],
};
