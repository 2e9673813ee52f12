/** Which function an address belongs to: RtlLookupFunctionEntry, and the parts that chained unwind data ties together. */
import { malformedUnwindData } from '../pe/pe-errors.ts';
import type { PeImage, RuntimeFunction } from '../pe/pe-image.ts';
import { readUnwindInfo } from './unwind-info.ts';

/** The limit of RtlVirtualUnwind. */
export const longestChain = 32;

export interface CodeRange {
  readonly beginRva: number;
  readonly endRva: number;
}

/** A function with all its parts. */
export interface FunctionRanges {
  readonly primary: RuntimeFunction;
  /** Ascending; the primary part's range is one of them. */
  readonly ranges: readonly CodeRange[];
}

/**
 * The function table entry that covers an RVA; undefined for leaf functions and data. An indirect entry is followed, so
 * that the range of the result need not hold the RVA. Throws PP1007.
 */
export function lookupFunctionEntry(pe: PeImage, rva: number): RuntimeFunction | undefined {
  const entry = searchFunctionTable(pe.functions, rva);
  return entry === undefined ? undefined : followIndirection(pe, entry);
}

/** The part of the function that has its entry point. Throws PP1007 for endless chains. */
export function primaryFunction(pe: PeImage, entry: RuntimeFunction): RuntimeFunction {
  let part = followIndirection(pe, entry);
  for (let length = 0; length <= longestChain; length++) {
    const { chained } = readUnwindInfo(pe, part.unwindInfoRva);
    if (chained === undefined) return part;
    part = chained;
  }
  throw endlessChain(pe, entry);
}

export function endlessChain(pe: PeImage, entry: RuntimeFunction): Error {
  return malformedUnwindData(pe.fileName, entry.unwindInfoRva, 'an endless chain', `at most ${longestChain} parts`);
}

/** All functions of the function table, ascending by entry point, parts joined. Throws PP1007. */
export function functionRanges(pe: PeImage): FunctionRanges[] {
  const byBegin = new Map<number, { primary: RuntimeFunction; ranges: CodeRange[] }>();
  for (const entry of pe.functions) {
    const primary = primaryFunction(pe, entry);
    const known = byBegin.get(primary.beginRva);
    const range = { beginRva: entry.beginRva, endRva: entry.endRva };
    if (known === undefined) byBegin.set(primary.beginRva, { primary, ranges: [range] });
    else known.ranges.push(range);
  }
  return [...byBegin.values()].sort((left, right) => left.primary.beginRva - right.primary.beginRva);
}

function searchFunctionTable(functions: readonly RuntimeFunction[], rva: number): RuntimeFunction | undefined {
  let low = 0;
  let high = functions.length - 1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    const entry = functions[middle];
    if (entry === undefined) return undefined;
    if (rva < entry.beginRva) high = middle - 1;
    else if (rva >= entry.endRva) low = middle + 1;
    else return entry;
  }
  return undefined;
}

function followIndirection(pe: PeImage, entry: RuntimeFunction): RuntimeFunction {
  if ((entry.unwindInfoRva & 1) === 0) return entry;
  const at = entry.unwindInfoRva - 1;
  const view = new DataView(pe.mapped.buffer, pe.mapped.byteOffset, pe.mapped.byteLength);
  if (at + 12 > view.byteLength) {
    throw malformedUnwindData(pe.fileName, at, 'an indirect entry outside of the image', 'a function table entry');
  }
  const target = {
    beginRva: view.getUint32(at, true),
    endRva: view.getUint32(at + 4, true),
    unwindInfoRva: view.getUint32(at + 8, true),
  };
  if ((target.unwindInfoRva & 1) !== 0 || target.endRva <= target.beginRva || target.endRva > view.byteLength) {
    throw malformedUnwindData(pe.fileName, at, 'an indirect entry that leads nowhere', 'a function table entry');
  }
  return target;
}
