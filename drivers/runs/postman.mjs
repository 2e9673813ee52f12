import {
  ascii,
  BUFFER_TOO_SMALL,
  CANCELLED,
  INVALID_PARAMETER,
  IO_TIMEOUT,
  le,
  run,
  SUCCESS,
  some,
  step,
} from '../steps.mjs';

const send = (delay, failures, text, status = SUCCESS, mode = '') =>
  step(`ioctl 0x2225C0 in=${le(delay, 4)}${le(failures, 4)}${ascii(text)}${mode}`, status, 0);
const fetch = (delivered, jobs, text = '') =>
  step('ioctl 0x2225C4 out=64', SUCCESS, 8 + text.length, le(delivered, 4) + le(jobs, 4) + ascii(text));
const steps = (device, middle) => [step(`open \\\\.\\${device}`), ...middle, step('close')];

const delivered = [
  send(0, 0, 'at once'),
  fetch(1, 0, 'at once'),
  send(50, 2, 'third time lucky', SUCCESS, ' async'),
  send(10, 0, 'in between'),
  fetch(2, 1, 'in between'),
  step('wait 200ms'),
  fetch(3, 0, 'third time lucky'),
  send(60001, 0, 'too late', INVALID_PARAMETER),
  send(1, 0, '', INVALID_PARAMETER),
  step('ioctl 0x2225C4 out=8', BUFFER_TOO_SMALL, 0),
];
const cancelled = [
  send(1000, 0, 'never', CANCELLED, ' async'),
  step('wait 10ms'),
  step('cancel'),
  send(0, 1, 'between two tries', CANCELLED, ' async'),
  step('wait 10ms'),
  step('cancel'),
  fetch(0, 0),
];
const givenUp = [send(0, 5, 'blocked', IO_TIMEOUT), fetch(0, 0)];

export const pair = {
  compiler: 'gcc',
  leaks:
    'work items: of a request that is cancelled before its item runs, and of one that is given up after three tries',
  seenWith: 'a plain run; given up: `--do` below',
  leaky: [
    // The tour cancels what does not end at once.
    run('load', 'violation', [], { amounts: (_, runs) => (runs.includes('cancelled') ? some() : null) }),
    run('delivered', 'clean', steps('LeakyPostman', delivered)),
    run('cancelled', 'violation', steps('LeakyPostman', cancelled)),
    run('given-up', 'violation', steps('LeakyPostman', givenUp)),
  ],
  clean: [
    run('load', 'clean'),
    run('delivered', 'clean', steps('CleanPostman', delivered)),
    run('cancelled', 'clean', steps('CleanPostman', [...cancelled, ...givenUp])),
  ],
};
