/**
 * What must not lie in an image that goes: timers that are set, DPCs that are queued, or whose routine is there
 * (automatic-checks.md of the WDK docs, "Unloading checks"; bug check 0xC7).
 */
import { hexVa, nullVa, type Va, vaAdd, vaInRange } from '../../base/va.ts';
import { BugCheck } from '../../nt/declare/bug-check.ts';
import type { KernelImage } from '../../nt/mm/kernel-image.ts';
import type { Nt } from '../../nt/nt.ts';
import { KDPC, KTIMER } from '../../nt/structures/ke.ts';

const What = { timer: 0, dpc: 1, dpcRoutine: 2 } as const;

export class UnloadChecks {
  private readonly nt: Nt;

  constructor(nt: Nt, isVerified: (image: KernelImage) => boolean) {
    this.nt = nt;
    nt.events.on('driverUnloaded', ({ image }) => {
      if (isVerified(image)) this.check(image);
    });
  }

  private check(image: KernelImage): void {
    for (const timer of this.nt.timers.all()) {
      if (isInside(image, timer)) throw left(image, What.timer, timer, `a timer that is set: ${hexVa(timer)}`);
      this.checkDpc(image, KTIMER.Dpc.get(this.nt.memory, timer), 'of a timer that is set');
    }
    for (const dpc of this.nt.interrupts.queuedDpcs) this.checkDpc(image, dpc, 'that is queued');
  }

  private checkDpc(image: KernelImage, dpc: Va, which: string): void {
    if (dpc === nullVa) return;
    if (isInside(image, dpc)) throw left(image, What.dpc, dpc, `a DPC ${which}: ${hexVa(dpc)}`);
    const routine = KDPC.DeferredRoutine.get(this.nt.memory, dpc);
    if (isInside(image, routine)) throw left(image, What.dpcRoutine, routine, `the routine of a DPC ${which}`);
  }
}

function isInside({ base, sizeBytes }: KernelImage, va: Va): boolean {
  return vaInRange(va, base, sizeBytes);
}

function left({ base, sizeBytes, fileName }: KernelImage, what: number, va: Va, text: string): BugCheck {
  return new BugCheck(0xc7, [what, va, base, vaAdd(base, sizeBytes)], `${fileName} was unloaded and holds ${text}`);
}
