/**
 * Writes WebAssembly: the bytes of a function body with its labels and locals, and a module around bodies.
 * Reference: WebAssembly Core Specification, section 5 (binary format).
 */
import { assert } from '../../base/errors.ts';

/** Value types. */
export const WasmType = { I32: 0x7f, I64: 0x7e, F32: 0x7d, F64: 0x7c, V128: 0x7b } as const;
export type WasmType = (typeof WasmType)[keyof typeof WasmType];

/** One-byte opcodes, named as in the specification. */
export const Op = {
  Unreachable: 0x00,
  Block: 0x02,
  Loop: 0x03,
  If: 0x04,
  Else: 0x05,
  End: 0x0b,
  Br: 0x0c,
  BrIf: 0x0d,
  BrTable: 0x0e,
  Return: 0x0f,
  Call: 0x10,
  CallIndirect: 0x11,
  ReturnCall: 0x12,
  ReturnCallIndirect: 0x13,
  Drop: 0x1a,
  Select: 0x1b,
  LocalGet: 0x20,
  LocalSet: 0x21,
  LocalTee: 0x22,
  I32Load: 0x28,
  I64Load: 0x29,
  F32Load: 0x2a,
  F64Load: 0x2b,
  I32Load8S: 0x2c,
  I32Load8U: 0x2d,
  I32Load16S: 0x2e,
  I32Load16U: 0x2f,
  I64Load32U: 0x35,
  I32Store: 0x36,
  I64Store: 0x37,
  F32Store: 0x38,
  F64Store: 0x39,
  I32Store8: 0x3a,
  I32Store16: 0x3b,
  I32Const: 0x41,
  I64Const: 0x42,
  F32Const: 0x43,
  F64Const: 0x44,
  I32Eqz: 0x45,
  I32Eq: 0x46,
  I32Ne: 0x47,
  I32LtS: 0x48,
  I32LtU: 0x49,
  I32GtS: 0x4a,
  I32GtU: 0x4b,
  I32LeS: 0x4c,
  I32LeU: 0x4d,
  I32GeS: 0x4e,
  I32GeU: 0x4f,
  I64Eqz: 0x50,
  I64Eq: 0x51,
  I64Ne: 0x52,
  I64LtS: 0x53,
  I64LtU: 0x54,
  I64GtS: 0x55,
  I64GtU: 0x56,
  I64LeS: 0x57,
  I64LeU: 0x58,
  I64GeS: 0x59,
  I64GeU: 0x5a,
  F32Eq: 0x5b,
  F32Ne: 0x5c,
  F32Lt: 0x5d,
  F32Gt: 0x5e,
  F32Le: 0x5f,
  F32Ge: 0x60,
  F64Eq: 0x61,
  F64Ne: 0x62,
  F64Lt: 0x63,
  F64Gt: 0x64,
  F64Le: 0x65,
  F64Ge: 0x66,
  I32Clz: 0x67,
  I32Ctz: 0x68,
  I32Popcnt: 0x69,
  I32Add: 0x6a,
  I32Sub: 0x6b,
  I32Mul: 0x6c,
  I32DivS: 0x6d,
  I32DivU: 0x6e,
  I32RemS: 0x6f,
  I32RemU: 0x70,
  I32And: 0x71,
  I32Or: 0x72,
  I32Xor: 0x73,
  I32Shl: 0x74,
  I32ShrS: 0x75,
  I32ShrU: 0x76,
  I32Rotl: 0x77,
  I32Rotr: 0x78,
  I64Clz: 0x79,
  I64Ctz: 0x7a,
  I64Popcnt: 0x7b,
  I64Add: 0x7c,
  I64Sub: 0x7d,
  I64Mul: 0x7e,
  I64DivS: 0x7f,
  I64DivU: 0x80,
  I64RemS: 0x81,
  I64RemU: 0x82,
  I64And: 0x83,
  I64Or: 0x84,
  I64Xor: 0x85,
  I64Shl: 0x86,
  I64ShrS: 0x87,
  I64ShrU: 0x88,
  I64Rotl: 0x89,
  I64Rotr: 0x8a,
  F32Abs: 0x8b,
  F32Neg: 0x8c,
  F32Ceil: 0x8d,
  F32Floor: 0x8e,
  F32Trunc: 0x8f,
  F32Nearest: 0x90,
  F32Sqrt: 0x91,
  F32Add: 0x92,
  F32Sub: 0x93,
  F32Mul: 0x94,
  F32Div: 0x95,
  F32Min: 0x96,
  F32Max: 0x97,
  F64Abs: 0x99,
  F64Neg: 0x9a,
  F64Ceil: 0x9b,
  F64Floor: 0x9c,
  F64Trunc: 0x9d,
  F64Nearest: 0x9e,
  F64Sqrt: 0x9f,
  F64Add: 0xa0,
  F64Sub: 0xa1,
  F64Mul: 0xa2,
  F64Div: 0xa3,
  F64Min: 0xa4,
  F64Max: 0xa5,
  I32WrapI64: 0xa7,
  I64ExtendI32S: 0xac,
  I64ExtendI32U: 0xad,
  F32ConvertI32S: 0xb2,
  F32ConvertI64S: 0xb4,
  F32DemoteF64: 0xb6,
  F64ConvertI32S: 0xb7,
  F64ConvertI64S: 0xb9,
  F64PromoteF32: 0xbb,
  I32ReinterpretF32: 0xbc,
  I64ReinterpretF64: 0xbd,
  F32ReinterpretI32: 0xbe,
  F64ReinterpretI64: 0xbf,
  I32Extend8S: 0xc0,
  I32Extend16S: 0xc1,
  I64Extend8S: 0xc2,
  I64Extend16S: 0xc3,
  I64Extend32S: 0xc4,
} as const;

const noResult = 0x40;

/** Number of open blocks when the label's block was opened; labels stay valid however deep the code goes on. */
export type Label = number & { readonly __label: true };

/** A place where bytes are put in when the whole body is known. */
export interface Insertion {
  readonly at: number;
  readonly bytes: () => Uint8Array;
}

/** A growing array of bytes with the encodings of the binary format. */
export class ByteWriter {
  private buffer = new Uint8Array(256);
  length = 0;

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
    super();
    this.parameters = parameters;
  }

  newLocal(type: WasmType): number {
    this.locals.push(type);
    return this.parameters + this.locals.length - 1;
  }

  op(...opcodes: number[]): void {
    for (const opcode of opcodes) this.byte(opcode);
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

  /** Bytes that `make` gives when the body is finished stand here. They must leave the stack as they find it. */
  insertLater(make: () => Uint8Array): void {
    this.insertions.push({ at: this.length, bytes: make });
  }

  /** The finished body. */
  finish(): FunctionBody {
    assert(this.depth === 0, 'all blocks are closed');
    const body = new ByteWriter();
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
      body.bytes(insertion.bytes());
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

export interface FunctionType {
  readonly parameters: readonly WasmType[];
  readonly results: readonly WasmType[];
}

export interface ModuleParts {
  readonly types: readonly FunctionType[];
  /** Imported functions, in index order, from module `e`. */
  readonly imports: readonly { readonly name: string; readonly type: number }[];
  /** Functions: type, finished body, table slot and name to export under if any. */
  readonly functions: readonly {
    readonly type: number;
    readonly body: FunctionBody;
    readonly slot?: number;
    readonly exportAs?: string;
  }[];
}

/** A module that imports memory `e.memory` and table `e.table`; functions with a slot are put into the table. */
export function writeModule(parts: ModuleParts): Uint8Array<ArrayBuffer> {
  const out = new ByteWriter();
  out.bytes(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
  section(out, 1, (w) => {
    w.unsigned(parts.types.length);
    for (const type of parts.types) {
      w.byte(0x60);
      w.unsigned(type.parameters.length);
      for (const parameter of type.parameters) w.byte(parameter);
      w.unsigned(type.results.length);
      for (const result of type.results) w.byte(result);
    }
  });
  section(out, 2, (w) => {
    w.unsigned(parts.imports.length + 2);
    importName(w, 'memory');
    w.bytes(Uint8Array.of(2, 0, 0));
    importName(w, 'table');
    w.bytes(Uint8Array.of(1, 0x70, 0, 0));
    for (const { name, type } of parts.imports) {
      importName(w, name);
      w.byte(0);
      w.unsigned(type);
    }
  });
  section(out, 3, (w) => {
    w.unsigned(parts.functions.length);
    for (const { type } of parts.functions) w.unsigned(type);
  });
  const exported = parts.functions.flatMap(({ exportAs }, index) =>
    exportAs === undefined ? [] : [{ exportAs, index: parts.imports.length + index }],
  );
  section(out, 7, (w) => {
    w.unsigned(exported.length);
    for (const { exportAs, index } of exported) {
      w.name(exportAs);
      w.byte(0);
      w.unsigned(index);
    }
  });
  const placed = parts.functions.flatMap(({ slot }, index) =>
    slot === undefined ? [] : [{ slot, index: parts.imports.length + index }],
  );
  section(out, 9, (w) => {
    w.unsigned(placed.length);
    for (const { slot, index } of placed) {
      w.byte(0);
      w.byte(Op.I32Const);
      w.signed(slot);
      w.byte(Op.End);
      w.unsigned(1);
      w.unsigned(index);
    }
  });
  section(out, 0, (w) => writeBranchHints(w, parts));
  section(out, 10, (w) => {
    w.unsigned(parts.functions.length);
    for (const { body } of parts.functions) {
      w.unsigned(body.bytes.length);
      w.bytes(body.bytes);
    }
  });
  return out.take().slice() as Uint8Array<ArrayBuffer>;
}

/** Reference: WebAssembly branch hinting proposal; engines without it ignore the section. */
function writeBranchHints(w: ByteWriter, parts: ModuleParts): void {
  const hinted = parts.functions.flatMap(({ body }, index) =>
    body.unlikelyBranches.length === 0 ? [] : [{ body, index: parts.imports.length + index }],
  );
  w.name('metadata.code.branch_hint');
  w.unsigned(hinted.length);
  for (const { body, index } of hinted) {
    w.unsigned(index);
    w.unsigned(body.unlikelyBranches.length);
    for (const offset of body.unlikelyBranches) {
      w.unsigned(offset);
      w.unsigned(1);
      w.byte(0);
    }
  }
}

function importName(w: ByteWriter, name: string): void {
  w.name('e');
  w.name(name);
}

function section(out: ByteWriter, id: number, write: (w: ByteWriter) => void): void {
  const content = new ByteWriter();
  write(content);
  out.byte(id);
  out.unsigned(content.length);
  out.bytes(content.take());
}
