/** A decoded instruction as plain data. */
import type { Va } from '../../base/va.ts';
import { type ConditionCode, Mnemonic, type Register } from './iced.ts';

/** General register operand; `high` is AH, CH, DH or BH (index 0..3). */
export interface GprOperand {
  readonly kind: 'gpr';
  readonly index: number;
  readonly bytes: 1 | 2 | 4 | 8;
  readonly high: boolean;
}

export interface XmmOperand {
  readonly kind: 'xmm';
  readonly index: number;
}

export interface MemoryOperand {
  readonly kind: 'memory';
  /** Index of a general register or -1. */
  readonly base: number;
  readonly index: number;
  /** Power of two. */
  readonly scaleShift: number;
  /** A bigint only if it has more than 53 bits. With no base and index this is the address. */
  readonly displacement: number | bigint;
  readonly segment: 'fs' | 'gs' | undefined;
  /** 4 with an address-size prefix: the sum before the segment base is cut to 32 bits. */
  readonly addressBytes: 4 | 8;
  /** Size of the access; 0 if the instruction has none that iced knows (lea). */
  readonly bytes: number;
}

export interface ImmediateOperand {
  readonly kind: 'immediate';
  /** Sign-extended as the instruction says; as a number where 53 bits suffice. */
  readonly value: number | bigint;
}

/** Direct branch target. */
export interface TargetOperand {
  readonly kind: 'target';
  readonly va: Va;
}

/** Segment, control, debug, x87, MMX … registers. */
export interface OtherOperand {
  readonly kind: 'other';
  readonly register: Register;
}

export type Operand = GprOperand | XmmOperand | MemoryOperand | ImmediateOperand | TargetOperand | OtherOperand;

/** What an instruction does to control. */
export type Flow =
  | 'next'
  | 'jump'
  | 'indirect-jump'
  | 'branch'
  | 'return'
  | 'call'
  | 'indirect-call'
  | 'trap'
  | 'invalid';

export interface Instruction {
  readonly va: Va;
  /** Address of the following instruction. */
  readonly next: Va;
  readonly mnemonic: Mnemonic;
  readonly code: number;
  readonly operands: readonly Operand[];
  readonly flow: Flow;
  /** Condition of jcc, setcc, cmovcc, loopcc. */
  readonly condition: ConditionCode;
  readonly rep: 'rep' | 'repne' | undefined;
  readonly hasLock: boolean;
  /** Masks of `1 << Flag`. */
  readonly flagsRead: number;
  readonly flagsWritten: number;
}

/** The mnemonic in lower case, as in the manuals. */
export function mnemonicText(mnemonic: Mnemonic): string {
  return (Mnemonic[mnemonic] ?? 'invalid').toLowerCase();
}
