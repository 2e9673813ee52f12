/**
 * What has been translated: table slots by guest address, the modules behind them, and what drops them again.
 *
 * Each address that is called or resumed has one slot of the function table for good. A slot without a translation
 * holds the lazy function, which translates what stands at RIP and goes on there.
 */
import { assert } from '../../base/errors.ts';
import { type Va, vaLow } from '../../base/va.ts';
import type { GuestMemory } from '../memory/guest-memory.ts';
import { PageFlag, pageOf } from '../memory/layout.ts';
import type { ExitSite } from './exit-site.ts';
import type { InstructionReader } from './instruction-reader.ts';
import { dispatchEntryOf } from './translate-control.ts';
import { type Callee, translateUnit, type UnitEnvironment } from './translate-unit.ts';
import { TranslatedCode } from './translated-code.ts';
import { functionTypes, importedFunctions, type RuntimeImports, type TranslatedModule } from './translated-module.ts';
import { calleesOf, instructionCount, startsUnfetchable, type Unit, type VaRange } from './unit.ts';
import { UnitSearch } from './unit-search.ts';
import { writeModule } from './wasm-module.ts';
import type { FunctionBody } from './wasm-writer.ts';

export interface CacheOptions {
  readonly forcesDispatchLoop: boolean;
  /** A function and those that it calls share a module up to these bounds. */
  readonly maxClusterUnits: number;
  readonly maxClusterInstructions: number;
}

/** One is a module of its own, which costs memory. */
const mostKeptSteps = 1000;

export class TranslationCache {
  private readonly memory: GuestMemory;
  private readonly options: CacheOptions;
  private readonly table: WebAssembly.Table;
  private readonly imports: WebAssembly.Imports;
  private readonly lazy: unknown;
  private readonly search: UnitSearch;
  private readonly code: TranslatedCode;
  private readonly slots = new Map<Va, number>();
  private nextSlot: number;
  private readonly sitesOfUnit: (readonly ExitSite[] | undefined)[] = [];
  private readonly droppedUnits: number[] = [];
  /** Steps that are kept, by the address of their instruction. */
  private readonly steps = new Map<
    Va,
    { readonly run: (depth: number) => number; readonly module: TranslatedModule }
  >();
  private isExact: boolean;
  /** Grows whenever translations are dropped. */
  dropCount = 0;
  /** Modules made since the start. */
  moduleCount = 0;
  needsExactFlags = false;
  isHost: (va: Va) => boolean = () => false;

  /** `reservedSlots` slots at the start of the table are the runtime's; slot 0 is the lazy function. */
  constructor(
    memory: GuestMemory,
    table: WebAssembly.Table,
    imports: RuntimeImports,
    reservedSlots: number,
    isExact: boolean,
    options: CacheOptions,
  ) {
    this.memory = memory;
    this.isExact = isExact;
    this.table = table;
    this.options = options;
    this.imports = { e: { memory: memory.wasm, table, ...imports } };
    this.lazy = table.get(0);
    this.nextSlot = reservedSlots;
    this.search = new UnitSearch(memory);
    this.code = new TranslatedCode(memory);
  }

  get reader(): InstructionReader {
    return this.search.reader;
  }

  /** Ranges of the function around an address, the one with its start first. */
  set rangesOf(rangesOf: (va: Va) => readonly VaRange[] | undefined) {
    this.search.rangesOf = rangesOf;
  }

  /** Table slot of the translation at `va`, made if there is none; undefined if the first instruction can't be fetched. */
  translate(va: Va): number | undefined {
    if (!this.code.hasEntry(va)) {
      this.reader.reset();
      const cluster = this.cluster(va);
      if (!cluster) return undefined;
      this.build(cluster);
    }
    const slot = this.slotOf(va);
    this.noteSlot(va, slot);
    return slot;
  }

  /** From now on flags are right at every exit, call and return. */
  beExact(): void {
    if (this.isExact) return;
    this.isExact = true;
    this.dropAll();
  }

  /** Units end before these addresses; what stood on their pages is translated anew. */
  setBreakpoints(breakpoints: ReadonlySet<Va>): void {
    const before = this.search.breakpoints;
    this.search.breakpoints = breakpoints;
    for (const va of before) if (!breakpoints.has(va)) this.dropPage(va);
    for (const va of breakpoints) if (!before.has(va)) this.dropPage(va);
  }

  hasBreakpoint(va: Va): boolean {
    return this.search.breakpoints.has(va);
  }

  /** Lets translated code find the slot of an address by itself. */
  noteSlot(va: Va, slot: number): void {
    const entry = dispatchEntryOf(vaLow(va));
    this.memory.view.setBigInt64(entry, BigInt(va), true);
    this.memory.view.setInt32(entry + 8, slot, true);
  }

  /**
   * One instruction alone: for running it where its own page is being written, where it touches a device, at a breakpoint
   * and in single steps. Kept for the next time only if asked.
   */
  translateStep(va: Va, isKept = false): ((depth: number) => number) | undefined {
    const kept = this.steps.get(va);
    if (kept) return kept.run;
    this.reader.reset();
    const unit = this.search.stepAt(va);
    if (startsUnfetchable(unit)) return undefined;
    const unitId = this.sitesOfUnit.push(undefined) - 1;
    const { body, sites } = translateUnit(
      unit,
      this.environment(unitId, () => ({ kind: 'slot', slot: 0 })),
    );
    this.sitesOfUnit[unitId] = sites;
    const instance = this.instantiate([{ type: 0, body, exportAs: 'step' }]);
    const run = instance.exports.step as (depth: number) => number;
    if (isKept) {
      if (this.steps.size >= mostKeptSteps) for (const { module } of [...this.steps.values()]) this.drop(module);
      this.steps.set(va, { run, module: this.code.add([unit], [unitId], va) });
    } else {
      this.droppedUnits.push(unitId);
    }
    return run;
  }

  siteOf(unitId: number, index: number): ExitSite {
    const site = this.sitesOfUnit[unitId]?.[index];
    assert(site !== undefined, 'translated code names its sites');
    return site;
  }

  /** Whether bytes of a frame (from `start` in it) have been translated. */
  hasCode(frame: number, start: number, bytes: number): boolean {
    return this.code.hasBytes(frame, start, bytes);
  }

  /** Whether anything in a frame has been translated. */
  hasAnyCode(frame: number): boolean {
    return this.code.hasFrame(frame);
  }

  /** Drops what was translated from a frame; its contents change. */
  dropFrame(frame: number): void {
    for (const module of this.code.ofFrame(frame)) this.drop(module);
  }

  /** Drops what was translated from a page whose mapping changed; NaN: any mapping may have changed. */
  dropPage(va: Va): void {
    if (Number.isNaN(va)) {
      for (const module of this.code.all()) if (this.code.isStale(module)) this.drop(module);
      return;
    }
    for (const module of this.code.ofPage(pageOf(va))) this.drop(module);
  }

  dropAll(): void {
    for (const module of this.code.all()) this.drop(module);
  }

  /** Frees what dropped units left; no frame of theirs may stand on the wasm stack. */
  sweep(): void {
    for (const unitId of this.droppedUnits.splice(0)) this.sitesOfUnit[unitId] = undefined;
  }

  // ---- clusters

  /** The unit at `va` and those that it calls, as far as they are not translated. */
  private cluster(va: Va): Unit[] | undefined {
    const first = this.search.unitAt(va);
    if (startsUnfetchable(first)) return undefined;
    const units = [first];
    const seen = new Set([va]);
    let instructions = instructionCount(first);
    for (let at = 0; at < units.length; at++) {
      for (const callee of calleesOf(units[at] as Unit)) {
        if (units.length >= this.options.maxClusterUnits || instructions >= this.options.maxClusterInstructions) {
          return units;
        }
        if (seen.has(callee) || this.code.hasEntry(callee)) continue;
        if (this.isHost(callee) || this.hasBreakpoint(callee)) continue;
        seen.add(callee);
        const unit = this.search.unitAt(callee);
        if (startsUnfetchable(unit)) continue;
        instructions += instructionCount(unit);
        units.push(unit);
      }
    }
    return units;
  }

  private build(units: readonly Unit[]): void {
    const indexOf = new Map(units.map(({ root }, index) => [root, importedFunctions.length + index]));
    const calleeAt = (va: Va): Callee => {
      const index = indexOf.get(va);
      if (index !== undefined) return { kind: 'local', index };
      return { kind: 'slot', slot: this.isHost(va) ? 0 : this.slotOf(va) };
    };
    const unitIds: number[] = [];
    const functions = units.map((unit) => {
      const unitId = this.sitesOfUnit.push(undefined) - 1;
      unitIds.push(unitId);
      const translated = translateUnit(unit, this.environment(unitId, calleeAt));
      this.sitesOfUnit[unitId] = translated.sites;
      if (translated.needsExactFlags) this.needsExactFlags = true;
      this.search.noteLoops(unit.root, translated.headers);
      return { type: 0, body: translated.body, slot: this.slotOf(unit.root) };
    });
    this.instantiate(functions);
    this.code.add(units, unitIds);
    this.moduleCount++;
  }

  private environment(unitId: number, calleeAt: (va: Va) => Callee): UnitEnvironment {
    return {
      unitId,
      calleeAt,
      isFunctionStart: (va) => this.search.isFunctionStart(va),
      isHeader: (va) => this.search.isHeader(va),
      isExact: this.isExact,
      isPageable: (va) =>
        this.memory.trimsPageable && ((this.memory.mappingAt(va)?.flags ?? 0) & PageFlag.Pageable) !== 0,
      forcesDispatchLoop: this.options.forcesDispatchLoop,
    };
  }

  private instantiate(
    functions: readonly { type: number; body: FunctionBody; slot?: number; exportAs?: string }[],
  ): WebAssembly.Instance {
    const bytes = writeModule({ types: functionTypes, imports: importedFunctions, functions });
    return new WebAssembly.Instance(new WebAssembly.Module(bytes), this.imports);
  }

  private slotOf(va: Va): number {
    const known = this.slots.get(va);
    if (known !== undefined) return known;
    const slot = this.nextSlot++;
    if (slot >= this.table.length) this.table.grow(this.table.length, this.lazy);
    this.slots.set(va, slot);
    return slot;
  }

  private drop(module: TranslatedModule): void {
    this.dropCount++;
    if (module.stepAt !== undefined) this.steps.delete(module.stepAt);
    for (const va of module.entries) this.table.set(this.slotOf(va), this.lazy);
    this.code.remove(module);
    this.search.forget(module);
    this.droppedUnits.push(...module.unitIds);
  }
}
