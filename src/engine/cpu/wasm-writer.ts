/**
 * Writes the bytes of a WebAssembly function body with its labels and locals.
 * Reference: WebAssembly Core Specification, section 5 (binary format).
 */
import { assert } from '../../base/errors.ts';
import { Op, type WasmType } from './wasm-opcodes.ts';

export { Op, sized, WasmType } from './wasm-opcodes.ts';

const noResult = 0x40;

/** Number of open blocks when the label's block was opened; labels stay valid however deep the code goes on. */
export type Label = number & { readonly __label: true };

/** A place where bytes are put in when the whole body is known. */
export interface Insertion {
  readonly at: number;
  readonly write: (out: ByteWriter) => void;
}

/** A growing array of bytes with the encodings of the binary format. */
export class ByteWriter {
  private buffer: Uint8Array;
  length = 0;

  constructor(capacity = 256) {
    this.buffer = new Uint8Array(capacity);
  }

  byte(value: number): void {
    if (this.length === this.buffer.length) this.grow(1);
    this.buffer[this.length++] = value;
  }

  bytes(values: Uint8Array): void {
    if (this.length + values.length > this.buffer.length) this.grow(values.length);
    this.buffer.set(values, this.length);
    this.length += values.length;
  }

  unsigned(value: number): void {
    if (value >= 0 && value < 0x80) {
      this.byte(value);
      return;
    }
    let rest = value >>> 0;
    while (rest > 0x7f) {
      this.byte((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    this.byte(rest);
  }

  /** A signed integer of up to 53 bits, or any bigint. */
  signed(value: number | bigint): void {
    if (typeof value === 'bigint') {
      this.signedBig(BigInt.asIntN(64, value));
      return;
    }
    if (value === (value | 0)) {
      this.signed32(value);
      return;
    }
    let rest = value;
    for (;;) {
      const low = rest - Math.floor(rest / 128) * 128;
      rest = Math.floor(rest / 128);
      if ((rest === 0 && low < 64) || (rest === -1 && low >= 64)) {
        this.byte(low);
        return;
      }
      this.byte(low | 0x80);
    }
  }

  private signed32(value: number): void {
    let rest = value;
    while (rest < -64 || rest > 63) {
      this.byte((rest & 0x7f) | 0x80);
      rest >>= 7;
    }
    this.byte(rest & 0x7f);
  }

  private signedBig(value: bigint): void {
    if (value >= -0x1f_ffff_ffff_ffffn && value <= 0x1f_ffff_ffff_ffffn) {
      this.signed(Number(value));
      return;
    }
    let rest = value;
    for (;;) {
      const low = Number(rest & 0x7fn);
      rest >>= 7n;
      if ((rest === 0n && low < 64) || (rest === -1n && low >= 64)) {
        this.byte(low);
        return;
      }
      this.byte(low | 0x80);
    }
  }

  name(text: string): void {
    this.unsigned(text.length);
    for (let index = 0; index < text.length; index++) this.byte(text.charCodeAt(index));
  }

  take(): Uint8Array {
    return this.buffer.subarray(0, this.length);
  }

  private grow(least: number): void {
    const larger = new Uint8Array(Math.max(this.buffer.length * 2, this.length + least));
    larger.set(this.take());
    this.buffer = larger;
  }
}

export interface FunctionBody {
  /** Locals, instructions, end. */
  readonly bytes: Uint8Array;
  /**
   * Offsets in `bytes` of branches that are hardly ever taken, for the branch hint section: compilers that know it keep
   * what lies behind them out of the way of the rest, registers above all.
   */
  readonly unlikelyBranches: readonly number[];
}

/** The body of one function. Local 0.. are its parameters; further ones are made with {@link newLocal}. */
export class CodeWriter extends ByteWriter {
  private readonly locals: WasmType[] = [];
  private readonly parameters: number;
  private readonly insertions: Insertion[] = [];
  private readonly unlikely: number[] = [];
  /** Open blocks. */
  depth = 0;

  constructor(parameters: number) {
    super(4096);
    this.parameters = parameters;
  }

  newLocal(type: WasmType): number {
    this.locals.push(type);
    return this.parameters + this.locals.length - 1;
  }

  op(first: number, second = -1, third = -1): void {
    this.byte(first);
    if (second >= 0) this.byte(second);
    if (third >= 0) this.byte(third);
  }

  get(local: number): void {
    this.byte(Op.LocalGet);
    this.unsigned(local);
  }

  set(local: number): void {
    this.byte(Op.LocalSet);
    this.unsigned(local);
  }

  tee(local: number): void {
    this.byte(Op.LocalTee);
    this.unsigned(local);
  }

  i32(value: number): void {
    this.byte(Op.I32Const);
    this.signed(value | 0);
  }

  i64(value: number | bigint): void {
    this.byte(Op.I64Const);
    this.signed(value);
  }

  /** A load or store; `offset` is added to the address on the stack. No alignment is promised. */
  memory(opcode: number, offset = 0): void {
    this.byte(opcode);
    this.byte(0);
    this.unsigned(offset);
  }

  /** An instruction of the vector set: prefix 0xFD and its number. */
  simd(opcode: number, ...immediates: number[]): void {
    this.byte(0xfd);
    this.unsigned(opcode);
    for (const immediate of immediates) this.byte(immediate);
  }

  /** `v128.load` (0), `v128.store` (11) and their lane and widening forms. */
  simdMemory(opcode: number, offset = 0, lane?: number): void {
    this.byte(0xfd);
    this.unsigned(opcode);
    this.byte(0);
    this.unsigned(offset);
    if (lane !== undefined) this.byte(lane);
  }

  /** `memory.copy` (10): destination, source, bytes on the stack. `memory.fill` (11): destination, value, bytes. */
  bulk(opcode: 10 | 11): void {
    this.byte(0xfc);
    this.unsigned(opcode);
    this.byte(0);
    if (opcode === 10) this.byte(0);
  }

  /** Opens a block; the label is its end. */
  block(result?: WasmType): Label {
    return this.open(Op.Block, result);
  }

  /** Opens a loop; the label is its start. */
  loop(): Label {
    return this.open(Op.Loop);
  }

  if(result?: WasmType): Label {
    return this.open(Op.If, result);
  }

  else(): void {
    this.byte(Op.Else);
  }

  end(): void {
    assert(this.depth > 0, 'a block is open');
    this.depth--;
    this.byte(Op.End);
  }

  br(label: Label): void {
    this.byte(Op.Br);
    this.unsigned(this.depth - label);
  }

  brIf(label: Label): void {
    this.byte(Op.BrIf);
    this.unsigned(this.depth - label);
  }

  /** As {@link brIf}, for a branch that is hardly ever taken; see {@link FunctionBody.unlikelyBranches}. */
  brIfUnlikely(label: Label): void {
    this.unlikely.push(this.length);
    this.brIf(label);
  }

  brTable(labels: readonly Label[], otherwise: Label): void {
    this.byte(Op.BrTable);
    this.unsigned(labels.length);
    for (const label of labels) this.unsigned(this.depth - label);
    this.unsigned(this.depth - otherwise);
  }

  call(functionIndex: number): void {
    this.byte(Op.Call);
    this.unsigned(functionIndex);
  }

  returnCall(functionIndex: number): void {
    this.byte(Op.ReturnCall);
    this.unsigned(functionIndex);
  }

  callIndirect(typeIndex: number): void {
    this.byte(Op.CallIndirect);
    this.unsigned(typeIndex);
    this.byte(0);
  }

  returnCallIndirect(typeIndex: number): void {
    this.byte(Op.ReturnCallIndirect);
    this.unsigned(typeIndex);
    this.byte(0);
  }

  /** Bytes that `write` writes when the body is finished stand here. They must leave the stack as they find it. */
  insertLater(write: (out: ByteWriter) => void): void {
    this.insertions.push({ at: this.length, write });
  }

  /** The bytes since `start`, a former length, that have no branches; to write the same again with {@link bytes}. */
  since(start: number): Uint8Array {
    return this.take().slice(start);
  }

  /** The finished body. */
  finish(): FunctionBody {
    assert(this.depth === 0, 'all blocks are closed');
    const body = new ByteWriter(this.length + 16 * this.insertions.length + 64);
    const runs: { type: WasmType; count: number }[] = [];
    for (const type of this.locals) {
      const last = runs[runs.length - 1];
      if (last && last.type === type) last.count++;
      else runs.push({ type, count: 1 });
    }
    body.unsigned(runs.length);
    for (const run of runs) {
      body.unsigned(run.count);
      body.byte(run.type);
    }
    const code = this.take();
    const unlikelyBranches: number[] = [];
    let done = 0;
    let nextUnlikely = 0;
    const copyUpTo = (end: number): void => {
      for (; (this.unlikely[nextUnlikely] ?? end) < end; nextUnlikely++) {
        unlikelyBranches.push(body.length + (this.unlikely[nextUnlikely] as number) - done);
      }
      body.bytes(code.subarray(done, end));
      done = end;
    };
    for (const insertion of this.insertions) {
      copyUpTo(insertion.at);
      insertion.write(body);
    }
    copyUpTo(code.length);
    body.byte(Op.End);
    return { bytes: body.take(), unlikelyBranches };
  }

  private open(opcode: number, result?: WasmType): Label {
    this.byte(opcode);
    this.byte(result ?? noResult);
    this.depth++;
    return this.depth as Label;
  }
}
