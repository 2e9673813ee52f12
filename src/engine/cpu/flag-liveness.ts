/**
 * Which arithmetic flags somebody reads later. Most are dead: a following instruction overwrites them unread.
 */
import { Mnemonic } from './iced.ts';
import type { Instruction } from './instruction.ts';
import type { Block, Edge, Unit } from './unit.ts';

/** All six arithmetic flags, `1 << Flag`. */
export const allFlags = 0x3f;

export interface FlagLivenessOptions {
  /** Flags count as read wherever control can leave the unit; else they are dead at calls and returns (the x64 ABI). */
  readonly exact: boolean;
  /** Whether nobody reads flags where an edge leaves the unit: another function starts there, for example. */
  readonly areFlagsDeadAt: (edge: Edge) => boolean;
}

export class FlagLiveness {
  private readonly options: FlagLivenessOptions;
  private readonly liveIn: Uint8Array;
  /** Flags are read at the unit's root, or after a call that does not give any back by the ABI. */
  readonly readsAfterCall: boolean;

  constructor(unit: Unit, options: FlagLivenessOptions) {
    this.options = options;
    this.liveIn = new Uint8Array(unit.blocks.length);
    for (let changed = true; changed; ) {
      changed = false;
      for (let index = unit.blocks.length - 1; index >= 0; index--) {
        const before = this.walk(unit.blocks[index] as Block);
        if (before !== this.liveIn[index]) {
          this.liveIn[index] = before;
          changed = true;
        }
      }
    }
    this.readsAfterCall =
      !options.exact && unit.blocks.some(({ end }) => end.kind === 'call' && this.atEdge(end.next) !== 0);
  }

  /** Flags read at or after the start of a block. */
  atStart(block: number): number {
    return this.liveIn[block] as number;
  }

  atEdge(edge: Edge): number {
    if (edge.block >= 0) return this.liveIn[edge.block] as number;
    return this.options.exact || !this.options.areFlagsDeadAt(edge) ? allFlags : 0;
  }

  /** Flags that are live before and after each instruction of a block. */
  around(block: Block): { readonly before: Uint8Array; readonly after: Uint8Array } {
    const before = new Uint8Array(block.instructions.length);
    const after = new Uint8Array(block.instructions.length);
    this.walk(block, before, after);
    return { before, after };
  }

  /** Flags that are live where a block ends, before its last instruction transfers control. */
  atEndOf(block: Block): number {
    return this.atEnd(block);
  }

  private walk(block: Block, before?: Uint8Array, after?: Uint8Array): number {
    let live = this.atEnd(block);
    for (let index = block.instructions.length - 1; index >= 0; index--) {
      const instruction = block.instructions[index] as Instruction;
      if (after) after[index] = live;
      if (!writesFlagsConditionally(instruction)) live &= ~instruction.flagsWritten;
      live |= instruction.flagsRead;
      if (this.options.exact && mayFault(instruction)) live = allFlags;
      if (before) before[index] = live;
    }
    return live;
  }

  private atEnd(block: Block): number {
    const { exact } = this.options;
    const end = block.end;
    switch (end.kind) {
      case 'next':
      case 'branch': {
        const taken = end.kind === 'branch' ? this.atEdge(end.taken) : 0;
        return exact ? allFlags : taken | this.atEdge(end.next);
      }
      case 'host':
        return exact ? allFlags : this.atEdge(end.next);
      case 'table':
        return exact ? allFlags : end.targets.reduce((live, edge) => live | this.atEdge(edge), 0);
      case 'call':
      case 'exit':
        return exact ? allFlags : 0;
      case 'no-code':
        return allFlags;
    }
  }
}

const conditionalFlagWriters: ReadonlySet<Mnemonic> = new Set([
  Mnemonic.Shl,
  Mnemonic.Sal,
  Mnemonic.Shr,
  Mnemonic.Sar,
  Mnemonic.Rol,
  Mnemonic.Ror,
  Mnemonic.Shld,
  Mnemonic.Shrd,
]);

/** Whether a count of zero leaves the flags alone. */
export function writesFlagsConditionally(instruction: Instruction): boolean {
  if (instruction.mnemonic === Mnemonic.Rcl || instruction.mnemonic === Mnemonic.Rcr) return true;
  if (conditionalFlagWriters.has(instruction.mnemonic)) {
    return instruction.operands[instruction.operands.length - 1]?.kind !== 'immediate';
  }
  return instruction.rep !== undefined && instruction.flagsWritten !== 0;
}

const stackMnemonics: ReadonlySet<Mnemonic> = new Set([
  Mnemonic.Push,
  Mnemonic.Pop,
  Mnemonic.Pushfq,
  Mnemonic.Popfq,
  Mnemonic.Pushf,
  Mnemonic.Popf,
  Mnemonic.Call,
  Mnemonic.Ret,
  Mnemonic.Leave,
  Mnemonic.Enter,
  Mnemonic.Div,
  Mnemonic.Idiv,
]);

/** Whether the instruction can raise an exception before it takes effect. */
export function mayFault(instruction: Instruction): boolean {
  if (stackMnemonics.has(instruction.mnemonic)) return true;
  return instruction.mnemonic !== Mnemonic.Lea && instruction.operands.some(({ kind }) => kind === 'memory');
}
