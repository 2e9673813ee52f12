/**
 * Return addresses of a stack. Walked for every pool allocation, so what each return address says about its frame is
 * remembered; the slow, complete unwinder is asked only for frames that have no simple shape.
 */
import { type Va, vaFromU64, vaToU64 } from '../../base/va.ts';
import { Gpr } from '../../engine/cpu/state.ts';
import { type FrameShape, frameShape, type UnwindContext } from '../../image/unwind/index.ts';
import { resumeFrameHeader } from '../declare/call.ts';
import type { KernelImage } from '../mm/kernel-image.ts';
import type { Nt } from '../nt.ts';
import { contextRsp, processorContext } from './guest-context.ts';
import { stackEndOf } from './unhandled-exception.ts';
import { driverImageAt, stepUp } from './unwind-frame.ts';

export const usualFrameLimit = 32;
const mostFrames = 1024;

type Shape =
  | { readonly kind: 'function'; readonly shape: FrameShape }
  /** A routine of the kernel that called the driver. */
  | { readonly kind: 'kernel' }
  /** The frame below which nothing of this stack lies; its address still counts. */
  | { readonly kind: 'last' }
  /** Ask the complete unwinder. */
  | { readonly kind: 'complex' }
  /** No code: garbage on the stack. */
  | { readonly kind: 'none' };

export class StackWalker {
  private readonly nt: Nt;
  private readonly shapes = new Map<number, Shape>();
  /** The images that `shapes` is about. */
  private images: KernelImage[] = [];
  /** Scratch of one walk: the frames so far, so that a frame register's value can be looked up when it is needed. */
  private readonly bases = new Float64Array(mostFrames);
  private readonly walked: (FrameShape | undefined)[] = new Array(mostFrames).fill(undefined);

  constructor(nt: Nt) {
    this.nt = nt;
  }

  /** From the processor's state: first the instruction pointer, then return addresses. Never throws a guest fault. */
  walk(limit = usualFrameLimit): Va[] {
    this.forgetOtherImages();
    const { state } = this.nt.cpu;
    return this.walkFrom(state.rip, state.gprVa(Gpr.Rsp), undefined, Math.min(limit, mostFrames));
  }

  /** As {@link walk}, from other registers. */
  walkContext(context: UnwindContext, limit = usualFrameLimit): Va[] {
    this.forgetOtherImages();
    return this.walkFrom(vaFromU64(context.rip), contextRsp(context), context, Math.min(limit, mostFrames));
  }

  private walkFrom(start: Va, startRsp: Va, context: UnwindContext | undefined, limit: number): Va[] {
    const result: Va[] = [start];
    let rip = start;
    let rsp = startRsp;
    for (let depth = 0; result.length < limit; depth++) {
      const known = this.shapes.get(rip) ?? this.learn(rip);
      let slot: number;
      switch (known.kind) {
        case 'function': {
          const { shape } = known;
          const base = shape.kind === 'fixed' ? rsp : this.registerAt(depth, shape.register, context);
          this.bases[depth] = base;
          this.walked[depth] = shape;
          slot = base + shape.frameSizeBytes;
          break;
        }
        case 'kernel':
          slot = this.kernelSlot(rsp);
          this.walked[depth] = undefined;
          break;
        case 'complex':
          return this.walkSlowly(result, depth, rip, rsp, context, limit);
        case 'none':
          // The first address may be anything (a call through a bad pointer); later ones are return addresses.
          if (depth > 0) return result;
          slot = rsp;
          this.walked[depth] = undefined;
          break;
        case 'last':
          return result;
      }
      // A frame lies above the one that it called.
      if (!(slot >= rsp) || !this.canRead(slot)) return result;
      rip = this.nt.memory.readVa(slot as Va);
      if (rip === 0 || Number.isNaN(rip)) return result;
      rsp = (slot + 8) as Va;
      result.push(rip);
    }
    return result;
  }

  private canRead(va: number): boolean {
    return va < 0 && va % 8 === 0 && this.nt.memory.isAccessible(va as Va, 8, 1);
  }

  private kernelSlot(frame: Va): number {
    const at = frame + resumeFrameHeader;
    return this.canRead(at) ? frame + this.nt.memory.readI64AsNumber(at as Va) : Number.NaN;
  }

  /** A register's value in the frame at `depth`: what the nearest frame below that saved it says, or the processor. */
  private registerAt(depth: number, register: number, context: UnwindContext | undefined): number {
    for (let inner = depth - 1; inner >= 0; inner--) {
      const saved = this.walked[inner]?.saved.find((slot) => slot.register === register);
      if (saved === undefined) continue;
      const at = (this.bases[inner] as number) + saved.offsetBytes;
      return this.canRead(at) ? this.nt.memory.readVa(at as Va) : Number.NaN;
    }
    return context === undefined ? this.nt.cpu.state.gprVa(register) : vaFromU64(context.gpr[register] ?? 0n);
  }

  /** Goes on with the complete unwinder: all registers are needed from here on. */
  private walkSlowly(
    result: Va[],
    depth: number,
    rip: Va,
    rsp: Va,
    start: UnwindContext | undefined,
    limit: number,
  ): Va[] {
    const gpr = (start ?? processorContext(this.nt)).gpr.slice();
    for (let register = 0; register < gpr.length; register++) {
      const value = this.registerAt(depth, register, start);
      if (!Number.isNaN(value)) gpr[register] = vaToU64(value as Va);
    }
    gpr[Gpr.Rsp] = vaToU64(rsp);
    let context: UnwindContext = { rip: vaToU64(rip), gpr, xmm: new BigUint64Array(32) };
    while (result.length < limit) {
      const at = vaFromU64(context.rip);
      const kind = (this.shapes.get(at) ?? this.learn(at)).kind;
      if (kind === 'none' || kind === 'last') break;
      const below = contextRsp(context);
      const step = stepUp(this.nt, context, 'none');
      if (step.kind === 'end' || !(contextRsp(step.context) > below)) break;
      context = step.context;
      const next = vaFromU64(context.rip);
      if (next === 0 || Number.isNaN(next)) break;
      result.push(next);
    }
    return result;
  }

  private learn(rip: Va): Shape {
    const shape = this.shapeOf(rip);
    if (this.shapes.size > 100_000) this.shapes.clear();
    this.shapes.set(rip, shape);
    return shape;
  }

  private shapeOf(rip: Va): Shape {
    const host = this.nt.entries.at(rip);
    if (host?.kind === 'resume') return stackEndOf(host) === undefined ? { kind: 'kernel' } : { kind: 'last' };
    if (host !== undefined) return leaf;
    const image = driverImageAt(this.nt, rip);
    if (image === undefined) return { kind: 'none' };
    const shape = frameShape(image.pe, rip - image.base);
    return shape === undefined ? { kind: 'complex' } : { kind: 'function', shape };
  }

  /** Shapes hold for the images that were loaded when they were learnt. */
  private forgetOtherImages(): void {
    let index = 0;
    let isSame = true;
    for (const image of this.nt.images.all()) {
      if (this.images[index] !== image) isSame = false;
      index++;
    }
    if (isSame && index === this.images.length) return;
    this.images = [...this.nt.images.all()];
    this.shapes.clear();
  }
}

const leaf: Shape = {
  kind: 'function',
  shape: { kind: 'fixed', register: Gpr.Rsp, frameSizeBytes: 0, saved: [] },
};
