/**
 * The front door of the library: a machine with an emulated NT kernel and a verifier, into which drivers are loaded and
 * taken through a life.
 */
import { assert, PoolproofError } from '../base/errors.ts';
import type { StoreCell, StoreList, StoreMap } from '../base/store.ts';
import type { Va } from '../base/va.ts';
import { type LoadedSymbols, loadSymbols } from '../image/symbols/index.ts';
import type { KernelImage } from '../nt/mm/kernel-image.ts';
import { Nt, type NtSnapshot } from '../nt/nt.ts';
import { IrpCompletionChecks } from '../verifier/automatic-checks/irp-completion.ts';
import { PoolCalls } from '../verifier/automatic-checks/pool-calls.ts';
import { UnloadChecks } from '../verifier/automatic-checks/unload-checks.ts';
import { CallCounters } from '../verifier/core/call-counters.ts';
import {
  chooseOptions,
  DmaCheckingFlag,
  defaultFlags,
  MiscellaneousChecksFlag,
  type OptionChoice,
  PoolTrackingFlag,
} from '../verifier/core/options.ts';
import { DmaChecking } from '../verifier/dma-checking/dma-checking.ts';
import { ListsAndResources } from '../verifier/miscellaneous-checks/lists-and-resources.ts';
import { OutlivingResources } from '../verifier/outliving-resources/outliving-resources.ts';
import { PoolTracking } from '../verifier/pool-tracking/pool-tracking.ts';
import { Life } from './life.ts';
import { type LoadedDriver, mapDrivers, parseDrivers } from './loaded-driver.ts';
import { defaultInstructionLimit, deviceModelOf, type MachineOptions } from './machine-options.ts';
import { buildReport } from './report/build.ts';
import type { Report } from './report/report.ts';
import { checkSteps } from './scenario/check-steps.ts';
import { parseStep } from './scenario/step.ts';
import { Answer, DeviceFile, LifeEnded } from './verbs.ts';

/** All of a machine's state; plain data. Good for this machine and for a fresh one with the same options. */
export interface MachineSnapshot {
  readonly nt: NtSnapshot;
}

/** Lines of debug output that a report holds. */
const maximumDebugLines = 10_000;

export class Machine {
  readonly seed: number;
  readonly instructionLimit: number;
  readonly choice: OptionChoice;
  readonly nt: Nt;
  /** In the order in which they are loaded: kernel-mode DLLs, companions, the drivers that are verified. */
  readonly drivers: readonly LoadedDriver[];
  readonly life: Life;
  /** Undefined if the option is not on. */
  readonly poolTracking: PoolTracking | undefined;
  /** Undefined if the option is not on. */
  readonly dmaChecking: DmaChecking | undefined;
  readonly callCounters: CallCounters;
  readonly irpCompletionChecks: IrpCompletionChecks;
  readonly outlivingResources: OutlivingResources;
  private readonly debugOutput_: StoreList<string>;
  /** The stack at the first hit, by address. */
  private readonly breakpoints_: StoreMap<number, readonly Va[]>;
  /** Index of the image that went last, or that is going. */
  private readonly leaving: StoreCell<number>;
  private readonly symbols = new Map<number, LoadedSymbols>();

  /** Boots the machine and maps the drivers' images. Throws PoolproofError for a file that is no driver. */
  constructor(options: MachineOptions) {
    this.seed = options.seed ?? 1;
    this.instructionLimit = options.instructionLimit ?? defaultInstructionLimit;
    const flags = options.flags ?? defaultFlags;
    this.choice = chooseOptions(flags);
    if (this.choice.unknownBits !== 0) {
      throw new PoolproofError(
        'PP4001',
        `flags 0x${flags.toString(16)}: 0x${this.choice.unknownBits.toString(16)} is no option of Driver Verifier`,
      );
    }
    const parsed = parseDrivers(options);
    const names = parsed.filter(({ isVerified }) => isVerified).map(({ file }) => file.name);
    if (options.steps !== undefined) {
      checkSteps(
        options.steps,
        parsed.map(({ file }) => file.name),
      );
    }
    this.nt = new Nt({
      seed: this.seed,
      instructionLimit: this.instructionLimit,
      flagsLiveAtExit: options.flagsLiveAtExit ?? false,
      device: {
        resources: options.resources ?? 'default',
        model: deviceModelOf(options),
        ...(options.hardwareIds === undefined ? {} : { hardwareIds: options.hardwareIds }),
      },
    });
    const isVerified = (image: KernelImage): boolean => image.isDriver && names.includes(image.fileName);
    const hasPoolTracking = (flags & PoolTrackingFlag) !== 0;
    this.nt.images.isVerified = isVerified;
    this.leaving = this.nt.stores.cell('run/leaving-image', 0);
    // Before the verifier, which stops the machine here.
    this.nt.events.on('driverUnloaded', ({ image }) => {
      this.leaving.value = image.index;
    });
    const hasMiscellaneousChecks = (flags & MiscellaneousChecksFlag) !== 0;
    this.callCounters = new CallCounters(this.nt, isVerified);
    new PoolCalls(this.nt, { isVerified, hasPoolTracking, hasMiscellaneousChecks });
    if (hasMiscellaneousChecks) new ListsAndResources(this.nt, isVerified);
    // First: what still runs stops Windows before what was leaked does.
    new UnloadChecks(this.nt, isVerified);
    this.irpCompletionChecks = new IrpCompletionChecks(this.nt, isVerified);
    this.poolTracking = hasPoolTracking ? new PoolTracking(this.nt, isVerified) : undefined;
    // After Pool tracking, whose leaks at unload come first.
    this.dmaChecking = (flags & DmaCheckingFlag) !== 0 ? new DmaChecking(this.nt, isVerified) : undefined;
    this.outlivingResources = new OutlivingResources(this.nt);
    this.debugOutput_ = this.nt.stores.list('run/debug-output');
    this.nt.events.on('debugPrint', ({ text }) => {
      if (this.debugOutput_.items.length < maximumDebugLines) this.debugOutput_.push(text);
      else if (this.debugOutput_.items.length === maximumDebugLines)
        this.debugOutput_.push('(further output is left out)');
    });
    this.breakpoints_ = this.nt.stores.map('run/breakpoints');
    this.nt.events.on('breakpoint', ({ address }) => {
      if (!this.breakpoints_.has(address)) this.breakpoints_.set(address, this.nt.currentStack());
    });
    this.drivers = mapDrivers(this.nt, parsed);
    this.life = new Life(this.nt, this.drivers, this.outlivingResources, options.steps);
  }

  /** The drivers that are verified, in the order in which they are loaded. */
  get verified(): readonly LoadedDriver[] {
    return this.drivers.filter(({ isVerified }) => isVerified);
  }

  /** Index of the image whose unload the verifier stopped; undefined if it stopped none. */
  get stoppedUnloadOf(): number | undefined {
    const end = this.nt.end.value;
    const isLeak = end?.kind === 'bug-check' && end.bugCheck.code === 0xc4 && end.bugCheck.parameters[0] === 0x62;
    return isLeak ? this.leaving.value : this.dmaChecking?.stoppedUnloadOf;
  }

  /** Read when they are first asked for. */
  symbolsOf({ image, file }: LoadedDriver): LoadedSymbols {
    const known = this.symbols.get(image.index);
    if (known !== undefined) return known;
    assert(image.pe, 'a driver has its file');
    const loaded = loadSymbols(image.pe, file.bytes, file.symbolFiles ?? [], file.symbolSearch?.places);
    this.symbols.set(image.index, loaded);
    return loaded;
  }

  /** What the drivers printed, line by line. */
  get debugOutput(): readonly string[] {
    return this.debugOutput_.items;
  }

  /** Stacks of the places where a driver stopped for the debugger, each once. */
  get breakpoints(): Iterable<readonly Va[]> {
    return this.breakpoints_.values();
  }

  /** Takes the drivers through their life, from where it stands to the end, whatever a debugger would stop at. */
  run(): void {
    this.life.leavePrompt();
    this.life.runThrough();
  }

  /**
   * Goes on from where the machine stands to the next stop, as `nt.debugControl` has it, or to the end of the life. What
   * comes of the life is the same however often it was stopped.
   */
  resume(): 'stopped' | 'over' {
    this.life.leavePrompt();
    return this.life.run();
  }

  /** Takes the life to its end, if it is not there, and says what was found. */
  report(): Report {
    this.run();
    return buildReport(this);
  }

  // ---- steps, one by one, of a machine without a scenario

  /** One step as typed after `--do`. Throws PP5001 for what is no step, {@link LifeEnded} if the machine stopped. */
  step(text: string): Answer {
    const index = this.life.perform(parseStep(text));
    if (index === undefined) throw new LifeEnded(this.endText);
    return new Answer(this.life, index);
  }

  /** Opens a device: `\\\\.\\Name`, `\\Device\\Name`. */
  open(path: string): DeviceFile {
    const opens = this.life.state.results.filter(({ text }) => /^f\d+=open /.test(text)).length;
    const name = `f${opens + 1}`;
    return new DeviceFile(name, this.step(`${name}=open ${path}`), (text) => this.step(text));
  }

  /** Lets virtual time pass: `100ms`, `2s`. */
  wait(time: string): Answer {
    return this.step(`wait ${time}`);
  }

  /** Unloads a driver, or all of them in reverse order. */
  unload(driver?: string): Answer {
    return this.step(driver === undefined ? 'unload' : `unload ${driver}`);
  }

  start(): Answer {
    return this.step('start');
  }

  stop(): Answer {
    return this.step('stop');
  }

  remove(): Answer {
    return this.step('remove');
  }

  surpriseRemove(): Answer {
    return this.step('surprise-remove');
  }

  private get endText(): string {
    const end = this.nt.end.value;
    if (end?.kind === 'bug-check') return `the machine stopped: ${end.bugCheck.summary}`;
    if (end?.kind === 'unsupported') return `the machine stopped: ${end.name} is not supported`;
    if (end !== undefined) return `the machine stopped: ${end.kind}`;
    return this.life.state.reasons.at(-1) ?? 'the life is over';
  }

  snapshot(): MachineSnapshot {
    return { nt: this.nt.snapshot() };
  }

  restore(snapshot: MachineSnapshot): void {
    this.nt.restore(snapshot.nt);
  }
}
