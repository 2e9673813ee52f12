import {
  ascii,
  BUFFER_TOO_SMALL,
  DEVICE_BUSY,
  DEVICE_NOT_READY,
  INSUFFICIENT_RESOURCES,
  INVALID_BUFFER_SIZE,
  INVALID_PARAMETER,
  le,
  run,
  SUCCESS,
  some,
  step,
} from '../steps.mjs';

const configure = (entries, bufferBytes, addressBits, status = SUCCESS) =>
  step(`ioctl 0x222480 in=${le(entries, 4)}${le(bufferBytes, 4)}${le(addressBits, 4)}`, status, 0);
const submit = (frame, status = SUCCESS) =>
  step(`ioctl 0x222485 out=${frame.length} outdata=${ascii(frame)}`, status, 0);
const checksum = (frame) => [...Buffer.from(frame)].reduce((sum, byte) => (Math.imul(sum, 31) + byte) >>> 0, 0);
const reap = (first, frames) =>
  step(
    'ioctl 0x222488 out=64',
    SUCCESS,
    8 * frames.length,
    frames.map((frame, index) => le(first + index, 4) + le(checksum(frame), 4)).join(''),
  );
const steps = (device, middle) => [step(`open \\\\.\\${device}`), ...middle, step('close')];

const traffic = [
  submit('early', DEVICE_NOT_READY),
  step('ioctl 0x222488 out=64', DEVICE_NOT_READY, 0),
  configure(2, 32, 32),
  submit('first frame'),
  submit('second frame'),
  submit('third frame', DEVICE_BUSY),
  reap(0, ['first frame', 'second frame']),
  submit('third frame'),
  submit('a frame that is longer than its buffer', INVALID_BUFFER_SIZE),
  reap(0, ['third frame']),
  configure(0, 32, 32, INVALID_PARAMETER),
  configure(2, 32, 65, INVALID_PARAMETER),
  step('ioctl 0x222480 in=00', BUFFER_TOO_SMALL, 0),
  submit('not reaped'),
];
/** Nobody has memory below 4 KB. */
const noRoom = [configure(32, 2048, 12, INSUFFICIENT_RESOURCES), configure(8, 64, 12, INSUFFICIENT_RESOURCES)];
const reconfigure = [
  configure(4, 1500, 32),
  submit('lost with its ring'),
  configure(8, 1500, 64),
  configure(16, 4096, 40),
  submit('kept'),
  reap(0, ['kept']),
];

export const pair = {
  compiler: 'gcc',
  leaks:
    'memory for devices: a contiguous ring when there is none for its buffers; a noncached page when a queue is configured again',
  seenWith: 'a plain run; `--do` below',
  leaky: [
    run('load', 'violation', [], { amounts: some }),
    run('traffic', 'clean', steps('LeakyRings', traffic)),
    run('no-room', 'violation', steps('LeakyRings', noRoom)),
    run('reconfigure', 'violation', steps('LeakyRings', reconfigure)),
  ],
  clean: [
    run('load', 'clean'),
    run('traffic', 'clean', steps('CleanRings', traffic)),
    run('all', 'clean', steps('CleanRings', [...noRoom, ...reconfigure, ...noRoom])),
  ],
};
