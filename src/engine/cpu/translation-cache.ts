/**
 * What has been translated: table slots by guest address, the modules behind them, and what drops them again.
 *
 * Each address that is called or resumed has one slot of the function table for good. A slot without a translation
 * holds the lazy function, which translates what stands at RIP and goes on there.
 */
import { assert } from '../../base/errors.ts';
import { type Va, vaLow } from '../../base/va.ts';
import type { GuestMemory } from '../memory/guest-memory.ts';
import { Access, PageFlag, pageSize } from '../memory/layout.ts';
import type { ExitSite } from './exit-site.ts';
import type { Instruction } from './instruction.ts';
import { InstructionReader } from './instruction-reader.ts';
import { findJumpTable, type JumpTable } from './jump-table.ts';
import { dispatchEntryOf } from './translate-control.ts';
import { type Callee, translateUnit, type UnitEnvironment } from './translate-unit.ts';
import { functionTypes, importedFunctions, type RuntimeImports, type TranslatedModule } from './translated-module.ts';
import {
  calleesOf,
  codeLineBytes,
  discoverStep,
  discoverUnit,
  instructionCount,
  startsUnfetchable,
  type Unit,
  type UnitSource,
  type VaRange,
} from './unit.ts';
import { writeModule } from './wasm-module.ts';
import type { FunctionBody } from './wasm-writer.ts';

export interface CacheOptions {
  readonly forcesDispatchLoop: boolean;
  /** A function and those that it calls share a module up to these bounds. */
  readonly maxClusterUnits: number;
  readonly maxClusterInstructions: number;
}

const nowhere: ReadonlySet<Va> = new Set();

/** One is a module of its own, which costs memory. */
const mostKeptSteps = 1000;

export class TranslationCache {
  private readonly memory: GuestMemory;
  private readonly options: CacheOptions;
  private readonly table: WebAssembly.Table;
  private readonly imports: WebAssembly.Imports;
  private readonly lazy: unknown;
  private readonly source: UnitSource;
  private readonly slots = new Map<Va, number>();
  private nextSlot: number;
  private readonly modules = new Map<Va, TranslatedModule>();
  private readonly modulesOfPage = new Map<Va, Set<TranslatedModule>>();
  private readonly modulesOfFrame = new Map<number, Set<TranslatedModule>>();
  /** Lines of each frame that hold translated code; may name too many after something was dropped. */
  private readonly linesOfFrame = new Map<number, Set<number>>();
  private readonly sitesOfUnit: (readonly ExitSite[] | undefined)[] = [];
  private readonly droppedUnits: number[] = [];
  /** Jump tables by the address of the jump. */
  private readonly tables = new Map<Va, JumpTable>();
  /** Roots of units that were searched for tables. */
  private readonly searched = new Set<Va>();
  /** Loops of each function that was translated from its start. */
  private readonly headers = new Map<Va, ReadonlySet<Va>>();
  /** Steps that are kept, by the address of their instruction. */
  private readonly steps = new Map<
    Va,
    { readonly run: (depth: number) => number; readonly module: TranslatedModule }
  >();
  private isExact: boolean;
  private breakpoints: ReadonlySet<Va> = nowhere;
  /** Grows whenever translations are dropped. */
  dropCount = 0;
  /** Modules made since the start. */
  moduleCount = 0;
  needsExactFlags = false;
  readonly reader: InstructionReader;
  rangesOf: (va: Va) => readonly VaRange[] | undefined = () => undefined;
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
    this.reader = new InstructionReader(memory);
    this.source = {
      reader: this.reader,
      rangesOf: (va) => this.rangesOf(va),
      tableAt: (history, isInside) => this.tableAt(history, isInside),
    };
  }

  /** Table slot of the translation at `va`, made if there is none; undefined if the first instruction can't be fetched. */
  translate(va: Va): number | undefined {
    if (!this.modules.has(va)) {
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
    const before = this.breakpoints;
    this.breakpoints = breakpoints;
    for (const va of before) if (!breakpoints.has(va)) this.dropPage(va);
    for (const va of breakpoints) if (!before.has(va)) this.dropPage(va);
  }

  hasBreakpoint(va: Va): boolean {
    return this.breakpoints.has(va);
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
    const unit = discoverStep(va, this.source);
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
      this.steps.set(va, { run, module: this.register([unit], [unitId], va) });
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
    const lines = this.linesOfFrame.get(frame);
    if (lines === undefined) return false;
    for (let line = Math.floor(start / codeLineBytes); line * codeLineBytes < start + bytes; line++) {
      if (lines.has(line)) return true;
    }
    return false;
  }

  /** Whether anything in a frame has been translated. */
  hasAnyCode(frame: number): boolean {
    return this.modulesOfFrame.has(frame);
  }

  /** Drops what was translated from a frame; its contents change. */
  dropFrame(frame: number): void {
    for (const module of this.modulesOfFrame.get(frame) ?? []) this.drop(module);
  }

  /** Drops what was translated from a page whose mapping changed; NaN: any mapping may have changed. */
  dropPage(va: Va): void {
    if (Number.isNaN(va)) {
      for (const module of this.all()) {
        for (const [page, frame] of module.frames) {
          if (this.executableFrame(page) === frame) continue;
          this.drop(module);
          break;
        }
      }
      return;
    }
    const page = pageOf(va);
    for (const module of this.modulesOfPage.get(page) ?? []) this.drop(module);
  }

  dropAll(): void {
    for (const module of this.all()) this.drop(module);
  }

  private all(): ReadonlySet<TranslatedModule> {
    return new Set([...this.modules.values(), ...[...this.steps.values()].map(({ module }) => module)]);
  }

  /** Frees what dropped units left; no frame of theirs may stand on the wasm stack. */
  sweep(): void {
    for (const unitId of this.droppedUnits.splice(0)) this.sitesOfUnit[unitId] = undefined;
  }

  // ---- clusters

  /** The unit at `va` and those that it calls, as far as they are not translated. */
  private cluster(va: Va): Unit[] | undefined {
    const first = this.discover(va);
    if (startsUnfetchable(first)) return undefined;
    const units = [first];
    const seen = new Set([va]);
    let instructions = instructionCount(first);
    for (let at = 0; at < units.length; at++) {
      for (const callee of calleesOf(units[at] as Unit)) {
        if (units.length >= this.options.maxClusterUnits || instructions >= this.options.maxClusterInstructions) {
          return units;
        }
        if (seen.has(callee) || this.modules.has(callee)) continue;
        if (this.isHost(callee) || this.breakpoints.has(callee)) continue;
        seen.add(callee);
        const unit = this.discover(callee);
        if (startsUnfetchable(unit)) continue;
        instructions += instructionCount(unit);
        units.push(unit);
      }
    }
    return units;
  }

  /**
   * A unit rooted in the middle of a function ends where a loop starts, which is a root of its own: else each place where
   * the loop is left and gone on with would translate all of it again.
   */
  private discover(va: Va): Unit {
    this.searched.add(va);
    const headers = this.headersAround(va);
    const loops = headers?.has(va) ? nowhere : (headers ?? nowhere);
    return discoverUnit(va, this.source, (at) => loops.has(at) || this.breakpoints.has(at));
  }

  /** Headers of the loops of the function around an address that is not its start. */
  private headersAround(va: Va): ReadonlySet<Va> | undefined {
    const start = this.rangesOf(va)?.[0]?.start;
    return start === undefined || start === va ? undefined : this.headers.get(start);
  }

  /**
   * A unit rooted in the middle of a function may lack what the jump depends on, a table's address that a loop keeps in a
   * register for example. Then the whole function is looked at.
   */
  private tableAt(history: readonly Instruction[], isInside: (va: Va) => boolean): JumpTable | undefined {
    const jump = history[history.length - 1]?.va;
    if (jump === undefined) return undefined;
    const known = this.tables.get(jump);
    if (known) return known;
    const found = findJumpTable(history, isInside, this.memory);
    if (found) {
      this.tables.set(jump, found);
      return found;
    }
    const start = this.rangesOf(jump)?.[0]?.start;
    if (start === undefined || this.searched.has(start)) return undefined;
    this.discover(start);
    return this.tables.get(jump);
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
      if (this.rangesOf(unit.root)?.[0]?.start === unit.root) this.headers.set(unit.root, new Set(translated.headers));
      return { type: 0, body: translated.body, slot: this.slotOf(unit.root) };
    });
    this.instantiate(functions);
    this.register(units, unitIds);
    this.moduleCount++;
  }

  private environment(unitId: number, calleeAt: (va: Va) => Callee): UnitEnvironment {
    return {
      unitId,
      calleeAt,
      isFunctionStart: (va) => this.isFunctionStart(va),
      isHeader: (va) => this.headersAround(va)?.has(va) ?? false,
      isExact: this.isExact,
      isPageable: (va) =>
        this.memory.trimsPageable && ((this.memory.mappingAt(va)?.flags ?? 0) & PageFlag.Pageable) !== 0,
      forcesDispatchLoop: this.options.forcesDispatchLoop,
    };
  }

  private isFunctionStart(va: Va): boolean {
    const ranges = this.rangesOf(va);
    return ranges === undefined || ranges[0]?.start === va;
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

  private register(units: readonly Unit[], unitIds: readonly number[], stepAt?: Va): TranslatedModule {
    const pages = new Set<Va>();
    for (const unit of units) for (const page of unit.pages) pages.add(page);
    const frames = new Map([...pages].map((page) => [page, this.executableFrame(page)]));
    const entries = stepAt === undefined ? units.map(({ root }) => root) : [];
    const module: TranslatedModule = { entries, stepAt, unitIds, pages, frames };
    for (const va of module.entries) this.modules.set(va, module);
    for (const page of pages) addTo(this.modulesOfPage, page, module);
    for (const unit of units) {
      for (const line of unit.lines) {
        const at = line * codeLineBytes;
        const page = Math.floor(at / pageSize) * pageSize;
        const frame = frames.get(page as Va);
        if (frame !== undefined) addTo(this.linesOfFrame, frame, (at - page) / codeLineBytes);
      }
    }
    for (const frame of frames.values()) {
      if (frame === undefined) continue;
      addTo(this.modulesOfFrame, frame, module);
      this.memory.markCode(frame);
    }
    return module;
  }

  private executableFrame(page: Va): number | undefined {
    const mapping = this.memory.mappingAt(page);
    return mapping && (mapping.flags & Access.Execute) !== 0 ? mapping.frame : undefined;
  }

  private drop(module: TranslatedModule): void {
    this.dropCount++;
    if (module.stepAt !== undefined) this.steps.delete(module.stepAt);
    for (const va of module.entries) {
      this.modules.delete(va);
      this.headers.delete(va);
      this.table.set(this.slotOf(va), this.lazy);
    }
    for (const page of module.pages) removeFrom(this.modulesOfPage, page, module);
    for (const frame of module.frames.values()) {
      if (frame === undefined) continue;
      removeFrom(this.modulesOfFrame, frame, module);
      if (!this.modulesOfFrame.has(frame)) this.linesOfFrame.delete(frame);
    }
    this.droppedUnits.push(...module.unitIds);
    for (const jump of this.tables.keys()) if (module.pages.has(pageOf(jump))) this.tables.delete(jump);
    for (const start of this.searched) if (module.pages.has(pageOf(start))) this.searched.delete(start);
  }
}

function pageOf(va: Va): Va {
  return (Math.floor(va / pageSize) * pageSize) as Va;
}

function addTo<K, V>(map: Map<K, Set<V>>, key: K, value: V): void {
  const set = map.get(key);
  if (set) set.add(value);
  else map.set(key, new Set([value]));
}

function removeFrom<K, V>(map: Map<K, Set<V>>, key: K, value: V): void {
  const set = map.get(key);
  set?.delete(value);
  if (set?.size === 0) map.delete(key);
}
