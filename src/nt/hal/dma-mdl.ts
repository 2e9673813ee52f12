/** The memory behind chains of MDLs, as DMA sees it: runs of physically contiguous bytes. */
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { pageMask, pageShift, pageSize } from '../../engine/memory/layout.ts';
import { chain } from '../declare/chain.ts';
import { mdlVirtualAddress, pfnAddress } from '../mm/mdl-layout.ts';
import type { Nt } from '../nt.ts';
import { MDL } from '../structures/io.ts';

/** Physically contiguous bytes within one MDL. */
export interface Run {
  readonly mdl: Va;
  /** Of the first byte, in the address space that the MDL describes. */
  readonly va: Va;
  /** Of the first byte, from the start of the chain. */
  readonly offset: number;
  readonly physical: bigint;
  readonly bytes: number;
}

interface Piece {
  readonly mdl: Va;
  /** From the start of the MDL's buffer. */
  readonly start: number;
  /** From the start of the chain. */
  readonly offset: number;
  readonly bytes: number;
}

/** The parts of a chain's MDLs that [offset, offset + bytes) of its buffers covers; fewer bytes if the chain is shorter. */
function* pieces(nt: Nt, first: Va, offset: number, bytes: number): Generator<Piece> {
  let skipped = 0;
  let left = bytes;
  for (const mdl of chain(first, nullVa, (at) => MDL.Next.get(nt.memory, at), 'a chain of MDLs')) {
    if (left <= 0) return;
    const length = MDL.ByteCount.get(nt.memory, mdl);
    const start = Math.max(0, offset - skipped);
    if (start < length) {
      const count = Math.min(length - start, left);
      yield { mdl, start, offset: skipped + start, bytes: count };
      left -= count;
    }
    skipped += length;
  }
}

/** Where an address of the first MDL's buffer lies in the chain; negative or too large for an address outside of it. */
export function offsetInMdl(nt: Nt, mdl: Va, va: Va): number {
  return va - mdlVirtualAddress(nt.memory, mdl);
}

/** How many of the bytes the chain has, and how many registers they take: one for each page of each MDL. */
export function measure(nt: Nt, mdl: Va, offset: number, bytes: number): { bytes: number; registers: number } {
  let found = 0;
  let registers = 0;
  for (const piece of pieces(nt, mdl, offset, bytes)) {
    found += piece.bytes;
    const inPage = (MDL.ByteOffset.get(nt.memory, piece.mdl) + piece.start) & pageMask;
    registers += Math.ceil((inPage + piece.bytes) / pageSize);
  }
  return { bytes: found, registers };
}

/** The run that begins `offset` bytes into one MDL's buffer. */
export function runAt(nt: Nt, mdl: Va, offset: number, bytes: number): Run {
  return runIn(nt, { mdl, start: offset, offset, bytes }, 0);
}

/** All runs of a part of a chain. */
export function* runs(nt: Nt, mdl: Va, offset: number, bytes: number): Generator<Run> {
  for (const piece of pieces(nt, mdl, offset, bytes)) {
    for (let done = 0; done < piece.bytes; ) {
      const run = runIn(nt, piece, done);
      yield run;
      done += run.bytes;
    }
  }
}

function runIn({ memory }: Nt, piece: Piece, done: number): Run {
  const { mdl } = piece;
  const start = piece.start + done;
  const limit = piece.bytes - done;
  const inPages = MDL.ByteOffset.get(memory, mdl) + start;
  const page = Math.floor(inPages / pageSize);
  const inPage = inPages & pageMask;
  const first = memory.readU64(pfnAddress(mdl, page));
  let bytes = Math.min(limit, pageSize - inPage);
  for (let next = 1; bytes < limit; next++) {
    if (memory.readU64(pfnAddress(mdl, page + next)) !== first + BigInt(next)) break;
    bytes = Math.min(limit, bytes + pageSize);
  }
  const physical = (first << BigInt(pageShift)) + BigInt(inPage);
  return { mdl, va: vaAdd(mdlVirtualAddress(memory, mdl), start), offset: piece.offset + done, physical, bytes };
}
