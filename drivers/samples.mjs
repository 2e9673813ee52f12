// What the samples are and what running them must show. Leaks are not listed here: build.mjs reads them, with their
// lines, from the `// leak:` comments in the sources, and writes everything to expected.json.

/** Little-endian bytes of a value, as hexadecimal digits. */
function le(value, bytes) {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)));
  return buffer.subarray(0, bytes).toString('hex');
}

/** Input of the mailbox's post: kind, length, checksum, body. `error` spoils the checksum. */
function post(kind, text, error = 0) {
  const body = Buffer.from(text, 'ascii');
  let sum = body.length;
  for (const byte of body) sum = (Math.imul(sum, 31) + byte) >>> 0;
  return le(kind, 4) + le(body.length, 4) + le((sum + error) >>> 0, 4) + body.toString('hex');
}

/** Input of the channel's transform, and what it answers when the bytes follow the header. */
function transform(source, length, key, inline = '') {
  const body = Buffer.from(inline, 'ascii').toString('hex');
  return `${le(source, 8)}${le(length, 4)}${le(key, 1)}000000${body}`;
}
function transformed(text, key) {
  return Buffer.from([...Buffer.from(text, 'ascii')].map((byte, i) => byte ^ ((key + i) & 0xff))).toString('hex');
}

/** What the inventory answers to a query: the checksum is FNV-1a over the label's UTF-16 bytes, seeded. */
function inventoryRecord(id, revision, label) {
  let hash = 0xcbf29ce484222325n ^ BigInt(revision);
  for (const byte of Buffer.from(label, 'utf16le'))
    hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & 0xffffffffffffffffn;
  return le(id, 4) + le(revision, 4) + le(hash, 8);
}

/** What the second board (gain 1, offset 0) makes of a reading. */
function linearized(reading) {
  const points = Array.from({ length: 160 }, (_, i) => {
    const raw = Math.floor((i * 65536) / 160);
    return raw + Math.floor((raw * raw) / 8388608);
  });
  const low = points.findLastIndex((point, i) => point <= reading && i < 159);
  return low * 65536 + Math.floor(((reading - points[low]) * 65536) / (points[low + 1] - points[low]));
}

const SUCCESS = '0x00000000';
const TIMEOUT = '0x00000102';
const ACCESS_VIOLATION = '0xC0000005';
const INVALID_PARAMETER = '0xC000000D';
const INVALID_DEVICE_REQUEST = '0xC0000010';
const BUFFER_TOO_SMALL = '0xC0000023';
const CRC_ERROR = '0xC000003F';
const NOT_SUPPORTED = '0xC00000BB';
const CANCELLED = '0xC0000120';
const DEVICE_CONFIGURATION_ERROR = '0xC0000182';
const DEVICE_NOT_READY = '0xC00000A3';
const DELETE_PENDING = '0xC0000056';
const OBJECT_NAME_NOT_FOUND = '0xC0000034';
const QUERY_VETOED = '0x80000028';
const NOT_FOUND = '0xC0000225';
const INSUFFICIENT_RESOURCES = '0xC000009A';
const NO_MORE_ENTRIES = '0x8000001A';

/** A step and what it answers; status null: the machine stops before it answers. */
const step = (text, status = SUCCESS, information, output) => ({ step: text, status, information, output });

const POST = 'ioctl 0x222080';
const FETCH = 'ioctl 0x222084';
const WAIT = 'ioctl 0x222088';
const DEPTH = 'ioctl 0x22208C';

const inventorySteps = (device) => [
  step(`open \\\\.\\${device}`),
  step(`ioctl 0x222040 in=${le(1004, 4)} out=16`, SUCCESS, 16, inventoryRecord(1004, 3, 'pressure cell C')),
  step(`ioctl 0x222040 in=${le(9999, 4)} out=16`, NOT_FOUND, 0),
  step('ioctl 0x222040 in=00 out=16', INVALID_PARAMETER, 0),
  step('ioctl 0x222FFC', INVALID_DEVICE_REQUEST, 0),
  step('read 256', SUCCESS, 144),
  step('close'),
];

const mailboxGoodSteps = (device) => [
  step(`open \\\\.\\${device}`),
  step(`${POST} in=${post(1, 'hello')}`, SUCCESS, 0),
  step(`${POST} in=${post(2, 'samples!')}`, SUCCESS, 0),
  step(`${DEPTH} out=4`, SUCCESS, 4, le(2, 4)),
  step(`${FETCH} out=64`, SUCCESS, 5, Buffer.from('hello').toString('hex')),
  step(`${POST} in=${post(7, 'unknown kind')}`, NOT_SUPPORTED, 0),
  step(`${POST} in=0000`, BUFFER_TOO_SMALL, 0),
  step(`${FETCH} out=64`, SUCCESS, 8, Buffer.from('samples!').toString('hex')),
  step(`${FETCH} out=64`, NO_MORE_ENTRIES, 0),
  step(`${POST} in=${post(1, 'left for unload')}`, SUCCESS, 0),
  step('close'),
];

const mailboxBadSteps = (device) => [
  step(`open \\\\.\\${device}`),
  step(`${POST} in=${post(1, 'hello', 1)}`, CRC_ERROR, 0),
  step(`${POST} in=${post(2, '0123456789abcdef', 1)}`, CRC_ERROR, 0),
  step('close'),
];

const mailboxCancelSteps = (device) => [
  step(`open \\\\.\\${device}`),
  step(`${WAIT} out=64 async`, CANCELLED, 0),
  step('cancel'),
  step(`${WAIT} out=64 async`, CANCELLED, 0),
  step('close'),
];

const mailboxWaitSteps = (device) => [
  step(`open \\\\.\\${device}`),
  step(`${WAIT} out=64 async`, SUCCESS, 5, Buffer.from('hello').toString('hex')),
  step(`${POST} in=${post(1, 'hello')}`, SUCCESS, 0),
  step('close'),
];

const channelTransferSteps = (device) => [
  step(`open \\\\.\\${device}`),
  step(`ioctl 0x2220C0 in=${le(256, 4)}`, SUCCESS, 0),
  step(`ioctl 0x2220C5 in=00 out=32`, SUCCESS, 32),
  step(`ioctl 0x2220D0 in=${le(100, 4)}`, SUCCESS, 0),
  step(`ioctl 0x2220CA in=00 out=48`, SUCCESS, 32),
  step(`ioctl 0x2220D0 in=${le(100, 4)}`, TIMEOUT, 0),
  step(`ioctl 0x2220CF in=${transform(0, 8, 0x5a, 'channel!')} out=8`, SUCCESS, 8, transformed('channel!', 0x5a)),
  step('close'),
];

const channelFaultSteps = (device) => [
  step(`open \\\\.\\${device}`),
  step(`ioctl 0x2220CF in=${transform(0x10, 40, 1)} out=40`, ACCESS_VIOLATION, 0),
  step(`ioctl 0x2220CF in=${transform(-0x100000, 72, 1)} out=72`, ACCESS_VIOLATION, 0),
  step('close'),
];

/** The resources' routines in the order of their control codes, and how often each run has them done. */
const resourceRounds = {
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
const resourceStep = (name) => {
  const code = 0x222180 + 4 * Object.keys(resourceRounds).indexOf(name);
  return step(`ioctl 0x${code.toString(16)} in=${le(resourceRounds[name], 8)},@e`, SUCCESS, 0);
};
const resourceSteps = (device, names) => [
  step('e=event'),
  step(`open \\\\.\\${device}`),
  ...names.map(resourceStep),
  step('ioctl 0x2223FC', SUCCESS, 0),
  step('ioctl 0x222183', INVALID_DEVICE_REQUEST, 0),
  step('close'),
];
const resourceNames = Object.keys(resourceRounds);
/** A device that stays keeps the driver loaded, so it is tried alone. */
const unloadable = resourceNames.filter((name) => name !== 'device');

const beaconPath = '\\\\.\\ROOT#POOLPROOF#0000#{6d1b3a52-9c0e-4e1b-8f57-2a4c7d9e1b60}';
const beaconPosition = (index, status = SUCCESS) =>
  status === SUCCESS
    ? step(`ioctl 0x222300 in=${le(index, 4)} out=4`, SUCCESS, 4, le(index * index + 7, 4))
    : step(`ioctl 0x222300 in=${le(index, 4)} out=4`, status, 0);
const beaconOrderlySteps = [
  step(`open ${beaconPath}`),
  beaconPosition(5),
  step('ioctl 0x222304 out=32', SUCCESS, 10, Buffer.from('ROOT\0', 'utf16le').toString('hex')),
  step('stop'),
  beaconPosition(5, DEVICE_NOT_READY),
  step('start'),
  beaconPosition(31),
  step('remove', QUERY_VETOED),
  beaconPosition(32, INVALID_PARAMETER),
  step('close'),
  step('remove'),
  step(`open ${beaconPath}`, OBJECT_NAME_NOT_FOUND),
];
const beaconSurpriseSteps = [
  step(`open ${beaconPath}`),
  beaconPosition(1),
  step('surprise-remove'),
  beaconPosition(1, DELETE_PENDING),
  step('close'),
];

/** The calls of pool-calls in the order of their control codes; for each what stops the bad driver, and where. */
const poolCalls = {
  AllocateNothing: ['0xC4', '0x0'],
  AllocatePagedHigh: ['0xC4', '0x1'],
  AllocateNonPagedHigh: ['0xC4', '0x2'],
  FreeUnknown: ['0xC4', '0x10'],
  FreePagedHigh: ['0xC4', '0x11'],
  FreeNonPagedHigh: ['0xC4', '0x12'],
  FreeTwice: ['0xC4', '0x13'],
  FreeLargeTwice: ['0xC4', '0x13'],
  FreeMiddle: ['0xC4', '0x16'],
  FreeWithOtherTag: ['0xC2', '0xa'],
  AllocateWithoutTag: ['0xC2', '0x9b'],
  AllocateBig: ['0xC2', '0x9c'],
  AllocateWithBareTag: ['0xC2', '0x9d'],
  FreeWithTimer: ['0xC4', '0x15'],
  FreeWithResource: ['0xC4', '0x17'],
  FreeIrpAsPool: ['0xC4', '0x105'],
  AllocateQuotaInDpc: ['0xC4', '0x10b', 'ChargeInDpc'],
};
const poolCallNames = Object.keys(poolCalls);
const poolCallStep = (name, status) =>
  step(`ioctl 0x${(0x222280 + 4 * poolCallNames.indexOf(name)).toString(16)}`, status);

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

/**
 * What the tour makes of the leaks. Of its inputs these reach an allocation: 32-bit ones, and 32-bit values of 64; zeros
 * ask for nothing, and the noise is refused.
 */
const tourAmounts = {
  /** One and 64 rounds. The tour knows no event, and a second device or link has no name left. */
  resources: ({ kind, name, bytes, count }) =>
    name === 'Event'
      ? null
      : ['device', 'symbolic-link'].includes(kind)
        ? {}
        : { count: 65, bytes: (bytes / count) * 65 },
  /** A text of one byte; 64 is no kind of message. */
  mailbox: () => ({ count: 1, bytes: 32 + 1 }),
  /** A ring of 64 bytes (one is too small); 1 and 64 bytes to transform from addresses where nothing is. */
  channel: ({ tag }) => (tag === 'ChRg' ? { count: 1, bytes: 16 + 64 } : { count: 2, bytes: 1 + 64 }),
  /** 64 parcels, and twice very many, run out of routes; two files are closed without a parcel on its way. */
  lookaside: ({ kind, tag, bytes }) =>
    kind === 'lookaside' ? { count: 2 } : tag === 'LkLb' ? { count: 3, bytes: 3 * bytes } : null,
};

/** A run: `do` empty means that no `--do` is given. */
const run = (name, verdict, steps = [], more = {}) => ({ name, verdict, steps, ...more });

export const samples = [
  {
    name: 'leaky-inventory',
    compiler: 'gcc',
    twin: 'clean-inventory',
    runs: [run('load', 'violation'), run('query', 'violation', inventorySteps('LeakyInventory'))],
  },
  {
    name: 'clean-inventory',
    compiler: 'gcc',
    twin: 'leaky-inventory',
    runs: [run('load', 'clean'), run('query', 'clean', inventorySteps('CleanInventory'))],
  },
  {
    name: 'leaky-mailbox',
    compiler: 'gcc',
    twin: 'clean-mailbox',
    runs: [
      run('load', 'violation', [], { amounts: tourAmounts.mailbox }),
      run('good', 'clean', mailboxGoodSteps('LeakyMailbox')),
      run('cancel', 'clean', mailboxCancelSteps('LeakyMailbox')),
      run('wait', 'clean', mailboxWaitSteps('LeakyMailbox')),
      run('bad-checksum', 'violation', mailboxBadSteps('LeakyMailbox')),
    ],
  },
  {
    name: 'clean-mailbox',
    compiler: 'gcc',
    twin: 'leaky-mailbox',
    runs: [
      run('load', 'clean'),
      run('good', 'clean', mailboxGoodSteps('CleanMailbox')),
      run('cancel', 'clean', mailboxCancelSteps('CleanMailbox')),
      run('wait', 'clean', mailboxWaitSteps('CleanMailbox')),
      run('bad-checksum', 'clean', mailboxBadSteps('CleanMailbox')),
    ],
  },
  {
    name: 'leaky-channel',
    compiler: 'clang',
    twin: 'clean-channel',
    runs: [
      run('load', 'violation', [], { amounts: tourAmounts.channel }),
      run('transfer', 'violation', channelTransferSteps('LeakyChannel')),
      run('fault', 'violation', channelFaultSteps('LeakyChannel')),
    ],
  },
  {
    name: 'clean-channel',
    compiler: 'clang',
    twin: 'leaky-channel',
    runs: [
      run('load', 'clean'),
      run('transfer', 'clean', channelTransferSteps('CleanChannel')),
      run('fault', 'clean', channelFaultSteps('CleanChannel')),
    ],
  },
  {
    name: 'leaky-bringup',
    compiler: 'clang',
    twin: 'clean-bringup',
    runs: [run('load', 'violation', [], { driverEntryStatus: DEVICE_CONFIGURATION_ERROR })],
  },
  {
    name: 'clean-bringup',
    compiler: 'clang',
    twin: 'leaky-bringup',
    runs: [
      run('load', 'clean'),
      run('serial', 'clean', [
        step('open \\\\.\\CleanBringup'),
        step('ioctl 0x222100 out=64', SUCCESS, 22, Buffer.from('PPF-0000-00', 'utf16le').toString('hex')),
        step(`ioctl 0x222104 in=${le(32768, 4)} out=4`, SUCCESS, 4, le(linearized(32768), 4)),
        step('close'),
      ]),
    ],
  },
  {
    name: 'leaky-resources',
    compiler: 'gcc',
    twin: 'clean-resources',
    runs: [
      // The second device keeps the driver loaded, so Verifier does not get to count.
      run('load', 'violation', [], { amounts: tourAmounts.resources, bugCheck: null }),
      ...resourceNames.map((name) => run(name, 'violation', resourceSteps('LeakyResources', [name]))),
      run('all', 'violation', resourceSteps('LeakyResources', unloadable)),
    ],
  },
  {
    name: 'clean-resources',
    compiler: 'gcc',
    twin: 'leaky-resources',
    runs: [
      run('load', 'clean'),
      run('all', 'clean', resourceSteps('CleanResources', [...resourceNames, ...resourceNames])),
    ],
  },
  {
    name: 'leaky-lookaside',
    compiler: 'clang',
    twin: 'clean-lookaside',
    runs: [
      run('load', 'violation', [], { amounts: tourAmounts.lookaside }),
      run('returned', 'violation', parcelReturned('LeakyLookaside')),
      run('routes-out', 'violation', parcelRoutesOut('LeakyLookaside')),
      run('early-close', 'violation', parcelEarlyClose('LeakyLookaside')),
      run('all', 'violation', parcelSteps('LeakyLookaside')),
    ],
  },
  {
    name: 'clean-lookaside',
    compiler: 'clang',
    twin: 'leaky-lookaside',
    runs: [
      run('load', 'clean'),
      run('counted', 'clean', parcelCounted('CleanLookaside')),
      run('all', 'clean', [...parcelSteps('CleanLookaside'), ...parcelSteps('CleanLookaside')]),
    ],
  },
  {
    name: 'leaky-beacon',
    compiler: 'clang',
    twin: 'clean-beacon',
    runs: [
      run('load', 'violation'),
      run('orderly', 'clean', beaconOrderlySteps),
      run('surprise', 'violation', beaconSurpriseSteps),
    ],
  },
  {
    name: 'clean-beacon',
    compiler: 'clang',
    twin: 'leaky-beacon',
    runs: [
      run('load', 'clean'),
      run('orderly', 'clean', beaconOrderlySteps),
      run('surprise', 'clean', beaconSurpriseSteps),
    ],
  },
  {
    name: 'big',
    compiler: 'gcc',
    twin: null,
    runs: [
      run('load', 'clean'),
      run('check', 'clean', [step('open \\\\.\\PoolproofBig'), step('ioctl 0x222140', SUCCESS, 0), step('close')]),
    ],
  },
  // Not shown to users: they try the limits of the engine. See test/drivers.
  {
    name: 'spin',
    folder: 'test/drivers',
    compiler: 'gcc',
    twin: null,
    runs: [run('load', 'incomplete', [], { driverEntryStatus: null })],
  },
  {
    name: 'recurse',
    folder: 'test/drivers',
    compiler: 'gcc',
    twin: null,
    // UNEXPECTED_KERNEL_MODE_TRAP with EXCEPTION_DOUBLE_FAULT.
    runs: [
      run('load', 'violation', [], {
        driverEntryStatus: null,
        bugCheck: { code: '0x7F', parameter1: '0x8', allocations: null },
      }),
    ],
  },
  {
    name: 'bad-pool-calls',
    folder: 'test/drivers',
    compiler: 'gcc',
    twin: 'clean-pool-calls',
    runs: poolCallNames.map((name) => {
      const [code, parameter1, inFunction = name] = poolCalls[name];
      return run(name, 'violation', [step('open \\Device\\BadPoolCalls'), poolCallStep(name, null)], {
        bugCheck: { code, parameter1, allocations: null, function: inFunction },
      });
    }),
  },
  {
    name: 'clean-pool-calls',
    folder: 'test/drivers',
    compiler: 'gcc',
    twin: 'bad-pool-calls',
    runs: [
      run('load', 'clean'),
      run('all', 'clean', [
        step('open \\Device\\CleanPoolCalls'),
        ...[...poolCallNames, ...poolCallNames].map((name) => poolCallStep(name, SUCCESS)),
        step('close'),
      ]),
    ],
  },
  { name: 'poolbench', folder: 'test/drivers', compiler: 'gcc', twin: null, runs: [run('load', 'clean')] },
];
