/** A half-open interval of RVAs with what it stands for; where several overlap, the highest `rank` shows. */
export interface Interval<T> {
  readonly start: number;
  readonly end: number;
  readonly rank: number;
  readonly value: T;
}

/** Overlapping intervals flattened to disjoint pieces: found by binary search. Built in O(n log n). */
export class IntervalMap<T> {
  readonly #starts: Float64Array;
  readonly #values: readonly (T | undefined)[];

  constructor(intervals: readonly Interval<T>[]) {
    const sorted = [...intervals].sort((a, b) => a.start - b.start);
    const edges = new Float64Array(2 * sorted.length);
    sorted.forEach((interval, i) => {
      edges[2 * i] = interval.start;
      edges[2 * i + 1] = interval.end;
    });
    edges.sort();
    const starts: number[] = [];
    const values: (T | undefined)[] = [];
    const active: Interval<T>[] = [];
    let next = 0;
    for (const edge of edges) {
      for (let entering = sorted[next]; entering !== undefined && entering.start <= edge; entering = sorted[++next]) {
        pushHeap(active, entering);
      }
      for (let top = active[0]; top !== undefined && top.end <= edge; top = active[0]) popHeap(active);
      const value = active[0]?.value;
      if (starts.length > 0 && starts[starts.length - 1] === edge) values[values.length - 1] = value;
      else {
        starts.push(edge);
        values.push(value);
      }
    }
    this.#starts = Float64Array.from(starts);
    this.#values = values;
  }

  at(rva: number): T | undefined {
    const starts = this.#starts;
    let low = 0;
    let high = starts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((starts[middle] ?? 0) <= rva) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? undefined : this.#values[low - 1];
  }
}

function pushHeap<T>(heap: Interval<T>[], item: Interval<T>): void {
  let at = heap.length;
  heap.push(item);
  while (at > 0) {
    const above = (at - 1) >>> 1;
    const parent = heap[above];
    if (parent === undefined || parent.rank >= item.rank) break;
    heap[at] = parent;
    at = above;
  }
  heap[at] = item;
}

function popHeap<T>(heap: Interval<T>[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  let at = 0;
  for (;;) {
    let below = 2 * at + 1;
    let child = heap[below];
    if (child === undefined) break;
    const right = heap[below + 1];
    if (right !== undefined && right.rank > child.rank) {
      below++;
      child = right;
    }
    if (child.rank <= last.rank) break;
    heap[at] = child;
    at = below;
  }
  heap[at] = last;
}
