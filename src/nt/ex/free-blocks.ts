/**
 * Small blocks of pool that are free: filled with one byte all over, which their header names, until they are handed out.
 * Whoever writes to one wrote to memory that is not his any more.
 */
import type { StoreQueue } from '../../base/store-queue.ts';
import { type Va, vaAdd, vaLow } from '../../base/va.ts';
import { pageMask } from '../../engine/memory/layout.ts';
import type { Nt } from '../nt.ts';
import { POOL_HEADER } from '../structures/pool.ts';

/** A free block with something in it. */
export interface DamagedBlock {
  /** Behind its header. */
  readonly va: Va;
  /** What was allocated there last; 0: nothing was. The header may be damaged itself. */
  readonly tag: number;
  /** The first byte that is not what it was; in front of `va` if it is in the header. */
  readonly firstDamage: Va;
}

const headerBytes = POOL_HEADER.sizeBytes;
const tagOffset = 4;
const fillOffset = 8;

/** Puts the byte into a free block's header that fills the rest of it. */
export function noteFill(nt: Nt, headerOffset: number, fill: number): void {
  nt.memory.view.setUint32(headerOffset + fillOffset, Math.imul(fill, 0x0101_0101) >>> 0, true);
}

/** Looks at a free block of so many bytes, header included; `word` is what its header begins with. */
export function damageOf(nt: Nt, header: Va, word: number, bytes: number): DamagedBlock | undefined {
  const { memory } = nt;
  // Straight to the memory: paged pool is looked at in whatever IRQL there is.
  const mapping = memory.mappingAt(header);
  if (mapping === undefined) return undefined;
  const offset = memory.frameOffset(mapping.frame) + (vaLow(header) & pageMask);
  const { view } = memory;
  const damagedAt = (at: number): DamagedBlock => ({
    va: vaAdd(header, headerBytes),
    tag: view.getUint32(offset + tagOffset, true),
    firstDamage: vaAdd(header, at),
  });
  if (view.getUint32(offset, true) !== word) return damagedAt(0);
  const fill = view.getUint32(offset + fillOffset, true);
  if (fill !== Math.imul(fill & 0xff, 0x0101_0101) >>> 0 || fill === 0) return damagedAt(fillOffset);
  for (
    let at = headerBytes + filledBytes(memory.i32, offset + headerBytes, offset + bytes, fill);
    at < bytes;
    at += 4
  ) {
    const difference = view.getUint32(offset + at, true) ^ fill;
    if (difference !== 0) return damagedAt(at + ((31 - Math.clz32(difference & -difference)) >>> 3));
  }
  return undefined;
}

/** How many of the bytes from `start` to `end` are as they were, in steps of 16. Each block that is handed out is looked at. */
function filledBytes(words: Int32Array, start: number, end: number, fill: number): number {
  let at = start;
  for (; at < end; at += 16) {
    const word = at >> 2;
    const first = (words[word] as number) ^ fill;
    const second = (words[word + 1] as number) ^ fill;
    const third = (words[word + 2] as number) ^ fill;
    const fourth = (words[word + 3] as number) ^ fill;
    if ((first | second | third | fourth) !== 0) break;
  }
  return at - start;
}

/** Takes the block out that is free for longest. Damaged ones go to `damaged`, for nobody to get them. */
export function takeFree(
  nt: Nt,
  queue: StoreQueue,
  damaged: StoreQueue,
  { word, bytes }: { readonly word: number; readonly bytes: number },
): Va | undefined {
  for (;;) {
    const header = queue.shift() as Va | undefined;
    if (header === undefined || damageOf(nt, header, word, bytes) === undefined) return header;
    damaged.push(header);
  }
}
