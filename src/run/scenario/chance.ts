/** Numbers that look like none in particular, the same for the same seed (xorshift32). */
export class Chance {
  private state: number;

  constructor(seed: number) {
    this.state = (Math.imul(seed, 0x9e37_79b1) ^ 0x6d2b_79f5) | 0 || 1;
  }

  byte(): number {
    this.state ^= this.state << 13;
    this.state ^= this.state >>> 17;
    this.state ^= this.state << 5;
    return this.state >>> 24;
  }

  /** From 0 to below `count`, which is at most 256. */
  below(count: number): number {
    return (this.byte() * count) >>> 8;
  }

  /** One of a list that is not empty. */
  oneOf<T>(list: readonly [T, ...T[]] | readonly T[]): T {
    return list[this.below(list.length)] as T;
  }
}
