/**
 * The guest processor: runs x86-64 code from guest memory by translating it to WebAssembly.
 */
import { assert } from '../../base/errors.ts';
import { nullVa, type Va, vaInRange } from '../../base/va.ts';
import type { GuestMemory } from '../memory/guest-memory.ts';
import { Access, cpuStateOffset, pageTableLowIrqlOffset } from '../memory/layout.ts';
import { ExitReason, type ExitSite } from './exit-site.ts';
import { mnemonicText } from './instruction.ts';
import { rareOperation } from './rare-operations.ts';
import { buildRuntime, hostSlot, leaveSlot, reservedSlots } from './runtime.ts';
import { SlowAccess } from './slow-access.ts';
import { CpuState, StateOffset } from './state.ts';
import { firstFlag, trackedCount, trackedOffset } from './state-flow.ts';
import { TranslationCache } from './translation-cache.ts';
import type { VaRange } from './unit.ts';

export type CpuExit =
  /** The fuel is used up, at a place where that counts; RIP is the next instruction. */
  | { readonly kind: 'fuel' }
  /** A hook asked to leave; the state is what it left. */
  | { readonly kind: 'host' }
  /**
   * An exception before the instruction at `rip` took effect. Vectors: 14 page fault (`va`, `access`), 13 general
   * protection, 0 divide error, 6 invalid opcode, 3 breakpoint, n for `int n`. `va` is 0 where it has no meaning.
   */
  | { readonly kind: 'fault'; readonly vector: number; readonly va: Va; readonly access: Access; readonly rip: Va }
  /** An instruction that the engine lacks; it has not been executed. */
  | { readonly kind: 'unsupported'; readonly rip: Va; readonly text: string }
  /** Before the instruction at a breakpoint, see {@link Cpu.setBreakpoints}. */
  | { readonly kind: 'breakpoint'; readonly rip: Va }
  /** Only from {@link Cpu.step}: what it was to do is done. */
  | { readonly kind: 'step' };

export interface CpuHooks {
  /**
   * Control reached a host address; RIP is that address, [RSP] the return address. True: the hook performed the call and
   * the return. False: leave, {@link Cpu.run} returns `host`.
   */
  hostCall(): boolean;
  /** `mov cr8, register`. RIP points behind it. The hook sets CR8 and the page table. False: leave. */
  writeCr8(value: number): boolean;
  /**
   * An instruction for the host (cpuid, rdtsc, in, out, rdmsr, cli, sti, hlt, mov crN …), named in lower case. RIP
   * points behind it already. False: leave.
   */
  instruction(mnemonic: string, rip: Va, nextRip: Va): boolean | 'unsupported';
  /** An instruction that touched a device's page is done, and RIP points behind it. False: leave. */
  deviceTouched?(): boolean;
}

export interface CpuOptions {
  /**
   * Flags are right at every exit, call and return. Unless told, they are only right where the x64 calling convention
   * can observe them; see {@link Cpu.needsExactFlags}.
   */
  readonly flagsLiveAtExit?: boolean;
  /** For tests: translates all units with the dispatch loop that irreducible ones need. */
  readonly forcesDispatchLoop?: boolean;
}

/** Instructions after which control comes back to the loop in {@link Cpu.run}, so that frames of the baseline compiler are replaced. */
const firstSlice = 200_000;
const maxSlice = 50_000_000;

export class Cpu {
  readonly state: CpuState;
  private readonly memory: GuestMemory;
  private readonly hooks: CpuHooks;
  private readonly cache: TranslationCache;
  private readonly slow: SlowAccess;
  private readonly enter: () => number;
  private readonly hostRanges: { readonly start: Va; readonly sizeBytes: number }[] = [];
  /** Why translated code returns 1, if no site says it. */
  private pending: CpuExit | 'go-on' | undefined;
  private isRunning = false;
  private slice = firstSlice;

  constructor(memory: GuestMemory, hooks: CpuHooks, options: CpuOptions = {}) {
    this.memory = memory;
    this.hooks = hooks;
    this.state = new CpuState(memory);
    this.slow = new SlowAccess(memory, {
      hasAnyCode: (frame) => this.cache.hasAnyCode(frame),
      hasCode: (frame, start, bytes) => this.cache.hasCode(frame, start, bytes),
    });
    const runtime = buildRuntime(
      memory.wasm,
      { resolve: () => this.resolve(), hostCall: () => this.hostCall() },
      {
        slowLoad: this.slow.load as (...operands: number[]) => number,
        slowStore: this.slow.store as (...operands: number[]) => number,
        slowModify: this.slow.modify as (...operands: number[]) => number,
        commitModify: this.slow.commit,
        hostInstruction: (...operands) => this.hostInstruction(operands),
        rareOperation: (...operands) => rareOperation(memory, operands[0] ?? 0),
      },
    );
    this.enter = runtime.enter;
    this.cache = new TranslationCache(
      memory,
      runtime.table,
      runtime.imports,
      reservedSlots,
      options.flagsLiveAtExit ?? false,
      {
        forcesDispatchLoop: options.forcesDispatchLoop ?? false,
        maxClusterUnits: 24,
        maxClusterInstructions: 4000,
      },
    );
    this.cache.isHost = (va) => this.isHost(va);
    memory.onCodeChange = (frame) => this.cache.dropFrame(frame);
    memory.onMappingChange = (va) => this.cache.dropPage(va);
    const pageTable = cpuStateOffset + StateOffset.PageTable;
    if (memory.view.getInt32(pageTable, true) === 0) memory.view.setInt32(pageTable, pageTableLowIrqlOffset, true);
    const mxcsr = cpuStateOffset + StateOffset.Mxcsr;
    if (memory.view.getInt32(mxcsr, true) === 0) memory.view.setInt32(mxcsr, 0x1f80, true);
  }

  /** Control that reaches [start, start + sizeBytes) calls {@link CpuHooks.hostCall}. */
  addHostRange(start: Va, sizeBytes: number): void {
    this.hostRanges.push({ start, sizeBytes });
  }

  /** Tells function boundaries: the ranges of the function that contains an address, the one with its start first. */
  set functionRangesOf(rangesOf: (va: Va) => readonly VaRange[] | undefined) {
    this.cache.rangesOf = rangesOf;
  }

  /** Instructions executed since the machine started; right also inside hooks, the calling instruction included. */
  get retired(): number {
    const { view } = this.memory;
    const at = cpuStateOffset + StateOffset.RetiredBase;
    const base = view.getInt32(at + 4, true) * 0x1_0000_0000 + view.getUint32(at, true);
    return base - view.getInt32(cpuStateOffset + StateOffset.Fuel, true);
  }

  /** Whether code was met that reads flags across a call; then only `flagsLiveAtExit` gives right results. */
  get needsExactFlags(): boolean {
    return this.cache.needsExactFlags;
  }

  /** Modules translated since the start; for statistics. */
  get moduleCount(): number {
    return this.cache.moduleCount;
  }

  invalidateAll(): void {
    this.cache.dropAll();
  }

  /** Disassembly of the instruction at an address. */
  disassemble(va: Va): string {
    this.cache.reader.reset();
    return this.cache.reader.disassemble(va);
  }

  /**
   * From now on control that reaches one of these addresses leaves with `breakpoint`, before the instruction there. Takes
   * the place of the addresses that were set before. Addresses of the host are the hooks' affair. Flags are exact from
   * the first breakpoint on.
   */
  setBreakpoints(addresses: Iterable<Va>): void {
    const breakpoints = new Set(addresses);
    if (breakpoints.size > 0) this.cache.beExact();
    this.cache.setBreakpoints(breakpoints);
  }

  /**
   * Runs from `state.rip`, about `fuel` instructions: up to the first place where fuel counts and at least that many
   * are done. The places depend on the program alone. `passesBreakpoint`: goes on from a breakpoint; the one at
   * `state.rip` counts again only when control comes back to it.
   */
  run(fuel: number, passesBreakpoint = false): CpuExit {
    this.begin();
    const end = this.retired + fuel;
    this.slice = Math.min(this.slice, firstSlice);
    this.grant(Math.min(fuel, this.slice));
    let isPassing = passesBreakpoint && this.cache.hasBreakpoint(this.state.rip);
    let isStep = isPassing;
    try {
      for (;;) {
        const isKept = isPassing || this.slow.allowsDevices;
        const call = isStep ? this.cache.translateStep(this.state.rip, isKept) : this.enter;
        if (!call) return this.fetchFault(this.state.rip);
        isPassing = false;
        isStep = false;
        if (!this.hasLeft(call)) continue;
        const exit = this.afterLeave();
        if (exit === 'step') {
          isStep = true;
        } else if (exit === 'checkpoint') {
          if (this.stateAt(StateOffset.Fuel) > 0) continue;
          const left = end - this.retired;
          if (left <= 0) return { kind: 'fuel' };
          this.slice = Math.min(this.slice * 4, maxSlice);
          this.grant(Math.min(left, this.slice));
        } else if (exit !== 'go-on') {
          return exit;
        }
      }
    } finally {
      this.isRunning = false;
    }
  }

  /**
   * One instruction (a repeated string instruction is one), or at a host address the whole host call; breakpoints do not
   * count. Leaves with `step`, or with `fuel` if it is a place where fuel counts and at least `fuel` instructions are done.
   */
  step(fuel: number): CpuExit {
    this.begin();
    this.cache.beExact();
    this.grant(Math.min(fuel, maxSlice));
    try {
      if (this.isHost(this.state.rip)) return { kind: this.hooks.hostCall() ? 'step' : 'host' };
      for (let isKept = true; ; isKept = false) {
        const call = this.cache.translateStep(this.state.rip, isKept);
        if (!call) return this.fetchFault(this.state.rip);
        const exit = this.hasLeft(call) ? this.afterLeave() : 'go-on';
        if (exit === 'step') continue;
        if (exit === 'checkpoint' && this.stateAt(StateOffset.Fuel) <= 0) return { kind: 'fuel' };
        return exit === 'checkpoint' || exit === 'go-on' ? { kind: 'step' } : exit;
      }
    } finally {
      this.isRunning = false;
    }
  }

  private begin(): void {
    assert(!this.isRunning, 'the processor is not entered again from a hook');
    this.isRunning = true;
    this.cache.sweep();
  }

  /** Runs translated code; whether it came back to leave. */
  private hasLeft(call: (depth: number) => number): boolean {
    this.pending = undefined;
    this.slow.touchedDevice = false;
    this.setState(StateOffset.ExitReason, ExitReason.None);
    const hasLeft = call(0) !== 0;
    this.slow.allowsDevices = false;
    return hasLeft || this.slow.touchedDevice;
  }

  // ---- after translated code has left

  private afterLeave(): CpuExit | 'go-on' | 'checkpoint' | 'step' {
    const { touchedDevice } = this.slow;
    const exit = this.exitFound();
    if (!touchedDevice || (exit !== 'go-on' && exit !== 'checkpoint')) return exit;
    return this.hooks.deviceTouched?.() === false ? { kind: 'host' } : exit;
  }

  private exitFound(): CpuExit | 'go-on' | 'checkpoint' | 'step' {
    if (this.pending) return this.pending;
    if (this.stateAt(StateOffset.ExitReason) === ExitReason.None) return 'checkpoint';
    const site = this.cache.siteOf(this.stateAt(StateOffset.ExitUnit), this.stateAt(StateOffset.ExitOperand));
    this.takeExitArea(site);
    const { rip } = this.state;
    switch (site.kind) {
      case 'flat':
        return site.isCheckpoint ? 'checkpoint' : 'go-on';
      case 'memory':
        return this.afterFailedAccess(rip);
      case 'fault':
        return { kind: 'fault', vector: site.vector, va: nullVa, access: Access.Read, rip };
      case 'unsupported':
        return { kind: 'unsupported', rip, text: this.disassemble(rip) };
      case 'no-code':
        return this.fetchFault(rip);
    }
  }

  private takeExitArea(site: ExitSite): void {
    const { view } = this.memory;
    for (let register = 0; register < trackedCount; register++) {
      if ((site.saved & (1 << register)) === 0) continue;
      const to = trackedOffset(register);
      const from = to + StateOffset.ExitArea - StateOffset.Gpr;
      if (register < firstFlag) view.setBigUint64(to, view.getBigUint64(from, true), true);
      else view.setInt32(to, view.getInt32(from, true), true);
    }
    this.setState(StateOffset.Fuel, this.stateAt(StateOffset.Fuel) + site.unretired);
    if (site.rip !== undefined) this.state.rip = site.rip;
  }

  private afterFailedAccess(rip: Va): CpuExit | 'step' {
    const failure = this.slow.failure;
    assert(failure !== undefined, 'a failed access says why');
    this.slow.failure = undefined;
    if (failure.kind === 'fault') return { ...failure, rip };
    if (failure.kind === 'device') {
      this.slow.allowsDevices = true;
      return 'step';
    }
    // The frame becomes plain memory; the instruction runs alone, as its own page may be the one.
    this.memory.frameBytes(failure.frame);
    return 'step';
  }

  /** There is no executable instruction at `rip`: says which byte faults, or that the bytes are invalid. */
  private fetchFault(rip: Va): CpuExit {
    if (Number.isNaN(rip)) return { kind: 'fault', vector: 13, va: rip, access: Access.Execute, rip };
    if (this.slow.isPagedOut(this.memory.mappingAt(rip)?.flags ?? 0)) {
      return { kind: 'fault', vector: 14, va: rip, access: Access.Execute, rip };
    }
    this.cache.reader.reset();
    const failure = this.cache.reader.read(rip);
    const va = 'faultVa' in failure ? failure.faultVa : undefined;
    if (va === undefined) return { kind: 'fault', vector: 6, va: nullVa, access: Access.Execute, rip };
    return { kind: 'fault', vector: 14, va, access: Access.Execute, rip };
  }

  // ---- called by translated code

  /** Table slot of what stands at RIP. */
  private resolve(): number {
    const { rip } = this.state;
    if (!Number.isNaN(rip)) {
      if (this.isHost(rip)) {
        this.cache.noteSlot(rip, hostSlot);
        return hostSlot;
      }
      if (this.cache.hasBreakpoint(rip)) {
        this.pending = { kind: 'breakpoint', rip };
        return leaveSlot;
      }
      const slot = this.cache.translate(rip);
      if (slot !== undefined) return slot;
    }
    this.pending = this.fetchFault(rip);
    return leaveSlot;
  }

  private hostCall(): number {
    return this.afterHook(this.cache.dropCount, this.hooks.hostCall());
  }

  private hostInstruction(operands: readonly number[]): number {
    const [unitId = 0, siteIndex = 0, register = -1] = operands;
    const drops = this.cache.dropCount;
    if (register >= 0) return this.afterHook(drops, this.hooks.writeCr8(this.state.gprLow(register)));
    const { instruction } = this.cache.siteOf(unitId, siteIndex);
    assert(instruction !== undefined, 'the site of a host instruction has it');
    const { va, next, mnemonic } = instruction;
    const done = this.hooks.instruction(mnemonicText(mnemonic), va, next);
    if (done !== 'unsupported') return this.afterHook(drops, done);
    this.state.rip = va;
    this.setState(StateOffset.Fuel, this.stateAt(StateOffset.Fuel) + 1);
    this.pending = { kind: 'unsupported', rip: va, text: this.disassemble(va) };
    return 1;
  }

  /** Frames of dropped translations must not go on. */
  private afterHook(dropsBefore: number, goesOn: boolean): number {
    if (!goesOn) this.pending = { kind: 'host' };
    else if (this.cache.dropCount !== dropsBefore) this.pending = 'go-on';
    else return 0;
    return 1;
  }

  private isHost(va: Va): boolean {
    return this.hostRanges.some(({ start, sizeBytes }) => vaInRange(va, start, sizeBytes));
  }

  // ---- state

  /** Sets the fuel; {@link retired} stays what it is. */
  private grant(fuel: number): void {
    this.memory.view.setBigInt64(cpuStateOffset + StateOffset.RetiredBase, BigInt(this.retired + fuel), true);
    this.setState(StateOffset.Fuel, fuel);
  }

  private stateAt(offset: number): number {
    return this.memory.view.getInt32(cpuStateOffset + offset, true);
  }

  private setState(offset: number, value: number): void {
    this.memory.view.setInt32(cpuStateOffset + offset, value, true);
  }
}
