import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nonCanonicalVa, type Va, vaAdd } from '../../base/va.ts';
import { GuestFault } from './guest-fault.ts';
import { GuestMemory } from './guest-memory.ts';
import { Access, pageSize, systemSpaceStart } from './layout.ts';

const start = (systemSpaceStart + 0x1000_0000) as Va;
const user = 0x2000_0000 as Va;
const readWrite = Access.Read | Access.Write;

function memoryWith(pages: readonly Va[], flags: number = readWrite): GuestMemory {
  const memory = new GuestMemory({ ramBytes: 0x10_0000 });
  for (const va of pages) memory.mapPage(va, memory.allocateFrame() as number, flags);
  return memory;
}

function faultOf(action: () => unknown): GuestFault {
  try {
    action();
  } catch (thrown) {
    if (thrown instanceof GuestFault) return thrown;
    throw thrown;
  }
  throw new Error('no fault');
}

describe('frames in a row', () => {
  /** All frames are in use. */
  function fullMemory(): GuestMemory {
    const memory = new GuestMemory({ ramBytes: 0x100_0000 });
    while (memory.allocateFrame() !== undefined);
    return memory;
  }

  const range = (first: number, end: number): number[] =>
    Array.from({ length: end - first }, (_, index) => first + index);

  function free(memory: GuestMemory, frames: readonly number[]): void {
    for (const frame of frames) memory.freeFrame(frame);
  }

  it('are looked for among those that were freed last, in whichever order', () => {
    const memory = fullMemory();
    free(memory, range(0, 512));
    free(memory, [602, 700, 600, 601]);
    free(
      memory,
      range(1000, 1100).filter((frame) => frame % 2 === 0),
    );
    expect(memory.allocateContiguousFrames(3)).toBe(310);
    expect(memory.allocateContiguousFrames(240)).toBe(0);
    expect(memory.allocateContiguousFrames(3, (first) => first > 512)).toBe(600);
    expect(memory.freeFrameCount).toBe(512 + 4 + 50 - 246);
  });

  it('are looked for among all that are free, if those do not lie in a row or are not allowed', () => {
    const memory = fullMemory();
    free(memory, [10, 11, 12, 40, 41, 42, 50]);
    expect(memory.allocateContiguousFrames(3, (first) => first >= 40)).toBe(40);
    free(memory, [20, 21]);
    expect(memory.allocateContiguousFrames(2, (first) => first < 20)).toBe(10);
    expect([memory.freeFrameCount, memory.allocateContiguousFrames(3)]).toEqual([4, undefined]);
  });
});

describe('access', () => {
  it.each([start, user])('reads what was written, across a page boundary too (%d)', (base) => {
    const memory = memoryWith([base, vaAdd(base, pageSize)]);
    for (const at of [0, 8, pageSize - 8, pageSize - 3, pageSize - 1]) {
      const va = vaAdd(base, at);
      memory.writeU64(va, 0x0123_4567_89ab_cdefn);
      expect(memory.readU64(va)).toBe(0x0123_4567_89ab_cdefn);
      expect(memory.readU32(va)).toBe(0x89ab_cdef);
      expect(memory.readU16(va)).toBe(0xcdef);
      memory.writeVa(va, start);
      expect(memory.readVa(va)).toBe(start);
    }
  });

  it('faults where the processor would, and says why', () => {
    const memory = memoryWith([start], Access.Read);
    expect(faultOf(() => memory.readU8(vaAdd(start, pageSize)))).toMatchObject({
      reason: 'not-mapped',
      access: Access.Read,
    });
    expect(faultOf(() => memory.writeU8(start, 1))).toMatchObject({ reason: 'protection', va: start });
    expect(faultOf(() => memory.readU8(nonCanonicalVa))).toMatchObject({ reason: 'non-canonical' });
  });

  it('writes nothing when the second page of a crossing write faults', () => {
    const memory = memoryWith([start]);
    memory.fill(start, pageSize, 0x11);
    faultOf(() => memory.writeU64(vaAdd(start, pageSize - 4), -1n));
    expect(memory.readU32(vaAdd(start, pageSize - 4))).toBe(0x1111_1111);
  });

  it('shows one frame at all of its addresses', () => {
    const memory = memoryWith([start]);
    const alias = vaAdd(start, 16 * pageSize);
    memory.mapPage(alias, memory.mappingAt(start)?.frame as number, readWrite);
    memory.writeU32(alias, 0xfeed);
    expect(memory.readU32(start)).toBe(0xfeed);
    expect(memory.mappingsOfFrame(memory.mappingAt(start)?.frame as number)).toEqual([start, alias]);
  });

  it('tells when code changes, before it does', () => {
    const memory = memoryWith([start]);
    const { frame } = memory.mappingAt(start) as { frame: number };
    memory.writeU8(start, 1);
    const seen: number[] = [];
    memory.onCodeChange = (changed) => seen.push(changed, memory.readU8(start));
    memory.markCode(frame);
    memory.writeU8(start, 2);
    memory.writeU8(start, 3);
    expect(seen).toEqual([frame, 1]);
  });
});

describe('snapshots', () => {
  const operation = fc.record({ kind: fc.nat(4), page: fc.nat(5), offset: fc.nat(pageSize - 1), value: fc.nat(255) });
  type Operation = { kind: number; page: number; offset: number; value: number };

  function apply(memory: GuestMemory, { kind, page, offset, value }: Operation): void {
    const va = vaAdd(page < 4 ? start : user, page * pageSize);
    const mapping = memory.mappingAt(va);
    if (kind === 0 && mapping === undefined) memory.mapPage(va, memory.allocateFrame() as number, readWrite);
    else if (kind === 1 && mapping !== undefined) memory.freeFrame(memory.unmapPage(va) as number);
    else if (kind === 2 && mapping !== undefined) memory.protectPage(va, value % 2 === 0 ? readWrite : Access.Read);
    else if (mapping !== undefined && (mapping.flags & Access.Write) !== 0) memory.writeU8(vaAdd(va, offset), value);
  }

  function contents(memory: GuestMemory): unknown {
    return Array.from({ length: 6 }, (_, page) => {
      const va = vaAdd(page < 4 ? start : user, page * pageSize);
      return [
        memory.mappingAt(va),
        memory.mappingAt(va) && Buffer.from(memory.readBytes(va, pageSize)).toString('base64'),
      ];
    });
  }

  it('bring everything back, in this and in a fresh memory, and later changes are seen again', () => {
    fc.assert(
      fc.property(fc.array(operation), fc.array(operation), fc.array(operation), (before, between, after) => {
        const memory = memoryWith([]);
        for (const step of before) apply(memory, step);
        const expected = contents(memory);
        const snapshot = memory.snapshot();
        for (const step of between) apply(memory, step);
        const later = memory.snapshot();
        const laterContents = contents(memory);
        memory.restore(snapshot);
        expect(contents(memory)).toEqual(expected);
        for (const step of after) apply(memory, step);
        const fresh = memoryWith([]);
        fresh.restore(later);
        expect(contents(fresh)).toEqual(laterContents);
        fresh.restore(snapshot);
        expect(contents(fresh)).toEqual(expected);
        memory.restore(later);
        expect(contents(memory)).toEqual(laterContents);
      }),
      { numRuns: 60 },
    );
  });
});
