import { expect, it } from 'vitest';
import { nonCanonicalVa, type Va } from '../../base/va.ts';
import { STATUS_ACCESS_VIOLATION, STATUS_DATATYPE_MISALIGNMENT } from '../ntstatus.ts';
import { probeStatus } from './probe.ts';

it.each([
  ['an aligned range of user space', 0x1_0000, 0x10, 4, undefined],
  ['no bytes anywhere', -0x1000, 0, 4, undefined],
  ['no bytes, misaligned', 0x1_0001, 0, 4, undefined],
  ['a misaligned address', 0x1_0002, 4, 4, STATUS_DATATYPE_MISALIGNMENT],
  ['a misaligned address outside of user space', -0x0fff, 4, 4, STATUS_DATATYPE_MISALIGNMENT],
  ['the null address', 0, 4, 4, undefined],
  ['the last bytes of user space', 0x7fff_fffe_fff0, 0x10, 1, undefined],
  ['one byte more', 0x7fff_fffe_fff0, 0x11, 1, STATUS_ACCESS_VIOLATION],
  ['an address of the kernel', -0x1000, 1, 1, STATUS_ACCESS_VIOLATION],
  ['a range that wraps', 0x1_0000, 2 ** 64 - 1, 1, STATUS_ACCESS_VIOLATION],
  ['a non-canonical address', nonCanonicalVa, 1, 1, STATUS_ACCESS_VIOLATION],
])('%s', (_name, address, length, alignment, status) => {
  expect(probeStatus(address as Va, length, alignment)).toBe(status);
});
