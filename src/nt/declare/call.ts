/**
 * One call of a kernel routine, seen from its body. The frame that a routine pushes on the guest's stack when it calls
 * the driver or waits is also laid out here.
 */
import { nonCanonicalVa, type Va, vaAdd, vaFromHalves } from '../../base/va.ts';
import { Gpr } from '../../engine/cpu/state.ts';
import type { KernelImage } from '../mm/kernel-image.ts';
import type { Nt } from '../nt.ts';
import { BugCheck } from './bug-check.ts';
import type { ArgumentSlots } from './parameter-types.ts';

const argumentRegisters = [Gpr.Rcx, Gpr.Rdx, Gpr.R8, Gpr.R9] as const;
/** From the return address to the fifth argument: the return address and four home slots. */
const stackArgumentsOffset = 0x28;

/**
 * A resume frame, from the stack pointer at which the called routine returns (its return address popped) upwards:
 * 0x20 home slots, 0x40 stack arguments five to twelve, then {frame bytes, record words and seal, words …}, then, at
 * `frameBytes` above, the return address of the call that was interrupted. The words are trusted, as the real kernel
 * trusts its locals, so a seal over them tells a frame that the driver wrote over.
 */
export const resumeFrameHeader = 0x60;
export const maximumGuestArguments = 12;
const recordOffset = resumeFrameHeader + 0x10;
const maximumRecordWords = 4096;
/** How a word that is a non-canonical address is kept. */
const nonCanonicalWord = -(2 ** 63);

export class Call implements ArgumentSlots {
  readonly nt: Nt;
  readonly name: string;
  /** The image through whose import thunk the call came; undefined for calls between kernel routines. */
  readonly image: KernelImage | undefined;
  /** Where the routine was entered: a thunk of `image` or the routine itself. */
  readonly entry: Va;
  /** Stack pointer at entry: the return address lies there. */
  readonly stack: Va;

  constructor(nt: Nt, name: string, image: KernelImage | undefined, entry: Va, stack: Va) {
    this.nt = nt;
    this.name = name;
    this.image = image;
    this.entry = entry;
    this.stack = stack;
  }

  /** Where the routine will return to: in the caller's code, or its caller's if it came by a jump. */
  get returnAddress(): Va {
    return this.nt.memory.readVa(this.stack);
  }

  low(index: number): number {
    const register = argumentRegisters[index];
    return register === undefined
      ? this.nt.memory.readU32(this.stackArgument(index))
      : this.nt.cpu.state.gprLow(register);
  }

  high(index: number): number {
    const register = argumentRegisters[index];
    return register === undefined
      ? this.nt.memory.readU32(vaAdd(this.stackArgument(index), 4))
      : this.nt.cpu.state.gprHigh(register);
  }

  /** An argument as it stands in its 64-bit slot. */
  raw(index: number): bigint {
    return (BigInt(this.high(index) >>> 0) << 32n) | BigInt(this.low(index) >>> 0);
  }

  private stackArgument(index: number): Va {
    return vaAdd(this.stack, stackArgumentsOffset + (index - argumentRegisters.length) * 8);
  }
}

/** A routine that goes on after it called the guest or waited. */
export class ResumedCall {
  readonly nt: Nt;
  readonly name: string;
  readonly image: KernelImage | undefined;
  /** Stack pointer at the routine's original entry. */
  readonly stack: Va;
  /** The words that were kept. */
  readonly record: readonly number[];

  constructor(nt: Nt, name: string, image: KernelImage | undefined, stack: Va, record: readonly number[]) {
    this.nt = nt;
    this.name = name;
    this.image = image;
    this.stack = stack;
    this.record = record;
  }

  get returnAddress(): Va {
    return this.nt.memory.readVa(this.stack);
  }

  /** A word of the record, as an address. */
  va(index: number): Va {
    return this.word(index) as Va;
  }

  word(index: number): number {
    return this.record[index] as number;
  }

  /** What the guest routine (or the wait) returned, as a 32-bit status. */
  get status(): number {
    return this.nt.cpu.state.gprLow(Gpr.Rax);
  }

  /** What the guest routine returned, all 64 bits as an address. */
  get resultVa(): Va {
    const state = this.nt.cpu.state;
    return vaFromHalves(state.gprLow(Gpr.Rax), state.gprHigh(Gpr.Rax));
  }
}

/**
 * Pushes a resume frame below `stack` and sets RSP so that a routine can be entered: [RSP] = `resumeAddress`.
 * Returns nothing; registers other than RSP stay.
 */
export function pushResumeFrame(
  nt: Nt,
  stack: Va,
  resumeAddress: Va,
  record: readonly number[],
  image: KernelImage | undefined,
  stackArguments: readonly bigint[] = [],
): void {
  // 16-byte aligned, so that the routine is entered with RSP 8 off, as a call instruction leaves it.
  const frame = (Math.floor((stack - recordOffset - (record.length + 1) * 8) / 16) * 16) as Va;
  const { memory } = nt;
  memory.writeVa(vaAdd(frame, -8), resumeAddress);
  for (let index = 0; index < stackArguments.length; index++) {
    memory.writeU64(vaAdd(frame, 0x20 + index * 8), stackArguments[index] as bigint);
  }
  writeFrameHeader(nt, frame, stack, record, image);
  nt.cpu.state.setGprVa(Gpr.Rsp, vaAdd(frame, -8));
}

/** What stands in a resume frame from {@link resumeFrameHeader} on. */
export function writeFrameHeader(
  nt: Nt,
  frame: Va,
  stack: Va,
  record: readonly number[],
  image: KernelImage | undefined,
): void {
  const { memory } = nt;
  // The image's number is the last word, so that the driver that made the call is still known.
  const words = [...record, image?.index ?? 0].map((word) => (Number.isNaN(word) ? nonCanonicalWord : word));
  const header = vaAdd(frame, resumeFrameHeader);
  memory.writeU64(header, BigInt(stack - frame));
  memory.writeU32(vaAdd(header, 8), record.length);
  memory.writeU32(vaAdd(header, 12), seal(frame, stack - frame, words));
  for (let index = 0; index < words.length; index++) {
    memory.writeVa(vaAdd(frame, recordOffset + index * 8), words[index] as Va);
  }
}

/** Reads the frame that {@link pushResumeFrame} made; `frame` is RSP after the called routine returned. */
export function readResumeFrame(nt: Nt, frame: Va): { stack: Va; record: number[]; image: KernelImage | undefined } {
  const { memory } = nt;
  const header = vaAdd(frame, resumeFrameHeader);
  const bytes = memory.readI64AsNumber(header);
  const count = memory.readU32(vaAdd(header, 8));
  const found = memory.readU32(vaAdd(header, 12));
  const record: number[] = [];
  for (let index = 0; index <= count && count <= maximumRecordWords; index++) {
    record.push(memory.readI64AsNumber(vaAdd(frame, recordOffset + index * 8)));
  }
  const expected = seal(frame, bytes, record);
  if (record.length !== count + 1 || found !== expected) {
    throw new BugCheck(
      0xf7,
      [found, expected, ~expected >>> 0, 0],
      "the driver wrote over the kernel's part of the stack, or returned with another stack pointer than it was called with",
    );
  }
  const image = nt.images.byIndex(record.pop() as number);
  return {
    stack: vaAdd(frame, bytes),
    image,
    record: record.map((word) => (word === nonCanonicalWord ? nonCanonicalVa : word)),
  };
}

/** FNV-1a over 32-bit halves. */
function seal(frame: Va, bytes: number, words: readonly number[]): number {
  let hash = mix(mix(0x811c_9dc5, frame), bytes);
  for (let index = 0; index < words.length; index++) {
    const word = words[index] as number;
    hash = mix(mix(hash, word), Math.floor(word / 0x1_0000_0000));
  }
  return hash >>> 0;
}

function mix(hash: number, half: number): number {
  return Math.imul(hash ^ half, 0x0100_0193);
}
