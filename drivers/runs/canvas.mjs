import {
  BUFFER_TOO_SMALL,
  INSUFFICIENT_RESOURCES,
  INVALID_PARAMETER,
  le,
  NO_MEMORY,
  NOT_FOUND,
  RANGE_NOT_FOUND,
  run,
  SUCCESS,
  some,
  step,
  TOO_MANY_OPENED_FILES,
} from '../steps.mjs';

const words = (...values) => values.map((value) => le(value, 4)).join('');
/** Flags 1: in a bank of 16 MB. */
const create = (width, height, number, flags = 0, bank = 0) =>
  step(`ioctl 0x2224C0 in=${words(width, height, flags, bank)} out=4`, SUCCESS, 4, le(number, 4));
const refuse = (width, height, status, flags = 0, bank = 0) =>
  step(`ioctl 0x2224C0 in=${words(width, height, flags, bank)} out=4`, status, 0);
const draw = (surface, x, y, width, height, color, status = SUCCESS) =>
  step(`ioctl 0x2224C4 in=${words(surface, x, y, width, height, color)}`, status, 0);
const readLine = (surface, y, colors) =>
  step(`ioctl 0x2224CA in=${words(surface, y)} out=4096`, SUCCESS, 4 * colors.length, words(...colors));
const destroy = (surface, status = SUCCESS) => step(`ioctl 0x2224CC in=${words(surface)}`, status, 0);
const steps = (device, middle) => [step(`open \\\\.\\${device}`), ...middle, step('close')];

/** No surface comes to be. */
const refused = [
  refuse(0, 10, INVALID_PARAMETER),
  refuse(10, 8193, INVALID_PARAMETER),
  refuse(10, 10, INSUFFICIENT_RESOURCES, 1, 0xffff),
  draw(1, 0, 0, 1, 1, 0, NOT_FOUND),
  step('ioctl 0x2224C4 in=00', BUFFER_TOO_SMALL, 0),
  destroy(4, NOT_FOUND),
];
const drawing = [
  create(4, 300, 1),
  create(512, 2, 2),
  draw(1, 1, 257, 2, 3, 0x112233),
  readLine(1, 256, [0, 0, 0, 0]),
  readLine(1, 259, [0, 0x112233, 0x112233, 0]),
  destroy(1),
  create(4, 4, 1),
  readLine(1, 3, [0, 0, 0, 0]),
  create(1, 1, 3, 1, 2),
  create(1, 1, 4),
  refuse(1, 1, TOO_MANY_OPENED_FILES),
];
const destroyed = [create(4, 300, 1), create(512, 8, 2), draw(2, 0, 0, 512, 8, -1), destroy(2)];
/** 17 MB of the 16 that a bank has. */
const bankFull = [refuse(1024, 17 * 256, NO_MEMORY, 1, 2)];
const clipped = [create(600, 3, 1), draw(1, 590, 0, 11, 3, 7, RANGE_NOT_FOUND)];

/** Count and bytes of each kind. The tour makes a surface of a page, misses it, and makes another of four. */
const amounts =
  (kinds) =>
  ({ kind }) =>
    kind in kinds ? { count: kinds[kind][0], bytes: kinds[kind][1] } : null;

export const pair = {
  compiler: 'gcc',
  leaks:
    'pages without an address: their MDL when they are freed (`Mmdl`), the pages when there are fewer than wanted, a mapping when a rectangle is refused',
  seenWith: 'a plain run; a bank that is too small: `--do` below',
  leaky: [
    run('load', 'violation', [], { amounts: (_, runs) => (runs.includes('bank-full') ? null : some()) }),
    run('refused', 'clean', steps('LeakyCanvas', refused)),
    run('destroyed', 'violation', steps('LeakyCanvas', destroyed)),
    run('bank-full', 'violation', steps('LeakyCanvas', bankFull)),
    run('clipped', 'violation', steps('LeakyCanvas', clipped), {
      amounts: amounts({ pool: [1, 64], mapping: [1, 8192] }),
    }),
  ],
  clean: [
    run('load', 'clean'),
    run('drawing', 'clean', steps('CleanCanvas', [...refused, ...drawing])),
    run('all', 'clean', steps('CleanCanvas', [...destroyed, ...bankFull, destroy(1), ...clipped])),
  ],
};
