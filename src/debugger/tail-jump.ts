/**
 * Tail jumps leave no return address: `jmp [__imp_ExAllocatePoolWithTag]` returns to the function's caller, which would
 * seem to have made the call. The call in front of a return address tells which function was entered; if that function
 * ends in a jump to where control went, the jump is the place. A routine that the kernel called (a table's allocate
 * routine) returns into the kernel, where no call tells its name; then the image's only such jump is the place.
 */
import { type Va, vaAdd } from '../base/va.ts';
import type { PeImage } from '../image/pe/index.ts';
import { hostSlotBytes } from '../nt/address-map.ts';
import type { KernelImage } from '../nt/mm/kernel-image.ts';
import type { Nt } from '../nt/nt.ts';

const callNear = 0xe8;
const jumpNear = 0xe9;
const rexW = 0x48;

/** Longest function that is searched for the jump. */
const searchLimit = 0x4000;

/**
 * The jump through which the call in front of `returnAddress` reached `callee` (a routine's entry or an import thunk);
 * undefined if it called it directly, through a pointer, or through the linker's jump stub.
 */
export function tailJumpBefore(nt: Nt, returnAddress: Va, callee: Va): Va | undefined {
  const entry = nt.entries.containingEver(callee);
  if (entry?.kind !== 'thunk' || entry.va !== callee) return undefined;
  const image = nt.images.containingEver(returnAddress);
  if (image?.pe === undefined) {
    const { image: caller } = entry;
    const wasCalledByKernel = nt.entries.containingEver(returnAddress)?.kind === 'resume' && caller.pe !== undefined;
    return wasCalledByKernel ? new ImageCode(caller, caller.pe).onlyTailJump(callee) : undefined;
  }
  if (entry.image.index !== image.index) return undefined;
  const code = new ImageCode(image, image.pe);
  const at = returnAddress - image.base;
  if (code.byte(at - 5) !== callNear) return undefined;
  const called = at + code.int32(at - 4);
  if (code.jumpsToThunk(called, callee)) return undefined;
  return code.findTailJump(called, callee);
}

/** Reads an image's code at its preferred base; import slots are told by their place. */
class ImageCode {
  private readonly image: KernelImage;
  private readonly pe: PeImage;
  private readonly view: DataView;

  constructor(image: KernelImage, pe: PeImage) {
    this.image = image;
    this.pe = pe;
    this.view = new DataView(pe.mapped.buffer, pe.mapped.byteOffset, pe.mapped.byteLength);
  }

  byte(rva: number): number {
    return rva >= 0 && rva < this.view.byteLength ? this.view.getUint8(rva) : -1;
  }

  int32(rva: number): number {
    return rva >= 0 && rva + 4 <= this.view.byteLength ? this.view.getInt32(rva, true) : 0;
  }

  /** Whether the instruction at `rva` is `jmp [rip+disp]` through the import slot whose thunk is `thunk`. */
  jumpsToThunk(rva: number, thunk: Va): boolean {
    const opcode = this.byte(rva) === rexW ? rva + 1 : rva;
    if (this.byte(opcode) !== 0xff || this.byte(opcode + 1) !== 0x25) return false;
    return this.thunkOfSlot(opcode + 6 + this.int32(opcode + 2)) === thunk;
  }

  /** The last jump of the function at `start` that goes to the thunk, directly or through a stub. */
  findTailJump(start: number, thunk: Va): Va | undefined {
    const end = this.functionEnd(start);
    for (let rva = end - 1; rva >= start; rva--) {
      if (this.jumpsToThunk(rva, thunk) && this.byte(rva - 1) !== rexW) return vaAdd(this.image.base, rva);
      if (this.byte(rva) === jumpNear && this.jumpsToThunk(rva + 5 + this.int32(rva + 1), thunk)) {
        return vaAdd(this.image.base, rva);
      }
    }
    return undefined;
  }

  /** The jump to the thunk, if the image has no other. A linker's stub is none: it is called, or jumped to. */
  onlyTailJump(thunk: Va): Va | undefined {
    const stubs = new Set<number>();
    const jumps: { readonly rva: number; readonly to: number }[] = [];
    const entered = new Set<number>();
    for (const { rva: start, virtualSize, isExecutable } of this.pe.sections) {
      if (!isExecutable) continue;
      for (let rva = start; rva < start + virtualSize - 4; rva++) {
        const opcode = this.byte(rva);
        if (opcode === 0xff && this.jumpsToThunk(rva, thunk)) stubs.add(rva);
        if (opcode !== callNear && opcode !== jumpNear) continue;
        const to = rva + 5 + this.int32(rva + 1);
        entered.add(to);
        if (opcode === jumpNear) jumps.push({ rva, to });
      }
    }
    const direct = [...stubs].filter((rva) => !entered.has(rva));
    const through = jumps.filter(({ to }) => stubs.has(to)).map(({ rva }) => rva);
    const [only, ...others] = [...direct, ...through];
    return only === undefined || others.length > 0 ? undefined : vaAdd(this.image.base, only);
  }

  private functionEnd(start: number): number {
    const entry = this.pe.functions.find(({ beginRva, endRva }) => start >= beginRva && start < endRva);
    if (entry !== undefined) return entry.endRva;
    // A leaf function: up to the next one that has unwind data.
    const next = this.pe.functions.find(({ beginRva }) => beginRva > start);
    return Math.min(next?.beginRva ?? start + searchLimit, start + searchLimit, this.view.byteLength);
  }

  private thunkOfSlot(slotRva: number): Va | undefined {
    let thunk = this.image.thunks;
    for (const { imports } of this.pe.imports) {
      for (const { iatRva } of imports) {
        if (iatRva === slotRva) return thunk;
        thunk = vaAdd(thunk, hostSlotBytes);
      }
    }
    return undefined;
  }
}
