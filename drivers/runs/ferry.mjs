import {
  ascii,
  BUFFER_TOO_SMALL,
  DEVICE_BUSY,
  DEVICE_NOT_READY,
  INVALID_PARAMETER,
  le,
  run,
  SUCCESS,
  some,
  step,
} from '../steps.mjs';

const begin = (status = SUCCESS) => step('ioctl 0x2226C0', status, 0);
const load = (text, status = SUCCESS) => step(`ioctl 0x2226C4 in=${ascii(text)}`, status, 0);
const checksum = (text) => [...Buffer.from(text)].reduce((sum, byte) => (Math.imul(sum, 31) + byte) >>> 0, 0);
const commit = (text) => step('ioctl 0x2226CC out=4', SUCCESS, 4, le(checksum(text), 4));
const abort = (status = SUCCESS) => step('ioctl 0x2226C8', status, 0);
/** Crossings, bytes, and blocks that the cargo list has taken from the pool and not given back. */
const statistics = (committed, bytes, blocks) =>
  step('ioctl 0x2226D0 out=12', SUCCESS, 12, le(committed, 4) + le(bytes, 4) + le(blocks, 4));
const steps = (device, middle) => [step(`open \\\\.\\${device}`), ...middle, step('close')];

const crossed = [
  load('early', DEVICE_NOT_READY),
  abort(DEVICE_NOT_READY),
  begin(),
  begin(DEVICE_BUSY),
  load('a'.repeat(57)),
  load('b'),
  load('', INVALID_PARAMETER),
  load('c'.repeat(30 * 56), INVALID_PARAMETER),
  step('ioctl 0x2226CC out=2', BUFFER_TOO_SMALL, 0),
  commit(`${'a'.repeat(57)}b`),
  begin(),
  commit(''),
  begin(),
  abort(),
  begin(),
  load('again'),
  commit('again'),
];
const aborted = [begin(), load('d'.repeat(100)), abort(), begin(), load('e'), abort()];
const closed = (device) => [...steps(device, [begin(), load('half way')]), ...steps(device, [begin()])];

export const pair = {
  compiler: 'clang',
  leaks:
    "entries of lookaside lists: cargo that comes through the driver's own allocate routine, when a crossing is aborted (`FeCg`), and a crossing, when its handle is closed (`FeCr`)",
  seenWith: 'a plain run',
  leaky: [
    run('load', 'violation', [], { amounts: some }),
    run('crossed', 'clean', steps('LeakyFerry', crossed)),
    run('aborted', 'violation', steps('LeakyFerry', aborted)),
    run('closed', 'violation', closed('LeakyFerry')),
  ],
  clean: [
    run('load', 'clean'),
    run('crossed', 'clean', steps('CleanFerry', [...crossed, statistics(3, 63, 3)])),
    run('all', 'clean', [...steps('CleanFerry', [...aborted, ...aborted]), ...closed('CleanFerry')]),
  ],
};
