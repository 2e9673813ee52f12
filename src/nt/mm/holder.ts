import type { Va } from '../../base/va.ts';
import type { Call, ResumedCall } from '../declare/call.ts';
import type { Nt } from '../nt.ts';

/** Where and when something was taken. */
export interface Origin {
  /** Return addresses at the call that took it, innermost first. */
  readonly stack: readonly Va[];
  /** What {@link Nt.activity} was. */
  readonly activity: number;
}

/** Who has something that has to be given back, for whoever looks for what was left behind. */
export interface Holder extends Origin {
  /** {@link KernelImage.index}; 0: the kernel itself. */
  readonly imageIndex: number;
}

export const kernelHolder: Holder = { imageIndex: 0, stack: [], activity: 0 };

/** Here and now. */
export function originOf(nt: Nt): Origin {
  return { stack: nt.currentStack(), activity: nt.activity.value };
}

export function holderOf(nt: Nt, call: Call | ResumedCall): Holder {
  return call.image === undefined ? kernelHolder : { imageIndex: call.image.index, ...originOf(nt) };
}
