/**
 * What the translation of one instruction is written with: registers, operands, memory, flags, ways out.
 *
 * Values on the wasm stack: operands of 8 bytes are i64, smaller ones i32 with clear upper bits.
 *
 * Order inside one instruction: everything that can fault comes before anything that changes a register, a flag or
 * memory, so that a fault finds the state before the instruction.
 */
import { assert } from '../../base/errors.ts';
import type { Va } from '../../base/va.ts';
import { Access, cpuStateOffset, PageEntry, scratchOffset } from '../memory/layout.ts';
import type { ExitKind, ExitSite } from './exit-site.ts';
import type { Instruction, MemoryOperand, Operand } from './instruction.ts';
import { type FlagsKind, LazyFlags, type PendingFlags, sized } from './lazy-flags.ts';
import { type Flag, StateOffset } from './state.ts';
import { StateFlow } from './state-flow.ts';
import { CodeWriter, type Label, Op, WasmType } from './wasm-writer.ts';

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

export type OperandBytes = 1 | 2 | 4 | 8;

/** What the emitter has to know of the unit around the block. */
export interface EmitterHost {
  /** Number of the site among the unit's. */
  addSite(site: ExitSite): number;
}

/** Parameter of every translated function. */
export const depthLocal = 0;

export class Emitter {
  readonly code: CodeWriter;
  readonly flow: StateFlow;
  readonly flags: LazyFlags;
  private readonly host: EmitterHost;
  private readonly siteLocal: number;
  readonly fuelLocal: number;
  private readonly freeTemps = new Map<WasmType, number[]>();
  private readonly usedTemps: { readonly type: WasmType; readonly local: number }[] = [];
  private readonly pinned = new Set<number>();
  private exitLabel: Label | undefined;
  private currentSite: { index: number; kind: ExitKind; vector: number } | undefined;

  /** The instruction being translated. */
  instruction: Instruction | undefined;
  /** Flags that it or something later reads, or that must be right if it faults. */
  flagsBefore = 0;
  /** Flags that are read after it. */
  flagsAfter = 0;
  /** Instructions of the block from this one on, itself included. */
  unretired = 0;

  constructor(host: EmitterHost, successors: readonly (readonly number[])[]) {
    this.host = host;
    this.code = new CodeWriter(1);
    this.flow = new StateFlow(this.code, successors);
    this.flags = new LazyFlags(this.code, this.flow);
    this.flags.onRelease = (pending) => this.unpin(pending);
    this.siteLocal = this.code.newLocal(WasmType.I32);
    this.fuelLocal = this.code.newLocal(WasmType.I32);
  }

  // ---- instructions

  /** Starts an instruction: flags that a fault in it must show are put into their locals. */
  begin(instruction: Instruction, flagsBefore: number, flagsAfter: number, unretired: number, canFault: boolean): void {
    this.instruction = instruction;
    this.flagsBefore = flagsBefore;
    this.flagsAfter = flagsAfter;
    this.unretired = unretired;
    this.currentSite = undefined;
    if (canFault) this.flags.put(flagsBefore);
  }

  /** Ends an instruction: its temporaries are free again. */
  finish(): void {
    for (const temp of this.usedTemps.splice(0)) {
      if (!this.pinned.has(temp.local)) this.release(temp.type, temp.local);
      else this.usedTemps.push(temp);
    }
  }

  /** A local for use inside the current instruction. */
  temp(type: WasmType): number {
    const local = this.freeTemps.get(type)?.pop() ?? this.code.newLocal(type);
    this.usedTemps.push({ type, local });
    return local;
  }

  /** A local for an operand of the size. */
  tempFor(bytes: number): number {
    return this.temp(bytes === 8 ? WasmType.I64 : WasmType.I32);
  }

  private release(type: WasmType, local: number): void {
    const free = this.freeTemps.get(type);
    if (free) free.push(local);
    else this.freeTemps.set(type, [local]);
  }

  private unpin(pending: PendingFlags): void {
    for (const local of [pending.a, pending.b, pending.result]) this.pinned.delete(local);
  }

  // ---- flags

  /**
   * The instruction sets the flags in `mask` as `kind` says of operands and result, which stand in temporaries of this
   * instruction. Call after everything that can fault.
   */
  setFlags(
    kind: FlagsKind,
    bytes: OperandBytes,
    operands: { a: number; b?: number; result: number; count?: number },
    mask = 0x3f,
  ): void {
    const b = operands.b ?? operands.a;
    const pending: PendingFlags = {
      kind,
      bytes,
      a: operands.a,
      b,
      result: operands.result,
      count: operands.count ?? 1,
    };
    if ((this.flagsAfter & mask) === 0) return;
    this.flags.setPending(pending, mask, this.flagsAfter);
    for (const local of [pending.a, pending.b, pending.result]) this.pinned.add(local);
  }

  /** Whether the flag is read after this instruction. */
  needsFlag(flag: Flag): boolean {
    return (this.flagsAfter & (1 << flag)) !== 0;
  }

  /** Sets a flag from the i32 (0 or 1) that `push` pushes, if somebody reads it. */
  setFlag(flag: Flag, push: () => void): void {
    if (!this.needsFlag(flag)) return;
    push();
    this.flags.setDirectly(flag);
  }

  /** SF, ZF and PF of a result in a local. */
  setResultFlags(result: number, bytes: number): void {
    this.setFlag(3, () => {
      this.code.get(result);
      this.code.op(sized(Op.I32Eqz, bytes));
    });
    this.setFlag(4, () => this.flags.pushSign(result, bytes));
    this.setFlag(1, () => this.flags.pushParity(result, bytes));
  }

  // ---- operators and constants by operand size

  /** Emits an operator; named by its i32 opcode, the i64 one is taken for 8 bytes. */
  op(opcode: number, bytes: number): void {
    this.code.byte(sized(opcode, bytes));
  }

  constant(value: number | bigint, bytes: number): void {
    if (bytes === 8) this.code.i64(value);
    else {
      const low = typeof value === 'bigint' ? Number(BigInt.asIntN(32, value)) : value | 0;
      this.code.i32(bytes === 4 ? low : low & ((1 << (bytes * 8)) - 1));
    }
  }

  /** Clears what lies above 1 or 2 bytes in the i32 on the stack. */
  clean(bytes: number): void {
    if (bytes >= 4) return;
    this.code.i32(bytes === 1 ? 0xff : 0xffff);
    this.code.op(Op.I32And);
  }

  /** Sign-extends the value on the stack, of `from` bytes, to `to` bytes. */
  signExtend(from: number, to: number): void {
    if (to === 8) {
      if (from !== 8) this.code.op(Op.I64ExtendI32U, signExtensions64[from] as number);
      return;
    }
    if (from < 4) this.code.op(from === 1 ? Op.I32Extend8S : Op.I32Extend16S);
    this.clean(to);
  }

  /** Zero-extends or cuts the value on the stack from `from` to `to` bytes. */
  resize(from: number, to: number): void {
    if (from === 8 && to !== 8) this.code.op(Op.I32WrapI64);
    if (from !== 8 && to === 8) this.code.op(Op.I64ExtendI32U);
    if (to < from) this.clean(to);
  }

  // ---- registers

  /** Pushes part of a general register. */
  pushGpr(index: number, bytes: number, high = false): void {
    this.flow.get(index);
    if (bytes === 8) return;
    this.code.op(Op.I32WrapI64);
    if (high) {
      this.code.i32(8);
      this.code.op(Op.I32ShrU);
    }
    this.clean(bytes);
  }

  /** Pops into part of a general register; 4 bytes clear the upper half, 1 and 2 keep the rest. */
  popGpr(index: number, bytes: number, high = false): void {
    const { code } = this;
    if (bytes < 8) code.op(Op.I64ExtendI32U);
    if (bytes < 4) {
      if (high) {
        code.i64(8);
        code.op(Op.I64Shl);
      }
      this.flow.get(index);
      code.i64(high ? ~0xff00n : bytes === 1 ? ~0xffn : ~0xffffn);
      code.op(Op.I64And, Op.I64Or);
    }
    this.flow.set(index);
  }

  /** Offset in the wasm memory of an XMM register; XMM registers always stand there. */
  xmmOffset(index: number): number {
    return cpuStateOffset + StateOffset.Xmm + index * 16;
  }

  /** Pushes an XMM register as v128. */
  pushXmm(index: number): void {
    this.code.i32(0);
    this.code.simdMemory(0, this.xmmOffset(index));
  }

  /** Pops a v128 into an XMM register. */
  popXmm(index: number): void {
    const value = this.temp(WasmType.V128);
    this.code.set(value);
    this.code.i32(0);
    this.code.get(value);
    this.code.simdMemory(11, this.xmmOffset(index));
  }

  /** Pushes an i32 field of the CPU state. */
  pushState32(offset: number): void {
    this.code.i32(0);
    this.code.memory(Op.I32Load, cpuStateOffset + offset);
  }

  /** Stores an i32 field of the CPU state; on the stack: zero, value. */
  storeState32(offset: number): void {
    this.code.memory(Op.I32Store, cpuStateOffset + offset);
  }

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
    code.brIfUnlikely(slow);
    code.get(low);
    code.get(entry);
    code.memory(Op.I32Load, PageEntry.Delta);
    code.op(Op.I32Add);
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

  // ---- ways out

  /** Opens the block whose end is the shared way out. */
  openExit(): void {
    this.exitLabel = this.code.block();
  }

  /** A way out at the current instruction, before it took effect. */
  site(kind: ExitKind, vector = 0): number {
    const known = this.currentSite;
    // One instruction's accesses share their site unless registers change between them.
    if (known && known.kind === kind && known.vector === vector && kind === 'memory') return known.index;
    const site = this.addSite(kind, this.instruction?.va, this.unretired, this.flagsBefore, { vector });
    this.currentSite = { index: site, kind, vector };
    return site;
  }

  /** A way out at any place. */
  addSite(
    kind: ExitKind,
    rip: Va | undefined,
    unretired: number,
    flags: number,
    options: { readonly vector?: number; readonly isCheckpoint?: boolean } = {},
  ): number {
    const site: ExitSite = {
      kind,
      rip,
      unretired,
      vector: options.vector ?? 0,
      isCheckpoint: options.isCheckpoint ?? false,
      instruction: this.instruction,
      saved: 0,
    };
    this.flow.exit(site, flags);
    return this.host.addSite(site);
  }

  /** Leaves through a site. */
  leave(site: number): void {
    this.code.i32(site);
    this.code.set(this.siteLocal);
    this.code.br(this.exit());
  }

  /** Pops a condition and leaves through a site if it holds. */
  leaveIf(site: number): void {
    this.code.i32(site);
    this.code.set(this.siteLocal);
    this.code.brIfUnlikely(this.exit());
  }

  private leaveIfZero(site: number): void {
    this.code.op(Op.I32Eqz);
    this.leaveIf(site);
  }

  /** Pushes the number of the site that was left through. */
  pushSite(): void {
    this.code.get(this.siteLocal);
  }

  private exit(): Label {
    assert(this.exitLabel !== undefined, 'the shared exit is open');
    return this.exitLabel;
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
const signExtensions64: Readonly<Record<number, number>> = {
  1: Op.I64Extend8S,
  2: Op.I64Extend16S,
  4: Op.I64Extend32S,
};
