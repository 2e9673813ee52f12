import {
  ascii,
  BUFFER_TOO_SMALL,
  DISK_FULL,
  END_OF_FILE,
  INVALID_DEVICE_REQUEST,
  INVALID_PARAMETER,
  le,
  run,
  SUCCESS,
  some,
  step,
} from '../steps.mjs';

const store = (offset, text, status = SUCCESS) =>
  step(`ioctl 0x222580 in=${le(offset, 4)}${le(text.length, 4)}${ascii(text)}`, status, 0);
const load = (offset, text) =>
  step(`ioctl 0x222584 in=${le(offset, 4)}${le(text.length, 4)} out=64`, SUCCESS, text.length, ascii(text));
const query = (reads, writes, refused) =>
  step('ioctl 0x222588 out=12', SUCCESS, 12, le(reads, 4) + le(writes, 4) + le(refused, 4));
const steps = (device, middle) => [step(`open \\\\.\\${device}`), ...middle, step('close')];

const stored = [
  store(0, 'hello, store'),
  store(4090, 'ending'),
  load(7, 'store'),
  load(4090, 'ending'),
  step(`ioctl 0x222584 in=${le(4095, 4)}${le(2, 4)} out=64`, END_OF_FILE, 0),
  query(2, 2, 1),
  store(0, '', INVALID_PARAMETER),
  step('ioctl 0x222588 out=8', BUFFER_TOO_SMALL, 0),
  step('read 16', INVALID_DEVICE_REQUEST, 0),
];
const full = [store(4096, 'x', DISK_FULL), store(0, 'kept'), store(4000, 'a'.repeat(97), DISK_FULL), load(0, 'kept')];

export const pair = {
  compiler: 'gcc',
  leaks:
    'IRPs that the driver sends to a second device of its own: a completion routine keeps the one that was refused',
  seenWith: 'a plain run; `--do` below',
  leaky: [
    run('load', 'violation', [], { amounts: some }),
    run('stored', 'clean', steps('LeakyRelay', stored)),
    run('full', 'violation', steps('LeakyRelay', full)),
  ],
  clean: [
    run('load', 'clean'),
    run('stored', 'clean', steps('CleanRelay', stored)),
    run('full', 'clean', steps('CleanRelay', [...full, ...full])),
  ],
};
