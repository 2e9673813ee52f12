/**
 * Parts of rare instructions that the host computes. Operands and results stand in the scratch area.
 */
import type { GuestMemory } from '../memory/guest-memory.ts';
import { loadScratchOffset } from './emitter.ts';

export const RareOperation = {
  /** {low, high, divisor} u64 -> {quotient, remainder}; returns 0 if the quotient has more than 64 bits. */
  DivideUnsigned: 0,
  DivideSigned: 1,
} as const;

/** 1, or 0 if the instruction faults. */
export function rareOperation(memory: GuestMemory, operation: number): number {
  const { view } = memory;
  const low = view.getBigUint64(loadScratchOffset, true);
  const high = view.getBigUint64(loadScratchOffset + 8, true);
  const divisor = view.getBigUint64(loadScratchOffset + 16, true);
  const isSigned = operation === RareOperation.DivideSigned;
  const dividend = isSigned ? BigInt.asIntN(128, (high << 64n) | low) : (high << 64n) | low;
  const by = isSigned ? BigInt.asIntN(64, divisor) : divisor;
  if (by === 0n) return 0;
  const quotient = dividend / by;
  if (quotient !== (isSigned ? BigInt.asIntN(64, quotient) : BigInt.asUintN(64, quotient))) return 0;
  view.setBigUint64(loadScratchOffset, BigInt.asUintN(64, quotient), true);
  view.setBigUint64(loadScratchOffset + 8, BigInt.asUintN(64, dividend % by), true);
  return 1;
}
