import { expect, it } from 'vitest';
import { GuestFixture } from '../../../test/guest-memory-fixture.ts';
import type { Va } from '../../base/va.ts';
import { FILE_OBJECT } from '../structures/io.ts';
import { SHARE_ACCESS } from '../structures/tables.ts';
import { ioShareAccess } from './share-access-exports.ts';

const [read, write, remove] = [0x1, 0x2, 0x1_0000];
const violation = 0xc000_0043;

it('lets opens in that go with all others, and counts them', () => {
  const guest = new GuestFixture();
  const { routines } = ioShareAccess;
  const share = guest.allocate(SHARE_ACCESS.sizeBytes);
  const file = (): Va => {
    const at = guest.allocate(FILE_OBJECT.sizeBytes);
    guest.memory.fill(at, FILE_OBJECT.sizeBytes, 0);
    return at;
  };
  const [first, second, third] = [file(), file(), file()];
  const check = (access: number, shares: number, at: Va, updates = 1): unknown =>
    guest.call('IoCheckShareAccess', routines.IoCheckShareAccess, access, shares, at, share, updates);
  guest.call('IoSetShareAccess', routines.IoSetShareAccess, read | write, 1, first, share);
  expect(SHARE_ACCESS.OpenCount.get(guest.memory, share)).toBe(1);
  expect(check(write, 7, second)).toBe(violation);
  expect(check(read, 1, second)).toBe(violation);
  expect(check(remove, 7, second)).toBe(violation);
  expect(check(read, 3, second)).toBe(0);
  expect(SHARE_ACCESS.Readers.get(guest.memory, share)).toBe(2);
  // Attributes alone share with everybody and are not counted.
  expect(check(0x80, 0, third)).toBe(0);
  expect(SHARE_ACCESS.OpenCount.get(guest.memory, share)).toBe(2);
  for (const at of [first, second, third]) {
    guest.call('IoRemoveShareAccess', routines.IoRemoveShareAccess, at, share);
  }
  expect([...guest.memory.readBytes(share, SHARE_ACCESS.sizeBytes)].every((byte) => byte === 0)).toBe(true);
});
