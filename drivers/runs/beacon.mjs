import {
  DELETE_PENDING,
  DEVICE_NOT_READY,
  INVALID_PARAMETER,
  le,
  OBJECT_NAME_NOT_FOUND,
  QUERY_VETOED,
  run,
  SUCCESS,
  step,
} from '../steps.mjs';

const path = '\\\\.\\ROOT#POOLPROOF#0000#{6d1b3a52-9c0e-4e1b-8f57-2a4c7d9e1b60}';
const position = (index, status = SUCCESS) =>
  status === SUCCESS
    ? step(`ioctl 0x222300 in=${le(index, 4)} out=4`, SUCCESS, 4, le(index * index + 7, 4))
    : step(`ioctl 0x222300 in=${le(index, 4)} out=4`, status, 0);
const orderlySteps = [
  step(`open ${path}`),
  position(5),
  step('ioctl 0x222304 out=32', SUCCESS, 10, Buffer.from('ROOT\0', 'utf16le').toString('hex')),
  step('stop'),
  position(5, DEVICE_NOT_READY),
  step('start'),
  position(31),
  step('remove', QUERY_VETOED),
  position(32, INVALID_PARAMETER),
  step('close'),
  step('remove'),
  step(`open ${path}`, OBJECT_NAME_NOT_FOUND),
];
const surpriseSteps = [
  step(`open ${path}`),
  position(1),
  step('surprise-remove'),
  position(1, DELETE_PENDING),
  step('close'),
];

export const pair = {
  compiler: 'clang',
  leaks:
    "a plug-and-play driver: what it has when the device is pulled out (`BPos` and the interface's name); an orderly removal is clean",
  seenWith: 'a plain run',
  leaky: [run('load', 'violation'), run('orderly', 'clean', orderlySteps), run('surprise', 'violation', surpriseSteps)],
  clean: [run('load', 'clean'), run('orderly', 'clean', orderlySteps), run('surprise', 'clean', surpriseSteps)],
};
