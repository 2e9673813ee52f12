import { INSUFFICIENT_RESOURCES, le, NO_MORE_ENTRIES, run, SUCCESS, some, step } from '../steps.mjs';

const PARCEL = Object.fromEntries(
  ['send', 'deliver', 'return', 'flush', 'statistics'].map((name, i) => [
    name,
    (count, status = SUCCESS) => step(`ioctl 0x${(0x222300 + 4 * i).toString(16)} in=${le(count, 4)}`, status, 0),
  ]),
);
/** What the lists tell of themselves; each: allocations, misses, frees, misses of these, how many it holds. */
function parcelStatistics(parcels, labels, routes, labelBlocks, routeBlocks) {
  const list = ([allocates, misses, frees, freeMisses, held], type, tag, size) =>
    [allocates, misses, frees, freeMisses, type].map((value) => le(value, 4)).join('') +
    Buffer.from(tag, 'ascii').toString('hex') +
    le(size, 4) +
    le(held, 4);
  const lists = [list(parcels, 0x200, 'LkPc', 72), list(labels, 1, 'LkLb', 44), list(routes, 0x208, 'LkRt', 28)];
  return step('ioctl 0x222310 out=104', SUCCESS, 104, lists.join('') + le(labelBlocks, 4) + le(routeBlocks, 4));
}
const parcelReturned = (device) => [
  step(`open \\\\.\\${device}`),
  PARCEL.send(4),
  PARCEL.deliver(1),
  PARCEL.return(2),
  step('close'),
];
const parcelRoutesOut = (device) => [
  step(`open \\\\.\\${device}`),
  PARCEL.send(10, INSUFFICIENT_RESOURCES),
  step('close'),
];
const parcelEarlyClose = (device) => [
  step(`open \\\\.\\${device}`),
  PARCEL.send(3),
  PARCEL.deliver(3),
  PARCEL.deliver(1, NO_MORE_ENTRIES),
  step('close'),
];
const parcelSteps = (device) => [...parcelReturned(device), ...parcelRoutesOut(device), ...parcelEarlyClose(device)];
const parcelCounted = (device) => [
  step(`open \\\\.\\${device}`),
  PARCEL.send(6),
  PARCEL.deliver(4),
  PARCEL.return(2),
  PARCEL.send(3),
  parcelStatistics([9, 6, 6, 2, 1], [9, 6, 6, 2, 1], [9, 6, 6, 2, 1], 4, 4),
  PARCEL.flush(0),
  PARCEL.send(10, INSUFFICIENT_RESOURCES),
  parcelStatistics([15, 11, 7, 2, 1], [15, 11, 7, 2, 1], [15, 12, 6, 2, 0], 9, 8),
  step('close'),
];

export const pair = {
  compiler: 'clang',
  leaks:
    'blocks of the three kinds of lookaside lists: a parcel that is sent back (`LkPc`), a label when the routes run out (`LkLb`), and a list that is not deleted with what it holds (`LkRt`)',
  seenWith: 'a plain run; `--do` below',
  leaky: [
    run('load', 'violation', [], { amounts: some }),
    run('returned', 'violation', parcelReturned('LeakyLookaside')),
    run('routes-out', 'violation', parcelRoutesOut('LeakyLookaside')),
    run('early-close', 'violation', parcelEarlyClose('LeakyLookaside')),
    run('all', 'violation', parcelSteps('LeakyLookaside')),
  ],
  clean: [
    run('load', 'clean'),
    run('counted', 'clean', parcelCounted('CleanLookaside')),
    run('all', 'clean', [...parcelSteps('CleanLookaside'), ...parcelSteps('CleanLookaside')]),
  ],
};
