/**
 * Where the return address and the caller's registers lie for one address in the code: all that a stack walk needs, and
 * the same on every visit, so that it can be kept per address.
 */
import type { PeImage, RuntimeFunction } from '../pe/pe-image.ts';
import { epilogAt } from './epilog.ts';
import { longestChain, lookupFunctionEntry } from './function-lookup.ts';
import { isFrameEstablished, readUnwindInfo, type UnwindInfo } from './unwind-info.ts';

export interface SavedRegister {
  /** Encoding number: 3 rbx, 5 rbp … */
  readonly register: number;
  /** Of its slot, from the shape's base. */
  readonly offsetBytes: number;
}

export interface FrameShape {
  /** The base: rsp (`fixed`), or the frame register. */
  readonly kind: 'fixed' | 'frame-register';
  /** Number of the base register: 4 (rsp) if `fixed`. */
  readonly register: number;
  /** The return address is at base + this; the caller's rsp is that plus 8. */
  readonly frameSizeBytes: number;
  /** Caller's general registers that are on the stack; all others are unchanged. */
  readonly saved: readonly SavedRegister[];
}

const rsp = 4;

/** A function without unwind data: nothing pushed, nothing saved. */
const leafShape: FrameShape = { kind: 'fixed', register: rsp, frameSizeBytes: 0, saved: [] };

/**
 * Exact at every instruction boundary, prologs and epilogs too. Undefined for frames that are no function's (machine
 * frames) or not expressible with one base: use `virtualUnwind` there. Throws PP1007.
 */
export function frameShape(pe: PeImage, rva: number): FrameShape | undefined {
  const entry = lookupFunctionEntry(pe, rva);
  if (entry === undefined) return leafShape;
  const info = readUnwindInfo(pe, entry.unwindInfoRva);
  const epilog = epilogAt(pe, entry, info, rva);
  if (epilog === undefined) return prologShape(pe, entry, info, rva);
  if (epilog.endsInMachineFrame) return undefined;
  const draft = new ShapeDraft(epilog.baseRegister, epilog.displacementBytes);
  for (const register of epilog.pops) {
    if (register !== undefined) draft.save(register, draft.offset, draft.register);
    draft.offset += 8;
  }
  return draft.finish();
}

function prologShape(pe: PeImage, entry: RuntimeFunction, first: UnwindInfo, rva: number): FrameShape | undefined {
  const draft = new ShapeDraft(rsp, 0);
  const establisher = isFrameEstablished(first, (rva - entry.beginRva) >>> 0)
    ? { register: first.frameRegister ?? rsp, offset: first.frameOffsetBytes }
    : { register: rsp, offset: 0 };
  let part = entry;
  let info = first;
  for (let length = 0; length <= longestChain; length++) {
    const prologOffset = (rva - part.beginRva) >>> 0;
    for (const operation of info.operations) {
      if (prologOffset < operation.codeOffset) continue;
      switch (operation.kind) {
        case 'push':
          draft.save(operation.register, draft.offset, draft.register);
          draft.offset += 8;
          break;
        case 'allocate':
          draft.offset += operation.sizeBytes;
          break;
        case 'set-frame':
          if (!draft.rebase(info.frameRegister ?? rsp, -info.frameOffsetBytes)) return undefined;
          break;
        case 'save':
          draft.save(operation.register, operation.offsetBytes - establisher.offset, establisher.register);
          break;
        case 'save-xmm':
          break;
        case 'machine-frame':
          return undefined;
      }
    }
    if (info.chained === undefined) return draft.finish();
    part = info.chained;
    info = readUnwindInfo(pe, part.unwindInfoRva);
  }
  return undefined;
}

class ShapeDraft {
  register: number;
  /** Of the unwound rsp, from the base. */
  offset: number;
  readonly #saved = new Map<number, { offsetBytes: number; base: number }>();

  constructor(register: number, offset: number) {
    this.register = register;
    this.offset = offset;
  }

  save(register: number, offsetBytes: number, base: number): void {
    this.#saved.set(register, { offsetBytes, base });
  }

  /** False if the new base's own value is already the caller's. */
  rebase(register: number, offset: number): boolean {
    if (this.#saved.has(register)) return false;
    this.register = register;
    this.offset = offset;
    return true;
  }

  finish(): FrameShape | undefined {
    if (this.#saved.has(rsp)) return undefined;
    const saved: SavedRegister[] = [];
    for (const [register, { offsetBytes, base }] of this.#saved) {
      if (base !== this.register) return undefined;
      saved.push({ register, offsetBytes });
    }
    const kind = this.register === rsp ? 'fixed' : 'frame-register';
    return { kind, register: this.register, frameSizeBytes: this.offset, saved };
  }
}
