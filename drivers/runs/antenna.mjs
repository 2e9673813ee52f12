import {
  BUFFER_TOO_SMALL,
  DEVICE_NOT_READY,
  INVALID_PARAMETER,
  le,
  run,
  SUCCESS,
  some,
  step,
  utf16,
} from '../steps.mjs';

const link = '\\ROOT#POOLPROOF#0000#{3b0f5c61-7d42-4a95-9a6e-c5d2e8f10a37}';
const open = step(`open \\\\.${link}`);
const tune = (frequency, status = SUCCESS) => step(`ioctl 0x222680 in=${le(frequency, 4)}`, status, 0);
const frequency = (value) => step('ioctl 0x222684 out=4', SUCCESS, 4, le(value, 4));
/** The names are those of links in the kernel's directory. */
const list = (...ends) => {
  const names = ends.map((end) => utf16(`\\??${link}${end}\0`)).join('') + utf16('\0');
  return step('ioctl 0x222688 out=512', SUCCESS, names.length / 2, names);
};
const noRoom = step('ioctl 0x222688 out=64', BUFFER_TOO_SMALL, 0);
const service = (on, status = SUCCESS) => step(`ioctl 0x22268C in=${le(on, 4)}`, status, 0);

const tuned = [
  open,
  frequency(868),
  tune(433),
  tune(6001, INVALID_PARAMETER),
  list(''),
  service(1),
  service(1),
  list('', '\\service'),
  step('stop'),
  step('ioctl 0x222684 out=4', DEVICE_NOT_READY, 0),
  step('start'),
  frequency(433),
  list(''),
  step('close'),
  step('remove'),
];
const rooms = [open, noRoom, noRoom, step('close')];
const services = [
  open,
  service(1),
  service(0),
  service(1),
  service(0),
  service(1),
  list('', '\\service'),
  step('close'),
];

export const pair = {
  compiler: 'gcc',
  leaks:
    "a plug-and-play driver's key of its interface (first start), the list of interfaces (no room), the name of an interface (registered again)",
  seenWith: 'a plain run',
  leaky: [
    run('load', 'violation', [], { amounts: some }),
    run('tuned', 'violation', tuned),
    run('no-room', 'violation', rooms),
    run('service', 'violation', services),
  ],
  clean: [run('load', 'clean'), run('tuned', 'clean', tuned), run('all', 'clean', [...rooms, ...services])],
};
