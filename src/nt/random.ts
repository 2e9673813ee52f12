import type { StoreCell } from '../base/store.ts';

/** Seeded pseudo-random numbers (mulberry32); their state is part of snapshots. */
export class Random {
  private readonly state: StoreCell<number>;

  constructor(state: StoreCell<number>) {
    this.state = state;
  }

  /** 0 to 2^32 - 1. */
  u32(): number {
    this.state.value = (this.state.value + 0x6d2b79f5) | 0;
    let mixed = this.state.value;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }
}
