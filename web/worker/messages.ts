/** What the page and its worker say to each other; all of it is plain data. */
import type { CounterColumns } from '../../src/run/counter-series.ts';
import type { Report } from '../../src/run/report/report.ts';
import type { AllocationDetail, AllocationPage, StepMark, WatchedState } from '../../src/run/watched-run.ts';

export interface NamedBytes {
  readonly name: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** A driver with what may hold its symbols. */
export interface DriverInput extends NamedBytes {
  readonly symbolFiles: readonly NamedBytes[];
  /** Otherwise it is a companion: loaded first and not verified. */
  readonly isVerified: boolean;
}

export interface SourceInput {
  /** As dropped: a name, or a path with folders. */
  readonly path: string;
  readonly text: string;
}

export interface RunInput {
  readonly drivers: readonly DriverInput[];
  readonly sources: readonly SourceInput[];
  readonly flags: number;
  readonly seed: number;
  /** Lines as after `--do`; undefined for the tour. */
  readonly steps: readonly string[] | undefined;
  /** Name of a device model; undefined for none. */
  readonly deviceModel: string | undefined;
}

/** One call of the kernel, or up to the next step of the scenario. */
export type StepSize = 'call' | 'scenario-step';

export type Request =
  /** A new machine in the place of the one before. It stands still. */
  | { readonly kind: 'load'; readonly run: number; readonly input: RunInput }
  | { readonly kind: 'resume' }
  | { readonly kind: 'pause' }
  | { readonly kind: 'step'; readonly size: StepSize }
  /** Kernel calls in a second; undefined: as fast as it goes. */
  | { readonly kind: 'pace'; readonly callsPerSecond: number | undefined }
  | { readonly kind: 'allocations'; readonly first: number; readonly count: number }
  | { readonly kind: 'allocation'; readonly address: string }
  /** A line typed in the debugger. */
  | { readonly kind: 'command'; readonly line: string }
  | { readonly kind: 'complete'; readonly line: string };

/** `running`: in slices, until it is paused, stopped by the debugger or over. */
export type Activity = 'standing' | 'running' | 'over';

export interface Series extends CounterColumns {
  readonly marks: readonly StepMark[];
}

export type Answer =
  /** The code is loaded; requests may come. */
  | { readonly kind: 'ready'; readonly deviceModels: readonly string[] }
  /** Every further answer carries the number of the run that it is of. */
  | { readonly kind: 'state'; readonly run: number; readonly activity: Activity; readonly state: WatchedState }
  | { readonly kind: 'series'; readonly run: number; readonly series: Series }
  | { readonly kind: 'debug-output'; readonly run: number; readonly lines: readonly string[] }
  | {
      readonly kind: 'report';
      readonly run: number;
      readonly report: Report;
      /** The bug check as a debugger prints it. */
      readonly bugCheck: readonly string[];
      /** One sentence. */
      readonly headline: string;
    }
  | { readonly kind: 'allocations'; readonly run: number; readonly page: AllocationPage }
  | {
      readonly kind: 'allocation';
      readonly run: number;
      readonly address: string;
      readonly detail: AllocationDetail | undefined;
    }
  /** What the debugger prints. */
  | { readonly kind: 'printed'; readonly run: number; readonly text: string }
  /** The debugger took the line; it waits for the next one. */
  | { readonly kind: 'prompt'; readonly run: number; readonly prompt: string }
  | {
      readonly kind: 'completions';
      readonly run: number;
      readonly line: string;
      readonly start: number;
      readonly candidates: readonly string[];
    }
  /** What was asked for can't be done. `isOurs`: the fault is poolproof's. */
  | { readonly kind: 'failed'; readonly run: number; readonly message: string; readonly isOurs: boolean };
