/** What frames held at the last snapshot, and which of them have changed since. */
import { pageSize } from './layout.ts';

/** By frame; undefined for one that was never written. */
export type SavedFrames = readonly (Uint8Array | undefined)[];

/** Stands for the contents of a frame that changed since the last snapshot. */
const dirtyMark = new Uint8Array(0);

export class FrameContents {
  private readonly u8: Uint8Array;
  private readonly offsetOf: (frame: number) => number;
  private saved: (Uint8Array | undefined)[] = [];
  private readonly isSaved: Uint8Array;
  private dirty: number[] = [];

  /** `offsetOf`: where a frame's bytes stand in `u8`. */
  constructor(u8: Uint8Array, frameCount: number, offsetOf: (frame: number) => number) {
    this.u8 = u8;
    this.offsetOf = offsetOf;
    this.isSaved = new Uint8Array(frameCount);
  }

  /** Whether a frame has not changed since the last snapshot. */
  isClean(frame: number): boolean {
    return this.isSaved[frame] !== 0;
  }

  /** Notes that a frame is about to change; false if that was known. */
  markDirty(frame: number): boolean {
    if (this.saved[frame] === dirtyMark) return false;
    this.saved[frame] = dirtyMark;
    this.isSaved[frame] = 0;
    this.dirty.push(frame);
    return true;
  }

  /** Saves what changed. `cleaned`: the frames that were saved. */
  snapshot(): { readonly saved: SavedFrames; readonly cleaned: readonly number[] } {
    const cleaned = this.dirty;
    for (const frame of cleaned) {
      const offset = this.offsetOf(frame);
      this.saved[frame] = this.u8.slice(offset, offset + pageSize);
      this.isSaved[frame] = 1;
    }
    this.dirty = [];
    return { saved: this.saved.slice(), cleaned };
  }

  /**
   * Brings back what frames held; the result: those that changed. No frame from `firstUnused` on is in use now, or was
   * from `firstUnusedThen` on.
   */
  restore(
    saved: SavedFrames,
    firstUnused: number,
    firstUnusedThen: number,
    beforeChange: (frame: number) => void,
  ): readonly number[] {
    const changed: number[] = [];
    const limit = Math.max(firstUnused, firstUnusedThen);
    for (let frame = 0; frame < limit; frame++) {
      const bytes = saved[frame];
      const isSame = this.isClean(frame) && this.saved[frame] === bytes;
      if (isSame || (bytes === undefined && !this.isClean(frame) && frame >= firstUnused)) continue;
      beforeChange(frame);
      const offset = this.offsetOf(frame);
      if (bytes) this.u8.set(bytes, offset);
      else this.u8.fill(0, offset, offset + pageSize);
      changed.push(frame);
    }
    this.saved = saved.slice();
    this.isSaved.fill(0);
    for (let frame = 0; frame < firstUnusedThen; frame++) if (this.saved[frame] !== undefined) this.isSaved[frame] = 1;
    this.dirty = [];
    return changed;
  }
}
