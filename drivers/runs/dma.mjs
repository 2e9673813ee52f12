import {
  CANCELLED,
  DELETE_PENDING,
  DEVICE_BUSY,
  DEVICE_REMOVED,
  INSUFFICIENT_RESOURCES,
  INVALID_PARAMETER,
  le,
  PENDING,
  run,
  SUCCESS,
  some,
  step,
} from '../steps.mjs';

const deviceModel = 'pci-dma-engine';
const dma = (name, verdict, steps = [], more = {}) => run(name, verdict, steps, { deviceModel, ...more });

const guid = '{c71b5e0a-44d9-4b7c-9e35-60a2f1d8b493}';
const open = step(`open \\\\.\\PCI#VEN_5050&DEV_0D4A&SUBSYS_00000000&REV_01#3&0&0&20#${guid}`);
const close = step('close');
const write = (byte, length, at = 0) => step(`write ${byte}*${length} at=${at}`, SUCCESS, length);
const read = (length, at, output) => step(`read ${length} at=${at}`, SUCCESS, length, output);
/** What was written is there. */
const there = (byte, length, at = 0) => [write(byte, length, at), read(length, at, `${byte}*${length}`)];
/** From the last page of the engine's memory to behind it. */
const lastPage = 0xff000;
const refused = (byte, length, status = INVALID_PARAMETER) => step(`write ${byte}*${length} at=${lastPage}`, status, 0);
/** The machine stops in it: in the dispatch routine, or later. */
const fatal = (text) => step(text, null);
const fatalLater = (text) => step(text, PENDING);

/** Parameters that are null are addresses. */
const bugCheck = (...parameters) => ({
  bugCheck: { code: '0xE6', parameter1: parameters[0], allocations: null, parameters },
});
const good = [open, ...there('5a', 100), ...there('c3', 5000, 4321), close];

const method = (number, status = SUCCESS) => step(`ioctl 0x222800 in=${le(number, 4)}`, status, 0);
const testText = (megabytes) => `ioctl 0x222804 in=${le(megabytes, 4)}${le(20261122, 4)} out=16`;
const megabyte = 0x100000;
/** All of the bytes, none of which is wrong. */
const test = (megabytes, more = '') =>
  step(testText(megabytes) + more, SUCCESS, 16, le(megabytes * megabyte, 8) + le(0, 8));
const noTest = (megabytes, status, more = '') => step(testText(megabytes) + more, status, 0);

const cleanMover = [
  dma('load', 'clean'),
  dma('methods', 'clean', [
    open,
    step('write 11*100,22*4000,33*9000 at=77', SUCCESS, 13100),
    ...[1, 2, 3, 4, 0].flatMap((number) => [
      method(number),
      read(13100, 77, '11*100,22*4000,33*9000'),
      refused('44', 10000),
      ...there(`a${number}`, 300001, 4095),
      ...there(`b${number}`, megabyte),
      step('write 11*100,22*4000,33*9000 at=77', SUCCESS, 13100),
      read(1, 13177, `b${number}*1`),
    ]),
    method(5, INVALID_PARAMETER),
    close,
  ]),
  dma('100-megabytes', 'clean', [open, test(100), close]),
  dma('held', 'clean', [
    open,
    write('17', 9),
    step('stop'),
    step('read 9 at=0 async', SUCCESS, 9, '00*9'),
    step('read 9 at=0 async', SUCCESS, 9, '00*9'),
    step('wait 5ms'),
    step('start'),
    step('wait 1ms'),
    step('suspend'),
    step('wait 1s'),
    step('resume'),
    ...there('18', 20000),
    test(4),
    close,
  ]),
  dma('cancelled', 'clean', [
    open,
    noTest(100, CANCELLED, ' async'),
    step('wait 2ms'),
    noTest(2, DEVICE_BUSY),
    step('cancel'),
    step('stop'),
    noTest(100, CANCELLED, ' async'),
    step('read 9 at=0 async', CANCELLED, 0),
    step('wait 2ms'),
    step('cancel'),
    step('start'),
    test(2),
    close,
  ]),
  dma('surprise', 'clean', [
    open,
    noTest(100, DEVICE_REMOVED, ' async'),
    step('wait 2ms'),
    step('surprise-remove'),
    step('read 9 at=0', DELETE_PENDING, 0),
    close,
  ]),
];

/** Of each sample: how it is broken, when, and its runs. */
const broken = {
  'dma-leaked-common-buffer': {
    about: 'a common buffer that is out of use after a transfer that the engine refused: 0xE6/0x07',
    seenWith: 'a plain run',
    runs: [
      dma('good', 'clean', good),
      dma(
        'refused',
        'violation',
        [open, ...there('5a', 50000), refused('61', 10000), close],
        bugCheck('0x7', null, '0x1', null),
      ),
    ],
  },
  'dma-leaked-adapter-channel': {
    about: 'an adapter channel that AdapterControl kept, when the engine refuses a fragment: 0xE6/0x08',
    seenWith: 'a plain run, which goes on with the next request, 0xE6/0x0B; `--do` below',
    plain: { ...bugCheck('0xb', '0x2', '0x0', '0x0'), amounts: () => null },
    runs: [
      dma('good', 'clean', good),
      dma(
        'refused',
        'violation',
        [open, ...there('5a', 50000), refused('61', 10000), close],
        bugCheck('0x8', null, '0x1', null),
      ),
    ],
  },
  'dma-leaked-map-registers': {
    about: 'the map registers of a batch that the engine refuses: 0xE6/0x09',
    seenWith: 'a plain run',
    runs: [
      dma('good', 'clean', good),
      dma(
        'refused',
        'violation',
        [open, ...there('5a', 50000), refused('61', 10000), close],
        bugCheck('0x9', null, '0x3', null),
      ),
    ],
  },
  'dma-leaked-scatter-gather': {
    about: 'a scatter/gather list that is longer than the table of descriptors: 0xE6/0x0A',
    seenWith: 'a plain run',
    runs: [
      dma('good', 'clean', good),
      dma(
        'large',
        'violation',
        [open, ...there('5a', 20000), step('write 61*40000', INSUFFICIENT_RESOURCES, 0), close],
        bugCheck('0xa', null, '0x1', null),
      ),
    ],
  },
  'dma-leaked-adapter': {
    about: 'the adapter itself, whose users are counted wrong after a request that was refused',
    seenWith: 'a plain run',
    runs: [
      dma('good', 'clean', good),
      dma('refused', 'violation', [open, ...there('5a', 20000), refused('61', 10000), close]),
      dma('restarted', 'violation', [
        open,
        refused('61', 10000),
        step('stop'),
        step('start'),
        ...there('5a', 20000),
        refused('61', 10000),
        close,
      ]),
    ],
  },
  'dma-common-buffer-freed-twice': {
    about: 'a common buffer that both directions share is freed with each: 0xE6/0x03',
    seenWith: 'a plain run',
    runs: [
      dma(
        'shared',
        'violation',
        [open, ...there('5a', 50000), step('ioctl 0x222840', SUCCESS, 0), ...there('5b', 50000), close],
        bugCheck('0x3', '0x1', '0x0', '0x0'),
      ),
      dma('split', 'clean', [
        open,
        step('ioctl 0x222840'),
        ...there('5a', 50000),
        step('ioctl 0x222844'),
        ...there('5b', 9),
        close,
      ]),
    ],
  },
  'dma-adapter-channel-freed-twice': {
    about: 'an adapter channel is freed that AdapterControl has given back: 0xE6/0x04',
    seenWith: 'a plain run',
    runs: [dma('write', 'violation', [open, fatalLater('write 5a*100')], bugCheck('0x4', '0x1', '0x0', '0x0'))],
  },
  'dma-map-registers-freed-twice': {
    about: 'the map registers of a parcel that the engine refuses are freed twice: 0xE6/0x05',
    seenWith: 'a plain run',
    runs: [
      dma('good', 'clean', good),
      dma(
        'refused',
        'violation',
        [open, ...there('5a', 50000), fatalLater(`write 61*10000 at=${lastPage}`)],
        bugCheck('0x5', '0x3', '0x0', '0x0'),
      ),
    ],
  },
  'dma-scatter-gather-put-twice': {
    about: 'a scatter/gather list is given back, used for another try, and given back again: 0xE6/0x06',
    seenWith: 'a plain run',
    runs: [
      dma('good', 'clean', good),
      dma(
        'refused',
        'violation',
        [open, ...there('5a', 50000), fatalLater(`write 61*10000 at=${lastPage}`)],
        bugCheck('0x6', '0x3', '0x4', '0x0'),
      ),
    ],
  },
  'dma-missing-flush': {
    about: 'a window of two map registers moves on without a flush: 0xE6/0x0D',
    seenWith: 'a plain run',
    runs: [
      dma('good', 'clean', good),
      dma(
        'large',
        'violation',
        [open, ...there('5a', 100), fatalLater('write 61*20000')],
        bugCheck('0xd', null, '0x2000', '0x0'),
      ),
    ],
  },
  'dma-freed-while-mapped': {
    about: 'the map registers of a write are freed without a flush: 0xE6/0x10',
    seenWith: 'a plain run',
    runs: [
      dma('read', 'clean', [open, read(20000, 0, '00*20000'), close]),
      dma('write', 'violation', [open, fatalLater('write 5a*10000')], bugCheck('0x10', '0x3', '0x0', '0x0')),
    ],
  },
  'dma-overrun': {
    about: 'the engine is told to move whole bursts, and writes behind the buffer: 0xE6/0x0F',
    seenWith: 'a plain run',
    runs: [
      dma('burst', 'clean', [open, ...there('5a', 512), close]),
      dma(
        'odd',
        'violation',
        [open, write('5a', 512), fatalLater('read 500 at=0')],
        bugCheck('0xf', '0x2', '0x1f4', null),
      ),
    ],
  },
  'dma-list-at-passive': {
    about: 'GetScatterGatherList is called at PASSIVE_LEVEL: 0xE6/0x13',
    seenWith: 'a plain run',
    runs: [
      dma(
        'glance',
        'violation',
        [open, ...there('5a', 20000), fatal(`ioctl 0x222882 in=${le(0, 4)} out=100`)],
        bugCheck('0x13', '0x1', '0x2', '0x0'),
      ),
    ],
  },
  'dma-buffer-at-dispatch': {
    about: 'AllocateCommonBuffer is called at DISPATCH_LEVEL: 0xE6/0x13',
    seenWith: 'a plain run',
    runs: [
      dma(
        'larger',
        'violation',
        [open, ...there('5a', 100), fatal('write 61*200')],
        bugCheck('0x13', '0x1', '0x0', '0x2'),
      ),
    ],
  },
};

/** What a plain run leaves, and how much of it, depends on its requests. */
const inPlainRun = (_, runs) => (runs.some((name) => ['refused', 'large'].includes(name)) ? some() : null);

const runsOf = ({ plain, runs }) => {
  const [{ bugCheck: stop }] = runs.filter(({ verdict }) => verdict === 'violation');
  const more = { amounts: inPlainRun, bugCheck: stop && { ...stop, parameters: undefined } };
  return [dma('load', 'violation', [], plain ?? more), ...runs];
};

const shared = ['dma-device', 'dma-device-power'];

export const group = [
  {
    name: 'clean-mover',
    twin: null,
    compiler: 'clang',
    shared,
    about: 'nothing: DMA with a PCI device in the ways there are, and a self-test that compares every byte',
    seenWith: '',
    runs: cleanMover,
  },
  ...Object.entries(broken).map(([name, sample]) => ({
    name,
    twin: 'clean-mover',
    compiler: 'gcc',
    shared,
    about: sample.about,
    seenWith: sample.seenWith,
    runs: runsOf(sample),
  })),
];
