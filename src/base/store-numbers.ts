/** A row of numbers that change often, part of snapshots: counters. */
export class StoreNumbers {
  readonly values: Float64Array;

  constructor(count: number) {
    this.values = new Float64Array(count);
  }

  add(index: number, by: number): number {
    const value = (this.values[index] as number) + by;
    this.values[index] = value;
    return value;
  }

  at(index: number): number {
    return this.values[index] as number;
  }

  /** Raises a value to at least `value`: a peak. */
  raise(index: number, value: number): void {
    if (value > (this.values[index] as number)) this.values[index] = value;
  }

  save(): unknown {
    return this.values.slice();
  }

  load(saved: unknown): void {
    this.values.set(saved as Float64Array);
  }
}
