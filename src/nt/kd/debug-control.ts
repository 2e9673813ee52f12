/**
 * Stopping the machine for a debugger, between two things that it does, and going on from there. All of this is the
 * debugger's, no state of the machine: snapshots do not have it, and a machine that is stopped anywhere, in slices or
 * by steps, does what it would have done without.
 */
import { type Va, vaInRange } from '../../base/va.ts';
import type { CpuExit } from '../../engine/cpu/cpu.ts';
import { AddressMap } from '../address-map.ts';
import type { Nt } from '../nt.ts';

/** Why a run stopped. */
export type DebugStop =
  /** Before the instruction at the address, or before the routine of the kernel there does anything. */
  | { readonly kind: 'breakpoint'; readonly address: Va }
  /** The driver's own: RIP stands at its `int 3` or at DbgBreakPoint, behind a call of RtlAssert. */
  | { readonly kind: 'break-instruction'; readonly address: Va }
  | { readonly kind: 'step' }
  | { readonly kind: 'slice' }
  | { readonly kind: 'break-in' }
  /** Before a step of the scenario. */
  | { readonly kind: 'scenario-step'; readonly text: string };

/** How much a run does until it stops by itself. Both are lower bounds by a little. */
export interface RunSlice {
  /** Calls of the kernel. */
  readonly calls?: number;
  readonly instructions?: number;
}

const breakRoutines: ReadonlySet<string> = new Set(['DbgBreakPoint', 'DbgBreakPointWithStatus']);

export class DebugControl {
  /** Why the last run stopped; undefined while one goes on and when it came to its end. */
  lastStop: DebugStop | undefined;
  /** Whether a life stops before each step of its scenario. */
  stopsAtSteps = false;
  /** Whether {@link stopsBeforeCall} has to be asked. */
  isWatching = false;
  private readonly nt: Nt;
  private attached = false;
  private kernelBreakpoints: ReadonlySet<Va> = new Set();
  private runSlice: RunSlice | undefined;
  private callsLeft = Number.POSITIVE_INFINITY;
  private sliceEnd = Number.POSITIVE_INFINITY;
  private isBreakRequested = false;
  private step: 'requested' | 'done' | undefined;
  /** Where the run that goes on had been stopped. */
  private from: DebugStop | undefined;
  /** The host address at which it goes on. */
  private passed: Va | undefined;
  /** Found in a call of the kernel. */
  private found: DebugStop | undefined;
  private assertion: Va | undefined;

  constructor(nt: Nt) {
    this.nt = nt;
  }

  // ---- the debugger's side

  /** From now on the driver's own breakpoints stop the machine. */
  attach(): void {
    this.attached = true;
    this.watch();
  }

  /** Nothing stops the machine any more. */
  detach(): void {
    this.attached = false;
    this.stopsAtSteps = false;
    this.isBreakRequested = false;
    this.step = undefined;
    this.slice = undefined;
    this.setBreakpoints([]);
  }

  get isAttached(): boolean {
    return this.attached;
  }

  /**
   * Stops before these: instructions of drivers, routines of the kernel (the address that the kernel exports; a call
   * through an import thunk reaches it too, RIP then is the thunk's) and their resume points. In the place of those before.
   * A run that goes on from a stop does not stop again for the breakpoint where it stands.
   */
  setBreakpoints(addresses: Iterable<Va>): void {
    const all = [...addresses];
    const isKernel = (va: Va): boolean => vaInRange(va, AddressMap.host.start, AddressMap.host.sizeBytes);
    this.kernelBreakpoints = new Set(all.filter(isKernel));
    this.nt.cpu.setBreakpoints(all.filter((va) => !isKernel(va)));
    this.watch();
  }

  /** Stops as soon as it can. To be called between two runs, or by a listener of the kernel's events. */
  requestBreak(): void {
    this.isBreakRequested = true;
  }

  get slice(): RunSlice | undefined {
    return this.runSlice;
  }

  /** Applies to each run from now on. */
  set slice(slice: RunSlice | undefined) {
    this.runSlice = slice;
    this.startSlice();
    this.watch();
  }

  /**
   * The next run does one thing and stops: an instruction, or where the kernel is called the whole call. Where that leads
   * to an exception, an interrupt or another thread, the stop is where the processor then stands: before the first
   * instruction of the handler, of the deferred procedure, of the other thread. Waiting, with time that passes meanwhile,
   * belongs to the step. So does what a life does between two calls of the kernel: a step may stop in the next one's.
   */
  stepInstruction(): void {
    this.step = 'requested';
  }

  // ---- the machine's side

  /** Runs the processor from where it stands; `goesOn`: from a stop. */
  execute(fuel: number, goesOn: boolean): CpuExit {
    const { cpu } = this.nt;
    // Slices are nobody's affair: a breakpoint at the place counts.
    this.from = goesOn && this.lastStop?.kind !== 'slice' ? this.lastStop : undefined;
    this.lastStop = undefined;
    this.found = undefined;
    if (this.step !== undefined) {
      this.passed = cpu.state.rip;
      return cpu.step(fuel);
    }
    this.passed = this.from === undefined ? undefined : cpu.state.rip;
    return cpu.run(Math.max(1, Math.min(fuel, this.sliceEnd - cpu.retired)), this.from !== undefined);
  }

  /** Whether the machine stops there, before anything is made of the exit. `isTurnOver`: the turn's fuel is used up. */
  stopsAt(exit: CpuExit, isTurnOver: boolean): boolean {
    const from = this.from;
    this.from = undefined;
    if (this.step === 'requested') this.step = 'done';
    switch (exit.kind) {
      case 'breakpoint':
        return this.stop({ kind: 'breakpoint', address: exit.rip });
      case 'step':
        return this.stop({ kind: 'step' });
      case 'fuel':
        return !isTurnOver && this.stop({ kind: 'slice' });
      case 'host':
        return this.found !== undefined && this.stop(this.found);
      case 'fault': {
        const isReported = from?.kind === 'break-instruction' && from.address === exit.rip;
        if (!this.attached || exit.vector !== 3 || isReported) return false;
        return this.stop({ kind: 'break-instruction', address: exit.rip });
      }
      default:
        return false;
    }
  }

  /** Between two turns of the processor, a thread being about to run. */
  stopsBetween(): boolean {
    if (this.assertion !== undefined) return this.stop({ kind: 'break-instruction', address: this.assertion });
    if (this.step === 'done') return this.stop({ kind: 'step' });
    if (this.isBreakRequested) return this.stop({ kind: 'break-in' });
    return (this.callsLeft <= 0 || this.nt.cpu.retired >= this.sliceEnd) && this.stop({ kind: 'slice' });
  }

  /** Control reached a host address; nothing is done yet. */
  stopsBeforeCall(): boolean {
    const { rip } = this.nt.cpu.state;
    const isPassed = this.passed === rip;
    this.passed = undefined;
    this.found = this.foundAt(rip, isPassed);
    if (this.found !== undefined) return true;
    this.callsLeft--;
    return false;
  }

  private foundAt(rip: Va, isPassed: boolean): DebugStop | undefined {
    const entry = this.nt.entries.at(rip);
    const routine = entry?.kind === 'thunk' ? entry.target : entry?.kind === 'routine' ? entry : undefined;
    if (!isPassed) {
      for (const address of [rip, routine?.va]) {
        if (address !== undefined && this.kernelBreakpoints.has(address)) return { kind: 'breakpoint', address };
      }
    }
    if (this.attached && routine !== undefined && breakRoutines.has(routine.name)) {
      const isReported = isPassed && this.from?.kind === 'break-instruction';
      if (!isReported) return { kind: 'break-instruction', address: routine.va };
    }
    if (isPassed) return undefined;
    if (this.isBreakRequested) return { kind: 'break-in' };
    return this.callsLeft <= 0 ? { kind: 'slice' } : undefined;
  }

  /** A failed assertion breaks when its text is out. */
  breakAfterCall(returnAddress: Va): void {
    if (this.attached) this.assertion = returnAddress;
  }

  /** A call of the kernel is done, and the driver is about to go on. */
  stopsAfterCall(): boolean {
    if (this.assertion === undefined) return false;
    this.found = { kind: 'break-instruction', address: this.assertion };
    return true;
  }

  /** A life is about to take a step of its scenario. */
  stopsAtStep(text: string): boolean {
    return this.stopsAtSteps && this.stop({ kind: 'scenario-step', text });
  }

  /** The life is over: there is nothing left to stop. */
  ended(): void {
    this.stop(undefined);
  }

  private stop(stop: DebugStop | undefined): true {
    this.lastStop = stop;
    this.found = undefined;
    this.assertion = undefined;
    this.isBreakRequested = false;
    this.step = undefined;
    this.startSlice();
    return true;
  }

  private startSlice(): void {
    this.callsLeft = this.runSlice?.calls ?? Number.POSITIVE_INFINITY;
    this.sliceEnd = this.nt.cpu.retired + (this.runSlice?.instructions ?? Number.POSITIVE_INFINITY);
  }

  private watch(): void {
    this.isWatching = this.attached || this.runSlice !== undefined || this.kernelBreakpoints.size > 0;
  }
}
