import { BUFFER_TOO_SMALL, INVALID_PARAMETER, le, NOT_FOUND, run, SUCCESS, some, step } from '../steps.mjs';

const start = (id, milliseconds, ticks) => `ioctl 0x222340 in=${le(id, 4)}${le(milliseconds, 4)}${le(ticks, 4)}`;
const stop = (id) => `ioctl 0x222344 in=${le(id, 4)}`;
const SAMPLES = 'ioctl 0x222348';
const COUNT = 'ioctl 0x22234C out=4';
const COLLISION = '0xC0000035';
const BUSY = '0x80000011';

/** Samples as they are read: pairs of a ticker and the ticks that it has left. */
const samples = (...pairs) => pairs.map(([id, left]) => le(id, 4) + le(left, 4)).join('');

const endSteps = (device) => [
  step(`open \\\\.\\${device}`),
  step(start(1, 10, 3), SUCCESS, 0),
  step(start(2, 25, 1), SUCCESS, 0),
  step(start(2, 25, 1), COLLISION, 0),
  step(start(3, 0, 1), INVALID_PARAMETER, 0),
  step('ioctl 0x222340 in=01', BUFFER_TOO_SMALL, 0),
  step(COUNT, SUCCESS, 4, le(2, 4)),
  step('wait 100ms'),
  step(`${SAMPLES} out=64`, SUCCESS, 32, samples([1, 2], [1, 1], [2, 0], [1, 0])),
  step(COUNT, SUCCESS, 4, le(0, 4)),
  step(stop(1), NOT_FOUND, 0),
  step('close'),
];

const stopSteps = (device) => [
  step(`open \\\\.\\${device}`),
  step(start(7, 10, 100), SUCCESS, 0),
  step('wait 35ms'),
  step(stop(7), SUCCESS, 0),
  step(`${SAMPLES} out=16`, SUCCESS, 16, samples([7, 99], [7, 98])),
  step(start(7, 1000, 2), SUCCESS, 0),
  step('close'),
];

/** All of them run when the driver is unloaded, which takes a ninth. */
const fullSteps = (device) => [
  step(`open \\\\.\\${device}`),
  ...Array.from({ length: 8 }, (_, id) => step(start(id, 5 + id, 1000), SUCCESS, 0)),
  step(start(8, 5, 1), BUSY, 0),
  step('wait 20ms'),
  step('close'),
];

export const pair = {
  compiler: 'clang',
  leaks: 'a timer that is stopped before its DPC is due leaves the ticker that it belongs to: one `Tick` each',
  seenWith: 'a plain run',
  leaky: [
    run('load', 'violation', [], { amounts: some }),
    run('end', 'clean', endSteps('LeakyTicker')),
    run('stop', 'violation', stopSteps('LeakyTicker')),
    run('full', 'violation', fullSteps('LeakyTicker'), { amounts: () => ({ count: 8, bytes: 8 * 176 }) }),
  ],
  clean: [
    run('load', 'clean'),
    run('end', 'clean', endSteps('CleanTicker')),
    run('stop', 'clean', stopSteps('CleanTicker')),
    run('full', 'clean', fullSteps('CleanTicker')),
  ],
};
