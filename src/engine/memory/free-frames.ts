/** Which frames of physical memory are free. */

/** How many of the frames that were freed last are looked through before all are. */
const lastFreed = 256;

export interface FreeFramesSnapshot {
  readonly freed: readonly number[];
  readonly firstUnused: number;
}

export class FreeFrames {
  private readonly frameCount: number;
  private freed: number[] = [];
  private firstUnused_ = 0;

  constructor(frameCount: number) {
    this.frameCount = frameCount;
  }

  /** Frames from this one on were never taken. */
  get firstUnused(): number {
    return this.firstUnused_;
  }

  get count(): number {
    return this.freed.length + this.frameCount - this.firstUnused_;
  }

  /** Undefined if none is free. */
  take(): number | undefined {
    return this.freed.pop() ?? (this.firstUnused_ < this.frameCount ? this.firstUnused_++ : undefined);
  }

  /** `count` frames in a row, the first one's number; undefined if no free run is one that `isAllowed` accepts. */
  takeRun(count: number, isAllowed: (first: number) => boolean): number | undefined {
    for (let first = this.firstUnused_; first + count <= this.frameCount; first++) {
      if (!isAllowed(first)) continue;
      for (let frame = this.firstUnused_; frame < first; frame++) this.freed.push(frame);
      this.firstUnused_ = first + count;
      return first;
    }
    // Who has runs and frees them all the time finds them among the last.
    return (
      this.takeFreedRun(count, isAllowed, this.freed.slice(-lastFreed)) ??
      this.takeFreedRun(count, isAllowed, this.freed)
    );
  }

  /** As {@link takeRun}, among those frames that were freed: all, or the last ones. */
  private takeFreedRun(
    count: number,
    isAllowed: (first: number) => boolean,
    among: readonly number[],
  ): number | undefined {
    const free = among.toSorted((a, b) => a - b);
    for (let start = 0; start + count <= free.length; start++) {
      const first = free[start] as number;
      if (free[start + count - 1] !== first + count - 1 || !isAllowed(first)) continue;
      const kept = among.filter((frame) => frame < first || frame >= first + count);
      this.freed.length -= among.length;
      for (const frame of kept) this.freed.push(frame);
      return first;
    }
    return undefined;
  }

  give(frame: number): void {
    this.freed.push(frame);
  }

  snapshot(): FreeFramesSnapshot {
    return { freed: this.freed.slice(), firstUnused: this.firstUnused_ };
  }

  restore({ freed, firstUnused }: FreeFramesSnapshot): void {
    this.freed = freed.slice();
    this.firstUnused_ = firstUnused;
  }
}
