/**
 * Return addresses of a stack. Walked for every pool allocation, so what each return address says about its frame is
 * remembered in flat tables; the complete unwinder is asked only for frames that have no simple shape.
 */
import { PoolproofError } from '../../base/errors.ts';
import { type Va, vaFromU64, vaToU64 } from '../../base/va.ts';
import { Gpr } from '../../engine/cpu/state.ts';
import {
  Access,
  hostPageTableOffset,
  pageMask,
  pageShift,
  systemSpaceHigh32,
  systemSpaceStart,
} from '../../engine/memory/layout.ts';
import { type FrameShape, frameShape, type UnwindContext } from '../../image/unwind/index.ts';
import { resumeFrameHeader } from '../declare/call.ts';
import type { KernelImage } from '../mm/kernel-image.ts';
import type { Nt } from '../nt.ts';
import { contextRsp, processorContext } from './guest-context.ts';
import { stackEndOf } from './unhandled-exception.ts';
import { driverImageAt, stepUp } from './unwind-frame.ts';

export const usualFrameLimit = 32;
const mostFrames = 1024;
const two32 = 0x1_0000_0000;

/** What a return address says. Values below 16 are the frame register that a function's frame size counts from. */
const Kind = {
  /** A routine of the kernel that called the driver. */
  kernel: 16,
  /** Below this frame lies nothing of this stack; its address still counts. */
  last: 17,
  /** Ask the complete unwinder. */
  complex: 18,
  /** No code. Never remembered: an image may come to stand there. */
  none: 19,
} as const;

const tableBits = 14;
const tableSize = 1 << tableBits;
/** Entries at which the table is emptied, so that looking up stays short. */
const fullTable = tableSize / 2;
const recentWalks = 64;
/** A walk from the processor's state whose every step followed from the step before and from what it read. */
interface RecentWalk {
  readonly start: Va;
  readonly rsp: Va;
  readonly limit: number;
  /** Offset, lower and upper half of each word of the stack that it read, as signed numbers. */
  readonly reads: readonly number[];
  readonly stack: readonly Va[];
}

const leafShape: FrameShape = { kind: 'fixed', register: Gpr.Rsp, frameSizeBytes: 0, saved: [] };

/** Addresses are offsets in system space: unsigned 32-bit numbers. Stacks and code lie nowhere else. */
export class StackWalker {
  private readonly nt: Nt;
  private readonly i32: Int32Array;
  // An open hash table: address (0 for a free slot), kind, frame size, and the whole shape.
  private readonly addresses = new Uint32Array(tableSize);
  private readonly kinds = new Uint8Array(tableSize);
  private readonly sizes = new Int32Array(tableSize);
  private readonly shapes: (FrameShape | undefined)[] = new Array(tableSize).fill(undefined);
  private count = 0;
  /** The images that the table is about. */
  private images: KernelImage[] = [];
  /** Walks of late: the same call often comes again from the same place. */
  private readonly recent: (RecentWalk | undefined)[] = new Array(recentWalks).fill(undefined);
  // Scratch of one walk: its frames so far, in which a frame register's value is looked up when it is needed.
  private readonly walkedSlots = new Int32Array(mostFrames);
  private readonly walkedBases = new Float64Array(mostFrames);
  private readonly reads: number[] = [];

  constructor(nt: Nt) {
    this.nt = nt;
    this.i32 = nt.memory.i32;
  }

  /** From the processor's state: first the instruction pointer, then return addresses. Never throws a guest fault. */
  walk(limit = usualFrameLimit): readonly Va[] {
    this.forgetOtherImages();
    const { state } = this.nt.cpu;
    const start = state.rip;
    const rsp = state.gprVa(Gpr.Rsp);
    const returns = this.indexOf((rsp - systemSpaceStart) | 0);
    const place = ((start >>> 4) ^ (rsp >>> 3) ^ (this.i32[returns] as number)) & (recentWalks - 1);
    const known = this.recent[place];
    if (known !== undefined && known.start === start && known.rsp === rsp && known.limit === limit) {
      if (this.readsTheSame(known)) return known.stack;
    }
    this.reads.length = 0;
    const stack = this.walkFrom(start, rsp, undefined, Math.min(limit, mostFrames));
    if (this.reads.length > 0) this.recent[place] = { start, rsp, limit, reads: this.reads.slice(), stack };
    return stack;
  }

  /** As {@link walk}, from other registers. */
  walkContext(context: UnwindContext, limit = usualFrameLimit): readonly Va[] {
    this.forgetOtherImages();
    return this.walkFrom(vaFromU64(context.rip), contextRsp(context), context, Math.min(limit, mostFrames));
  }

  private readsTheSame({ reads }: RecentWalk): boolean {
    for (let read = 0; read < reads.length; read += 3) {
      const index = this.indexOf(reads[read] as number);
      if (index === 0 || this.i32[index] !== reads[read + 1] || this.i32[index + 1] !== reads[read + 2]) return false;
    }
    return true;
  }

  /** Leaves in `reads` what it read, or nothing if the same reads might lead elsewhere another time. */
  private walkFrom(start: Va, startRsp: Va, context: UnwindContext | undefined, limit: number): readonly Va[] {
    const result: Va[] = [start];
    if (!inSystemSpace(startRsp)) return result;
    let isRepeatable = true;
    let rsp = startRsp - systemSpaceStart;
    let rip = start;
    // Such an address may be anything: a call through a bad pointer led to it.
    let isInterrupted = true;
    for (let depth = 0; result.length < limit; depth++) {
      const slot = inSystemSpace(rip) ? this.find(rip - systemSpaceStart) : -1;
      const kind = slot < 0 ? Kind.none : (this.kinds[slot] as number);
      let at: number;
      if (kind < Kind.kernel) {
        const base = kind === Gpr.Rsp ? rsp : this.registerAt(depth, kind, context) - systemSpaceStart;
        this.walkedBases[depth] = base;
        isRepeatable &&= kind === Gpr.Rsp;
        at = base + (this.sizes[slot] as number);
      } else if (kind === Kind.kernel) {
        at = rsp + this.readSize(rsp + resumeFrameHeader);
        this.noteRead(rsp + resumeFrameHeader);
      } else if (kind === Kind.complex) {
        this.reads.length = 0;
        return this.walkSlowly(result, depth, rip, (rsp + systemSpaceStart) as Va, context, limit);
      } else if (kind === Kind.none && isInterrupted) {
        at = rsp;
        isRepeatable = false;
      } else {
        isRepeatable &&= kind === Kind.last;
        break;
      }
      this.walkedSlots[depth] = slot;
      // A frame lies above the one that it called. NaN fails too.
      if (!(at >= rsp && at < two32)) {
        isRepeatable = false;
        break;
      }
      const next = this.readAddress(at);
      this.noteRead(at);
      // The kernel's frames may be those of an exception.
      isInterrupted = kind === Kind.kernel;
      if (next !== 0) rip = (next + systemSpaceStart) as Va;
      else if (isInterrupted && this.indexOf(at) !== 0) rip = this.nt.memory.readVa((at + systemSpaceStart) as Va);
      else break;
      isRepeatable &&= next !== 0;
      rsp = at + 8;
      result.push(rip);
    }
    if (!isRepeatable) this.reads.length = 0;
    return result;
  }

  private noteRead(at: number): void {
    const index = this.indexOf(at);
    // What can't be read is read as 0 here, and never the same again.
    this.reads.push(at | 0, this.i32[index] as number, this.i32[index + 1] as number);
  }

  /** The system address that lies at an offset, as an offset; 0 if there is none. */
  private readAddress(at: number): number {
    const index = this.indexOf(at);
    return index !== 0 && this.i32[index + 1] === systemSpaceHigh32 ? (this.i32[index] as number) >>> 0 : 0;
  }

  /** The size that lies at an offset; below 0 if there is none. */
  private readSize(at: number): number {
    const index = this.indexOf(at);
    return index !== 0 && this.i32[index + 1] === 0 ? (this.i32[index] as number) : -1;
  }

  /** Index in the wasm memory of the two words at an offset; 0 if they can't be read. */
  private indexOf(at: number): number {
    if ((at & 7) !== 0) return 0;
    const entry = this.i32[(hostPageTableOffset >> 2) + (at >>> pageShift)] as number;
    return (entry & Access.Read) === 0 ? 0 : ((entry & ~pageMask) | (at & pageMask)) >> 2;
  }

  /** A register's value in the frame at `depth`: what the nearest frame below that saved it says, or the processor. */
  private registerAt(depth: number, register: number, context: UnwindContext | undefined): Va {
    for (let inner = depth - 1; inner >= 0; inner--) {
      const slot = this.walkedSlots[inner] as number;
      const shape = slot < 0 || (this.kinds[slot] as number) >= Kind.kernel ? undefined : this.shapes[slot];
      const saved = shape?.saved.find((candidate) => candidate.register === register);
      if (saved === undefined) continue;
      const at = (systemSpaceStart + (this.walkedBases[inner] as number) + saved.offsetBytes) as Va;
      return this.nt.memory.isAccessible(at, 8, Access.Read) ? this.nt.memory.readVa(at) : (Number.NaN as Va);
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
  ): readonly Va[] {
    const gpr = (start ?? processorContext(this.nt)).gpr.slice();
    for (let register = 0; register < gpr.length; register++) {
      const value = this.registerAt(depth, register, start);
      if (!Number.isNaN(value)) gpr[register] = vaToU64(value);
    }
    gpr[Gpr.Rsp] = vaToU64(rsp);
    let context: UnwindContext = { rip: vaToU64(rip), gpr, xmm: new BigUint64Array(32) };
    while (result.length < limit) {
      const { kind } = this.shapeOf(vaFromU64(context.rip));
      if (kind === Kind.none || kind === Kind.last) break;
      const below = contextRsp(context);
      const step = stepUp(this.nt, context, 'none');
      if (step.kind === 'end' || !(contextRsp(step.context) > below)) break;
      context = step.context;
      const next = vaFromU64(context.rip);
      if (!inSystemSpace(next)) break;
      result.push(next);
    }
    return result;
  }

  /** Slot of an address in the table; below 0 if it is no code. */
  private find(address: number): number {
    let slot = Math.imul(address, 0x9e37_79b1) >>> (32 - tableBits);
    for (;;) {
      const known = this.addresses[slot] as number;
      if (known === address) return slot;
      if (known === 0) return this.learn(address, slot);
      slot = (slot + 1) & (tableSize - 1);
    }
  }

  private learn(address: number, freeSlot: number): number {
    const { kind, shape, image } = this.shapeOf((address + systemSpaceStart) as Va);
    if (kind === Kind.none) return -1;
    // A full table is only emptied between walks, which hold slots.
    this.count++;
    if (image !== undefined && !this.images.includes(image)) this.images.push(image);
    this.addresses[freeSlot] = address;
    this.kinds[freeSlot] = kind;
    this.sizes[freeSlot] = shape?.frameSizeBytes ?? 0;
    this.shapes[freeSlot] = shape;
    return freeSlot;
  }

  private shapeOf(rip: Va): { kind: number; shape?: FrameShape | undefined; image?: KernelImage } {
    const host = this.nt.entries.at(rip);
    if (host?.kind === 'resume') return { kind: stackEndOf(host) === undefined ? Kind.kernel : Kind.last };
    if (host !== undefined) return { kind: Gpr.Rsp, shape: leafShape };
    const image = driverImageAt(this.nt, rip);
    if (image === undefined) return { kind: Kind.none };
    try {
      const shape = frameShape(image.pe, rip - image.base);
      return { kind: shape?.register ?? Kind.complex, shape, image };
    } catch (thrown) {
      // Unwind data that can't be read ends the stack there.
      if (thrown instanceof PoolproofError) return { kind: Kind.none };
      throw thrown;
    }
  }

  /** What was learnt holds as long as the images are the same ones. */
  private forgetOtherImages(): void {
    const { images } = this;
    let isSame = this.count < fullTable;
    for (let index = 0; index < images.length; index++) {
      const image = images[index] as KernelImage;
      if (this.nt.images.byIndex(image.index) !== image) isSame = false;
    }
    if (isSame) return;
    this.addresses.fill(0);
    this.shapes.fill(undefined);
    this.count = 0;
    this.images = [];
    this.recent.fill(undefined);
  }
}

function inSystemSpace(va: Va): boolean {
  const offset = va - systemSpaceStart;
  return offset > 0 && offset < two32;
}
