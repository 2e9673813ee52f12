import { BUFFER_TOO_SMALL, INVALID_PARAMETER, le, OBJECT_NAME_NOT_FOUND, run, SUCCESS, some, step } from '../steps.mjs';

const words = (...values) => values.map((value) => le(value, 4)).join('');
const subscribe = (topic, status = SUCCESS) => step(`ioctl 0x222580 in=${words(topic)}`, status, 0);
const cancel = (topic) => step(`ioctl 0x222584 in=${words(topic)}`, SUCCESS, 0);
const publish = (topic, value, status = SUCCESS) => step(`ioctl 0x222588 in=${words(topic, value)}`, status, 0);
const fetch = (topic, ...values) =>
  step(`ioctl 0x22258C in=${words(topic)} out=64`, SUCCESS, values.length * 4, words(...values));

const topicSteps = (device) => [
  step(`open \\\\.\\${device}`),
  publish(0, 1, OBJECT_NAME_NOT_FOUND),
  subscribe(0),
  subscribe(1),
  ...[1, 2, 3, 4, 5].map((value) => publish(0, value)),
  publish(1, 10),
  fetch(0, 2, 3, 4, 5),
  fetch(0),
  fetch(1, 10),
  subscribe(3, INVALID_PARAMETER),
  step('ioctl 0x222588 in=00000000', BUFFER_TOO_SMALL, 0),
  cancel(0),
  cancel(0),
  subscribe(0),
  publish(0, 7),
  fetch(0, 7),
  step('close'),
];

/** The same topic twice: the new ring is empty, and hears what comes. */
const againSteps = (device) => [
  step(`open \\\\.\\${device}`),
  subscribe(2),
  publish(2, 1),
  subscribe(2),
  fetch(2),
  publish(2, 2),
  fetch(2, 2),
  step('close'),
];

export const pair = {
  compiler: 'clang',
  leaks:
    'a second subscription forgets the first: a callback registration, a reference to the callback object, a `Ring`',
  seenWith: 'a plain run',
  leaky: [
    run('load', 'violation', [], { amounts: some }),
    run('topics', 'clean', topicSteps('LeakyWatcher')),
    run('again', 'violation', againSteps('LeakyWatcher')),
  ],
  clean: [
    run('load', 'clean'),
    run('topics', 'clean', topicSteps('CleanWatcher')),
    run('again', 'clean', againSteps('CleanWatcher')),
  ],
};
