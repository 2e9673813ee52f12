/** Every component of the kernel, one line each. Order gives the layout of the kernel's image, so append. */
import type { KernelComponent } from './declare/nt-routine.ts';

export const kernelComponents: readonly KernelComponent[] = [];
