/**
 * The part of the emitter that does not know memory: temporaries, registers, flags, ways out.
 */
import { assert } from '../../base/errors.ts';
import type { Va } from '../../base/va.ts';
import { cpuStateOffset } from '../memory/layout.ts';
import type { ExitKind, ExitSite } from './exit-site.ts';
import { type FlagOperation, type FlagsKind, pushParity, pushSign } from './flag-formulas.ts';
import type { Instruction } from './instruction.ts';
import { LazyFlags } from './lazy-flags.ts';
import { type Flag, StateOffset } from './state.ts';
import { StateFlow } from './state-flow.ts';
import { CodeWriter, type Label, Op, sized, WasmType } from './wasm-writer.ts';

export type OperandBytes = 1 | 2 | 4 | 8;

/** What the emitter has to know of the unit around the block. */
export interface EmitterHost {
  /** Number of the site among the unit's. */
  addSite(site: ExitSite): number;
}

/** Parameter of every translated function. */
export const depthLocal = 0;

export class EmitterBase {
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

  private unpin(pending: FlagOperation): void {
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
    const pending: FlagOperation = {
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
    this.setFlag(4, () => pushSign(this.code, result, bytes));
    this.setFlag(1, () => pushParity(this.code, result, bytes));
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

  protected leaveIfZero(site: number): void {
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

const signExtensions64: Readonly<Record<number, number>> = {
  1: Op.I64Extend8S,
  2: Op.I64Extend16S,
  4: Op.I64Extend32S,
};
