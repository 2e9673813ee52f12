import { DEVICE_CONFIGURATION_ERROR, le, run, SUCCESS, step } from '../steps.mjs';

/** What the second board (gain 1, offset 0) makes of a reading. */
function linearized(reading) {
  const points = Array.from({ length: 160 }, (_, i) => {
    const raw = Math.floor((i * 65536) / 160);
    return raw + Math.floor((raw * raw) / 8388608);
  });
  const low = points.findLastIndex((point, i) => point <= reading && i < 159);
  return low * 65536 + Math.floor(((reading - points[low]) * 65536) / (points[low + 1] - points[low]));
}

export const pair = {
  compiler: 'clang',
  leaks: 'a DriverEntry that fails returns without unwinding: `BrCl`, `BrRg`, an MDL and a Unicode string',
  seenWith: 'a plain load',
  leaky: [run('load', 'violation', [], { driverEntryStatus: DEVICE_CONFIGURATION_ERROR })],
  clean: [
    run('load', 'clean'),
    run('serial', 'clean', [
      step('open \\\\.\\CleanBringup'),
      step('ioctl 0x222100 out=64', SUCCESS, 22, Buffer.from('PPF-0000-00', 'utf16le').toString('hex')),
      step(`ioctl 0x222104 in=${le(32768, 4)} out=4`, SUCCESS, 4, le(linearized(32768), 4)),
      step('close'),
    ]),
  ],
};
