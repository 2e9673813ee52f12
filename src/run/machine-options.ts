/** What a machine is made of. */
import type { SymbolCandidate } from '../image/symbols/index.ts';
import type { Step } from './scenario/step.ts';

export interface DriverFile {
  /** `leaky.sys` */
  readonly name: string;
  /** Where it was read from; for the report. */
  readonly path?: string | null;
  readonly bytes: Uint8Array;
  /** What may hold the driver's symbols. */
  readonly symbolFiles?: readonly SymbolCandidate[];
  /** Where else symbols were looked for, and what was met there and can't be used; for the report. */
  readonly symbolSearch?: { readonly places: readonly string[]; readonly notes: readonly string[] };
}

export interface MachineOptions {
  /** The drivers that are verified, in the order in which they are loaded. Of a device's stack the first is the lowest. */
  readonly drivers: readonly DriverFile[];
  /** Drivers and kernel-mode DLLs that are loaded before and not verified. */
  readonly companions?: readonly DriverFile[];
  /** Undefined: the tour, or what is asked for by the machine's own verbs. */
  readonly steps?: readonly Step[] | undefined;
  /** Driver Verifier's, as in `verifier /flags`; {@link defaultFlags} unless given. */
  readonly flags?: number;
  /** Contents of fresh memory, order of threads; 1 unless given. */
  readonly seed?: number;
  /** Instructions in a row, without the machine coming to rest, after which the life is ended. */
  readonly instructionLimit?: number;
  /** Hardware of the plug-and-play device: `default` gives it memory, ports and interrupts. */
  readonly resources?: 'none' | 'default';
  /** Hardware IDs of the device, the most special first. */
  readonly hardwareIds?: readonly string[];
  /** Set when a first life showed that it is needed; see `Cpu.needsExactFlags`. */
  readonly flagsLiveAtExit?: boolean;
}

/** Minutes of a busy loop. */
export const defaultInstructionLimit = 4e9;
