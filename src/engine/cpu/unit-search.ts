/** Finds units, with what is known of the functions around them: their loops and jump tables. */
import type { Va } from '../../base/va.ts';
import type { GuestMemory } from '../memory/guest-memory.ts';
import { pageOf } from '../memory/layout.ts';
import type { Instruction } from './instruction.ts';
import { InstructionReader } from './instruction-reader.ts';
import { findJumpTable, type JumpTable } from './jump-table.ts';
import type { TranslatedModule } from './translated-module.ts';
import { discoverStep, discoverUnit, type Unit, type UnitSource, type VaRange } from './unit.ts';

const nowhere: ReadonlySet<Va> = new Set();

export class UnitSearch {
  readonly reader: InstructionReader;
  /** Where units end besides. */
  breakpoints: ReadonlySet<Va> = nowhere;
  /** Ranges of the function around an address, the one with its start first. */
  rangesOf: (va: Va) => readonly VaRange[] | undefined = () => undefined;
  private readonly memory: GuestMemory;
  private readonly source: UnitSource;
  /** Jump tables by the address of the jump. */
  private readonly tables = new Map<Va, JumpTable>();
  /** Roots of units that were searched for tables. */
  private readonly searched = new Set<Va>();
  /** Loops of each function that was translated from its start. */
  private readonly headers = new Map<Va, ReadonlySet<Va>>();

  constructor(memory: GuestMemory) {
    this.memory = memory;
    this.reader = new InstructionReader(memory);
    this.source = {
      reader: this.reader,
      rangesOf: (va) => this.rangesOf(va),
      tableAt: (history, isInside) => this.tableAt(history, isInside),
    };
  }

  /**
   * A unit rooted in the middle of a function ends where a loop starts, which is a root of its own: else each place where
   * the loop is left and gone on with would translate all of it again.
   */
  unitAt(va: Va): Unit {
    this.searched.add(va);
    const headers = this.headersAround(va);
    const loops = headers?.has(va) ? nowhere : (headers ?? nowhere);
    return discoverUnit(va, this.source, (at) => loops.has(at) || this.breakpoints.has(at));
  }

  /** One instruction alone. */
  stepAt(va: Va): Unit {
    return discoverStep(va, this.source);
  }

  /** Notes the loops of a unit, if it is a function from its start. */
  noteLoops(root: Va, headers: Iterable<Va>): void {
    if (this.rangesOf(root)?.[0]?.start === root) this.headers.set(root, new Set(headers));
  }

  /** Whether a loop starts there, in the middle of a function whose loops are known. */
  isHeader(va: Va): boolean {
    return this.headersAround(va)?.has(va) ?? false;
  }

  isFunctionStart(va: Va): boolean {
    const ranges = this.rangesOf(va);
    return ranges === undefined || ranges[0]?.start === va;
  }

  /** Forgets what is known of the functions on the pages of a module that is dropped. */
  forget({ entries, pages }: TranslatedModule): void {
    for (const va of entries) this.headers.delete(va);
    for (const jump of this.tables.keys()) if (pages.has(pageOf(jump))) this.tables.delete(jump);
    for (const start of this.searched) if (pages.has(pageOf(start))) this.searched.delete(start);
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
    this.unitAt(start);
    return this.tables.get(jump);
  }
}
