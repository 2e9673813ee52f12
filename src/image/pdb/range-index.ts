/** Something at [rva, rva + sizeBytes). */
export interface RvaRange {
  readonly rva: number;
  readonly sizeBytes: number;
}

/** Finds by binary search which range covers an address; ranges may share code or lie in each other. */
export class RangeIndex<T extends RvaRange> {
  readonly #ranges: readonly T[];
  /** Greatest end of the ranges up to that one. */
  readonly #ends: Float64Array;

  constructor(ranges: readonly T[]) {
    this.#ranges = ranges.toSorted((a, b) => a.rva - b.rva);
    this.#ends = new Float64Array(ranges.length);
    let end = 0;
    this.#ranges.forEach((range, i) => {
      end = Math.max(end, range.rva + range.sizeBytes);
      this.#ends[i] = end;
    });
  }

  /** The covering range that starts last; of several that start together, the one that was given first. */
  at(rva: number): T | undefined {
    let found: T | undefined;
    for (let i = lastAtOrBefore(this.#ranges, rva); i >= 0; i--) {
      const range = this.#ranges[i];
      if (range === undefined || (this.#ends[i] ?? 0) <= rva) break;
      if (found !== undefined && range.rva !== found.rva) break;
      if (rva - range.rva < range.sizeBytes) found = range;
    }
    return found;
  }

  /** The range that starts last at or before the address, whether it covers it or not. */
  before(rva: number): T | undefined {
    return this.#ranges[lastAtOrBefore(this.#ranges, rva)];
  }
}

/** Index of the last element with `rva` at or before the address, -1 if none; elements ascend by RVA. */
export function lastAtOrBefore(elements: readonly { readonly rva: number }[], rva: number): number {
  let low = 0;
  let high = elements.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((elements[middle]?.rva ?? 0) <= rva) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
