import { type Va, vaInRange } from '../../base/va.ts';
import type { PeImage } from '../../image/pe/pe-image.ts';

/** An image in the kernel's address space. Plain data: it is part of snapshots. */
export interface KernelImage {
  /** From 1, never reused. */
  readonly index: number;
  /** `leaky.sys` */
  readonly fileName: string;
  /** `leaky`: the module name of the debugger. */
  readonly name: string;
  readonly base: Va;
  readonly sizeBytes: number;
  /** False for the kernel's own modules. */
  readonly isDriver: boolean;
  readonly isLoaded: boolean;
  /** Undefined for the kernel's own modules. */
  readonly pe: PeImage | undefined;
  /** First of the 16-byte import thunks of this image, in the order of `pe.imports` flattened. */
  readonly thunks: Va;
}

export function imageContains(image: KernelImage, va: Va): boolean {
  return vaInRange(va, image.base, image.sizeBytes);
}
