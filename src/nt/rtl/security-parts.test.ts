/** SIDs, LUIDs, masks, entries of lists and parts of descriptors, as drivers take them apart and put them together. */
import { beforeEach, describe, expect, it } from 'vitest';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { nullVa, type Va, vaAdd } from '../../base/va.ts';

const invalidParameter = 0xc000_000d;
const unknownRevision = 0xc000_0058;
const invalidDescriptor = 0xc000_0079;
const bufferTooSmall = 0xc000_0023;
const system = Uint8Array.of(1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0);

let kernel: KernelCaller;
beforeEach(() => {
  kernel = new KernelCaller();
});

const status = (routine: string, ...args: number[]): number => kernel.call(routine, ...args) >>> 0;
const block = (bytes = 0x100): Va => kernel.nt.pool.allocateKernel(bytes, 'Test');
function put(bytes: Uint8Array): Va {
  const at = block();
  kernel.nt.memory.writeBytes(at, bytes);
  return at;
}

it('a SID shows where its parts are', () => {
  const sid = put(system);
  const { memory } = kernel.nt;
  expect(memory.readU8(kernel.callVa('RtlSubAuthorityCountSid', sid))).toBe(1);
  expect(memory.readU8(vaAdd(kernel.callVa('RtlIdentifierAuthoritySid', sid), 5))).toBe(5);
});

it('LUIDs are compared and copied whole', () => {
  const [one, other] = [put(Uint8Array.of(1, 0, 0, 0, 2, 0, 0, 0)), put(Uint8Array.of(1, 0, 0, 0, 3, 0, 0, 0))];
  expect(kernel.call('RtlEqualLuid', one, other)).toBe(0);
  kernel.call('RtlCopyLuid', other, one);
  expect(kernel.call('RtlEqualLuid', one, other)).toBe(1);
});

it.each([
  [0x8000_0000, 0x1],
  [0x4000_0000, 0x2],
  [0x2000_0000, 0x4],
  [0x1000_0000, 0x1f],
  [0xc012_0000, 0x12_0003],
  [0x0010_0080, 0x0010_0080],
])('generic rights %i mean %i', (asked, meant) => {
  const mapping = put(new Uint8Array(Uint32Array.of(1, 2, 4, 0x1f).buffer));
  const mask = block(4);
  kernel.nt.memory.writeU32(mask, asked);
  kernel.call('RtlMapGenericMask', mask, mapping);
  expect(kernel.nt.memory.readU32(mask)).toBe(meant);
});

describe('entries of a list', () => {
  const masks = (acl: Va): number[] => {
    const { memory } = kernel.nt;
    const out = block(8);
    const count = memory.readU16(vaAdd(acl, 4));
    return Array.from({ length: count }, (_, index) => {
      expect(status('RtlGetAce', acl, index, out)).toBe(0);
      return memory.readU32(vaAdd(memory.readVa(out), 4));
    });
  };

  function list(bytes: number, ...allowed: number[]): Va {
    const acl = block();
    expect(status('RtlCreateAcl', acl, bytes, 2)).toBe(0);
    const sid = put(system);
    for (const mask of allowed) expect(status('RtlAddAccessAllowedAce', acl, 2, mask, sid)).toBe(0);
    return acl;
  }

  it('are inserted where it is said, or at the end', () => {
    const acl = list(0x80, 1, 2, 3);
    const source = list(0x80, 8, 9);
    expect(status('RtlAddAce', acl, 2, 1, vaAdd(source, 8), 40)).toBe(0);
    expect(masks(acl)).toEqual([1, 8, 9, 2, 3]);
    expect(status('RtlAddAce', acl, 2, 0xffff_ffff, vaAdd(source, 8), 20)).toBe(0);
    expect(masks(acl)).toEqual([1, 8, 9, 2, 3, 8]);
    expect(status('RtlAddAce', acl, 2, 0, vaAdd(source, 8), 20)).toBe(bufferTooSmall);
    expect(status('RtlAddAce', acl, 2, 0, vaAdd(source, 8), 19)).toBe(invalidParameter);
    expect(masks(acl)).toHaveLength(6);
  });

  it('are deleted by their number', () => {
    const acl = list(0x80, 1, 2, 3);
    expect(status('RtlDeleteAce', acl, 3)).toBe(invalidParameter);
    expect(status('RtlDeleteAce', acl, 1)).toBe(0);
    expect(masks(acl)).toEqual([1, 3]);
    expect(status('RtlDeleteAce', acl, 0)).toBe(0);
    expect(status('RtlDeleteAce', acl, 0)).toBe(0);
    expect(masks(acl)).toEqual([]);
  });
});

describe('parts of a descriptor', () => {
  it.each([
    ['RtlSetSaclSecurityDescriptor', 'RtlGetSaclSecurityDescriptor', 0x10],
    ['RtlSetDaclSecurityDescriptor', 'RtlGetDaclSecurityDescriptor', 0x04],
  ])('%s', (set, get, presentBit) => {
    const { memory } = kernel.nt;
    const [descriptor, acl, out] = [block(), block(), block()];
    memory.fill(descriptor, 0x28, 0);
    expect(status(set, descriptor, 1, acl, 0)).toBe(unknownRevision);
    expect(status('RtlCreateSecurityDescriptor', descriptor, 1)).toBe(0);
    expect(status(set, descriptor, 1, acl, 1)).toBe(0);
    expect(memory.readU16(vaAdd(descriptor, 2))).toBe(presentBit * 3);
    expect(status(get, descriptor, out, vaAdd(out, 8), vaAdd(out, 1))).toBe(0);
    expect([memory.readU16(out), memory.readVa(vaAdd(out, 8))]).toEqual([0x101, acl]);
    expect(status(set, descriptor, 0, nullVa, 0)).toBe(0);
    memory.writeU8(out, 7);
    expect(status(get, descriptor, out, vaAdd(out, 8), vaAdd(out, 1))).toBe(0);
    expect(memory.readU8(out)).toBe(0);
  });

  it('RtlSetGroupSecurityDescriptor', () => {
    const { memory } = kernel.nt;
    const [descriptor, out] = [block(), block()];
    const sid = put(system);
    expect(status('RtlCreateSecurityDescriptor', descriptor, 1)).toBe(0);
    expect(status('RtlSetGroupSecurityDescriptor', descriptor, sid, 1)).toBe(0);
    expect(status('RtlGetGroupSecurityDescriptor', descriptor, out, vaAdd(out, 8))).toBe(0);
    expect([memory.readVa(out), memory.readU8(vaAdd(out, 8))]).toEqual([sid, 1]);
  });

  it('are not set in a self-relative one', () => {
    const [descriptor, sid] = [block(), put(system)];
    expect(status('RtlCreateSecurityDescriptorRelative', descriptor, 2)).toBe(unknownRevision);
    expect(status('RtlCreateSecurityDescriptorRelative', descriptor, 1)).toBe(0);
    expect(status('RtlSetGroupSecurityDescriptor', descriptor, sid, 0)).toBe(invalidDescriptor);
    expect(status('RtlSetSaclSecurityDescriptor', descriptor, 0, nullVa, 0)).toBe(invalidDescriptor);
    expect(kernel.call('SeValidSecurityDescriptor', 20, descriptor)).toBe(1);
    expect(kernel.call('SeValidSecurityDescriptor', 19, descriptor)).toBe(0);
    // An owner that lies behind the end.
    kernel.nt.memory.writeU32(vaAdd(descriptor, 4), 20);
    expect(kernel.call('SeValidSecurityDescriptor', 20, descriptor)).toBe(0);
  });
});
