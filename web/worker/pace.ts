/** How much a machine does in one go, and how long it rests: as fast as it can, or so many calls in a second. */
import type { RunSlice } from '../../src/nt/kd/debug-control.ts';

/** A slice lasts about so long, so that messages are heard. */
const sliceMs = 8;
const mostInstructions = 2_000_000;
const mostCalls = 100_000;
/** Slices in a second of a machine that is held back. */
const pacedSlices = 30;

export class Pace {
  callsPerSecond: number | undefined;
  private calls = 200;
  private began = 0;
  private took = 0;
  private endRest: (() => void) | undefined;
  private readonly channel = new MessageChannel();

  get slice(): RunSlice {
    const calls = this.callsPerSecond === undefined ? this.calls : Math.ceil(this.callsPerSecond / pacedSlices);
    return { calls, instructions: mostInstructions };
  }

  begin(): void {
    this.began = performance.now();
  }

  done(): void {
    this.took = performance.now() - this.began;
    if (this.took > 2 * sliceMs) this.calls = Math.max(1, Math.floor(this.calls / 2));
    else if (this.took < sliceMs / 2) this.calls = Math.min(mostCalls, this.calls * 2);
  }

  /** Until messages were heard, and the next slice is due. */
  rest(): Promise<void> {
    const { callsPerSecond } = this;
    const dueMs = callsPerSecond === undefined ? 0 : ((this.slice.calls ?? 0) / callsPerSecond) * 1000 - this.took;
    return new Promise((resolve) => {
      this.endRest = resolve;
      if (dueMs > 1) {
        setTimeout(resolve, dueMs);
        return;
      }
      // Timers of nested calls wait for four milliseconds; messages do not.
      this.channel.port1.onmessage = () => resolve();
      this.channel.port2.postMessage(undefined);
    });
  }

  /** Ends the rest. */
  wake(): void {
    this.endRest?.();
  }
}
