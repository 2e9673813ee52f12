/** Kernel stacks: garbage at first, with room below to grow into and a page that is never mapped. */
import { assert } from '../../base/errors.ts';
import { type Va, vaAdd } from '../../base/va.ts';
import { Gpr } from '../../engine/cpu/state.ts';
import { Access, pageSize } from '../../engine/memory/layout.ts';
import { AddressMap } from '../address-map.ts';
import { BugCheck } from '../declare/bug-check.ts';
import type { Nt } from '../nt.ts';

/** KERNEL_STACK_SIZE */
export const stackPages = 6;
/** What KeExpandKernelStackAndCallout can add. */
const expansionPages = 18;
const reservedPages = stackPages + expansionPages + 1;

export interface Stack {
  readonly stackBase: Va;
  readonly stackLimit: Va;
}

export function makeStack(nt: Nt): Stack {
  const low = nt.addressSpace.reserve(AddressMap.kernelStacks, reservedPages);
  assert(low !== undefined, 'kernel stacks are used up');
  const stackBase = vaAdd(low, reservedPages * pageSize);
  const stackLimit = vaAdd(stackBase, -stackPages * pageSize);
  if (!mapStack(nt, stackLimit, stackBase)) {
    throw new BugCheck(0x4d, [0, 0, 0, 0], 'the emulated machine has no memory left');
  }
  return { stackBase, stackLimit };
}

export function freeStack(nt: Nt, stackBase: Va): void {
  nt.addressSpace.free(AddressMap.kernelStacks, vaAdd(stackBase, -reservedPages * pageSize), reservedPages);
}

/** Makes the stack reach down to `low`; its new limit, or undefined if memory is short or there are no addresses. */
function extendStack(nt: Nt, { stackBase, stackLimit }: Stack, low: Va): Va | undefined {
  const limit = Math.min(stackLimit, Math.floor(low / pageSize) * pageSize) as Va;
  if (limit < stackBase - (stackPages + expansionPages) * pageSize) return undefined;
  return mapStack(nt, limit, stackLimit) ? limit : undefined;
}

/** Sees to it that the running thread has so many bytes of stack; false if memory is short. */
export function growStack(nt: Nt, bytes: number): boolean {
  const { kthread, stackBase, stackLimit } = nt.scheduler.currentThread;
  const limit = extendStack(nt, { stackBase, stackLimit }, vaAdd(nt.cpu.state.gprVa(Gpr.Rsp), -bytes));
  if (limit !== undefined) nt.scheduler.update(kthread, { stackLimit: limit });
  return limit !== undefined;
}

/** Back to where the running thread's stack ended before. */
export function shrinkStack(nt: Nt, limit: Va): void {
  const { kthread, stackLimit } = nt.scheduler.currentThread;
  cutStack(nt, stackLimit, limit);
  nt.scheduler.update(kthread, { stackLimit: limit });
}

function cutStack(nt: Nt, from: Va, to: Va): void {
  for (let page = from; page < to; page = vaAdd(page, pageSize)) {
    const frame = nt.memory.unmapPage(page);
    if (frame !== undefined) nt.addressSpace.frames.release(frame);
  }
}

function mapStack(nt: Nt, from: Va, to: Va): boolean {
  const { memory } = nt;
  if (memory.freeFrameCount < (to - from) / pageSize) return false;
  for (let page = from; page < to; page = vaAdd(page, pageSize)) {
    const frame = memory.allocateFrame();
    if (frame === undefined) return false;
    memory.frameBytes(frame).fill(0x81 + (nt.random.u32() % 0x7d));
    memory.mapPage(page, frame, Access.Read | Access.Write);
  }
  return true;
}
