import { INVALID_DEVICE_REQUEST, INVALID_PARAMETER, le, NOT_FOUND, run, SUCCESS, step } from '../steps.mjs';

/** What the inventory answers to a query: the checksum is FNV-1a over the label's UTF-16 bytes, seeded. */
function inventoryRecord(id, revision, label) {
  let hash = 0xcbf29ce484222325n ^ BigInt(revision);
  for (const byte of Buffer.from(label, 'utf16le'))
    hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & 0xffffffffffffffffn;
  return le(id, 4) + le(revision, 4) + le(hash, 8);
}

const querySteps = (device) => [
  step(`open \\\\.\\${device}`),
  step(`ioctl 0x222040 in=${le(1004, 4)} out=16`, SUCCESS, 16, inventoryRecord(1004, 3, 'pressure cell C')),
  step(`ioctl 0x222040 in=${le(9999, 4)} out=16`, NOT_FOUND, 0),
  step('ioctl 0x222040 in=00 out=16', INVALID_PARAMETER, 0),
  step('ioctl 0x222FFC', INVALID_DEVICE_REQUEST, 0),
  step('read 256', SUCCESS, 144),
  step('close'),
];

export const pair = {
  compiler: 'gcc',
  leaks: 'entries on a list that Unload forgets: 4 × `InvE`, 4 × `InvL`',
  seenWith: 'a plain load and unload',
  leaky: [run('load', 'violation'), run('query', 'violation', querySteps('LeakyInventory'))],
  clean: [run('load', 'clean'), run('query', 'clean', querySteps('CleanInventory'))],
};
