/** What the page shows, as signals: a view redraws when a signal that it reads changes. */
import { computed, signal } from '@preact/signals';
import type { Report } from '../../src/run/report/report.ts';
import type { AllocationDetail, AllocationPage, WatchedState } from '../../src/run/watched-run.ts';
import { defaultFlags } from '../../src/verifier/core/options.ts';
import type { Activity, NamedBytes, Series, SourceInput } from '../worker/messages.ts';

export type PageName = 'drivers' | 'settings' | 'counters' | 'allocations' | 'result' | 'debugger';

/** A driver in the list. */
export interface ListedDriver extends NamedBytes {
  /** Otherwise it is loaded before the others, as a companion. */
  readonly isVerified: boolean;
}

/** Steps that a sample comes with. */
export interface SampleRun {
  readonly name: string;
  readonly steps: readonly string[];
}

/** A sample driver as samples.json lists it. */
export interface Sample {
  readonly name: string;
  readonly about: string;
  readonly files: readonly string[];
  readonly runs: readonly SampleRun[];
  /** The list that it stands in. */
  readonly group: 'leaky' | 'dma' | 'clean';
  /** Name of the run that shows what `about` says, where the tour does not. */
  readonly described?: string;
  /** Name of the device model that it drives. */
  readonly deviceModel?: string;
}

export const page = signal<PageName>('drivers');

// ---- what to verify
export const drivers = signal<readonly ListedDriver[]>([]);
export const symbolFiles = signal<readonly NamedBytes[]>([]);
export const sources = signal<readonly SourceInput[]>([]);
export const samples = signal<readonly Sample[]>([]);
/** The sample whose files are in the list. */
export const sample = signal<Sample | undefined>(undefined);
/** Drivers that the local server offers. */
export const offered = signal<readonly OfferedDriver[]>([]);

export interface OfferedDriver {
  readonly name: string;
  readonly files: readonly { readonly name: string; readonly url: string }[];
}

// ---- how
export const flags = signal(defaultFlags);
export const isCustom = signal(false);
export const seed = signal(1);
export const isTour = signal(true);
export const stepText = signal('');
export const deviceModels = signal<readonly string[]>([]);
export const deviceModel = signal<string | undefined>(undefined);
export const callsPerSecond = signal<number | undefined>(undefined);

// ---- the run
/** Counts the machines; answers of earlier ones are passed over. */
export const run = signal(0);
export const activity = signal<Activity | 'none' | 'loading'>('none');
export const state = signal<WatchedState | undefined>(undefined);
export const series = signal<Series | undefined>(undefined);
export const report = signal<Report | undefined>(undefined);
export const headline = signal('');
export const bugCheck = signal<readonly string[]>([]);
export const debugOutput = signal<readonly string[]>([]);
/** What went wrong last, for people. */
export const problem = signal<{ readonly message: string; readonly isOurs: boolean } | undefined>(undefined);

// ---- allocations
export const allocationPages = signal<ReadonlyMap<number, AllocationPage>>(new Map());
export const allocationTotal = signal(0);
export const chosenAllocation = signal<string | undefined>(undefined);
export const allocationDetail = signal<AllocationDetail | undefined>(undefined);

// ---- the debugger
export const printed = signal('');
export const prompt = signal('0: kd> ');
export const isBusyDebugging = signal(false);
export const completions = signal<
  { readonly line: string; readonly start: number; readonly candidates: readonly string[] } | undefined
>(undefined);

export const isRunning = computed(() => activity.value === 'running' || activity.value === 'loading');
export const hasMachine = computed(() => activity.value !== 'none');
