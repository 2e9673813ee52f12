/**
 * Ways out of translated code that are described by data: the code names the site, the host reads here what it means.
 */
import type { Va } from '../../base/va.ts';
import type { Instruction } from './instruction.ts';
import type { SavingExit } from './state-flow.ts';

export type ExitKind =
  /** A memory access failed; the slow path noted why. */
  | 'memory'
  /** An exception with the vector of the site. */
  | 'fault'
  /** Go on at `rip` without nesting: out of fuel, or nested too deep. */
  | 'flat'
  /** The instruction is one that the engine lacks. */
  | 'unsupported'
  /** The code at `rip` can't be fetched or decoded. */
  | 'no-code';

export interface ExitSite extends SavingExit {
  readonly kind: ExitKind;
  /** Where the guest stands; undefined if the code stored RIP itself. */
  readonly rip: Va | undefined;
  /** Instructions of the block that were counted but not executed. */
  readonly unretired: number;
  readonly vector: number;
  /** Whether this is one of the places where fuel counts; see translate-control.ts. */
  readonly isCheckpoint: boolean;
  /** The instruction, if it can be one for the host or not supported. */
  readonly instruction: Instruction | undefined;
}

/** What `StateOffset.ExitReason` tells after translated code returned 1. */
export const ExitReason = {
  /** A return found the fuel used up, or the host call that left knows why. */
  None: 0,
  /** Site `ExitOperand` of unit `ExitUnit`. */
  Site: 1,
} as const;
