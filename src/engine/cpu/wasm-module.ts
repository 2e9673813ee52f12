/**
 * Writes a WebAssembly module around finished function bodies.
 * Reference: WebAssembly Core Specification, section 5.5.
 */
import { Op, type WasmType } from './wasm-opcodes.ts';
import { ByteWriter, type FunctionBody } from './wasm-writer.ts';

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
