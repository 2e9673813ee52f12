/**
 * A machine that is watched while it runs: taken through its life in slices, with counters, a series of them over
 * virtual time, and what its drivers hold.
 */
import { hexVa, type Va } from '../base/va.ts';
import { CallStackReader } from '../debugger/call-stack.ts';
import type { Site } from '../debugger/site.ts';
import type { Target } from '../debugger/target.ts';
import { tagText } from '../nt/declare/parameter-types.ts';
import type { TrackedAllocation } from '../verifier/pool-tracking/tracked-allocations.ts';
import { CounterSeries } from './counter-series.ts';
import { debugTarget } from './debug-target.ts';
import type { LoadedDriver } from './loaded-driver.ts';
import { Machine } from './machine.ts';
import type { MachineOptions } from './machine-options.ts';
import { buildReport, countersOf } from './report/build.ts';
import { activityAt, allocatorOf } from './report/leak-origin.ts';
import { poolTypeName } from './report/leaks.ts';
import type { CountersReport, Report, SourceExcerpt } from './report/report.ts';
import { excerptOf, type ReadSource } from './report/source-excerpt.ts';

export interface WatchedRunOptions extends Omit<MachineOptions, 'flagsLiveAtExit'> {
  /** Gives the text of source files. */
  readonly readSource?: ReadSource;
}

/** As Driver Verifier Manager has it. */
export type DriverStatus = 'Never Loaded' | 'Loaded' | 'Unloaded';

/** What is looked at between two slices. */
export interface WatchedState {
  /** `step 3: ioctl 0x222040`, `DriverEntry` */
  readonly at: string;
  /** Virtual milliseconds since the machine was made. */
  readonly timeMs: number;
  readonly instructions: number;
  readonly counters: CountersReport;
  readonly drivers: readonly { readonly name: string; readonly status: DriverStatus }[];
  /** Live allocations of all verified drivers. */
  readonly allocations: number;
  readonly isOver: boolean;
}

/** Where in virtual time a step of the life was first seen. */
export interface StepMark {
  readonly timeMs: number;
  /** Without the time in which every thread waited. */
  readonly busyMs: number;
  readonly name: string;
}

export interface AllocationRow {
  /** `0xfffff80040000010` */
  readonly address: string;
  readonly tag: string;
  readonly bytes: number;
  readonly poolType: string;
  readonly kind: TrackedAllocation['kind'];
  readonly driver: string;
  /** The kernel's routine that the driver called; null: not known. */
  readonly allocator: string | null;
  /** Innermost place in the driver. */
  readonly site: Site | null;
}

export interface AllocationPage {
  readonly first: number;
  /** Of all drivers. */
  readonly total: number;
  readonly rows: readonly AllocationRow[];
}

export interface AllocationDetail extends AllocationRow {
  readonly stack: readonly Site[];
  readonly source: SourceExcerpt | null;
  /** In which step it was allocated. */
  readonly step: string;
}

/** Marks that are kept; a tour has several hundred steps. */
const mostMarks = 2000;
const unitsPerMs = 10_000;
/** An instruction lasts a nanosecond. */
const instructionsPerMs = 1e6;

export class WatchedRun {
  series = new CounterSeries();
  private readonly options: WatchedRunOptions;
  private machine_: Machine;
  private stacks: CallStackReader;
  private marks_: StepMark[] = [];
  private startedAt = 0;
  private lastActivity = -1;

  /** Throws PoolproofError for what is no driver. */
  constructor(options: WatchedRunOptions) {
    this.options = options;
    [this.machine_, this.stacks] = this.boot(false);
  }

  /** Another one after a life that had to be repeated with exact flags. */
  get machine(): Machine {
    return this.machine_;
  }

  get isOver(): boolean {
    return this.machine.life.state.isOver || this.machine.nt.end.value !== undefined;
  }

  /** The first `mostMarks` steps that were seen. */
  get marks(): readonly StepMark[] {
    return this.marks_;
  }

  /**
   * Goes on as far as `nt.debugControl` lets the machine. A life that has to be repeated with exact flags (rare: code that
   * passes arithmetic flags across calls) begins anew, in another machine.
   */
  resume(): 'stopped' | 'over' {
    this.machine.resume();
    if (this.machine.nt.end.value?.kind === 'exact-flags-needed') [this.machine_, this.stacks] = this.boot(true);
    this.sample();
    return this.isOver ? 'over' : 'stopped';
  }

  /** The machine as a debugger wants it, which runs it by `resume`. */
  debugTarget(resume: () => 'stopped' | 'over'): Target {
    const target = debugTarget(this.machine, this.options.readSource);
    return Object.defineProperties(target, { resume: { value: resume } });
  }

  state(): WatchedState {
    const { machine } = this;
    const { step, name } = activityAt(machine.nt.activity.value, machine.life.state, machine.drivers);
    return {
      at: step === null ? name : `step ${step}: ${name}`,
      timeMs: this.timeMs,
      instructions: machine.nt.cpu.retired,
      counters: countersOf(machine),
      drivers: machine.drivers.map((driver) => ({ name: driver.file.name, status: statusOf(machine, driver) })),
      allocations: machine.poolTracking?.allocations.size ?? 0,
      isOver: this.isOver,
    };
  }

  /** What verified drivers hold, oldest first. */
  allocations(first: number, count: number): AllocationPage {
    const tracked = this.machine.poolTracking?.allocations;
    const rows = tracked?.page(first, count) ?? [];
    return { first, total: tracked?.size ?? 0, rows: rows.map((row) => this.row(row, this.stacks.read(row.stack))) };
  }

  /** One that is live now. */
  allocation(address: Va): AllocationDetail | undefined {
    const found = this.machine.poolTracking?.allocations.get(address);
    if (found === undefined) return undefined;
    const stack = this.stacks.read(found.stack);
    const row = this.row(found, stack);
    const { step, name } = activityAt(found.activity, this.machine.life.state, this.machine.drivers);
    return {
      ...row,
      stack,
      source: excerptOf(row.site, this.options.readSource),
      step: step === null ? name : `step ${step}: ${name}`,
    };
  }

  /** Of a life that is over. */
  report(): Report {
    return buildReport(this.machine, this.options.readSource);
  }

  private boot(flagsLiveAtExit: boolean): [Machine, CallStackReader] {
    const machine = new Machine({ ...this.options, flagsLiveAtExit });
    this.series = new CounterSeries();
    this.marks_ = [];
    this.lastActivity = -1;
    this.startedAt = machine.nt.clock.interruptTime;
    const look = (): void => this.sample();
    const { events } = machine.nt;
    events.on('poolAllocated', look);
    events.on('poolFreed', look);
    events.on('irpDispatched', look);
    events.on('turnEnded', look);
    events.on('driverUnloading', look);
    const stacks = new CallStackReader(machine.nt, (image) => {
      const driver = machine.drivers.find((one) => one.image.index === image.index);
      return driver && machine.symbolsOf(driver).source;
    });
    this.machine_ = machine;
    return [machine, stacks];
  }

  private get timeMs(): number {
    return (this.machine.nt.clock.interruptTime - this.startedAt) / unitsPerMs;
  }

  private get busyMs(): number {
    return this.machine.nt.cpu.retired / instructionsPerMs;
  }

  private sample(): void {
    const { machine, timeMs } = this;
    const activity = machine.nt.activity.value;
    if (activity !== this.lastActivity) this.mark(activity, timeMs);
    const tracked = machine.poolTracking?.allocations;
    if (tracked === undefined) return;
    const { paged, nonPaged } = tracked.total;
    this.series.add(timeMs, this.busyMs, paged.currentBytes, nonPaged.currentBytes, tracked.size);
  }

  private mark(activity: number, timeMs: number): void {
    this.lastActivity = activity;
    const { life, drivers } = this.machine;
    const { name } = activityAt(activity, life.state, drivers);
    if (this.marks_.length < mostMarks && this.marks_.at(-1)?.name !== name) {
      this.marks_.push({ timeMs, busyMs: this.busyMs, name });
    }
  }

  private row(allocation: TrackedAllocation, stack: readonly Site[]): AllocationRow {
    return {
      address: hexVa(allocation.va),
      tag: tagText(allocation.tag),
      bytes: allocation.bytes,
      poolType: poolTypeName(allocation.poolType),
      kind: allocation.kind,
      driver: this.machine.nt.images.byIndex(allocation.imageIndex)?.fileName ?? '',
      allocator: allocatorOf(stack),
      site: this.stacks.driverSite(stack),
    };
  }
}

function statusOf(machine: Machine, { image, isLibrary }: LoadedDriver): DriverStatus {
  const { nt } = machine;
  // The verifier stopped the machine after the driver's last instruction.
  if (machine.stoppedUnloadOf === image.index) return 'Unloaded';
  if (isLibrary) return nt.images.byIndex(image.index)?.isLoaded === true ? 'Loaded' : 'Unloaded';
  const state = nt.io.drivers.ofImage(image)?.state;
  if (state === undefined) return 'Never Loaded';
  return state === 'unloaded' || state === 'load-failed' ? 'Unloaded' : 'Loaded';
}
