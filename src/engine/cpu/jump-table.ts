/**
 * Jump tables: `jmp register` whose target a compiler loaded from a table.
 */
import type { Va } from '../../base/va.ts';
import type { GuestMemory } from '../memory/guest-memory.ts';
import type { Instruction } from './instruction.ts';

export interface JumpTable {
  /** Addresses that the jump can go to; without repetition. */
  readonly targets: readonly Va[];
}

/** The table behind the indirect jump at the end of `history`; undefined if the code is not recognised. */
export function findJumpTable(
  _history: readonly Instruction[],
  _isInside: (va: Va) => boolean,
  _memory: GuestMemory,
): JumpTable | undefined {
  return undefined;
}
