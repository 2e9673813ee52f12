/**
 * A decoded instruction as plain data, and the decoder that reads it from guest memory.
 */
import type { Va } from '../../base/va.ts';
import type { GuestMemory } from '../memory/guest-memory.ts';
import { Access, pageMask, pageSize } from '../memory/layout.ts';
import {
  Code,
  type ConditionCode,
  Decoder,
  DecoderOptions,
  FlowControl,
  Formatter,
  FormatterSyntax,
  IcedInstruction,
  type MemorySize,
  MemorySizeExt,
  Mnemonic,
  OpKind,
  Register,
  RflagsBits,
} from './iced.ts';

/** General register operand; `high` is AH, CH, DH or BH (index 0..3). */
export interface GprOperand {
  readonly kind: 'gpr';
  readonly index: number;
  readonly bytes: 1 | 2 | 4 | 8;
  readonly high: boolean;
}

export interface XmmOperand {
  readonly kind: 'xmm';
  readonly index: number;
}

export interface MemoryOperand {
  readonly kind: 'memory';
  /** Index of a general register or -1. */
  readonly base: number;
  readonly index: number;
  /** Power of two. */
  readonly scaleShift: number;
  /** A bigint only if it has more than 53 bits. With no base and index this is the address. */
  readonly displacement: number | bigint;
  readonly segment: 'fs' | 'gs' | undefined;
  /** 4 with an address-size prefix: the sum before the segment base is cut to 32 bits. */
  readonly addressBytes: 4 | 8;
  /** Size of the access; 0 if the instruction has none that iced knows (lea). */
  readonly bytes: number;
}

export interface ImmediateOperand {
  readonly kind: 'immediate';
  /** Sign-extended as the instruction says; as a number where 53 bits suffice. */
  readonly value: number | bigint;
}

/** Direct branch target. */
export interface TargetOperand {
  readonly kind: 'target';
  readonly va: Va;
}

/** Segment, control, debug, x87, MMX … registers. */
export interface OtherOperand {
  readonly kind: 'other';
  readonly register: Register;
}

export type Operand = GprOperand | XmmOperand | MemoryOperand | ImmediateOperand | TargetOperand | OtherOperand;

/** What an instruction does to control. */
export type Flow =
  | 'next'
  | 'jump'
  | 'indirect-jump'
  | 'branch'
  | 'return'
  | 'call'
  | 'indirect-call'
  | 'trap'
  | 'invalid';

export interface Instruction {
  readonly va: Va;
  /** Address of the following instruction. */
  readonly next: Va;
  readonly mnemonic: Mnemonic;
  readonly code: number;
  readonly operands: readonly Operand[];
  readonly flow: Flow;
  /** Condition of jcc, setcc, cmovcc, loopcc. */
  readonly condition: ConditionCode;
  readonly rep: 'rep' | 'repne' | undefined;
  readonly hasLock: boolean;
  /** Masks of `1 << Flag`. */
  readonly flagsRead: number;
  readonly flagsWritten: number;
}

/** Why there is no instruction at an address. */
export interface FetchFailure {
  readonly va: Va;
  /** The byte whose page can't be executed; undefined if the bytes are not an instruction. */
  readonly faultVa: Va | undefined;
}

const maxInstructionBytes = 15;
const windowBytes = 192;

/** Reads instructions from executable guest memory; keeps one window of bytes. */
export class InstructionReader {
  private readonly memory: GuestMemory;
  private decoder: Decoder | undefined;
  private windowStart = 0;
  private windowEnd = 0;
  private faultVa: Va | undefined;
  private bytes = new Uint8Array(0);
  /** Where the decoder stands by itself. */
  private position = -1;
  private readonly scratch = new IcedInstruction();

  constructor(memory: GuestMemory) {
    this.memory = memory;
  }

  /** Forgets the window: memory may have changed. */
  reset(): void {
    this.decoder?.free();
    this.decoder = undefined;
  }

  read(va: Va): Instruction | FetchFailure {
    const wanted = this.faultVa === undefined ? maxInstructionBytes : 1;
    if (!this.decoder || va < this.windowStart || va + wanted > this.windowEnd) this.openWindow(va);
    const decoder = this.decoder as Decoder | undefined;
    if (!decoder || this.windowEnd <= va) return { va, faultVa: this.faultVa };
    const { scratch } = this;
    const position = va - this.windowStart;
    if (position !== this.position) {
      decoder.position = position;
      decoder.ip = BigInt.asUintN(64, BigInt(va));
    }
    this.position = -1;
    decoder.decodeOut(scratch);
    const code = scratch.code;
    if (code === Code.INVALID) {
      const ranOut = this.faultVa !== undefined && va + maxInstructionBytes > this.windowEnd;
      return { va, faultVa: ranOut && decoder.lastError === noMoreBytes ? this.faultVa : undefined };
    }
    const length = scratch.length;
    this.position = position + length;
    return plain(scratch, va, code, length, hasLegacyPrefix(this.bytes, position));
  }

  /** Disassembly in the assembler's notation of the debugger (masm). */
  disassemble(va: Va): string {
    if ('faultVa' in this.read(va)) return '???';
    const formatter = new Formatter(FormatterSyntax.Masm);
    const text = formatter.format(this.scratch);
    formatter.free();
    return text;
  }

  private openWindow(va: Va): void {
    this.reset();
    this.faultVa = undefined;
    const bytes = new Uint8Array(windowBytes);
    let done = 0;
    while (done < windowBytes) {
      const at = (va + done) as Va;
      const mapping = this.memory.mappingAt(at);
      if (mapping === undefined || (mapping.flags & Access.Execute) === 0) {
        this.faultVa = at;
        break;
      }
      const inPage = at - Math.floor(at / pageSize) * pageSize;
      const part = Math.min(windowBytes - done, pageSize - (inPage & pageMask));
      const offset = this.memory.frameOffset(mapping.frame) + inPage;
      bytes.set(this.memory.u8.subarray(offset, offset + part), done);
      done += part;
    }
    this.windowStart = va;
    this.windowEnd = va + done;
    this.bytes = bytes;
    this.position = -1;
    if (done > 0) this.decoder = new Decoder(64, bytes.subarray(0, done), DecoderOptions.None);
  }
}

/** `DecoderError.NoMoreBytes`. */
const noMoreBytes = 2;

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

const legacyPrefixes: ReadonlySet<number> = new Set([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3]);

/** Whether an instruction has `lock`, `rep`, segment or size prefixes; REX ones in front of them are ignored. */
function hasLegacyPrefix(bytes: Uint8Array, position: number): boolean {
  let at = position;
  while (((bytes[at] as number) & 0xf0) === 0x40) at++;
  return legacyPrefixes.has(bytes[at] as number);
}

function plain(from: IcedInstruction, va: Va, code: number, length: number, hasPrefix: boolean): Instruction {
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

/** The mnemonic in lower case, as in the manuals. */
export function mnemonicText(mnemonic: Mnemonic): string {
  return (Mnemonic[mnemonic] ?? 'invalid').toLowerCase();
}
