import { INVALID_DEVICE_REQUEST, le, run, SUCCESS, some, step } from '../steps.mjs';

/** The resources' routines in the order of their control codes, and how often each run has them done. */
const rounds = {
  'thread-handle': 3,
  'kernel-handle': 2,
  'event-reference': 2,
  'process-reference': 2,
  contiguous: 2,
  noncached: 2,
  pages: 64,
  'locked-pages': 2,
  mapping: 2,
  'io-space': 2,
  mdl: 3,
  irp: 2,
  request: 1,
  'work-item': 3,
  string: 2,
  'symbolic-link': 1,
  device: 1,
  pool: 3,
};
const stepOf = (name) => {
  const code = 0x222180 + 4 * Object.keys(rounds).indexOf(name);
  return step(`ioctl 0x${code.toString(16)} in=${le(rounds[name], 8)},@e`, SUCCESS, 0);
};
const stepsOf = (device, used) => [
  step('e=event'),
  step(`open \\\\.\\${device}`),
  ...used.map(stepOf),
  step('ioctl 0x2223FC', SUCCESS, 0),
  step('ioctl 0x222183', INVALID_DEVICE_REQUEST, 0),
  step('close'),
];
const names = Object.keys(rounds);
/** A device that stays keeps the driver loaded, so it is tried alone. */
const unloadable = names.filter((name) => name !== 'device');

export const pair = {
  compiler: 'gcc',
  leaks:
    'one of each kind that is no plain pool, by control code: handles, references, contiguous and noncached memory, locked pages, mappings, MDLs, IRPs, work items, strings, links, a device',
  seenWith: 'a plain run; those of events: `--do` below',
  leaky: [
    // The second device keeps the driver loaded, so Verifier does not get to count.
    run('load', 'violation', [], { amounts: ({ name }) => (name === 'Event' ? null : some()), bugCheck: null }),
    ...names.map((name) => run(name, 'violation', stepsOf('LeakyResources', [name]))),
    run('all', 'violation', stepsOf('LeakyResources', unloadable)),
  ],
  clean: [run('load', 'clean'), run('all', 'clean', stepsOf('CleanResources', [...names, ...names]))],
};
