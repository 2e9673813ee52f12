/**
 * The emulated NT kernel: its components, what ends it, and its snapshots. How it runs: `run-loop.ts`.
 */
import { type StoreCell, Stores, type StoresSnapshot } from '../base/store.ts';
import { type Va, vaToU64 } from '../base/va.ts';
import { Cpu } from '../engine/cpu/cpu.ts';
import { GuestMemory, type MemorySnapshot } from '../engine/memory/guest-memory.ts';
import type { DeviceModel } from '../hardware/device-model.ts';
import { AddressMap } from './address-map.ts';
import { Registry } from './cm/registry.ts';
import { kernelComponents } from './components.ts';
import type { BugCheck } from './declare/bug-check.ts';
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
import { RunLoop, type RunResult } from './run-loop.ts';
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

export interface NtSnapshot {
  readonly memory: MemorySnapshot;
  readonly stores: StoresSnapshot;
  readonly retired: number;
}

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
  readonly runLoop: RunLoop;

  constructor(options: NtOptions) {
    this.options = options;
    this.memory = new GuestMemory(options.ramBytes === undefined ? {} : { ramBytes: options.ramBytes });
    this.cpu = new Cpu(
      this.memory,
      {
        hostCall: () => this.runLoop.hostCall(),
        writeCr8: (value) => this.interrupts.writeCr8(value) && !this.io.hardware.takeNews(),
        instruction: (mnemonic, rip, nextRip) => {
          const done = this.processor.instruction(mnemonic, rip, nextRip);
          return done === true ? this.runLoop.deviceTouched() : done;
        },
        deviceTouched: () => this.runLoop.deviceTouched(),
      },
      { flagsLiveAtExit: options.flagsLiveAtExit ?? false },
    );
    this.cpu.addHostRange(AddressMap.host.start, AddressMap.host.sizeBytes);
    this.end = this.stores.cell<LifeEnd | undefined>('nt/end', undefined);
    this.activity = this.stores.cell('nt/activity', 0);
    this.runLoop = new RunLoop(this);
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

  /** {@link RunLoop.run}. */
  run(isDone: () => boolean, deadline = Number.POSITIVE_INFINITY): RunResult {
    return this.runLoop.run(isDone, deadline);
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
