import { describe, expect, it } from 'vitest';
import { StoreBytes } from './store-bytes.ts';

function at(block: StoreBytes, offset: number, bytes: number): number[] {
  const into = new Uint8Array(bytes).fill(0xee);
  block.read(offset, into);
  return Array.from(into);
}

describe('a block of bytes', () => {
  it('holds what was written, zeros elsewhere, over the ends of chunks', () => {
    const block = new StoreBytes(0x3000);
    block.write(0x0fff, Uint8Array.of(1, 2));
    expect(at(block, 0x0ffe, 4)).toEqual([0, 1, 2, 0]);
    expect([0x0fff, 0x1000, 0x2fff].map((offset) => block.at(offset))).toEqual([1, 2, 0]);
    expect(() => block.at(0x3000)).toThrow();
    block.clear();
    expect(at(block, 0x0ffe, 4)).toEqual([0, 0, 0, 0]);
    expect(() => block.write(0x2fff, Uint8Array.of(1, 2))).toThrow('2 bytes at 12287');
    expect(() => at(block, -1, 1)).toThrow();
  });

  it('goes back to a snapshot, which later writes leave alone, and shares what they do not touch', () => {
    const block = new StoreBytes(0x3000);
    block.write(0, Uint8Array.of(1));
    block.write(0x1000, Uint8Array.of(2));
    const saved = block.save() as (Uint8Array | undefined)[];
    block.write(0, Uint8Array.of(9));
    const later = block.save() as (Uint8Array | undefined)[];
    expect(later.map((chunk, index) => chunk === saved[index])).toEqual([false, true, true]);
    const other = new StoreBytes(0x3000);
    other.load(saved);
    other.write(0x1000, Uint8Array.of(7));
    block.load(saved);
    expect([at(block, 0, 1), at(block, 0x1000, 1), at(other, 0x1000, 1)]).toEqual([[1], [2], [7]]);
  });
});
