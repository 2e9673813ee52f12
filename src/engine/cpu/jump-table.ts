/**
 * Jump tables: `jmp register` (or `jmp [table + register * 8]`) whose targets a compiler has put into a table.
 *
 * The instructions before the jump are followed with the sets of values that registers can have: an index that was
 * compared with a bound has the values 0..bound, a load through it the values that stand in memory, and so on. That
 * covers what MSVC (image base + 32-bit offsets, also through a byte table), clang and gcc (table + 32-bit distances)
 * make. Of the ways that lead to the jump one is followed. The result is a guess that the translated code checks, so
 * another way or a table that changes does no harm.
 */
import { type Va, vaFromU64 } from '../../base/va.ts';
import type { GuestMemory } from '../memory/guest-memory.ts';
import { Access } from '../memory/layout.ts';
import { ConditionCode, Mnemonic } from './iced.ts';
import type { GprOperand, Instruction, MemoryOperand, Operand } from './instruction.ts';

export interface JumpTable {
  /** Addresses that the jump can go to, ascending, without repetition. */
  readonly targets: readonly Va[];
}

const maxEntries = 1024;

/** What a function need not preserve: RAX, RCX, RDX, R8 to R11. */
const volatileRegisters = [0, 1, 2, 8, 9, 10, 11];

/** The table behind the indirect jump at the end of `history`, one way to it; undefined if the code is not recognised. */
export function findJumpTable(
  history: readonly Instruction[],
  isInside: (va: Va) => boolean,
  memory: GuestMemory,
): JumpTable | undefined {
  const jump = history[history.length - 1];
  const operand = jump?.operands[0];
  if (!operand) return undefined;
  const values = new ValueSets(memory);
  for (let at = 0; at < history.length - 1; at++) {
    const instruction = history[at] as Instruction;
    values.step(instruction, history[at + 1]?.va !== instruction.next);
  }
  const targets = values.of(operand);
  if (!targets || targets.length < 2) return undefined;
  const inside = [...new Set(targets)].filter((va) => isInside(va as Va)).sort((a, b) => a - b) as Va[];
  return inside.length === 0 ? undefined : { targets: inside };
}

/** Something that is not known, but known to be the same in all places that hold it. */
interface Unknown {
  bound: number | undefined;
}

type Value = { readonly values: readonly number[] } | { readonly unknown: Unknown };

class ValueSets {
  private readonly memory: GuestMemory;
  private readonly registers = new Map<number, Value>();
  /** Unknown contents of memory operands, by their text, as long as nothing they depend on changes. */
  private readonly places = new Map<string, { readonly value: Value; readonly registers: readonly number[] }>();
  private compared: { readonly value: Value; readonly bound: number } | undefined;

  constructor(memory: GuestMemory) {
    this.memory = memory;
  }

  /** Values that an operand can have; undefined if that is not known. */
  of(operand: Operand): readonly number[] | undefined {
    const value = this.value(operand, false);
    return 'values' in value ? value.values : this.range(value.unknown);
  }

  /** `isTaken`: whether the instruction is a jump and the way goes on at its target. */
  step(instruction: Instruction, isTaken: boolean): void {
    const [first, second] = instruction.operands;
    switch (instruction.flow) {
      case 'branch':
        this.bound(instruction.condition, isTaken);
        return;
      case 'jump':
        return;
      case 'call':
      case 'indirect-call':
        for (const register of volatileRegisters) this.registers.delete(register);
        this.places.clear();
        this.compared = undefined;
        return;
    }
    switch (instruction.mnemonic) {
      case Mnemonic.Cmp:
        this.compare(first, second);
        return;
      case Mnemonic.Cdqe:
      case Mnemonic.Nop:
        return;
      default: {
        const value = first?.kind === 'gpr' && second ? this.result(instruction.mnemonic, first, second) : undefined;
        if (instruction.flagsWritten !== 0) this.compared = undefined;
        if (value === undefined) this.forgetWritten(instruction);
        else this.assign(first as GprOperand, value);
      }
    }
  }

  /** What a two-operand instruction puts into a register; undefined if there is no rule for it. */
  private result(mnemonic: Mnemonic, to: GprOperand, from: Operand): Value | undefined {
    switch (mnemonic) {
      case Mnemonic.Mov:
      case Mnemonic.Movzx:
        return this.value(from, false);
      case Mnemonic.Movsxd:
      case Mnemonic.Movsx:
        return this.value(from, true);
      case Mnemonic.Lea:
        return from.kind === 'memory' ? this.address(from) : undefined;
      case Mnemonic.Add:
        return this.sum(to, from);
      case Mnemonic.And:
        return from.kind === 'immediate' ? masked(from.value) : undefined;
      default:
        return undefined;
    }
  }

  /** Whatever an instruction without a rule of its own may have changed. */
  private forgetWritten(instruction: Instruction): void {
    const [first, second] = instruction.operands;
    for (const operand of [first, second]) {
      if (operand?.kind === 'gpr') this.assign(operand, fresh());
      if (operand?.kind === 'memory') this.places.clear();
    }
    if (instruction.operands.length < 2) {
      // Multiplications, divisions, string and stack instructions change registers that they do not name.
      this.registers.clear();
      this.places.clear();
    }
  }

  private assign(to: GprOperand, value: Value): void {
    if (to.bytes < 4) this.registers.delete(to.high ? to.index & 3 : to.index);
    else this.registers.set(to.index, value);
    for (const [text, place] of this.places) if (place.registers.includes(to.index)) this.places.delete(text);
  }

  private compare(first: Operand | undefined, second: Operand | undefined): void {
    this.compared = undefined;
    if (!first || second?.kind !== 'immediate' || typeof second.value !== 'number') return;
    this.compared = { value: this.value(first, false), bound: second.value };
  }

  /** Behind a jump that tells that the compared value is below, or not above, the bound. */
  private bound(condition: ConditionCode, isTaken: boolean): void {
    const compared = this.compared;
    if (!compared || !('unknown' in compared.value)) return;
    const isNotAbove = condition === (isTaken ? ConditionCode.be : ConditionCode.a);
    const isBelow = condition === (isTaken ? ConditionCode.b : ConditionCode.ae);
    if (!isNotAbove && !isBelow) return;
    const bound = isNotAbove ? compared.bound : compared.bound - 1;
    if (bound >= 0 && bound < maxEntries) compared.value.unknown.bound = bound;
  }

  private range(unknown: Unknown): readonly number[] | undefined {
    const { bound } = unknown;
    return bound === undefined ? undefined : Array.from({ length: bound + 1 }, (_, index) => index);
  }

  private known(value: Value): readonly number[] | undefined {
    return 'values' in value ? value.values : this.range(value.unknown);
  }

  private value(operand: Operand, isSigned: boolean): Value {
    switch (operand.kind) {
      case 'gpr':
        return operand.high ? fresh() : this.register(operand.index);
      case 'immediate':
        return typeof operand.value === 'number' ? { values: [operand.value] } : fresh();
      case 'memory':
        return this.load(operand, isSigned);
      default:
        return fresh();
    }
  }

  private register(index: number): Value {
    const known = this.registers.get(index);
    if (known) return known;
    const value = fresh();
    this.registers.set(index, value);
    return value;
  }

  private address(operand: MemoryOperand): Value {
    if (operand.segment || operand.addressBytes !== 8 || typeof operand.displacement !== 'number') return fresh();
    let values: readonly number[] = [operand.displacement];
    for (const [register, scale] of [
      [operand.base, 1],
      [operand.index, 1 << operand.scaleShift],
    ] as const) {
      if (register < 0) continue;
      const terms = this.known(this.register(register));
      const sums = terms && added(values, terms, scale);
      if (!sums) return fresh();
      values = sums;
    }
    return { values };
  }

  private load(operand: MemoryOperand, isSigned: boolean): Value {
    const address = this.address(operand);
    if ('values' in address) {
      const loaded = address.values.map((va) => this.read(va as Va, operand.bytes, isSigned));
      return loaded.includes(undefined) ? fresh() : { values: loaded as number[] };
    }
    const { base, index, scaleShift, displacement, segment } = operand;
    const text = `${segment ?? ''}:${base}+${index}<<${scaleShift}+${displacement}`;
    const known = this.places.get(text);
    if (known) return known.value;
    const value = fresh();
    this.places.set(text, { value, registers: [base, index] });
    return value;
  }

  private read(va: Va, bytes: number, isSigned: boolean): number | undefined {
    if (!this.memory.isAccessible(va, bytes, Access.Read)) return undefined;
    switch (bytes) {
      case 1:
        return this.memory.readU8(va);
      case 2:
        return this.memory.readU16(va);
      case 4:
        return isSigned ? this.memory.readI32(va) : this.memory.readU32(va);
      case 8:
        return vaFromU64(this.memory.readU64(va));
      default:
        return undefined;
    }
  }

  private sum(to: GprOperand, from: Operand): Value {
    const a = this.known(this.register(to.index));
    const b = this.known(this.value(from, false));
    const values = a && b && to.bytes === 8 ? added(a, b, 1) : undefined;
    return values ? { values } : fresh();
  }
}

function fresh(): Value {
  return { unknown: { bound: undefined } };
}

function masked(mask: number | bigint): Value {
  if (typeof mask !== 'number' || mask < 0 || mask >= maxEntries) return fresh();
  return { values: Array.from({ length: mask + 1 }, (_, index) => index) };
}

/** All sums, if one side is a single value; sets that depend on each other can't be told apart. */
function added(a: readonly number[], b: readonly number[], scale: number): readonly number[] | undefined {
  if (a.length === 1) return b.map((value) => (a[0] as number) + value * scale);
  if (b.length === 1) return a.map((value) => value + (b[0] as number) * scale);
  return undefined;
}
