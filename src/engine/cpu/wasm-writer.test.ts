import { describe, expect, test } from 'vitest';
import { writeModule } from './wasm-module.ts';
import { ByteWriter, CodeWriter, Op, WasmType } from './wasm-writer.ts';

function run(body: CodeWriter): unknown {
  const bytes = writeModule({
    types: [{ parameters: [], results: [WasmType.I64] }],
    imports: [],
    functions: [{ type: 0, body: body.finish(), exportAs: 'f' }],
  });
  const memory = new WebAssembly.Memory({ initial: 1 });
  const table = new WebAssembly.Table({ element: 'anyfunc', initial: 0 });
  const { f } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { e: { memory, table } }).exports;
  return (f as () => unknown)();
}

describe('CodeWriter', () => {
  test.each([
    0,
    1,
    -1,
    63,
    64,
    -64,
    -65,
    127,
    128,
    2 ** 31,
    -(2 ** 31),
    -(2 ** 47),
    2 ** 47 - 1,
    2n ** 63n - 1n,
    -(2n ** 63n),
    0x8000_0000_0000_0000n,
  ])('i64.const %s', (value) => {
    const code = new CodeWriter(0);
    code.i64(value);
    expect(run(code)).toBe(BigInt.asIntN(64, BigInt(value)));
  });

  test('labels mean their block at any depth, and insertions stand where they were announced', () => {
    const code = new CodeWriter(0);
    const local = code.newLocal(WasmType.I64);
    const outer = code.block();
    const inserted = new ByteWriter();
    code.insertLater((out) => out.bytes(inserted.take()));
    code.block();
    code.i32(1);
    code.brIfUnlikely(outer);
    code.end();
    code.op(Op.Unreachable);
    code.end();
    code.get(local);
    inserted.byte(Op.I64Const);
    inserted.signed(300);
    inserted.byte(Op.LocalSet);
    inserted.unsigned(local);
    expect(run(code)).toBe(300n);
  });

  test('unlikely branches are found again behind inserted bytes', () => {
    const code = new CodeWriter(0);
    const block = code.block();
    code.insertLater((out) => out.bytes(Uint8Array.of(Op.I32Const, 5, Op.Drop)));
    code.i32(0);
    code.brIfUnlikely(block);
    code.end();
    const { bytes, unlikelyBranches } = code.finish();
    expect(unlikelyBranches.map((at) => bytes[at])).toEqual([Op.BrIf]);
  });
});
