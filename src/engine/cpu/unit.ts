/**
 * Unit of translation: the control-flow graph that direct jumps reach from one root inside the function's ranges.
 */
import type { Va } from '../../base/va.ts';
import { Mnemonic } from './iced.ts';
import type { Instruction } from './instruction.ts';
import type { FetchFailure, InstructionReader } from './instruction-reader.ts';
import type { JumpTable } from './jump-table.ts';

export interface VaRange {
  readonly start: Va;
  readonly end: Va;
}

/** Where control goes on. `block` is -1 if that is outside of the unit. */
export interface Edge {
  readonly va: Va;
  readonly block: number;
}

/** How a block ends; the last instruction, if it transfers control, is the block's last. */
export type BlockEnd =
  | { readonly kind: 'next'; readonly next: Edge }
  | { readonly kind: 'branch'; readonly taken: Edge; readonly next: Edge }
  | { readonly kind: 'call'; readonly next: Edge }
  /** An instruction that the host performs. */
  | { readonly kind: 'host'; readonly next: Edge }
  | { readonly kind: 'table'; readonly table: JumpTable; readonly targets: readonly Edge[] }
  /** Return, indirect jump, trap. */
  | { readonly kind: 'exit' }
  /** There is no instruction to go on with. */
  | { readonly kind: 'no-code'; readonly failure: FetchFailure };

export interface Block {
  readonly index: number;
  readonly start: Va;
  readonly instructions: readonly Instruction[];
  readonly end: BlockEnd;
}

export interface Unit {
  readonly root: Va;
  /** Block 0 starts at the root. */
  readonly blocks: readonly Block[];
  /** Page-aligned addresses of all pages that were read. */
  readonly pages: ReadonlySet<Va>;
  /** Numbers of the 64-byte lines that instructions stand in: addresses divided by {@link codeLineBytes}. */
  readonly lines: ReadonlySet<number>;
  /** Whether this is one instruction only, which leaves after it. */
  readonly isStep: boolean;
}

export const codeLineBytes = 64;

export interface UnitSource {
  readonly reader: InstructionReader;
  readonly rangesOf: (va: Va) => readonly VaRange[] | undefined;
  /** The table of the jump at the end of a way through the unit. */
  readonly tableAt: (history: readonly Instruction[], isInside: (va: Va) => boolean) => JumpTable | undefined;
}

/** A straight line of instructions as it was decoded, and the one that led to it. */
interface Line {
  readonly before: Line | undefined;
  /** So many instructions of `before` stand before this line. */
  readonly countBefore: number;
  readonly instructions: Instruction[];
}

/** An indirect jump is looked at with so many instructions before it, or some more. */
const maxHistory = 300;

function historyOf(line: Line): readonly Instruction[] {
  const parts: (readonly Instruction[])[] = [line.instructions];
  let count = line.instructions.length;
  for (let at = line; at.before && count < maxHistory; at = at.before) {
    parts.push(at.before.instructions.slice(0, at.countBefore));
    count += at.countBefore;
  }
  return parts.reverse().flat();
}

const maxInstructions = 12_000;
/** A unit without known ranges follows jumps no farther than this. */
const maxGapBytes = 0x8000;

/** Instructions that need the host: system state, time, ports. */
const hostMnemonics: ReadonlySet<Mnemonic> = new Set([
  Mnemonic.Cpuid,
  Mnemonic.Rdtsc,
  Mnemonic.Rdtscp,
  Mnemonic.Rdpmc,
  Mnemonic.Rdrand,
  Mnemonic.Rdseed,
  Mnemonic.In,
  Mnemonic.Out,
  Mnemonic.Insb,
  Mnemonic.Insw,
  Mnemonic.Insd,
  Mnemonic.Outsb,
  Mnemonic.Outsw,
  Mnemonic.Outsd,
  Mnemonic.Rdmsr,
  Mnemonic.Wrmsr,
  Mnemonic.Cli,
  Mnemonic.Sti,
  Mnemonic.Hlt,
  Mnemonic.Invlpg,
  Mnemonic.Invd,
  Mnemonic.Wbinvd,
  Mnemonic.Lgdt,
  Mnemonic.Lidt,
  Mnemonic.Lldt,
  Mnemonic.Ltr,
  Mnemonic.Lmsw,
  Mnemonic.Clts,
  Mnemonic.Swapgs,
  Mnemonic.Xgetbv,
  Mnemonic.Xsetbv,
  Mnemonic.Vmcall,
  Mnemonic.Vmmcall,
  Mnemonic.Monitor,
  Mnemonic.Mwait,
  Mnemonic.Syscall,
  Mnemonic.Sysret,
  Mnemonic.Sysretq,
  Mnemonic.Sysenter,
  Mnemonic.Sysexit,
  Mnemonic.Sysexitq,
  Mnemonic.Iret,
  Mnemonic.Iretd,
  Mnemonic.Iretq,
  Mnemonic.Retf,
]);

/** Whether the host performs the instruction; `mov` to and from control and debug registers included. */
export function isHostInstruction(instruction: Instruction): boolean {
  if (hostMnemonics.has(instruction.mnemonic)) return true;
  if (instruction.mnemonic === Mnemonic.Mov) {
    const [to, from] = instruction.operands;
    const register = to?.kind === 'other' ? to.register : from?.kind === 'other' ? from.register : 0;
    return register >= firstControlRegister && register <= lastDebugRegister && !isReadOfCr8(instruction);
  }
  return false;
}

/** `Register.CR0`, `CR8` and `DR15`. */
export const firstControlRegister = 185;
export const controlRegister8 = firstControlRegister + 8;
const lastDebugRegister = firstControlRegister + 31;

export function isReadOfCr8(instruction: Instruction): boolean {
  const from = instruction.operands[1];
  return from?.kind === 'other' && from.register === controlRegister8;
}

/** Finds the unit rooted at `root`, up to where it stops. Never fails: what can't be read is a block that says so. */
export function discoverUnit(root: Va, source: UnitSource, stopsAt: (va: Va) => boolean): Unit {
  return new Discovery(root, source, false, stopsAt).run();
}

/** A unit of one instruction. */
export function discoverStep(root: Va, source: UnitSource): Unit {
  return new Discovery(root, source, true, () => true).run();
}

type Decoded = Instruction | FetchFailure;

class Discovery {
  private readonly root: Va;
  private readonly source: UnitSource;
  private readonly isStep: boolean;
  private readonly stopsAt: (va: Va) => boolean;
  private readonly decoded = new Map<Va, Decoded>();
  private readonly leaders = new Set<Va>();
  private readonly tables = new Map<Va, JumpTable>();
  private readonly work: { readonly va: Va; readonly line: Line }[] = [];
  private readonly pages = new Set<Va>();
  private readonly lines = new Set<number>();
  private readonly ranges: readonly VaRange[] | undefined;

  constructor(root: Va, source: UnitSource, isStep: boolean, stopsAt: (va: Va) => boolean) {
    this.root = root;
    this.source = source;
    this.isStep = isStep;
    this.stopsAt = stopsAt;
    this.ranges = source.rangesOf(root);
  }

  run(): Unit {
    this.lead(this.root, undefined);
    for (let next = this.work.pop(); next !== undefined; next = this.work.pop()) this.trace(next.va, next.line);
    const starts = [...this.leaders].filter((va) => va !== this.root).sort((a, b) => a - b);
    starts.unshift(this.root);
    const indexOf = new Map(starts.map((va, index) => [va, index]));
    const blocks = starts.map((start, index) => this.block(start, index, indexOf));
    return { root: this.root, blocks, pages: this.pages, lines: this.lines, isStep: this.isStep };
  }

  private lead(va: Va, before: Line | undefined): void {
    if (!this.leaders.has(va)) {
      this.leaders.add(va);
      this.work.push({ va, line: { before, countBefore: before?.instructions.length ?? 0, instructions: [] } });
    }
  }

  private isInside(va: Va): boolean {
    if (va === this.root) return !this.isStep;
    if (this.isStep || this.stopsAt(va)) return false;
    if (this.ranges) return this.ranges.some(({ start, end }) => va >= start && va < end);
    return Math.abs(va - this.root) < maxGapBytes && this.source.rangesOf(va) === undefined;
  }

  private canFollow(va: Va): boolean {
    return this.isInside(va) && (this.leaders.has(va) || this.decoded.has(va) || this.decoded.size < maxInstructions);
  }

  private follow(va: Va, from: Line): void {
    if (this.canFollow(va)) this.lead(va, from);
  }

  /** Decodes from a leader to the end of the straight line. */
  private trace(start: Va, line: Line): void {
    for (let va = start; ; ) {
      if (this.decoded.has(va)) {
        // Reached another way before: either it is the start of a block already or becomes one.
        if (va !== start) this.leaders.add(va);
        return;
      }
      const instruction = this.source.reader.read(va);
      this.decoded.set(va, instruction);
      this.notePages(va, instruction);
      if ('faultVa' in instruction) return;
      line.instructions.push(instruction);
      const [operand] = instruction.operands;
      const target = operand?.kind === 'target' ? operand.va : undefined;
      if (isHostInstruction(instruction)) {
        this.follow(instruction.next, line);
        return;
      }
      switch (instruction.flow) {
        case 'jump':
          if (target !== undefined) this.follow(target, line);
          return;
        case 'branch':
          if (target !== undefined) this.follow(target, line);
          this.follow(instruction.next, line);
          // Going on here keeps the history that a jump table after the bounds check needs.
          if (!this.canFollow(instruction.next) || this.decoded.has(instruction.next)) return;
          break;
        case 'call':
        case 'indirect-call':
          this.follow(instruction.next, line);
          return;
        case 'indirect-jump': {
          const table = this.isStep ? undefined : this.source.tableAt(historyOf(line), (at) => this.isInside(at));
          if (table) {
            this.tables.set(instruction.va, table);
            for (const at of table.targets) this.follow(at, line);
          }
          return;
        }
        case 'return':
        case 'trap':
        case 'invalid':
          return;
        case 'next':
          if (!this.canFollow(instruction.next)) return;
      }
      va = instruction.next;
    }
  }

  private notePages(va: Va, decoded: Decoded): void {
    const last = 'faultVa' in decoded ? (decoded.faultVa ?? va) : ((decoded.next - 1) as Va);
    this.pages.add((Math.floor(va / 0x1000) * 0x1000) as Va);
    this.pages.add((Math.floor(last / 0x1000) * 0x1000) as Va);
    this.lines.add(Math.floor(va / codeLineBytes));
    this.lines.add(Math.floor(last / codeLineBytes));
  }

  private block(start: Va, index: number, indexOf: ReadonlyMap<Va, number>): Block {
    const instructions: Instruction[] = [];
    const edge = (va: Va): Edge => ({ va, block: this.isStep ? -1 : (indexOf.get(va) ?? -1) });
    const done = (end: BlockEnd): Block => ({ index, start, instructions, end });
    for (let va = start; ; ) {
      const instruction = this.decoded.get(va);
      if (instruction === undefined) return done({ kind: 'next', next: { va, block: -1 } });
      if ('faultVa' in instruction) return done({ kind: 'no-code', failure: instruction });
      instructions.push(instruction);
      const next = instruction.next;
      const [operand] = instruction.operands;
      if (isHostInstruction(instruction)) return done({ kind: 'host', next: edge(next) });
      const target = operand?.kind === 'target' ? operand.va : undefined;
      switch (instruction.flow) {
        case 'jump':
          return done(target === undefined ? { kind: 'exit' } : { kind: 'next', next: edge(target) });
        case 'branch':
          if (target === undefined) return done({ kind: 'exit' });
          return done({ kind: 'branch', taken: edge(target), next: edge(next) });
        case 'call':
        case 'indirect-call':
          return done({ kind: 'call', next: edge(next) });
        case 'indirect-jump': {
          const table = this.tables.get(va);
          return done(table ? { kind: 'table', table, targets: table.targets.map(edge) } : { kind: 'exit' });
        }
        case 'return':
        case 'trap':
        case 'invalid':
          return done({ kind: 'exit' });
        case 'next':
          if (this.isStep || indexOf.has(next)) return done({ kind: 'next', next: edge(next) });
      }
      va = next;
    }
  }
}

/** Edges to blocks of the unit. */
export function successorsOf(block: Block): number[] {
  return edgesOf(block)
    .map((edge) => edge.block)
    .filter((target) => target >= 0);
}

export function edgesOf(block: Block): readonly Edge[] {
  const end = block.end;
  switch (end.kind) {
    case 'next':
    case 'call':
    case 'host':
      return [end.next];
    case 'branch':
      return [end.taken, end.next];
    case 'table':
      return end.targets;
    case 'exit':
    case 'no-code':
      return [];
  }
}

/** Whether not even the first instruction can be fetched. */
export function startsUnfetchable(unit: Unit): boolean {
  const first = unit.blocks[0];
  return first?.end.kind === 'no-code' && first.instructions.length === 0 && first.end.failure.faultVa === unit.root;
}

export function instructionCount(unit: Unit): number {
  return unit.blocks.reduce((sum, block) => sum + block.instructions.length, 0);
}

/** Where direct calls and jumps of the unit lead out of it. */
export function calleesOf(unit: Unit): Va[] {
  const callees: Va[] = [];
  for (const block of unit.blocks) {
    const last = block.instructions[block.instructions.length - 1];
    const [operand] = last?.operands ?? [];
    if (block.end.kind === 'call' && operand?.kind === 'target') callees.push(operand.va);
    if (last?.flow === 'jump' || last?.flow === 'branch') {
      for (const edge of edgesOf(block)) if (edge.block < 0) callees.push(edge.va);
    }
  }
  return callees;
}
