/**
 * The registers of the one guest processor, as they stand in the wasm memory between translated functions. The
 * translator bakes these offsets in; everything else goes through {@link CpuState}.
 */
import { type Va, vaFromHalves, vaHigh, vaLow } from '../../base/va.ts';
import type { GuestMemory } from '../memory/guest-memory.ts';
import { cpuStateOffset } from '../memory/layout.ts';

/** General registers in the processor's encoding order. */
export const Gpr = {
  Rax: 0,
  Rcx: 1,
  Rdx: 2,
  Rbx: 3,
  Rsp: 4,
  Rbp: 5,
  Rsi: 6,
  Rdi: 7,
  R8: 8,
  R9: 9,
  R10: 10,
  R11: 11,
  R12: 12,
  R13: 13,
  R14: 14,
  R15: 15,
} as const;
export type Gpr = (typeof Gpr)[keyof typeof Gpr];

/** Arithmetic flags, each an i32 of 0 or 1 of its own. */
export const Flag = { Cf: 0, Pf: 1, Af: 2, Zf: 3, Sf: 4, Of: 5, Df: 6, If: 7 } as const;
export type Flag = (typeof Flag)[keyof typeof Flag];

/** Byte offsets from the start of the CPU state page. */
export const StateOffset = {
  Gpr: 0x000,
  Rip: 0x080,
  /** i64, instructions retired since the machine started, less what `Fuel` still grants: retired = RetiredBase - Fuel. */
  RetiredBase: 0x088,
  Flags: 0x090,
  /** i32, current IRQL (CR8). */
  Cr8: 0x0b0,
  /** i32, offset of the page table in force: `pageTableLowIrqlOffset` or `pageTableHighIrqlOffset`. */
  PageTable: 0x0b4,
  /** i32, instructions left before control goes back to the host; checked at function entries and backward jumps. */
  Fuel: 0x0b8,
  /** i32, nested wasm calls. */
  Depth: 0x0bc,
  GsBase: 0x0c0,
  FsBase: 0x0c8,
  Mxcsr: 0x0d0,
  /** i32 {@link ExitReason} and its operands, valid after a leave. */
  ExitReason: 0x0d4,
  ExitOperand: 0x0d8,
  /** i32, number of the translated unit that left through its shared exit. */
  ExitUnit: 0x0dc,
  Xmm: 0x200,
  /** General registers and flags as that unit had them in locals, at the distances of `Gpr` and `Flags`. */
  ExitArea: 0x400,
} as const;

const rflagsBits = [0, 2, 4, 6, 7, 11, 10, 9] as const;

export class CpuState {
  private readonly view: DataView;

  constructor(memory: GuestMemory) {
    this.view = memory.view;
  }

  gpr(register: number): bigint {
    return this.view.getBigUint64(cpuStateOffset + register * 8, true);
  }

  setGpr(register: number, value: bigint): void {
    this.view.setBigUint64(cpuStateOffset + register * 8, value, true);
  }

  /** Bits 31..0, unsigned. */
  gprLow(register: number): number {
    return this.view.getUint32(cpuStateOffset + register * 8, true);
  }

  /** Bits 63..32, unsigned. */
  gprHigh(register: number): number {
    return this.view.getUint32(cpuStateOffset + register * 8 + 4, true);
  }

  /** The register as an address. */
  gprVa(register: number): Va {
    return vaFromHalves(this.gprLow(register), this.gprHigh(register));
  }

  setGprVa(register: number, va: Va): void {
    this.view.setUint32(cpuStateOffset + register * 8, vaLow(va), true);
    this.view.setInt32(cpuStateOffset + register * 8 + 4, vaHigh(va), true);
  }

  get rip(): Va {
    const at = cpuStateOffset + StateOffset.Rip;
    return vaFromHalves(this.view.getUint32(at, true), this.view.getUint32(at + 4, true));
  }

  set rip(va: Va) {
    const at = cpuStateOffset + StateOffset.Rip;
    this.view.setUint32(at, vaLow(va), true);
    this.view.setInt32(at + 4, vaHigh(va), true);
  }

  get irql(): number {
    return this.view.getInt32(cpuStateOffset + StateOffset.Cr8, true);
  }

  flag(flag: Flag): boolean {
    return this.view.getInt32(cpuStateOffset + StateOffset.Flags + flag * 4, true) !== 0;
  }

  setFlag(flag: Flag, value: boolean): void {
    this.view.setInt32(cpuStateOffset + StateOffset.Flags + flag * 4, value ? 1 : 0, true);
  }

  /** RFLAGS as `pushfq` stores it. */
  get rflags(): number {
    let value = 2;
    for (let flag = 0; flag < rflagsBits.length; flag++) {
      if (this.flag(flag as Flag)) value |= 1 << (rflagsBits[flag] as number);
    }
    return value;
  }

  set rflags(value: number) {
    for (let flag = 0; flag < rflagsBits.length; flag++) {
      this.setFlag(flag as Flag, ((value >> (rflagsBits[flag] as number)) & 1) !== 0);
    }
  }

  get gsBase(): Va {
    const at = cpuStateOffset + StateOffset.GsBase;
    return vaFromHalves(this.view.getUint32(at, true), this.view.getUint32(at + 4, true));
  }

  set gsBase(va: Va) {
    const at = cpuStateOffset + StateOffset.GsBase;
    this.view.setUint32(at, vaLow(va), true);
    this.view.setInt32(at + 4, vaHigh(va), true);
  }

  get mxcsr(): number {
    return this.view.getUint32(cpuStateOffset + StateOffset.Mxcsr, true);
  }

  set mxcsr(value: number) {
    this.view.setUint32(cpuStateOffset + StateOffset.Mxcsr, value, true);
  }

  /** The 16 bytes of XMM`index`, not a copy of them: {low, high}. */
  xmm(index: number): { readonly low: bigint; readonly high: bigint } {
    const at = cpuStateOffset + StateOffset.Xmm + index * 16;
    return { low: this.view.getBigUint64(at, true), high: this.view.getBigUint64(at + 8, true) };
  }

  setXmm(index: number, low: bigint, high: bigint): void {
    const at = cpuStateOffset + StateOffset.Xmm + index * 16;
    this.view.setBigUint64(at, low, true);
    this.view.setBigUint64(at + 8, high, true);
  }
}
