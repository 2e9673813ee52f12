/** The report of one run: the JSON document (`--json`), of which every other output is a view. Schema 1. */
import type { Site } from '../../debugger/site.ts';

export type Verdict = 'clean' | 'violation' | 'incomplete' | 'error';

export type { Site };

export interface ReportBugCheck {
  /** `0xC4` */
  readonly code: string;
  /** `DRIVER_VERIFIER_DETECTED_VIOLATION` */
  readonly name: string;
  readonly parameters: readonly [string, string, string, string];
  readonly summary: string;
}

export type LeakKind =
  | 'pool'
  | 'mdl'
  | 'irp'
  | 'workitem'
  | 'string'
  | 'completion-context'
  | 'device'
  | 'symbolic-link'
  | 'handle'
  | 'reference'
  | 'contiguous'
  | 'noncached'
  | 'locked-pages'
  | 'mapping'
  | 'thread'
  | 'lookaside'
  | 'resource'
  | 'timer'
  | 'registry-callback'
  | 'error-log-entry'
  | 'callback'
  | 'interrupt'
  | 'common-buffer'
  | 'scatter-gather'
  | 'map-registers'
  | 'adapter-channel'
  | 'adapter';

/** What the machine was at: a step of the scenario, or something else in a driver's life. */
export interface LeakStep {
  /** The step's place in `scenario.steps`, from 1; null if it is none of them. */
  readonly step: number | null;
  /** The step as it was given; or `DriverEntry`, `AddDevice and start`, … */
  readonly name: string;
  /** Blocks that were allocated meanwhile and remain. */
  readonly count: number;
}

/** Source text around a place. */
export interface SourceExcerpt {
  /** Where the file was found. */
  readonly path: string;
  readonly line: number;
  /** Line number of the first of `lines`. */
  readonly firstLine: number;
  /** Long ones are cut. */
  readonly lines: readonly string[];
}

/** All blocks of one kind, tag and pool type that one call stack left behind. */
export interface Leak {
  readonly kind: LeakKind;
  /** Four characters; null where there is no tag. */
  readonly tag: string | null;
  /** Sum over the blocks. */
  readonly bytes: number;
  readonly count: number;
  readonly poolType: string | null;
  /** The oldest block's. */
  readonly address: string;
  /** Whose it is, where there are several drivers: `filter.sys`. */
  readonly driver?: string;
  /** What leaked, where it has a name: a device's or link's. */
  readonly name?: string;
  /** Innermost place in the driver. */
  readonly site: Site | null;
  /** The text there; null if the source file is not at hand. */
  readonly source: SourceExcerpt | null;
  /** The kernel's routine that the driver called: `ExAllocatePool2`; null: not known. */
  readonly allocator: string | null;
  /** When the first of the blocks came: the first of `steps`; null: not known. */
  readonly sinceStep: LeakStep | null;
  /** When the blocks came, in the order of time; empty: not known. */
  readonly steps: readonly LeakStep[];
  /** Innermost first. */
  readonly stack: readonly Site[];
  readonly fault: null;
}

/** A finding that is no leak. */
export interface Violation {
  readonly kind: 'bug-check' | 'overrun' | 'irp-completion' | 'use-after-free';
  readonly bugCheck: ReportBugCheck | null;
  readonly summary: string;
  /** In whose code, where there are several drivers. */
  readonly driver?: string;
  readonly site: Site | null;
  readonly stack: readonly Site[];
  /** Of a block that was written to after it was freed: who had allocated it. `stack` tells who freed it. */
  readonly allocationStack?: readonly Site[];
}

export interface UnsupportedUse {
  readonly kind: 'export' | 'instruction' | 'behaviour' | 'step';
  /** `ntoskrnl.exe!Foo`, a disassembly, or what it is in words. */
  readonly name: string;
  readonly calls: number;
  readonly site: Site | null;
}

export interface StepReport {
  readonly step: string;
  /** `0x00000000`; `0x00000103` if it was still pending at the end. */
  readonly status: string;
  readonly information: number;
  /** Hex digits. */
  readonly output: string;
  /** No driver completed the request, whatever its dispatch routine returned. */
  readonly isNeverCompleted?: true;
}

export interface PoolCountersReport {
  readonly currentAllocations: number;
  readonly currentBytes: number;
  readonly peakAllocations: number;
  readonly peakBytes: number;
}

/** Windows' counters. Left out: nothing that is switched on counts it. */
export interface CountersReport {
  readonly irqlRaises: number;
  readonly spinLocksAcquired: number;
  readonly executionsSynchronized: number;
  /** As Windows has it without Force IRQL checking. */
  readonly trims: 0;
  /** As Windows has it without a low resources simulation. */
  readonly faultsInjected: 0;
  readonly poolAllocationsAttempted?: number;
  readonly poolAllocationsSucceeded?: number;
  /** As Windows has it without Special pool. */
  readonly poolAllocationsSucceededInSpecialPool: 0;
  readonly poolAllocationsFailed?: number;
  readonly poolAllocationsWithoutTag?: number;
  /** As Windows has it: 0 without Pool tracking. */
  readonly poolAllocationsNotTracked: number;
  readonly drivers: readonly {
    readonly name: string;
    /** As Windows has them: all 0 without Pool tracking. */
    readonly pagedPool: PoolCountersReport;
    readonly nonPagedPool: PoolCountersReport;
    readonly contiguousMemoryBytes: number;
    readonly peakContiguousMemoryBytes: number;
  }[];
}

export interface ThreadReport {
  readonly id: number;
  readonly state: string;
  readonly stack: readonly Site[];
}

export interface DriverReport {
  readonly name: string;
  readonly path: string | null;
  readonly sha256: string;
  readonly symbols: string;
}

export interface DriverInMachine extends DriverReport {
  /** Companions are loaded and run, and not verified. */
  readonly role: 'verified' | 'companion';
  /** Null if DriverEntry was not called or did not return. */
  readonly driverEntryStatus: string | null;
}

export interface Report {
  readonly schema: 1;
  /** The driver that is verified; the first of several. */
  readonly driver: DriverReport;
  /** Every driver of the machine, where there are several, in the order in which they were loaded. */
  readonly drivers?: readonly DriverInMachine[];
  readonly options: {
    readonly flags: string;
    readonly active: readonly string[];
    readonly notImplemented: readonly string[];
  };
  readonly verdict: Verdict;
  /** Why incomplete or error, one sentence each; notes that weaken nothing stand in `notes`. */
  readonly reasons: readonly string[];
  readonly notes: readonly string[];
  readonly driverEntryStatus: string | null;
  readonly bugCheck: ReportBugCheck | null;
  readonly leaks: readonly Leak[];
  readonly violations: readonly Violation[];
  readonly counters: CountersReport;
  readonly coverage: null;
  readonly unsupported: readonly UnsupportedUse[];
  /** Where every thread stands, when the life could not go on. */
  readonly threads: readonly ThreadReport[];
  readonly campaign: null;
  readonly scenario: { readonly steps: readonly StepReport[]; readonly seed: number };
  readonly debugOutput: readonly string[];
  readonly host: { readonly durationMs: number };
}
