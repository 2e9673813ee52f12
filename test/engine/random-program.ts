/**
 * Random programs of a few functions with arbitrary control flow (loops with several entries too), and an interpreter of
 * their own that tells what they must do.
 */

/** Registers that programs compute with, by number. RBX is saved by each function; R15 counts blocks down. */
const computing = ['rax', 'rcx', 'rdx', 'rbx', 'r8', 'r9', 'r10'] as const;
type Register = (typeof computing)[number];

type Step =
  | {
      readonly kind: 'binary';
      readonly op: 'add' | 'sub' | 'xor' | 'and' | 'or' | 'imul';
      readonly bits: 32 | 64;
      readonly to: Register;
      readonly from: Register;
    }
  | { readonly kind: 'constant'; readonly to: Register; readonly value: number }
  | { readonly kind: 'store' | 'load'; readonly register: Register; readonly slot: number }
  | {
      readonly kind: 'setcc';
      readonly to: Register;
      readonly a: Register;
      readonly b: Register;
      readonly condition: Condition;
    }
  | { readonly kind: 'carry'; readonly to: Register; readonly a: Register; readonly b: Register };

const conditions = ['e', 'ne', 'b', 'ae', 'be', 'a', 'l', 'ge', 'le', 'g', 's', 'ns'] as const;
type Condition = (typeof conditions)[number];

type End =
  | { readonly kind: 'jump'; readonly to: number }
  | {
      readonly kind: 'branch';
      readonly a: Register;
      readonly b: Register | number;
      readonly condition: Condition;
      readonly taken: number;
      readonly next: number;
      readonly between: Step | undefined;
    }
  | { readonly kind: 'call'; readonly function: number; readonly next: number };

interface Block {
  readonly steps: readonly Step[];
  readonly end: End;
}

export interface Program {
  readonly functions: readonly (readonly Block[])[];
  readonly budget: number;
}

/** Numbers in [0, below) from a seed. */
export function randomNumbers(seed: number): (below: number) => number {
  let state = (seed * 2654435761 + 12345) >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state % below;
  };
}

export function randomProgram(seed: number): Program {
  const random = randomNumbers(seed);
  const pick = <T>(from: readonly T[]): T => from[random(from.length)] as T;
  const functionCount = 1 + random(4);
  const step = (): Step => {
    switch (random(6)) {
      case 0:
        return {
          kind: 'constant',
          to: pick(computing),
          value: pick([0, 1, -1, 7, 0x7fffffff, -0x80000000, random(1000)]),
        };
      case 1:
        return { kind: 'store', register: pick(computing), slot: random(8) };
      case 2:
        return { kind: 'load', register: pick(computing), slot: random(8) };
      case 3:
        return {
          kind: 'setcc',
          to: pick(computing),
          a: pick(computing),
          b: pick(computing),
          condition: pick(conditions),
        };
      case 4:
        return { kind: 'carry', to: pick(computing), a: pick(computing), b: pick(computing) };
      default:
        return {
          kind: 'binary',
          op: pick(['add', 'sub', 'xor', 'and', 'or', 'imul'] as const),
          bits: pick([32, 64] as const),
          to: pick(computing),
          from: pick(computing),
        };
    }
  };
  const functions = Array.from({ length: functionCount }, () => {
    const count = 2 + random(9);
    return Array.from({ length: count }, (): Block => {
      const steps = Array.from({ length: random(4) }, step);
      const kind = random(10);
      if (kind < 3) return { steps, end: { kind: 'jump', to: random(count) } };
      if (kind < 5) return { steps, end: { kind: 'call', function: random(functionCount), next: random(count) } };
      const between =
        random(3) === 0 ? ({ kind: 'store', register: pick(computing), slot: random(8) } as const) : undefined;
      return {
        steps,
        end: {
          kind: 'branch',
          a: pick(computing),
          b: random(2) === 0 ? pick(computing) : random(5) - 2,
          condition: pick(conditions),
          taken: random(count),
          next: random(count),
          between,
        },
      };
    });
  });
  return { functions, budget: 20 + random(400) };
}

const low32: Readonly<Record<Register, string>> = {
  rax: 'eax',
  rcx: 'ecx',
  rdx: 'edx',
  rbx: 'ebx',
  r8: 'r8d',
  r9: 'r9d',
  r10: 'r10d',
};
const low8: Readonly<Record<Register, string>> = {
  rax: 'al',
  rcx: 'cl',
  rdx: 'dl',
  rbx: 'bl',
  r8: 'r8b',
  r9: 'r9b',
  r10: 'r10b',
};

/** RDI points at the data, R15 is the budget. Function 0 comes first. */
export function assemblyOf(program: Program): string {
  const lines: string[] = [];
  for (const [f, blocks] of program.functions.entries()) {
    lines.push(`f${f}:`, 'push rbx', 'sub rsp, 20h', 'mov [rsp+8], rcx');
    for (const [b, { steps, end }] of blocks.entries()) {
      lines.push(`f${f}b${b}:`, 'sub r15, 1', `jl f${f}end`);
      for (const step of steps) lines.push(...stepLines(step));
      switch (end.kind) {
        case 'jump':
          lines.push(`jmp f${f}b${end.to}`);
          break;
        case 'call':
          lines.push(`call f${end.function}`, `jmp f${f}b${end.next}`);
          break;
        case 'branch':
          lines.push(`cmp ${end.a}, ${end.b}`);
          if (end.between) lines.push(...stepLines(end.between));
          lines.push(`j${end.condition} f${f}b${end.taken}`, `jmp f${f}b${end.next}`);
      }
    }
    lines.push(`f${f}end:`, 'mov rcx, [rsp+8]', 'add rsp, 20h', 'pop rbx', 'ret');
  }
  return lines.join('\n');
}

function stepLines(step: Step): string[] {
  switch (step.kind) {
    case 'binary':
      return [
        step.bits === 64 ? `${step.op} ${step.to}, ${step.from}` : `${step.op} ${low32[step.to]}, ${low32[step.from]}`,
      ];
    case 'constant':
      return [`mov ${step.to}, ${step.value}`];
    case 'store':
      return [`mov [rdi+${step.slot * 8}], ${step.register}`];
    case 'load':
      return [`mov ${step.register}, [rdi+${step.slot * 8}]`];
    case 'setcc':
      return [`cmp ${step.a}, ${step.b}`, `set${step.condition} ${low8[step.to]}`];
    case 'carry':
      return [`add ${step.a}, ${step.b}`, `inc ${step.b}`, `adc ${step.to}, 0`];
  }
}

export interface Outcome {
  readonly registers: Readonly<Record<Register, bigint>>;
  readonly slots: readonly bigint[];
  /** Instructions, as the assembly has them. */
  readonly retired: number;
}

/** What the program does, started with the registers at 1, 2, 3 … and empty slots. */
export function interpret(program: Program): Outcome {
  const registers = Object.fromEntries(computing.map((name, index) => [name, BigInt(index + 1)])) as Record<
    Register,
    bigint
  >;
  const slots = new Array<bigint>(8).fill(0n);
  let budget = program.budget;
  let retired = 0;
  const apply = (step: Step): void => {
    retired += stepLines(step).length;
    switch (step.kind) {
      case 'binary': {
        const a = BigInt.asUintN(step.bits, registers[step.to]);
        const b = BigInt.asUintN(step.bits, registers[step.from]);
        const result = { add: a + b, sub: a - b, xor: a ^ b, and: a & b, or: a | b, imul: a * b }[step.op];
        registers[step.to] = BigInt.asUintN(step.bits, result);
        break;
      }
      case 'constant':
        registers[step.to] = BigInt.asUintN(64, BigInt(step.value));
        break;
      case 'store':
        slots[step.slot] = registers[step.register];
        break;
      case 'load':
        registers[step.register] = slots[step.slot] as bigint;
        break;
      case 'setcc': {
        const bit = holds(step.condition, registers[step.a], registers[step.b]) ? 1n : 0n;
        registers[step.to] = (registers[step.to] & ~0xffn) | bit;
        break;
      }
      case 'carry': {
        const sum = registers[step.a] + registers[step.b];
        registers[step.a] = BigInt.asUintN(64, sum);
        registers[step.b] = BigInt.asUintN(64, registers[step.b] + 1n);
        registers[step.to] = BigInt.asUintN(64, registers[step.to] + (sum >> 64n));
      }
    }
  };
  interface Frame {
    readonly blocks: readonly Block[];
    block: number;
    readonly savedRbx: bigint;
    readonly savedRcx: bigint;
  }
  const frames: Frame[] = [];
  const enter = (index: number): void => {
    frames.push({
      blocks: program.functions[index] as readonly Block[],
      block: 0,
      savedRbx: registers.rbx,
      savedRcx: registers.rcx,
    });
    retired += 3;
  };
  enter(0);
  for (let frame = frames[0]; frame !== undefined; frame = frames[frames.length - 1]) {
    retired += 2;
    if (--budget < 0) {
      registers.rcx = frame.savedRcx;
      registers.rbx = frame.savedRbx;
      retired += 4;
      frames.pop();
      if (frames.length > 0) retired++;
      continue;
    }
    const { steps, end } = frame.blocks[frame.block] as Block;
    for (const step of steps) apply(step);
    switch (end.kind) {
      case 'jump':
        retired++;
        frame.block = end.to;
        break;
      case 'call':
        retired++;
        frame.block = end.next;
        enter(end.function);
        break;
      case 'branch': {
        const b = typeof end.b === 'number' ? BigInt.asUintN(64, BigInt(end.b)) : registers[end.b];
        const taken = holds(end.condition, registers[end.a], b);
        retired++;
        if (end.between) apply(end.between);
        retired += taken ? 1 : 2;
        frame.block = taken ? end.taken : end.next;
      }
    }
  }
  return { registers, slots, retired };
}

function holds(condition: Condition, a: bigint, b: bigint): boolean {
  const signedA = BigInt.asIntN(64, a);
  const signedB = BigInt.asIntN(64, b);
  const difference = BigInt.asIntN(64, a - b);
  return {
    e: a === b,
    ne: a !== b,
    b: a < b,
    ae: a >= b,
    be: a <= b,
    a: a > b,
    l: signedA < signedB,
    ge: signedA >= signedB,
    le: signedA <= signedB,
    g: signedA > signedB,
    s: difference < 0n,
    ns: difference >= 0n,
  }[condition];
}
