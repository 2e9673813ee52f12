/**
 * The control codes that a driver knows, read from its code: the dispatch routine of IRP_MJ_DEVICE_CONTROL is followed
 * with the set of codes that can be at each place. A comparison of the code, however the compiler wrote it (also as a
 * chain of subtractions, a search tree, a jump table, a bit mask), parts the set; parts of one code or two are what is
 * looked for. Nothing is run, and immediates that are not compared with the code do not count.
 */
import { type Va, vaFromU64, vaInRange } from '../../base/va.ts';
import { ConditionCode, Mnemonic } from '../../engine/cpu/iced.ts';
import type { Instruction } from '../../engine/cpu/instruction.ts';
import { InstructionReader } from '../../engine/cpu/instruction-reader.ts';
import type { GuestMemory } from '../../engine/memory/guest-memory.ts';
import { Access } from '../../engine/memory/layout.ts';
import { AbstractState, type ImageReader, Register, type Value } from './dispatch-analysis/abstract-state.ts';
import { type CodeSet, codesOf, countOf, intersection, setOf, without } from './dispatch-analysis/code-set.ts';
import {
  codesWhere,
  dependsOnCode,
  type Filter,
  flagsText,
  holdsFor,
  isChosenBit,
  isOrder,
  mostCodes,
} from './dispatch-analysis/condition.ts';
import { push, stepInstruction } from './dispatch-analysis/step-instruction.ts';

export interface FoundCode {
  readonly code: number;
  /** `certain`: compared for equality, or has a case of its own; `likely`: set apart by bounds, or an index of routines. */
  readonly confidence: 'certain' | 'likely';
}

/** A module in memory. */
export interface ModuleRange {
  readonly base: Va;
  readonly sizeBytes: number;
}

/** Instructions that are looked at, those of loops and callees as often as they are. */
const mostInstructions = 60_000;
/** Calls within calls that are followed. */
const deepestCall = 4;

/** The codes that a dispatch routine tells apart, ascending. None if the routine is not in the module. */
export function findControlCodes(memory: GuestMemory, module: ModuleRange, dispatch: Va): readonly FoundCode[] {
  const walk = new DispatchWalk(memory, module);
  walk.routine(dispatch, AbstractState.atDispatch(), 0);
  return walk.finish();
}

/** Codes that go their own way. */
interface Part {
  readonly codes: readonly number[];
  /** Where they go; undefined if they need not go anywhere else. */
  readonly target: Va | undefined;
  readonly confidence: FoundCode['confidence'];
}

class DispatchWalk {
  private readonly module: ModuleRange;
  private readonly reader: InstructionReader;
  private readonly image: ImageReader;
  private readonly instructions = new Map<Va, Instruction | undefined>();
  private readonly parts: Part[] = [];
  /** Where codes go that are not told apart. */
  private readonly defaults = new Set<Va>();
  private left = mostInstructions;

  constructor(memory: GuestMemory, module: ModuleRange) {
    this.module = module;
    this.reader = new InstructionReader(memory);
    const read = (address: bigint, bytes: number, isConstant: boolean): bigint | undefined => {
      const va = vaFromU64(address);
      if (!vaInRange(va, module.base, module.sizeBytes, bytes)) return undefined;
      if (!memory.isAccessible(va, bytes, Access.Read)) return undefined;
      if (isConstant && memory.isAccessible(va, bytes, Access.Write)) return undefined;
      return memory.readBytes(va, bytes).reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
    };
    this.image = {
      constant: (address, bytes) => read(address, bytes, true),
      table: (address, bytes) => read(address, bytes, false),
    };
  }

  finish(): readonly FoundCode[] {
    this.reader.reset();
    const found = new Map<number, FoundCode['confidence']>();
    for (const { codes, target, confidence } of this.parts) {
      if (target !== undefined && this.defaults.has(target)) continue;
      for (const code of codes) if (found.get(code) !== 'certain') found.set(code, confidence);
    }
    return [...found].map(([code, confidence]) => ({ code, confidence })).sort((a, b) => a.code - b.code);
  }

  /** Follows a routine from its first instruction; what is known where it returns. */
  routine(entry: Va, start: AbstractState, depth: number): AbstractState | undefined {
    const places = new Map<Va, AbstractState>();
    const work: Va[] = [];
    const flow: Flow = (va, state) => {
      if (countOf(state.codes) === 0 || !this.isInside(va)) return;
      const known = places.get(va);
      if (known === undefined) places.set(va, state.copy());
      else if (!known.join(state)) return;
      if (!work.includes(va)) work.push(va);
    };
    const returned: { state?: AbstractState } = {};
    flow(entry, start);
    for (let va = work.pop(); va !== undefined && this.left > 0; va = work.pop()) {
      const state = places.get(va)?.copy();
      if (state === undefined) continue;
      let at: Va | undefined = va;
      while (at !== undefined && this.left > 0) {
        if (at !== va && places.has(at)) {
          flow(at, state);
          break;
        }
        at = this.step(at, state, flow, depth, returned);
      }
    }
    return returned.state;
  }

  /** One instruction; where it goes on, or undefined if that was handed to `flow` or is an end. */
  private step(
    va: Va,
    state: AbstractState,
    flow: Flow,
    depth: number,
    returned: { state?: AbstractState },
  ): Va | undefined {
    this.left--;
    const instruction = this.instructionAt(va);
    if (instruction === undefined) return undefined;
    const [operand] = instruction.operands;
    switch (instruction.flow) {
      case 'next':
        this.noteUse(instruction, state);
        stepInstruction(state, instruction, this.image);
        return instruction.next;
      case 'jump':
        if (operand?.kind === 'target') flow(operand.va, state);
        return undefined;
      case 'branch':
        if (operand?.kind === 'target') this.branch(instruction, operand.va, state, flow);
        return undefined;
      case 'indirect-jump': {
        const value = state.read(operand, this.image);
        for (const [target, codes] of this.targets(value, state, 'certain')) flow(target, withCodes(state, codes));
        return undefined;
      }
      case 'call':
        this.call(operand?.kind === 'target' ? operand.va : undefined, state, depth);
        return instruction.next;
      case 'indirect-call':
        this.targets(state.read(operand, this.image), state, 'likely');
        state.return(undefined);
        return instruction.next;
      case 'return':
        if (returned.state === undefined) returned.state = state.copy();
        else returned.state.join(state);
        return undefined;
      case 'trap':
        // Assertions and breakpoints go on; a fast fail does not.
        return instruction.mnemonic === Mnemonic.Int3 || isAssertion(instruction) ? instruction.next : undefined;
      default:
        return undefined;
    }
  }

  /** A conditional move or set: it may be all that a compiler makes of a comparison. */
  private noteUse({ condition }: Instruction, state: AbstractState): void {
    if (condition === ConditionCode.None || state.flags === undefined || !dependsOnCode(state.flags)) return;
    if (condition !== ConditionCode.e && condition !== ConditionCode.ne) return;
    const equal = codesWhere(state.codes, state.flags, ConditionCode.e);
    if (equal !== undefined) this.note(equal, 2, undefined, 'certain');
  }

  private branch({ condition, next }: Instruction, target: Va, state: AbstractState, flow: Flow): void {
    const { flags } = state;
    if (flags === undefined || condition === ConditionCode.None) {
      flow(target, state);
      flow(next, state);
      return;
    }
    const taken = codesWhere(state.codes, flags, condition);
    const ways = [
      { va: target, codes: taken ?? state.codes, isTaken: true },
      { va: next, codes: taken === undefined ? state.codes : without(state.codes, taken), isTaken: false },
    ];
    const parts = dependsOnCode(flags);
    for (const { va, codes, isTaken } of ways) {
      if (parts && countOf(codes) > mostCodes) this.defaults.add(va);
      if (parts && taken !== undefined) {
        const holds = (one: ConditionCode): boolean => isTaken === (condition === one);
        if (flags.kind === 'bit') {
          if (holds(ConditionCode.b)) this.note(codes, mostCodes, va, 'certain');
        } else if (isChosenBit(flags)) {
          if (holds(ConditionCode.ne)) this.note(codes, mostCodes, va, 'certain');
        } else if (isOrder(condition)) this.note(codes, 2, va, 'likely');
        else if (holds(ConditionCode.e)) this.note(codes, 2, undefined, 'certain');
      }
      const there = withCodes(state, codes);
      if (parts && taken === undefined) {
        const holds = (code: number): boolean | undefined => {
          const is = holdsFor(flags, condition, code);
          return is === undefined ? undefined : is === isTaken;
        };
        const text = `${flagsText(flags)} ${condition} ${isTaken}`;
        there.filters = [...there.filters.filter((filter) => filter.text !== text), { text, holds }];
      }
      there.codes = filtered(there.codes, there.filters);
      flow(va, there);
    }
  }

  /** Where a jump or call through a value goes, by code. */
  private targets(value: Value, state: AbstractState, confidence: FoundCode['confidence']): ReadonlyMap<Va, CodeSet> {
    const targets = new Map<Va, number[]>();
    if (value === undefined || 'to' in value) return new Map();
    if (value.constant !== undefined) return new Map([[vaFromU64(value.constant), state.codes]]);
    if (countOf(state.codes) > mostCodes) return new Map();
    for (const code of codesOf(state.codes)) {
      const address = value.at(code);
      const va = address === undefined ? undefined : vaFromU64(address);
      if (va === undefined || !this.isInside(va)) continue;
      const codes = targets.get(va);
      if (codes === undefined) targets.set(va, [code]);
      else codes.push(code);
    }
    const sets = [...targets].map(([va, codes]) => [va, setOf(codes)] as const);
    for (const [va, codes] of sets) this.note(codes, mostCodes, va, confidence);
    return new Map(sets);
  }

  private note(codes: CodeSet, most: number, target: Va | undefined, confidence: FoundCode['confidence']): void {
    const count = countOf(codes);
    if (count === 0 || count > most) return;
    let list = codesOf(codes);
    // A table of every fourth value has all four transfer methods of a function in one entry: one stands for them.
    if (target !== undefined) {
      const all = new Set(list);
      list = list.filter(
        (code) => (code & 3) === 0 || [0, 1, 2, 3].some((method) => !all.has(((code & ~3) | method) >>> 0)),
      );
    }
    this.parts.push({ codes: list, target, confidence });
  }

  private call(target: Va | undefined, state: AbstractState, depth: number): void {
    let returned: AbstractState | undefined;
    if (target !== undefined && depth < deepestCall && this.isInside(target) && isTold(state)) {
      const callee = state.copy();
      push(callee, undefined);
      returned = this.routine(target, callee, depth + 1);
    }
    state.return(returned);
  }

  private instructionAt(va: Va): Instruction | undefined {
    if (!this.instructions.has(va)) {
      const read = this.reader.read(va);
      this.instructions.set(va, 'faultVa' in read ? undefined : read);
    }
    return this.instructions.get(va);
  }

  private isInside(va: Va): boolean {
    return vaInRange(va, this.module.base, this.module.sizeBytes);
  }
}

type Flow = (va: Va, state: AbstractState) => void;

function withCodes(state: AbstractState, codes: CodeSet): AbstractState {
  const copy = state.copy();
  copy.codes = intersection(state.codes, codes);
  return copy;
}

/** Those of few codes for which nothing says that they can't be here. */
function filtered(codes: CodeSet, filters: readonly Filter[]): CodeSet {
  if (filters.length === 0 || countOf(codes) > mostCodes) return codes;
  return setOf(codesOf(codes).filter((code) => filters.every((filter) => filter.holds(code) !== false)));
}

/** Whether a callee is given anything of the request. */
function isTold({ registers }: AbstractState): boolean {
  const registersOfArguments = [Register.Rcx, Register.Rdx, Register.R8, Register.R9];
  return registersOfArguments.some((register) => {
    const value = registers[register];
    if (value === undefined) return false;
    return 'to' in value ? value.to !== 'stack' : value.constant === undefined;
  });
}

/** `int 2Ch`: an assertion that failed. */
function isAssertion({ mnemonic, operands: [operand] }: Instruction): boolean {
  return mnemonic === Mnemonic.Int && operand?.kind === 'immediate' && operand.value === 0x2c;
}
