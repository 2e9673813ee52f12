/** What a debugger needs of a machine; `run/machine.ts` has one. */
import type { LoadedSymbols } from '../image/symbols/index.ts';
import type { KernelImage } from '../nt/mm/kernel-image.ts';
import type { Nt } from '../nt/nt.ts';
import type { CallCounts } from '../verifier/core/call-counters.ts';
import type { OptionChoice } from '../verifier/core/options.ts';
import type { DmaChecking } from '../verifier/dma-checking/dma-checking.ts';
import type { PoolTracking } from '../verifier/pool-tracking/pool-tracking.ts';

/** Something that the life does: a step of the scenario, DriverEntry. */
export interface TargetStep {
  /** Of a step of the scenario, from 1 on; null for what the life does between them. */
  readonly number: number | null;
  /** Stands for steps of which nobody knows yet what and how many they are. */
  readonly isUnknown: boolean;
  /** As `--do` takes it; chosen by the user or, names in it, by a driver. */
  readonly name: string;
  readonly isCurrent: boolean;
  /** What came of it: `0xC000000D`. */
  readonly status: string | undefined;
}

/** A machine under the debugger. It stands still but for {@link resume}. */
export interface Target {
  readonly nt: Nt;
  /** Driver Verifier's options in force. */
  readonly options: OptionChoice;
  /** What verified drivers called since boot. */
  readonly callCounts: CallCounts;
  /** Undefined if the option is not on. */
  readonly poolTracking: PoolTracking | undefined;
  /** Undefined if the option is not on. */
  readonly dmaChecking: DmaChecking | undefined;
  /** The verified drivers' images, in the order in which they are loaded; also those that are gone. */
  readonly verifiedImages: readonly KernelImage[];
  /** Undefined for an image without a file: the kernel's modules. */
  symbolsOf(image: KernelImage): LoadedSymbols | undefined;
  /**
   * Goes on from where the machine stands: up to a breakpoint, a step's end or what else stops it (`nt.debugControl` says
   * which), or to the end of the drivers' life.
   */
  resume(): 'stopped' | 'over';
  /** Whether nothing can go on: the life came to its end, or the machine stopped for good. */
  readonly isOver: boolean;
  /** One sentence on how the life ended: the verdict. Asked only when it is over. */
  readonly outcome: string;
  /** What the life does, one after the other, as far as that is known. */
  readonly steps: readonly TargetStep[];
  /** A source file's lines by its recorded path; undefined if it is not at hand. */
  readSource?(file: string): readonly string[] | undefined;
}
