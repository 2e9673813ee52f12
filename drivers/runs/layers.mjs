import {
  ACCESS_DENIED,
  ascii,
  BUFFER_TOO_SMALL,
  END_OF_FILE,
  INVALID_BUFFER_SIZE,
  INVALID_DEVICE_REQUEST,
  le,
  run,
  SUCCESS,
  some,
  step,
} from '../steps.mjs';

const write = (text) => step(`write ${ascii(text)}`, SUCCESS, text.length);
const read = (text) => step('read 64', SUCCESS, text.length, ascii(text));
const unlock = step(`ioctl 0x222648 in=${le(0x4c594552, 4)}`, SUCCESS, 0);
const statistics = (...counts) =>
  step('ioctl 0x22264C out=12', SUCCESS, 12, counts.map((count) => le(count, 4)).join(''));
const steps = (device, middle) => [step(`open \\\\.\\${device}`), ...middle, step('close')];

const passed = [
  step('read 64', END_OF_FILE, 0),
  write('a short record'),
  read('A SHORT RECORD'),
  step('ioctl 0x222640 out=8', SUCCESS, 8, le(1, 4) + le(14, 4)),
  step('ioctl 0x222640 out=4', BUFFER_TOO_SMALL, 0),
  unlock,
  step('write 61*100', SUCCESS, 100),
  step('write 61*257', INVALID_BUFFER_SIZE, 0),
  step('ioctl 0x222644', SUCCESS, 0),
  step('ioctl 0x2227FC', INVALID_DEVICE_REQUEST, 0),
  statistics(5, 4, 0),
];
const refused = [
  step('write 61*65', ACCESS_DENIED, 0),
  step('ioctl 0x222648 in=00000000', ACCESS_DENIED, 0),
  step('ioctl 0x222644', ACCESS_DENIED, 0),
  step('write 61*64', SUCCESS, 64),
  step('ioctl 0x222644', ACCESS_DENIED, 0),
  statistics(1, 0, 3),
];

export const pair = {
  compiler: 'gcc',
  leaks:
    'completion contexts (`IoSetCompletionRoutineEx`) of requests that a filter refuses instead of sending them down',
  seenWith: 'a plain run',
  leaky: [
    run('load', 'violation', [], { amounts: some }),
    run('passed', 'clean', steps('LeakyLayers', passed)),
    run('refused', 'violation', steps('LeakyLayers', refused)),
  ],
  clean: [
    run('load', 'clean'),
    run('passed', 'clean', steps('CleanLayers', passed)),
    run('refused', 'clean', steps('CleanLayers', refused)),
  ],
};
