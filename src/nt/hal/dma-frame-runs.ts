/**
 * Physically contiguous memory of the HAL's for double buffers. What is given back is kept for the next request: they
 * come and go with every transfer, and memory that was never used before would be dirty soon.
 */
import { fits } from '../mm/contiguous-memory.ts';
import type { Nt } from '../nt.ts';

export interface FrameRun {
  /** Frame number; see `nt.addressSpace.frames`. */
  readonly first: number;
  readonly pages: number;
}

/** Pages that are kept at most: 4 MB. */
const mostSparePages = 1024;

/** Contents are arbitrary. Undefined if there is no such memory up to the address `highest`. */
export function takeRun(nt: Nt, pages: number, highest: bigint): FrameRun | undefined {
  const { memory, dma, addressSpace } = nt;
  const limits = { lowest: 0n, highest, boundary: 0n };
  const spare = dma.spareRuns.value.find(
    (run) => run.pages === pages && fits(run.first, pages, limits) && !isMapped(nt, run),
  );
  if (spare !== undefined) {
    dma.spareRuns.value = dma.spareRuns.value.filter((run) => run !== spare);
    return spare;
  }
  if (pages > memory.freeFrameCount) return undefined;
  const first = memory.allocateContiguousFrames(pages, (frame) => fits(frame, pages, limits));
  if (first === undefined) return undefined;
  for (let frame = first; frame < first + pages; frame++) addressSpace.frames.lock(frame);
  return { first, pages };
}

export function giveRun(nt: Nt, run: FrameRun): void {
  const { dma, addressSpace } = nt;
  const kept = dma.spareRuns.value.reduce((sum, { pages }) => sum + pages, 0);
  if (kept + run.pages <= mostSparePages) {
    dma.spareRuns.value = [...dma.spareRuns.value, run];
    return;
  }
  for (let frame = run.first; frame < run.first + run.pages; frame++) {
    addressSpace.frames.unlock(frame);
    addressSpace.frames.release(frame);
  }
}

/** Somebody still looks at it (MmMapIoSpace). */
function isMapped({ memory }: Nt, { first, pages }: FrameRun): boolean {
  for (let frame = first; frame < first + pages; frame++) if (memory.mappingsOfFrame(frame).length > 0) return true;
  return false;
}
