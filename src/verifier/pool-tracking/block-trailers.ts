/**
 * What stands behind each block of a verified driver, and is looked at when the block is freed: a driver that wrote past
 * the end of its block wrote over it. Found so late, the writer is not known; special pool catches the write itself
 * (bug check 0xC4 page, parameter 1 0x51 to 0x53).
 */
import { type Va, vaAdd, vaLow } from '../../base/va.ts';
import { Access } from '../../engine/memory/layout.ts';
import { BugCheck } from '../../nt/declare/bug-check.ts';
import type { PoolBlock } from '../../nt/ex/pool.ts';
import { chargedBytes, trailerBytes } from '../../nt/ex/pool-sizes.ts';
import type { Nt } from '../../nt/nt.ts';

/**
 * A trailer follows the requested bytes at once, aligned or not: charged bytes << 8 and a seal that is no zero and no
 * 0xFF (so that a NUL too many shows), a hash of address and tag, and the block's address.
 */
const Offset = { charged: 0, hash: 4, block: 8 } as const;
/** Parameter 1 for damage from that offset on. */
const damage = [
  [Offset.charged, 0x51],
  [Offset.hash, 0x52],
  [Offset.block, 0x53],
] as const;

export class BlockTrailers {
  private readonly nt: Nt;

  constructor(nt: Nt) {
    this.nt = nt;
  }

  write(block: PoolBlock): void {
    const { memory } = this.nt;
    const at = vaAdd(block.va, block.bytes);
    const offset = memory.offsetOf(at, Access.Write);
    const { view } = memory;
    view.setUint32(offset + Offset.charged, chargedWord(block), true);
    view.setUint32(offset + Offset.hash, hashOf(block), true);
    view.setUint32(offset + Offset.block, vaLow(block.va), true);
    view.setInt32(offset + Offset.block + 4, vaHigh(block.va), true);
  }

  /** The first byte behind the block that is not what it was; undefined if all are. */
  firstDamage(block: PoolBlock): Va | undefined {
    const { memory } = this.nt;
    const at = vaAdd(block.va, block.bytes);
    // The driver may have put something else where its block was (an unmapped page).
    if (!memory.isAccessible(at, trailerBytes, Access.Read)) return undefined;
    const offset = memory.offsetOf(at, Access.Read);
    const { view } = memory;
    const charged = view.getInt32(offset + Offset.charged, true) ^ chargedWord(block);
    const hash = view.getInt32(offset + Offset.hash, true) ^ hashOf(block);
    const low = view.getInt32(offset + Offset.block, true) ^ vaLow(block.va);
    const high = view.getInt32(offset + Offset.block + 4, true) ^ vaHigh(block.va);
    if ((charged | hash | low | high) === 0) return undefined;
    if (charged !== 0) return vaAdd(at, Offset.charged + lowestByte(charged));
    if (hash !== 0) return vaAdd(at, Offset.hash + lowestByte(hash));
    return vaAdd(at, Offset.block + (low !== 0 ? lowestByte(low) : 4 + lowestByte(high)));
  }

  /** The bug check for a block that is freed with damage behind it. */
  bugCheck(block: PoolBlock, at: Va): BugCheck {
    const trailer = vaAdd(block.va, block.bytes);
    const [from, rule] = damage.findLast(([start]) => at >= vaAdd(trailer, start)) ?? damage[0];
    const charged = chargedBytes(block);
    const summary = `the driver wrote past the end of a pool block of ${block.bytes} bytes; found when the block was freed`;
    if (rule === 0x51) return new BugCheck(0xc4, [rule, block.va, at, charged], summary);
    const field = vaAdd(trailer, from);
    return new BugCheck(0xc4, [rule, block.va, field, rule === 0x52 ? charged : 0], summary);
  }
}

/** Where, in the trailer of a block that has one, the block's address stands. */
export function trackedAddressOf(block: PoolBlock): Va {
  return vaAdd(block.va, block.bytes + Offset.block);
}

function chargedWord(block: PoolBlock): number {
  return ((chargedBytes(block) << 8) | (0x80 + (hashOf(block) % 0x7f))) >>> 0;
}

function hashOf({ va, tag }: PoolBlock): number {
  const mixed = Math.imul(vaLow(va) ^ Math.imul(tag, 0x9e37_79b1), 0x85eb_ca6b);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}

function vaHigh(va: Va): number {
  return Math.floor(va / 0x1_0000_0000);
}

/** Index of the lowest byte that is not 0. */
function lowestByte(word: number): number {
  return (31 - Math.clz32(word & -word)) >>> 3;
}
