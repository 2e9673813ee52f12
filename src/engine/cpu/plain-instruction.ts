/** What the decoder says of an instruction, as plain data. Each question to it costs a call, so it is asked little. */
import type { Va } from '../../base/va.ts';
import {
  type ConditionCode,
  FlowControl,
  type IcedInstruction,
  type MemorySize,
  MemorySizeExt,
  Mnemonic,
  OpKind,
  Register,
  RflagsBits,
} from './iced.ts';
import type { Flow, Instruction, MemoryOperand, Operand } from './instruction.ts';

/** The instruction that the decoder stands behind, as plain data. */
export function plainInstruction(
  from: IcedInstruction,
  va: Va,
  code: number,
  length: number,
  hasPrefix: boolean,
): Instruction {
  const form = forms[code] ?? formOf(from, code);
  const { operandCount, hasOwnFlags } = form;
  const operands: Operand[] = [];
  for (let index = 0; index < operandCount; index++) operands.push(plainOperand(from, index, hasPrefix));
  return {
    va,
    next: (va + length) as Va,
    mnemonic: form.mnemonic,
    code,
    operands,
    flow: form.flow,
    condition: form.condition,
    rep: hasPrefix ? (from.hasRepnePrefix ? 'repne' : from.hasRepPrefix ? 'rep' : undefined) : undefined,
    hasLock: hasPrefix && from.hasLockPrefix,
    flagsRead: hasOwnFlags ? flagMask(from.rflagsRead) : form.flagsRead,
    flagsWritten: hasOwnFlags ? flagMask(from.rflagsModified) : form.flagsWritten,
  };
}

const flowOf: Readonly<Record<number, Flow>> = {
  [FlowControl.Next]: 'next',
  [FlowControl.UnconditionalBranch]: 'jump',
  [FlowControl.IndirectBranch]: 'indirect-jump',
  [FlowControl.ConditionalBranch]: 'branch',
  [FlowControl.Return]: 'return',
  [FlowControl.Call]: 'call',
  [FlowControl.IndirectCall]: 'indirect-call',
  [FlowControl.Interrupt]: 'trap',
  [FlowControl.XbeginXabortXend]: 'trap',
  [FlowControl.Exception]: 'trap',
};

/** What all instructions of one code have in common; asked once, as each question to the decoder costs a call. */
interface Form {
  readonly mnemonic: Mnemonic;
  readonly operandCount: number;
  readonly flow: Flow;
  readonly condition: ConditionCode;
  readonly flagsRead: number;
  readonly flagsWritten: number;
  readonly hasOwnFlags: boolean;
}

const forms: (Form | undefined)[] = [];

/** Which flags these write depends on the count, if it is an immediate. */
const shifts: ReadonlySet<Mnemonic> = new Set([
  Mnemonic.Rol,
  Mnemonic.Ror,
  Mnemonic.Rcl,
  Mnemonic.Rcr,
  Mnemonic.Shl,
  Mnemonic.Sal,
  Mnemonic.Shr,
  Mnemonic.Sar,
  Mnemonic.Shld,
  Mnemonic.Shrd,
]);

function formOf(from: IcedInstruction, code: number): Form {
  const mnemonic = from.mnemonic;
  const form: Form = {
    mnemonic,
    operandCount: from.opCount,
    // `call` into the hypervisor and far transfers decode as calls and jumps; their operands say that they are not near.
    flow: flowOf[from.flowControl] ?? 'invalid',
    condition: from.conditionCode,
    flagsRead: flagMask(from.rflagsRead),
    flagsWritten: flagMask(from.rflagsModified),
    hasOwnFlags: shifts.has(mnemonic),
  };
  forms[code] = form;
  return form;
}

function flagMask(bits: number): number {
  return (
    ((bits & RflagsBits.CF) !== 0 ? 1 : 0) |
    ((bits & RflagsBits.PF) !== 0 ? 2 : 0) |
    ((bits & RflagsBits.AF) !== 0 ? 4 : 0) |
    ((bits & RflagsBits.ZF) !== 0 ? 8 : 0) |
    ((bits & RflagsBits.SF) !== 0 ? 16 : 0) |
    ((bits & RflagsBits.OF) !== 0 ? 32 : 0)
  );
}

function plainOperand(from: IcedInstruction, index: number, hasPrefix: boolean): Operand {
  const kind = from.opKind(index);
  switch (kind) {
    case OpKind.Register:
      return registerOperand(from.opRegister(index));
    case OpKind.NearBranch16:
    case OpKind.NearBranch32:
    case OpKind.NearBranch64:
      return { kind: 'target', va: Number(BigInt.asIntN(64, from.nearBranchTarget)) as Va };
    case OpKind.Memory:
      return memoryOperand(from, hasPrefix);
    case OpKind.MemorySegRSI:
    case OpKind.MemorySegESI:
      return stringOperand(from, 6, kind === OpKind.MemorySegESI ? 4 : 8, segmentOf(from.memorySegment));
    case OpKind.MemoryESRDI:
    case OpKind.MemoryESEDI:
      return stringOperand(from, 7, kind === OpKind.MemoryESEDI ? 4 : 8, undefined);
    case OpKind.MemorySegRDI:
    case OpKind.MemorySegEDI:
      return stringOperand(from, 7, kind === OpKind.MemorySegEDI ? 4 : 8, segmentOf(from.memorySegment));
    // The decoder's general way to an immediate costs three calls and an allocation.
    case OpKind.Immediate8:
      return { kind: 'immediate', value: from.immediate8 };
    case OpKind.Immediate8to16:
    case OpKind.Immediate8to32:
    case OpKind.Immediate8to64:
      return { kind: 'immediate', value: (from.immediate8 << 24) >> 24 };
    case OpKind.Immediate32:
      return { kind: 'immediate', value: from.immediate32 };
    case OpKind.Immediate32to64:
      return { kind: 'immediate', value: from.immediate32 | 0 };
    case OpKind.Immediate8_2nd:
    case OpKind.Immediate16:
    case OpKind.Immediate64:
      return { kind: 'immediate', value: small(from.immediate(index)) };
    default:
      return { kind: 'other', register: Register.None };
  }
}

function registerOperand(register: Register): Operand {
  if (register >= Register.AL && register <= Register.R15) {
    if (register >= Register.RAX) return { kind: 'gpr', index: register - Register.RAX, bytes: 8, high: false };
    if (register >= Register.EAX) return { kind: 'gpr', index: register - Register.EAX, bytes: 4, high: false };
    if (register >= Register.AX) return { kind: 'gpr', index: register - Register.AX, bytes: 2, high: false };
    if (register >= Register.SPL) return { kind: 'gpr', index: register - Register.SPL + 4, bytes: 1, high: false };
    if (register >= Register.AH) return { kind: 'gpr', index: register - Register.AH, bytes: 1, high: true };
    return { kind: 'gpr', index: register - Register.AL, bytes: 1, high: false };
  }
  if (register >= Register.XMM0 && register < Register.XMM0 + 16)
    return { kind: 'xmm', index: register - Register.XMM0 };
  return { kind: 'other', register };
}

function memoryOperand(from: IcedInstruction, hasPrefix: boolean): MemoryOperand {
  const base = from.memoryBase;
  const index = from.memoryIndex;
  const isRipRelative = base === Register.RIP || base === Register.EIP;
  const is32 =
    hasPrefix &&
    (isDword(base) ||
      isDword(index) ||
      base === Register.EIP ||
      (base === 0 && index === 0 && from.memoryDisplSize === 4));
  return {
    kind: 'memory',
    base: isRipRelative ? -1 : gprIndex(base),
    index: gprIndex(index),
    scaleShift: index === 0 ? 0 : 31 - Math.clz32(from.memoryIndexScale),
    displacement: small(from.memoryDisplacement),
    segment: hasPrefix ? segmentOf(from.memorySegment) : undefined,
    addressBytes: is32 ? 4 : 8,
    bytes: sizeOfMemory(from.memorySize),
  };
}

const memorySizes: (number | undefined)[] = [];

function sizeOfMemory(size: MemorySize): number {
  const known = memorySizes[size];
  if (known !== undefined) return known;
  const bytes = MemorySizeExt.size(size);
  memorySizes[size] = bytes;
  return bytes;
}

function stringOperand(
  from: IcedInstruction,
  base: number,
  addressBytes: 4 | 8,
  segment: 'fs' | 'gs' | undefined,
): MemoryOperand {
  const bytes = sizeOfMemory(from.memorySize);
  return { kind: 'memory', base, index: -1, scaleShift: 0, displacement: 0, segment, addressBytes, bytes };
}

function isDword(register: Register): boolean {
  return register >= Register.EAX && register < Register.RAX;
}

function gprIndex(register: Register): number {
  if (register >= Register.RAX && register <= Register.R15) return register - Register.RAX;
  if (isDword(register)) return register - Register.EAX;
  return -1;
}

function segmentOf(register: Register): 'fs' | 'gs' | undefined {
  return register === Register.GS ? 'gs' : register === Register.FS ? 'fs' : undefined;
}

function small(value: bigint): number | bigint {
  const number = Number(value);
  if (Number.isSafeInteger(number)) return number;
  const signed = BigInt.asIntN(64, value);
  return Number.isSafeInteger(Number(signed)) ? Number(signed) : signed;
}
