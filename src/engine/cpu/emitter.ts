/**
 * What the translation of one instruction is written with: registers, operands, memory, flags, ways out.
 *
 * Values on the wasm stack: operands of 8 bytes are i64, smaller ones i32 with clear upper bits.
 *
 * Order inside one instruction: everything that can fault comes before anything that changes a register, a flag or
 * memory, so that a fault finds the state before the instruction.
 */
import { assert } from '../../base/errors.ts';
import { Access, cpuStateOffset, PageEntry, scratchOffset } from '../memory/layout.ts';
import { EmitterBase, type OperandBytes } from './emitter-base.ts';
import type { MemoryOperand, Operand } from './instruction.ts';
import { StateOffset } from './state.ts';
import { type Label, Op, WasmType } from './wasm-writer.ts';

export type { OperandBytes } from './emitter-base.ts';
export { depthLocal } from './emitter-base.ts';

/** Function indices of the runtime's imports in every translated module. */
export const Import = {
  /** (low, high, bytes) -> offset of the bytes, in place or assembled; 0 = fault. */
  SlowLoad: 0,
  /** (low, high, bytes) -> 0 = fault; stores what stands at `storeScratchOffset`. */
  SlowStore: 1,
  /** (low, high, bytes) -> offset of the bytes for reading and writing; 0 = fault. */
  SlowModify: 2,
  /** () writes back what {@link Import.SlowModify} assembled. */
  CommitModify: 3,
  /** (site of the instruction) -> 0 = go on behind it, 1 = leave. RIP is stored, registers are written back. */
  HostInstruction: 4,
  /** (operation) -> see rare-operations.ts; operands and results stand at `loadScratchOffset`. */
  RareOperation: 5,
} as const;

/** The code of the checks that {@link Emitter.load} and others make, by locals, size and access: most code is that. */
const accessChecks = new Map<number, { readonly check: Uint8Array; readonly offset: Uint8Array }>();
const maxAccessChecks = 4096;

export class Emitter extends EmitterBase {
  // ---- operands

  /** Size of a general register or memory operand. */
  sizeOf(operand: Operand): OperandBytes {
    assert(operand.kind === 'gpr' || operand.kind === 'memory', 'a sized operand');
    const bytes = operand.bytes;
    assert(bytes === 1 || bytes === 2 || bytes === 4 || bytes === 8, 'an operand of a general instruction');
    return bytes;
  }

  /** Pushes a register, memory or immediate operand of `bytes` bytes. */
  pushOperand(operand: Operand, bytes: number): void {
    switch (operand.kind) {
      case 'gpr':
        this.pushGpr(operand.index, bytes, operand.high);
        return;
      case 'memory':
        this.load(operand, bytes);
        return;
      case 'immediate':
        this.constant(operand.value, bytes);
        return;
      default:
        assert(false, `operand ${operand.kind} has no value`);
    }
  }

  /** Stores the value of a local in a register or memory operand. */
  storeOperand(operand: Operand, bytes: number, value: number): void {
    if (operand.kind === 'gpr') {
      this.code.get(value);
      this.popGpr(operand.index, bytes, operand.high);
      return;
    }
    assert(operand.kind === 'memory', 'a destination');
    this.store(operand, bytes, value);
  }

  /**
   * Replaces an operand: `compute` gets a local with the old value and returns a local with the new one. Memory is
   * asked for writing first, so `compute` may change registers if it is the destination's last use of them.
   */
  modify(operand: Operand, bytes: OperandBytes, compute: (old: number) => number): void {
    const { code } = this;
    const old = this.tempFor(bytes);
    if (operand.kind === 'gpr') {
      this.pushGpr(operand.index, bytes, operand.high);
      code.set(old);
      code.get(compute(old));
      this.popGpr(operand.index, bytes, operand.high);
      return;
    }
    assert(operand.kind === 'memory', 'a destination');
    this.pushAddress(operand);
    const offset = this.translate(bytes, Import.SlowModify);
    code.get(offset);
    this.loadAt(bytes);
    code.set(old);
    const value = compute(old);
    code.get(offset);
    code.get(value);
    this.storeAt(bytes);
    this.commit(offset);
  }

  /** Writes back a modified operand that crosses pages. */
  commit(offset: number): void {
    const { code } = this;
    code.get(offset);
    code.i32(loadScratchOffset);
    code.op(Op.I32Eq);
    code.if();
    code.call(Import.CommitModify);
    code.end();
  }

  // ---- memory

  /** Pushes the effective address with its segment base, an i64. */
  pushAddress(operand: MemoryOperand): void {
    const { code } = this;
    this.pushEffectiveAddress(operand);
    if (operand.segment) {
      code.i32(0);
      code.memory(Op.I64Load, cpuStateOffset + (operand.segment === 'gs' ? StateOffset.GsBase : StateOffset.FsBase));
      code.op(Op.I64Add);
    }
  }

  /** Pushes base + index * scale + displacement, an i64; what `lea` computes. */
  pushEffectiveAddress({ base, index, scaleShift, displacement, addressBytes }: MemoryOperand): void {
    const { code } = this;
    let terms = 0;
    if (base >= 0) {
      this.flow.get(base);
      terms++;
    }
    if (index >= 0) {
      this.flow.get(index);
      if (scaleShift > 0) {
        code.i64(scaleShift);
        code.op(Op.I64Shl);
      }
      if (terms++ > 0) code.op(Op.I64Add);
    }
    if (terms === 0 || displacement !== 0) {
      code.i64(displacement);
      if (terms > 0) code.op(Op.I64Add);
    }
    if (addressBytes === 4) {
      code.i64(0xffff_ffff);
      code.op(Op.I64And);
    }
  }

  /** Pushes an operand of 1, 2, 4, 8 or 16 bytes from memory. */
  load(operand: MemoryOperand, bytes: number): void {
    this.pushAddress(operand);
    this.loadPopped(bytes);
  }

  /** As {@link load}, from the address on the stack. */
  loadPopped(bytes: number): void {
    const offset = this.translate(bytes, Import.SlowLoad);
    this.code.get(offset);
    this.loadAt(bytes);
  }

  /** Stores a local of 1, 2, 4, 8 or 16 bytes to memory. */
  store(operand: MemoryOperand, bytes: number, value: number): void {
    this.pushAddress(operand);
    this.storePopped(bytes, () => this.code.get(value));
  }

  /** Stores what `pushValue` pushes to the address on the stack. `pushValue` is called twice. */
  storePopped(bytes: number, pushValue: () => void): void {
    const { code } = this;
    const address = this.temp(WasmType.I64);
    code.set(address);
    const done = code.block();
    const slow = code.block();
    const offset = this.pushFastOffset(address, bytes, Access.Write, slow);
    code.set(offset);
    code.get(offset);
    pushValue();
    this.storeAt(bytes);
    code.br(done);
    code.end();
    code.i32(storeScratchOffset);
    pushValue();
    this.storeAt(bytes);
    this.callSlow(address, () => code.i32(bytes), Import.SlowStore);
    this.leaveIfZero(this.site('memory'));
    code.end();
  }

  /**
   * Pops a guest address; returns a local with the wasm offset of `bytes` bytes there, or leaves with the fault. More
   * bytes of the same page may be meant: `pushAllBytes` then pushes how many (i32).
   */
  translate(
    bytes: number,
    slowImport: typeof Import.SlowLoad | typeof Import.SlowModify,
    pushAllBytes: () => void = () => this.code.i32(bytes),
  ): number {
    const { code } = this;
    const address = this.temp(WasmType.I64);
    code.set(address);
    const done = code.block();
    const slow = code.block();
    const access = slowImport === Import.SlowLoad ? Access.Read : Access.Write;
    const offset = this.pushFastOffset(address, bytes, access, slow);
    code.set(offset);
    code.br(done);
    code.end();
    this.callSlow(address, pushAllBytes, slowImport);
    code.tee(offset);
    this.leaveIfZero(this.site('memory'));
    code.end();
    return offset;
  }

  /** Pushes the wasm offset, or goes to `slow`; see {@link PageEntry}. Returns a local that may take it. */
  private pushFastOffset(address: number, bytes: number, access: Access, slow: Label): number {
    const { code } = this;
    const low = this.temp(WasmType.I32);
    const entry = this.temp(WasmType.I32);
    const key = ((address * 0x1000 + low) * 0x1000 + entry) * 128 + bytes * 2 + (access === Access.Write ? 1 : 0);
    const known = accessChecks.get(key);
    if (known) {
      code.bytes(known.check);
      code.brIfUnlikely(slow);
      code.bytes(known.offset);
      return entry;
    }
    const start = code.length;
    code.get(address);
    code.op(Op.I32WrapI64);
    code.tee(low);
    code.i32(12 - PageEntry.SizeShift);
    code.op(Op.I32ShrU);
    code.i32(0xfffff << PageEntry.SizeShift);
    code.op(Op.I32And);
    this.pushState32(StateOffset.PageTable);
    code.op(Op.I32Add);
    code.tee(entry);
    code.memory(Op.I64Load, access === Access.Write ? PageEntry.WriteTag : PageEntry.ReadTag);
    code.get(address);
    if (bytes > 1) {
      code.i64(bytes - 1);
      code.op(Op.I64Add);
    }
    code.i64(0xfff);
    code.op(Op.I64Or, Op.I64Ne);
    const check = code.since(start);
    code.brIfUnlikely(slow);
    const afterBranch = code.length;
    code.get(low);
    code.get(entry);
    code.memory(Op.I32Load, PageEntry.Delta);
    code.op(Op.I32Add);
    if (accessChecks.size >= maxAccessChecks) accessChecks.clear();
    accessChecks.set(key, { check, offset: code.since(afterBranch) });
    return entry;
  }

  private callSlow(address: number, pushBytes: () => void, slowImport: number): void {
    const { code } = this;
    code.get(address);
    code.op(Op.I32WrapI64);
    code.get(address);
    code.i64(32);
    code.op(Op.I64ShrU, Op.I32WrapI64);
    pushBytes();
    code.call(slowImport);
  }

  /** Leaves with #GP if the address in the local is not a multiple of `alignment`. */
  requireAligned(address: number, alignment: number): void {
    const { code } = this;
    code.get(address);
    code.op(Op.I32WrapI64);
    code.i32(alignment - 1);
    code.op(Op.I32And);
    this.leaveIf(this.site('fault', 13));
  }

  /** Loads from a wasm offset on the stack. */
  loadAt(bytes: number): void {
    if (bytes === 16) this.code.simdMemory(0);
    else this.code.memory(loadOpcodes[bytes] as number);
  }

  /** Stores to a wasm offset and value on the stack. */
  storeAt(bytes: number): void {
    if (bytes === 16) this.code.simdMemory(11);
    else this.code.memory(storeOpcodes[bytes] as number);
  }
}

/** Where the slow path assembles bytes that cross pages, and where it finds bytes to store. */
export const loadScratchOffset = scratchOffset;
export const storeScratchOffset = scratchOffset + 0x80;

const loadOpcodes: Readonly<Record<number, number>> = {
  1: Op.I32Load8U,
  2: Op.I32Load16U,
  4: Op.I32Load,
  8: Op.I64Load,
};
const storeOpcodes: Readonly<Record<number, number>> = {
  1: Op.I32Store8,
  2: Op.I32Store16,
  4: Op.I32Store,
  8: Op.I64Store,
};
