import type { SourceLine } from '../symbols/symbol-source.ts';
import { lastAtOrBefore, RangeIndex, type RvaRange } from './range-index.ts';
import type { SectionMap } from './section-map.ts';
import type { StreamView } from './stream-view.ts';
import type { StringTable } from './string-table.ts';

/** Subsections of a module's C13 line information. Source: cvinfo.h, DEBUG_S_SUBSECTION_TYPE. */
const subsection = {
  lines: 0xf2,
  fileChecksums: 0xf4,
  inlineeLines: 0xf6,
  crossScopeImports: 0xf7,
  crossScopeExports: 0xf8,
} as const;
const linesHaveColumns = 1;
/** Line numbers that mean "no source": step into and step over always. */
const hiddenLines: readonly number[] = [0xfeefee, 0xf00f00];

/** Where the declaration of an inlined function starts. `file` is an offset in the module's file checksums. */
export interface InlineeLine {
  readonly file: number;
  readonly line: number;
}

/** A function ID that belongs to another module. */
export interface CrossScopeImport {
  readonly module: string;
  readonly localId: number;
}

interface LineBlock extends RvaRange {
  /** Its bytes after the header. */
  readonly data: StreamView;
  readonly hasColumns: boolean;
}

interface LineEntry {
  readonly rva: number;
  readonly line: number;
  readonly file: number;
}

/** The line information of one module. Line blocks (one per function, as a rule) are decoded when first looked up. */
export class LineTable {
  readonly #blocks: RangeIndex<LineBlock>;
  readonly #entries = new Map<LineBlock, readonly LineEntry[]>();
  readonly #checksums: StreamView | undefined;
  readonly #inlinees = new Map<number, InlineeLine>();
  readonly #imports: { readonly module: number; readonly ids: StreamView }[] = [];
  readonly #exports = new Map<number, number>();
  readonly #strings: StringTable | undefined;

  constructor(c13: StreamView, sections: SectionMap, strings: StringTable | undefined) {
    this.#strings = strings;
    const blocks: LineBlock[] = [];
    let checksums: StreamView | undefined;
    for (let at = 0; at + 8 <= c13.length; ) {
      const kind = c13.u32(at);
      const size = c13.u32(at + 4);
      const data = c13.part(at + 8, size);
      if (kind === subsection.lines) addLineBlock(blocks, data, sections);
      else if (kind === subsection.fileChecksums) checksums ??= data;
      else if (kind === subsection.inlineeLines) this.#readInlinees(data);
      else if (kind === subsection.crossScopeImports) this.#readImports(data);
      else if (kind === subsection.crossScopeExports) this.#readExports(data);
      at += 8 + ((size + 3) & ~3);
    }
    this.#blocks = new RangeIndex(blocks);
    this.#checksums = checksums;
  }

  /** The line whose code covers the address. */
  lineAt(rva: number): SourceLine | undefined {
    const block = this.#blocks.at(rva);
    if (block === undefined) return undefined;
    let entries = this.#entries.get(block);
    if (entries === undefined) {
      entries = readLineEntries(block);
      this.#entries.set(block, entries);
    }
    const entry = entries[lastAtOrBefore(entries, rva)];
    return entry === undefined ? undefined : this.sourceLine(entry.file, entry.line);
  }

  inlinee(id: number): InlineeLine | undefined {
    return this.#inlinees.get(id);
  }

  /** `file` is an offset in the file checksums. Undefined if the line or the file is not a real one. */
  sourceLine(file: number, line: number): SourceLine | undefined {
    if (line <= 0 || hiddenLines.includes(line)) return undefined;
    if (this.#checksums === undefined || this.#strings === undefined) return undefined;
    return { file: this.#strings.at(this.#checksums.u32(file)), line };
  }

  /** What an ID with bit 31 set stands for: bits 30..20 say which import, 19..0 which of its IDs. */
  crossScopeImport(id: number): CrossScopeImport | undefined {
    const scope = this.#imports[(id >>> 20) & 0x7ff];
    const index = id & 0xfffff;
    if (scope === undefined || this.#strings === undefined || index >= scope.ids.length / 4) return undefined;
    return { module: this.#strings.at(scope.module), localId: scope.ids.u32(4 * index) };
  }

  /** The ID in IPI of a function that other modules know by a local ID. */
  exportedId(localId: number): number | undefined {
    return this.#exports.get(localId);
  }

  #readInlinees(data: StreamView): void {
    const hasExtraFiles = data.u32(0) === 1;
    for (let at = 4; at < data.length; ) {
      const id = data.u32(at);
      if (!this.#inlinees.has(id)) this.#inlinees.set(id, { file: data.u32(at + 4), line: data.u32(at + 8) });
      at += 12;
      // Other files of the function's body: the site's line program names them where it enters them.
      if (hasExtraFiles) at += 4 + 4 * data.u32(at);
    }
  }

  #readImports(data: StreamView): void {
    for (let at = 0; at < data.length; ) {
      const size = 4 * data.u32(at + 4);
      this.#imports.push({ module: data.u32(at), ids: data.part(at + 8, size) });
      at += 8 + size;
    }
  }

  #readExports(data: StreamView): void {
    for (let at = 0; at + 8 <= data.length; at += 8) this.#exports.set(data.u32(at), data.u32(at + 4));
  }
}

function addLineBlock(blocks: LineBlock[], data: StreamView, sections: SectionMap): void {
  const rva = sections.rva(data.u16(4), data.u32(0));
  if (rva === undefined) return;
  blocks.push({
    rva,
    sizeBytes: data.u32(8),
    data: data.part(12, data.length - 12),
    hasColumns: (data.u16(6) & linesHaveColumns) !== 0,
  });
}

/** One run of entries per source file; together they ascend after sorting. */
function readLineEntries({ rva, data, hasColumns }: LineBlock): readonly LineEntry[] {
  const entries: LineEntry[] = [];
  for (let at = 0; at + 12 <= data.length; ) {
    const file = data.u32(at);
    const count = data.u32(at + 4);
    const needed = 12 + count * (hasColumns ? 12 : 8);
    if (data.u32(at + 8) < needed) throw data.damaged(`${count} lines in ${data.u32(at + 8)} bytes`, `${needed} bytes`);
    const run = data.part(at + 12, 8 * count);
    for (let i = 0; i < count; i++) {
      entries.push({ rva: rva + run.u32(8 * i), line: run.u32(8 * i + 4) & 0xffffff, file });
    }
    at += data.u32(at + 8);
  }
  return entries.sort((a, b) => a.rva - b.rva);
}
