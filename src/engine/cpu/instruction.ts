/**
 * A decoded instruction as plain data, and the decoder that reads it from guest memory.
 */
import type { Va } from '../../base/va.ts';
import type { GuestMemory } from '../memory/guest-memory.ts';
import { Access, pageMask, pageSize } from '../memory/layout.ts';
import {
  type ConditionCode,
  Decoder,
  DecoderOptions,
  FlowControl,
  Formatter,
  FormatterSyntax,
  IcedInstruction,
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
    decoder.position = va - this.windowStart;
    decoder.ip = BigInt.asUintN(64, BigInt(va));
    decoder.decodeOut(this.scratch);
    if (this.scratch.isInvalid) {
      const ranOut = this.faultVa !== undefined && va + maxInstructionBytes > this.windowEnd;
      return { va, faultVa: ranOut && decoder.lastError === noMoreBytes ? this.faultVa : undefined };
    }
    return plain(this.scratch, va);
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

function plain(from: IcedInstruction, va: Va): Instruction {
  const operands: Operand[] = [];
  const count = from.opCount;
  for (let index = 0; index < count; index++) operands.push(plainOperand(from, index));
  return {
    va,
    next: (va + from.length) as Va,
    mnemonic: from.mnemonic,
    code: from.code,
    operands,
    // `call` into the hypervisor and far transfers decode as calls and jumps; their operands say that they are not near.
    flow: flowOf[from.flowControl] ?? 'invalid',
    condition: from.conditionCode,
    rep: from.hasRepnePrefix ? 'repne' : from.hasRepPrefix ? 'rep' : undefined,
    hasLock: from.hasLockPrefix,
    flagsRead: flagMask(from.rflagsRead),
    flagsWritten: flagMask(from.rflagsModified),
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

function plainOperand(from: IcedInstruction, index: number): Operand {
  const kind = from.opKind(index);
  switch (kind) {
    case OpKind.Register:
      return registerOperand(from.opRegister(index));
    case OpKind.NearBranch16:
    case OpKind.NearBranch32:
    case OpKind.NearBranch64:
      return { kind: 'target', va: Number(BigInt.asIntN(64, from.nearBranchTarget)) as Va };
    case OpKind.Memory:
      return memoryOperand(from);
    case OpKind.MemorySegRSI:
    case OpKind.MemorySegESI:
      return stringOperand(from, 6, kind === OpKind.MemorySegESI ? 4 : 8, segmentOf(from.memorySegment));
    case OpKind.MemoryESRDI:
    case OpKind.MemoryESEDI:
      return stringOperand(from, 7, kind === OpKind.MemoryESEDI ? 4 : 8, undefined);
    case OpKind.MemorySegRDI:
    case OpKind.MemorySegEDI:
      return stringOperand(from, 7, kind === OpKind.MemorySegEDI ? 4 : 8, segmentOf(from.memorySegment));
    case OpKind.Immediate8:
    case OpKind.Immediate8_2nd:
    case OpKind.Immediate16:
    case OpKind.Immediate32:
    case OpKind.Immediate64:
    case OpKind.Immediate8to16:
    case OpKind.Immediate8to32:
    case OpKind.Immediate8to64:
    case OpKind.Immediate32to64:
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

function memoryOperand(from: IcedInstruction): MemoryOperand {
  const base = from.memoryBase;
  const index = from.memoryIndex;
  const isRipRelative = base === Register.RIP || base === Register.EIP;
  const is32 =
    isDword(base) ||
    isDword(index) ||
    base === Register.EIP ||
    (base === 0 && index === 0 && from.memoryDisplSize === 4);
  return {
    kind: 'memory',
    base: isRipRelative ? -1 : gprIndex(base),
    index: gprIndex(index),
    scaleShift: 31 - Math.clz32(from.memoryIndexScale),
    displacement: small(from.memoryDisplacement),
    segment: segmentOf(from.memorySegment),
    addressBytes: is32 ? 4 : 8,
    bytes: MemorySizeExt.size(from.memorySize),
  };
}

function stringOperand(
  from: IcedInstruction,
  base: number,
  addressBytes: 4 | 8,
  segment: 'fs' | 'gs' | undefined,
): MemoryOperand {
  const bytes = MemorySizeExt.size(from.memorySize);
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
  const signed = BigInt.asIntN(64, value);
  const number = Number(signed);
  return Number.isSafeInteger(number) ? number : signed;
}

/** The mnemonic in lower case, as in the manuals. */
export function mnemonicText(mnemonic: Mnemonic): string {
  return (Mnemonic[mnemonic] ?? 'invalid').toLowerCase();
}
