/** What drivers hold over virtual time, in a bounded number of points: for a chart. */

/** Columns of equal length, ascending in time. */
export interface CounterColumns {
  /** Virtual milliseconds since the start of the series. */
  readonly timeMs: Float64Array<ArrayBuffer>;
  /** Of those, without the ones in which every thread waited. */
  readonly busyMs: Float64Array<ArrayBuffer>;
  readonly pagedBytes: Float64Array<ArrayBuffer>;
  readonly nonPagedBytes: Float64Array<ArrayBuffer>;
  readonly allocations: Float64Array<ArrayBuffer>;
}

const columns = 5;
/** Of so many neighbours two stay: the lowest and the highest. */
const thinned = 4;

/** A chart is a few hundred pixels wide. */
export const mostPoints = 2048;

export class CounterSeries {
  private readonly most: number;
  private readonly values: Float64Array<ArrayBuffer>;
  private length_ = 0;

  /** `most`: points that are kept, a multiple of four. */
  constructor(most = mostPoints) {
    this.most = most;
    this.values = new Float64Array(most * columns);
  }

  get length(): number {
    return this.length_;
  }

  /** Times ascend. A point that is equal to the last two but for its times moves the last one. */
  add(timeMs: number, busyMs: number, pagedBytes: number, nonPagedBytes: number, allocations: number): void {
    const { values } = this;
    if (this.length_ >= 2 && this.isSame(1, pagedBytes, nonPagedBytes, allocations)) {
      if (this.isSame(2, pagedBytes, nonPagedBytes, allocations)) {
        values[(this.length_ - 1) * columns] = timeMs;
        values[(this.length_ - 1) * columns + 1] = busyMs;
        return;
      }
    }
    if (this.length_ === this.most) this.thin();
    const at = this.length_++ * columns;
    values[at] = timeMs;
    values[at + 1] = busyMs;
    values[at + 2] = pagedBytes;
    values[at + 3] = nonPagedBytes;
    values[at + 4] = allocations;
  }

  /** A copy. */
  columns(): CounterColumns {
    const column = (number: number): Float64Array<ArrayBuffer> =>
      Float64Array.from({ length: this.length_ }, (_, point) => this.values[point * columns + number] as number);
    return {
      timeMs: column(0),
      busyMs: column(1),
      pagedBytes: column(2),
      nonPagedBytes: column(3),
      allocations: column(4),
    };
  }

  private isSame(back: number, pagedBytes: number, nonPagedBytes: number, allocations: number): boolean {
    const at = (this.length_ - back) * columns;
    const { values } = this;
    return values[at + 2] === pagedBytes && values[at + 3] === nonPagedBytes && values[at + 4] === allocations;
  }

  /** Halves the points; what is highest and lowest stays, so peaks do not vanish. */
  private thin(): void {
    let to = 0;
    for (let first = 0; first < this.length_; first += thinned) {
      let [low, high] = [first, first];
      for (let point = first + 1; point < Math.min(first + thinned, this.length_); point++) {
        if (this.bytesAt(point) < this.bytesAt(low)) low = point;
        if (this.bytesAt(point) >= this.bytesAt(high)) high = point;
      }
      for (const point of low === high ? [low] : [Math.min(low, high), Math.max(low, high)]) {
        this.values.copyWithin(to++ * columns, point * columns, (point + 1) * columns);
      }
    }
    this.length_ = to;
  }

  private bytesAt(point: number): number {
    return (this.values[point * columns + 2] as number) + (this.values[point * columns + 3] as number);
  }
}
