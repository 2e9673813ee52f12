/**
 * The emulated NT kernel: its components, and the two places where guest and host meet: a call that reaches a host
 * address ({@link Nt.hostCall}) and the loop that runs the processor ({@link Nt.run}).
 */
import { unreachable } from '../base/errors.ts';
import { type StoreCell, Stores, type StoresSnapshot } from '../base/store.ts';
import type { StoreNumbers } from '../base/store-numbers.ts';
import { type Va, vaToU64 } from '../base/va.ts';
import { Cpu, type CpuExit } from '../engine/cpu/cpu.ts';
import { GuestFault } from '../engine/memory/guest-fault.ts';
import { GuestMemory, type MemorySnapshot } from '../engine/memory/guest-memory.ts';
import type { DeviceModel } from '../hardware/device-model.ts';
import { AddressMap } from './address-map.ts';
import { Registry } from './cm/registry.ts';
import { kernelComponents } from './components.ts';
import { BugCheck } from './declare/bug-check.ts';
import { NtEventSource } from './events.ts';
import { Lookasides } from './ex/lookaside.ts';
import { Pool } from './ex/pool.ts';
import { PushLocks } from './ex/push-lock-exports.ts';
import { RegisteredCallbacks } from './ex/registered-callbacks.ts';
import { Resources } from './ex/resource.ts';
import { ExecutiveTimers } from './ex/timer-exports.ts';
import { WorkQueue } from './ex/work-queue.ts';
import { FileSystem } from './fs/file-system.ts';
import { Dma } from './hal/dma-adapters.ts';
import { HostEntries } from './host-entries.ts';
import { IoManager } from './io/io-manager.ts';
import { DebugControl } from './kd/debug-control.ts';
import { Apcs } from './ke/apcs.ts';
import { Clock } from './ke/clock.ts';
import { Dispatcher } from './ke/dispatcher.ts';
import { Interrupts } from './ke/interrupts.ts';
import { setIrql } from './ke/irql.ts';
import { ProcessorBlock } from './ke/processor-block.ts';
import { Scheduler } from './ke/scheduler.ts';
import type { Thread } from './ke/thread.ts';
import { Timers } from './ke/timers.ts';
import { KernelCalls } from './kernel-calls.ts';
import { AddressSpace } from './mm/address-space.ts';
import { ContiguousMemory } from './mm/contiguous-memory.ts';
import { DriverPaging } from './mm/driver-paging.ts';
import { Images } from './mm/images.ts';
import { buildKernelModules } from './mm/kernel-modules.ts';
import { MappingAddresses } from './mm/mapping-addresses.ts';
import { Mdls } from './mm/mdls.ts';
import { PageAllocations } from './mm/page-allocations.ts';
import { Sections } from './mm/sections.ts';
import { UserMemory } from './mm/user-memory.ts';
import { ObjectManager } from './ob/object-manager.ts';
import { PowerManager } from './po/power-manager.ts';
import { PoolQuota, type PoolQuotaLimits } from './ps/pool-quota.ts';
import { Random } from './random.ts';
import { Exceptions } from './rtl/exceptions.ts';

import { ObjectSecurity } from './se/object-security.ts';
import { Tokens } from './se/tokens.ts';

export interface NtOptions {
  readonly seed: number;
  readonly ramBytes?: number;
  /** What a process may have in pool that is charged to it; all of the machine's unless told. */
  readonly poolQuota?: PoolQuotaLimits;
  /** Instructions in a row (calls of the kernel count 500 each) after which a life that does not come to rest is ended. */
  readonly instructionLimit: number;
  /** Arithmetic flags are exact across calls; see `Cpu.needsExactFlags`. */
  readonly flagsLiveAtExit?: boolean;
  /** The device of the simulated bus: `default` resources, and `ROOT\\POOLPROOF`, unless said or known of its model. */
  readonly device?: {
    readonly resources?: 'none' | 'default';
    readonly hardwareIds?: readonly string[];
    readonly model?: DeviceModel | undefined;
  };
}

/** Why nothing of this machine runs any more. */
export type LifeEnd =
  | { readonly kind: 'bug-check'; readonly bugCheck: BugCheck; readonly site: Va; readonly stack: readonly Va[] }
  | {
      readonly kind: 'unsupported';
      readonly what: 'export' | 'instruction' | 'behaviour';
      readonly name: string;
      readonly site: Va;
      readonly stack: readonly Va[];
    }
  | { readonly kind: 'instruction-limit'; readonly site: Va; readonly stack: readonly Va[] }
  | { readonly kind: 'exact-flags-needed' };

/** How {@link Nt.run} came back: rest means that nothing more will happen by itself, stopped that a debugger stopped it. */
export type RunResult = 'done' | 'rest' | 'deadline' | 'ended' | 'stopped';

export interface NtSnapshot {
  readonly memory: MemorySnapshot;
  readonly stores: StoresSnapshot;
  readonly retired: number;
}

/** Instructions between two looks at clock and scheduler: one millisecond of virtual time. */
const turnInstructions = 1_000_000;
/** What a call of the kernel costs on the host, in instructions; so that a limit on work is a limit on time. */
const instructionsPerCall = 500;
/** How often the limit is looked at in between turns. */
const callsBetweenChecks = 1024;
const Progress = { calls: 0, workAtRest: 1, turnEnd: 2, isStopped: 3 } as const;

export class Nt {
  readonly options: NtOptions;
  readonly memory: GuestMemory;
  readonly cpu: Cpu;
  readonly stores = new Stores();
  readonly events = new NtEventSource();
  readonly entries = new HostEntries();
  readonly random: Random;
  readonly calls = new KernelCalls(this);
  readonly addressSpace: AddressSpace;
  readonly processor: ProcessorBlock;
  readonly clock: Clock;
  readonly images: Images;
  readonly pool: Pool;
  readonly poolQuota: PoolQuota;
  readonly mdls: Mdls;
  readonly contiguous: ContiguousMemory;
  readonly pageAllocations: PageAllocations;
  readonly mappingAddresses: MappingAddresses;
  readonly driverPaging: DriverPaging;
  readonly userMemory: UserMemory;
  readonly objects: ObjectManager;
  readonly sections: Sections;
  readonly fileSystem: FileSystem;
  readonly tokens: Tokens;
  readonly security: ObjectSecurity;
  readonly callbacks: RegisteredCallbacks;
  readonly registry: Registry;
  readonly dispatcher: Dispatcher;
  readonly timers: Timers;
  readonly scheduler: Scheduler;
  readonly interrupts: Interrupts;
  readonly apcs: Apcs;
  readonly exceptions: Exceptions;
  readonly workQueue: WorkQueue;
  readonly resources: Resources;
  readonly pushLocks: PushLocks;
  readonly executiveTimers: ExecutiveTimers;
  readonly lookasides: Lookasides;
  readonly io: IoManager;
  readonly dma: Dma;
  readonly power: PowerManager;
  readonly debugControl: DebugControl;
  /** A number that whoever runs the machine gives to what goes on; noted with what drivers allocate meanwhile. */
  readonly activity: StoreCell<number>;
  /** Set once; from then on nothing runs. */
  readonly end: StoreCell<LifeEnd | undefined>;
  private readonly progress: StoreNumbers;

  constructor(options: NtOptions) {
    this.options = options;
    this.memory = new GuestMemory(options.ramBytes === undefined ? {} : { ramBytes: options.ramBytes });
    this.cpu = new Cpu(
      this.memory,
      {
        hostCall: () => this.hostCall(),
        writeCr8: (value) => this.interrupts.writeCr8(value) && !this.io.hardware.takeNews(),
        instruction: (mnemonic, rip, nextRip) => {
          const done = this.processor.instruction(mnemonic, rip, nextRip);
          return done === true ? this.deviceTouched() : done;
        },
        deviceTouched: () => this.deviceTouched(),
      },
      { flagsLiveAtExit: options.flagsLiveAtExit ?? false },
    );
    this.cpu.addHostRange(AddressMap.host.start, AddressMap.host.sizeBytes);
    this.end = this.stores.cell<LifeEnd | undefined>('nt/end', undefined);
    this.activity = this.stores.cell('nt/activity', 0);
    this.progress = this.stores.numbers('nt/progress', 4);
    this.progress.values[Progress.turnEnd] = turnInstructions;
    this.random = new Random(this.stores.cell('nt/random', options.seed >>> 0));
    this.addressSpace = new AddressSpace(this);
    this.processor = new ProcessorBlock(this);
    this.clock = new Clock(this);
    this.images = new Images(this);
    this.pool = new Pool(this);
    this.poolQuota = new PoolQuota(this, options.poolQuota);
    this.mdls = new Mdls(this);
    this.contiguous = new ContiguousMemory(this);
    this.pageAllocations = new PageAllocations(this);
    this.mappingAddresses = new MappingAddresses(this);
    this.driverPaging = new DriverPaging(this);
    this.userMemory = new UserMemory(this);
    this.objects = new ObjectManager(this);
    this.sections = new Sections(this);
    this.fileSystem = new FileSystem(this);
    this.tokens = new Tokens(this);
    this.security = new ObjectSecurity(this);
    this.callbacks = new RegisteredCallbacks(this);
    this.registry = new Registry(this);
    this.dispatcher = new Dispatcher(this);
    this.timers = new Timers(this);
    this.scheduler = new Scheduler(this);
    this.interrupts = new Interrupts(this);
    this.apcs = new Apcs(this);
    this.exceptions = new Exceptions(this);
    this.workQueue = new WorkQueue(this);
    this.resources = new Resources(this);
    this.pushLocks = new PushLocks(this);
    this.executiveTimers = new ExecutiveTimers(this);
    this.lookasides = new Lookasides(this);
    this.io = new IoManager(this);
    this.dma = new Dma(this);
    this.power = new PowerManager(this);
    this.debugControl = new DebugControl(this);
    buildKernelModules(this, kernelComponents);
    this.processor.boot();
    this.clock.boot();
    this.scheduler.boot();
    this.images.boot();
    this.cpu.functionRangesOf = (va) => this.images.functionRangesOf(va);
  }

  // ---- running

  /**
   * Runs until `isDone`, or until every thread waits with nothing that could wake it, or the life ends. Virtual time
   * moves on to the next timer whenever all threads wait, up to `deadline` (interrupt time in 100 ns). After `stopped`
   * the same call goes on from exactly there.
   */
  run(isDone: () => boolean, deadline = Number.POSITIVE_INFINITY): RunResult {
    const { debugControl } = this;
    let goesOn = this.progress.at(Progress.isStopped) !== 0;
    this.progress.values[Progress.isStopped] = 0;
    for (; this.end.value === undefined; goesOn = false) {
      // What is looked at between turns only must not be seen where the machine was stopped within one.
      if (!goesOn) {
        if (isDone()) return this.rest('done');
        if (this.clock.interruptTime >= deadline) return this.rest('deadline');
        if (!this.scheduler.hasRunningThread && !this.guard(() => this.scheduler.dispatchNext(deadline))) {
          if (this.end.value !== undefined) return 'ended';
          return this.rest(this.clock.interruptTime >= deadline ? 'deadline' : 'rest');
        }
      }
      if (!this.scheduler.hasRunningThread) continue;
      if (!goesOn && debugControl.stopsBetween()) return this.stopped();
      const { runEnd } = this;
      this.io.hardware.takeNews();
      const exit = debugControl.execute(Math.max(1, runEnd - this.cpu.retired), goesOn);
      if (debugControl.stopsAt(exit, this.cpu.retired >= runEnd)) return this.stopped();
      this.guard(() => this.handleExit(exit));
      if (this.cpu.retired >= this.progress.at(Progress.turnEnd)) this.guard(() => this.endTurn());
      else if (this.cpu.retired >= runEnd) this.guard(() => this.interrupts.deliver());
    }
    return 'ended';
  }

  /** Retired instructions at which the kernel looks again: the turn's end, or when something of a device is due before. */
  private get runEnd(): number {
    const due = this.io.hardware.nextDue;
    const turnEnd = this.progress.at(Progress.turnEnd);
    return due === Number.POSITIVE_INFINITY ? turnEnd : Math.min(turnEnd, this.clock.retiredAt(due));
  }

  private stopped(): RunResult {
    this.progress.values[Progress.isStopped] = 1;
    return 'stopped';
  }

  private rest(result: RunResult): RunResult {
    this.progress.values[Progress.workAtRest] = this.work;
    return result;
  }

  /** What was done since the start, in instructions; calls of the kernel count as what they cost. */
  private get work(): number {
    return this.cpu.retired + this.progress.at(Progress.calls) * instructionsPerCall;
  }

  /** The clock interrupt: time is shown, timers expire, another thread may run. */
  private endTurn(): void {
    this.progress.values[Progress.turnEnd] = this.cpu.retired + turnInstructions;
    if (this.end.value !== undefined) return;
    if (this.isOverLimit()) return;
    this.clock.tick();
    if (this.events.has('turnEnded')) this.events.emit('turnEnded', { retired: this.cpu.retired });
    if (!this.interrupts.deliver() && this.scheduler.hasRunningThread) this.scheduler.rotate();
  }

  /** Ends the life if it has gone on for too long without coming to rest. */
  private isOverLimit(): boolean {
    if (this.work - this.progress.at(Progress.workAtRest) <= this.options.instructionLimit) return false;
    this.finish({ kind: 'instruction-limit', site: this.cpu.state.rip, stack: this.currentStack() });
    return true;
  }

  /**
   * Counts a call of the kernel, an exception or something that a device does; true if the life ends over it. A loop of
   * these has few instructions, so its turns are long.
   */
  isCallTooMany(): boolean {
    this.progress.add(Progress.calls, 1);
    return this.progress.at(Progress.calls) % callsBetweenChecks === 0 && this.isOverLimit();
  }

  private handleExit(exit: CpuExit): void {
    if (this.cpu.needsExactFlags) {
      this.finish({ kind: 'exact-flags-needed' });
      return;
    }
    switch (exit.kind) {
      case 'host':
      case 'fuel':
      case 'breakpoint':
      case 'step':
        return;
      case 'fault':
        if (!this.isCallTooMany()) this.exceptions.fromProcessor(exit);
        return;
      case 'unsupported':
        this.finish({
          kind: 'unsupported',
          what: 'instruction',
          name: exit.text,
          site: exit.rip,
          stack: this.currentStack(),
        });
        return;
      default:
        unreachable(exit);
    }
  }

  /** The running thread touched hardware, perhaps. False if the processor stands elsewhere now, or its fuel is to be granted anew. */
  private deviceTouched(): boolean {
    if (this.end.value !== undefined) return false;
    const isDue = this.io.hardware.nextDue <= this.clock.interruptTime;
    const hasNews = this.io.hardware.takeNews();
    if (!isDue && !hasNews) return true;
    this.guard(() => this.interrupts.deliver());
    return false;
  }

  /** Control reached a host address. True: done, the guest goes on behind the call. */
  hostCall(): boolean {
    if (this.end.value !== undefined) return false;
    if (this.debugControl.isWatching && this.debugControl.stopsBeforeCall()) return false;
    if (this.isCallTooMany()) return false;
    // As guard() does, without a closure for each call.
    try {
      const goesOn = this.calls.enter() && this.end.value === undefined && !this.debugControl.stopsAfterCall();
      return goesOn && !this.io.hardware.takeNews();
    } catch (thrown) {
      this.caught(thrown);
      return false;
    }
  }

  /** Runs kernel code: a fault that it meets in guest memory, or a bug check, becomes what Windows makes of it. */
  private guard<T>(body: () => T): T | undefined {
    try {
      return body();
    } catch (thrown) {
      this.caught(thrown);
      return undefined;
    }
  }

  private caught(thrown: unknown): void {
    if (thrown instanceof BugCheck) this.bugCheck(thrown);
    else if (thrown instanceof GuestFault) this.guard(() => this.exceptions.fromKernel(thrown));
    else throw thrown;
  }

  /** Changes the IRQL; DPCs that this lets through run when the routine returns. */
  setIrql(irql: number): void {
    setIrql(this, irql);
  }

  /** KernelMode (0) in system threads, UserMode (1) in the requesting process's. */
  get previousMode(): 0 | 1 {
    return this.scheduler.currentThread.isSystem ? 0 : 1;
  }

  // ---- ends

  bugCheck(bugCheck: BugCheck): void {
    this.finish({ kind: 'bug-check', bugCheck, site: this.cpu.state.rip, stack: this.currentStack() });
  }

  finish(end: LifeEnd): void {
    this.end.value ??= end;
  }

  /** Return addresses of the running thread, innermost first, starting with the instruction pointer. */
  currentStack(): readonly Va[] {
    return this.exceptions.walkStack();
  }

  /** Where every thread stands that has begun and not ended. */
  threadStacks(): { readonly thread: Thread; readonly stack: readonly Va[] }[] {
    const stacks: { thread: Thread; stack: readonly Va[] }[] = [];
    for (const thread of this.scheduler.all()) {
      if (thread.kthread === this.scheduler.currentThread.kthread && this.scheduler.hasRunningThread) {
        stacks.push({ thread, stack: this.currentStack() });
      } else if (thread.context !== undefined && thread.state !== 'idle') {
        const { gpr, rip, xmm } = thread.context;
        const stack = this.exceptions.walkStackFrom({
          rip: vaToU64(rip),
          gpr: BigUint64Array.from(gpr),
          xmm: BigUint64Array.from(xmm),
        });
        stacks.push({ thread, stack: thread.wait === undefined ? stack : [thread.wait.routine, ...stack] });
      }
    }
    return stacks;
  }

  // ---- snapshots

  snapshot(): NtSnapshot {
    return { memory: this.memory.snapshot(), stores: this.stores.snapshot(), retired: this.cpu.retired };
  }

  restore(snapshot: NtSnapshot): void {
    this.stores.restore(snapshot.stores);
    this.memory.restore(snapshot.memory);
    this.images.rebuild();
    this.timers.forgetNextDue();
  }
}
