/**
 * Reads the recorded processor behaviour in `vectors/`: what a real x86-64 processor did with each instruction form.
 * The format is described in README.md.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

/** The machine before or after a form; memory is the window alone. */
export interface ProcessorState {
  /** In encoding order: rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8 … r15. */
  readonly gpr: readonly bigint[];
  /** Low and high half of each of XMM0 … XMM15. */
  readonly xmm: readonly (readonly [low: bigint, high: bigint])[];
  readonly memory: Uint8Array;
  readonly rflags: number;
}

export interface Vector {
  readonly index: number;
  readonly before: ProcessorState;
  /** Undefined flags are zero in it. */
  readonly after: ProcessorState;
  /** Status flags (as RFLAGS bits) that the processor manual leaves undefined. */
  readonly undefinedFlags: number;
  /** Registers (bit per number) that the manual leaves undefined; `after` holds what the processor left in them. */
  readonly undefinedRegisters: number;
  /** Exception vector, absent when the form ran to its end. */
  readonly exception?: number;
  /** Instruction pointer afterwards, as an offset from the form's code: its end, or the instruction that faulted. */
  readonly ripOffset: number;
  /** MXCSR afterwards (0x1f80 before), with the sticky exception bits. */
  readonly mxcsr: number;
}

export interface Form {
  /** Assembler text, Intel syntax of GNU as; unique over all groups. */
  readonly name: string;
  readonly code: Uint8Array;
  /** Whether code, window and `pointers` may all be moved by one distance without changing anything else. */
  readonly isRelocatable: boolean;
  /** Registers (bit per number) that hold addresses, of the window or the code, before and after. */
  readonly pointers: number;
  readonly vectors: readonly Vector[];
}

export interface Group {
  readonly name: string;
  readonly codeVa: bigint;
  readonly windowVa: bigint;
  readonly windowSizeBytes: number;
  readonly forms: readonly Form[];
}

const folder = new URL('./vectors/', import.meta.url);
const fileEnd = '.bin.gz';

/** Names of the recorded groups, in alphabetical order. */
export function groupNames(): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(fileEnd))
    .map((name) => name.slice(0, -fileEnd.length))
    .sort();
}

/** Reads one group. */
export function readGroup(name: string): Group {
  const reader = new Reader(gunzipSync(readFileSync(new URL(name + fileEnd, folder))));
  if (new TextDecoder().decode(reader.bytes(4)) !== 'PPCV' || reader.u8() !== 1)
    throw new Error(`${name}: not a vector file`);
  const codeVa = reader.u64();
  const windowVa = reader.u64();
  const windowSizeBytes = reader.u16();
  const gpr = Array.from({ length: 16 }, () => reader.u64());
  const xmm = Array.from({ length: 16 }, () => [reader.u64(), reader.u64()] as const);
  const base: ProcessorState = { gpr, xmm, memory: reader.bytes(windowSizeBytes), rflags: 0x202 };
  const forms = Array.from({ length: reader.u16() }, () => readForm(reader, base));
  if (!reader.isAtEnd) throw new Error(`${name}: bytes behind the last form`);
  return { name, codeVa, windowVa, windowSizeBytes, forms };
}

function readForm(reader: Reader, base: ProcessorState): Form {
  const name = new TextDecoder().decode(reader.bytes(reader.u16()));
  const code = reader.bytes(reader.u16());
  const pointers = reader.u16();
  const isRelocatable = reader.u8() !== 0;
  const vectors = Array.from({ length: reader.u8() }, (_, index) => readVector(reader, base, index));
  return { name, code, isRelocatable, pointers, vectors };
}

function readVector(reader: Reader, base: ProcessorState, index: number): Vector {
  const before = readDifference(reader, base, reader.u16());
  const outcome = reader.u8();
  const ripOffset = reader.u8();
  const rflags = reader.u16();
  const undefinedFlags = reader.u16();
  const undefinedRegisters = reader.u16();
  const mxcsr = reader.u16();
  const after = readDifference(reader, before, rflags);
  const vector = { index, before, after, undefinedFlags, undefinedRegisters, ripOffset, mxcsr };
  return outcome === 255 ? vector : { ...vector, exception: outcome };
}

function readDifference(reader: Reader, from: ProcessorState, rflags: number): ProcessorState {
  const gprMask = reader.u16();
  const gpr = from.gpr.map((value, i) => ((gprMask >> i) & 1 ? reader.u64() : value));
  const xmmMask = reader.u16();
  const xmm = from.xmm.map((value, i) => ((xmmMask >> i) & 1 ? ([reader.u64(), reader.u64()] as const) : value));
  const patches = reader.u8();
  const memory = patches > 0 ? from.memory.slice() : from.memory;
  for (let i = 0; i < patches; i++) {
    const at = reader.u16();
    memory.set(reader.bytes(reader.u8()), at);
  }
  return { gpr, xmm, memory, rflags };
}

class Reader {
  private at = 0;
  private readonly data: Uint8Array;
  private readonly view: DataView;

  constructor(data: Uint8Array) {
    // A plain view: Buffer's slice() would share memory.
    this.data = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    this.view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  }

  get isAtEnd(): boolean {
    return this.at === this.data.length;
  }

  u8(): number {
    return this.view.getUint8(this.at++);
  }

  u16(): number {
    this.at += 2;
    return this.view.getUint16(this.at - 2, true);
  }

  u64(): bigint {
    this.at += 8;
    return this.view.getBigUint64(this.at - 8, true);
  }

  bytes(length: number): Uint8Array {
    if (this.at + length > this.data.length) throw new Error('vector file cut short');
    this.at += length;
    return this.data.subarray(this.at - length, this.at);
  }
}
