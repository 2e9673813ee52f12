/**
 * The front door of the library: a machine with an emulated NT kernel and a verifier, into which a driver is loaded and
 * taken through a life.
 */
import { assert, PoolproofError } from '../base/errors.ts';
import type { StoreList, StoreMap } from '../base/store.ts';
import type { Va } from '../base/va.ts';
import { parsePe } from '../image/pe/index.ts';
import { type LoadedSymbols, loadSymbols, type SymbolCandidate } from '../image/symbols/index.ts';
import type { KernelImage } from '../nt/mm/kernel-image.ts';
import { Nt, type NtSnapshot } from '../nt/nt.ts';
import { PoolCalls } from '../verifier/automatic-checks/pool-calls.ts';
import { UnloadChecks } from '../verifier/automatic-checks/unload-checks.ts';
import { chooseOptions, type OptionChoice, PoolTrackingFlag } from '../verifier/core/options.ts';
import { OutlivingResources } from '../verifier/outliving-resources/outliving-resources.ts';
import { PoolTracking } from '../verifier/pool-tracking/pool-tracking.ts';
import { Life } from './life.ts';
import { checkSteps } from './scenario/check-steps.ts';
import type { Step } from './scenario/step.ts';

export interface DriverFile {
  /** `leaky.sys` */
  readonly name: string;
  /** Where it was read from; for the report. */
  readonly path: string | null;
  readonly bytes: Uint8Array;
}

export interface MachineOptions {
  readonly driver: DriverFile;
  /** What may hold the driver's symbols. */
  readonly symbolFiles: readonly SymbolCandidate[];
  /** Undefined: the tour. */
  readonly steps: readonly Step[] | undefined;
  /** Driver Verifier's, as in `verifier /flags`. */
  readonly flags: number;
  readonly seed: number;
  /** Instructions in a row, without the machine coming to rest, after which the life is ended. */
  readonly instructionLimit: number;
  /** Set when a first life showed that it is needed; see `Cpu.needsExactFlags`. */
  readonly flagsLiveAtExit?: boolean;
}

/** All of a machine's state; plain data. Good for this machine and for a fresh one with the same options. */
export interface MachineSnapshot {
  readonly nt: NtSnapshot;
}

/** Lines of debug output that a report holds. */
const maximumDebugLines = 10_000;

export class Machine {
  readonly options: MachineOptions;
  readonly choice: OptionChoice;
  readonly nt: Nt;
  readonly life: Life;
  /** Undefined if the option is not on. */
  readonly poolTracking: PoolTracking | undefined;
  readonly outlivingResources: OutlivingResources;
  private readonly debugOutput_: StoreList<string>;
  /** The stack at the first hit, by address. */
  private readonly breakpoints_: StoreMap<number, readonly Va[]>;
  private symbols_: LoadedSymbols | undefined;
  private image_: KernelImage | undefined;

  /** Boots the machine and maps the driver's image. Throws PoolproofError for a file that is no driver. */
  constructor(options: MachineOptions) {
    this.options = options;
    this.choice = chooseOptions(options.flags);
    if (this.choice.unknownBits !== 0) {
      throw new PoolproofError(
        'PP4001',
        `flags 0x${options.flags.toString(16)}: 0x${this.choice.unknownBits.toString(16)} is no option of Driver Verifier`,
      );
    }
    if (options.steps !== undefined) checkSteps(options.steps);
    const pe = parsePe(options.driver.bytes, options.driver.name);
    if (pe.entryPointRva === undefined) {
      throw new PoolproofError(
        'PP5002',
        `${options.driver.name}: an export driver without an entry point; there is nothing to start`,
      );
    }
    this.nt = new Nt({
      seed: options.seed,
      instructionLimit: options.instructionLimit,
      flagsLiveAtExit: options.flagsLiveAtExit ?? false,
    });
    const isVerified = (image: KernelImage): boolean => image.isDriver;
    const hasPoolTracking = (options.flags & PoolTrackingFlag) !== 0;
    new PoolCalls(this.nt, { isVerified, checksQuota: hasPoolTracking });
    // First: what still runs stops Windows before what was leaked does.
    new UnloadChecks(this.nt, isVerified);
    this.poolTracking = hasPoolTracking ? new PoolTracking(this.nt, isVerified) : undefined;
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
    this.life = new Life(this.nt, () => this.image, options.steps);
    this.image_ = this.nt.images.load(pe, options.driver.name);
  }

  /** The driver's image. */
  get image(): KernelImage {
    assert(this.image_, 'the image is mapped when the machine boots');
    return this.image_;
  }

  /** Read when they are first asked for. */
  get symbols(): LoadedSymbols {
    const { pe } = this.image;
    assert(pe, 'a driver has its file');
    this.symbols_ ??= loadSymbols(pe, this.options.driver.bytes, this.options.symbolFiles);
    return this.symbols_;
  }

  /** What the driver printed, line by line. */
  get debugOutput(): readonly string[] {
    return this.debugOutput_.items;
  }

  /** Stacks of the places where the driver stopped for the debugger, each once. */
  get breakpoints(): Iterable<readonly Va[]> {
    return this.breakpoints_.values();
  }

  /** Takes the driver through its life, from where it stands to the end. */
  run(): void {
    this.life.run();
  }

  snapshot(): MachineSnapshot {
    return { nt: this.nt.snapshot() };
  }

  restore(snapshot: MachineSnapshot): void {
    this.nt.restore(snapshot.nt);
  }
}
