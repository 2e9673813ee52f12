/** Where a driver's life stands. Plain data, kept in the machine's stores. */
import type { Va } from '../base/va.ts';
import { deviceVerbs, type Step } from './scenario/step.ts';
import type { Trial } from './scenario/tour.ts';
import type { TourSequel } from './scenario/tour-sequel.ts';

/** What happens next, beyond the scenario's own steps. */
export type Act =
  | Step
  /** Of one driver: its place in the order in which they are loaded. */
  | { readonly verb: 'load' | 'final-unload'; readonly driver: number }
  | { readonly verb: 'tour' }
  /** Steps come one by one from outside; the life stands here in between. */
  | { readonly verb: 'prompt' }
  | Trial
  | TourSequel
  /** A device for the AddDevice routines; its removal before the drivers are unloaded. */
  | { readonly verb: 'arrival' | 'departure' }
  /** What DriverEntry and the start left ready runs, before the first step: nobody is that quick. */
  | { readonly verb: 'settling' }
  /** Drivers hear of the requesting process and of its images; later of its exit, and of another process that stays. */
  | { readonly verb: 'registry-use' | 'process-start' | 'process-images' | 'process-exit' | 'other-process' }
  | { readonly verb: 'end-of-process' | 'end-of-handles' | 'aftermath' }
  /** The thread is told to end: its requests are cancelled. */
  | { readonly verb: 'end-of-thread'; readonly thread: Va }
  | { readonly verb: 'end-of-requests' };

/** Acts that a system thread carries out. */
export const systemVerbs: readonly string[] = [
  'load',
  'final-unload',
  'arrival',
  'departure',
  'interrupt',
  'process-start',
  'other-process',
  ...deviceVerbs,
];

/** A file that the requesting process has open. */
export interface OpenFile {
  readonly name: string | undefined;
  readonly handle: number;
}

/** A request that was sent: where its results will stand. */
export interface SentRequest {
  readonly stepIndex: number;
  readonly handle: number;
  readonly iosb: Va;
  readonly event: Va;
  readonly output: Va;
  readonly outputBytes: number;
  /** Interrupt time. */
  readonly sentAt: number;
  /** The thread that made it. */
  readonly thread: Va;
  /** `IRP_MJ_DEVICE_CONTROL, control code 0x222000` */
  readonly what: string;
  /** What the system service returned; undefined while its thread is still in it. */
  readonly returned: number | undefined;
}

export interface StepResult {
  readonly text: string;
  readonly status: number;
  readonly information: number;
  readonly output: Uint8Array;
}

export interface LifeState {
  readonly plan: readonly Act[];
  readonly index: number;
  /**
   * `begin`: not started; `calling`: a thread of the machine is at it; `completing`: its request pends; `closing`: files
   * whose last reference went at raised IRQL are closed, or a device that was pulled out is removed, before it; `waiting`: it begins again when what stands in its
   * way is over.
   */
  readonly stage: 'begin' | 'calling' | 'completing' | 'closing' | 'waiting';
  readonly request: SentRequest | undefined;
  /** Where NtCreateFile will store the handle. */
  readonly handleAt: Va;
  readonly deadline: number;
  readonly files: readonly OpenFile[];
  /** Threads of the process besides its first one: there are some when a driver holds one that made a request. */
  readonly threads: readonly Va[];
  /** The thread of the process that is at the act. */
  readonly caller: Va;
  readonly events: readonly { readonly name: string; readonly handle: number }[];
  readonly pending: readonly SentRequest[];
  readonly results: readonly StepResult[];
  /** Why the life could not go to its end, or shows less than it seems. */
  readonly reasons: readonly string[];
  readonly isOver: boolean;
  readonly isStuck: boolean;
  /** Image indexes of the drivers that had a device after DriverEntry or AddDevice. */
  readonly madeDevices: readonly number[];
  /** Image indexes of drivers that were told to unload while they were in use: they go when they no longer are. */
  readonly unloading: readonly number[];
  /** Image indexes of drivers that could not be unloaded at the end, because something used them. */
  readonly keptLoaded: readonly number[];
  /** Control codes that the tour tries; undefined before it and without one. */
  readonly tour: { readonly codes: number } | undefined;
  /** `Cpu.retired` above which a trial that blocks its thread is given up. */
  readonly retiredLimit: number;
}
