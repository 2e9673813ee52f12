import type { Va } from '../../base/va.ts';
import type { Call, ResumedCall } from '../declare/call.ts';
import type { Nt } from '../nt.ts';

/** Who has something of the memory manager, for whoever looks for what was left behind. */
export interface Holder {
  /** {@link KernelImage.index}; 0: the kernel itself. */
  readonly imageIndex: number;
  /** Return addresses at the call that took it, innermost first. */
  readonly stack: readonly Va[];
}

export const kernelHolder: Holder = { imageIndex: 0, stack: [] };

export function holderOf(nt: Nt, call: Call | ResumedCall): Holder {
  return call.image === undefined ? kernelHolder : { imageIndex: call.image.index, stack: nt.currentStack() };
}
