/** Who is to blame for a bug check: a driver, and the place in it where the stack shows one. */

import type { Va } from '../base/va.ts';
import type { BugCheck } from '../nt/declare/bug-check.ts';
import type { KernelImage } from '../nt/mm/kernel-image.ts';
import type { Place } from './call-stack.ts';
import type { Session } from './session.ts';

export interface Culprit {
  readonly image: KernelImage;
  /** Undefined for leaks: they are no instruction's fault. */
  readonly place: Place | undefined;
}

/**
 * The innermost driver of the stack; for 0xC4/0x62 the one whose record the third parameter is, for 0xCB the one that
 * locked the pages.
 */
export function culpritOf(session: Session, bugCheck: BugCheck | undefined, stack: readonly Va[]): Culprit | undefined {
  const { target, stacks } = session;
  if (bugCheck !== undefined && isLeakCheck(bugCheck)) {
    const image = target.verifiedImages.find((one) => target.poolTracking?.recordOf(one) === bugCheck.parameters[2]);
    return image && { image, place: undefined };
  }
  if (bugCheck?.code === 0xcb) return lockerOf(session, bugCheck);
  const routine = bugCheck?.routine;
  const place = stacks.driverPlace(stack) ?? (routine === undefined ? undefined : stacks.driverPlace([routine]));
  const image = place && target.nt.images.containingEver(place.address);
  return image && { image, place };
}

/** Who locked the pages of the MDL that is the third parameter, and where. */
function lockerOf({ target: { nt }, stacks }: Session, { parameters }: BugCheck): Culprit | undefined {
  for (const { mdl, imageIndex, stack } of nt.mdls.outstandingLocks()) {
    if (mdl !== parameters[2]) continue;
    const image = nt.images.byIndex(imageIndex);
    return image?.isDriver ? { image, place: stacks.driverPlace(stack) } : undefined;
  }
  return undefined;
}

export function isLeakCheck({ code, parameters }: BugCheck): boolean {
  return code === 0xc4 && parameters[0] === 0x62;
}
