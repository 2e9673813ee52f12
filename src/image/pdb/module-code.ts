import type { SourceLine, SymbolFrame } from '../symbols/symbol-source.ts';
import { type InlineRange, readInlineRanges } from './binary-annotations.ts';
import type { PdbModule } from './dbi-stream.ts';
import { LineTable } from './line-table.ts';
import {
  type CodeChunk,
  type InlineSite,
  type ModuleSymbols,
  type Procedure,
  readModuleSymbols,
  type Trampoline,
} from './module-symbols.ts';
import type { PdbFile } from './pdb-file.ts';
import { lastAtOrBefore, RangeIndex } from './range-index.ts';
import type { SectionMap } from './section-map.ts';
import type { StreamView } from './stream-view.ts';

const crossScopeBit = 0x8000_0000;

/** Ranges of one site, ascending, with the site's bounds to pass over it quickly. */
interface SiteCode {
  readonly site: InlineSite;
  readonly parent: SiteCode | undefined;
  readonly ranges: readonly (InlineRange & { readonly rva: number })[];
  readonly start: number;
  readonly end: number;
}

/** Procedures, inlined calls and lines of one module; each is read when it is first needed. */
export class PdbModuleCode {
  readonly #pdb: PdbFile;
  readonly #module: PdbModule;
  readonly #sections: SectionMap;
  readonly #moduleNamed: (name: string) => PdbModuleCode | undefined;
  readonly #stream: StreamView;
  readonly #sites = new Map<Procedure, readonly SiteCode[]>();
  #symbols: ModuleSymbols | undefined;
  #chunks: RangeIndex<CodeChunk> | undefined;
  #trampolines: RangeIndex<Trampoline> | undefined;
  #lines: LineTable | undefined;

  constructor(
    pdb: PdbFile,
    module: PdbModule,
    sections: SectionMap,
    moduleNamed: (name: string) => PdbModuleCode | undefined,
  ) {
    this.#pdb = pdb;
    this.#module = module;
    this.#sections = sections;
    this.#moduleNamed = moduleNamed;
    this.#stream = pdb.stream(module.stream, `module ${module.name}`);
  }

  get symbols(): ModuleSymbols {
    const size = this.#stream.length === 0 ? 0 : this.#module.symbolBytes;
    this.#symbols ??= readModuleSymbols(this.#stream, size, this.#sections);
    return this.#symbols;
  }

  get trampolines(): RangeIndex<Trampoline> {
    this.#trampolines ??= new RangeIndex(this.symbols.trampolines);
    return this.#trampolines;
  }

  get lines(): LineTable {
    if (this.#lines === undefined) {
      const { symbolBytes, c11Bytes, c13Bytes } = this.#module;
      const size = this.#stream.length === 0 ? 0 : c13Bytes;
      const c13 = size === 0 ? this.#stream.part(0, 0) : this.#stream.part(symbolBytes + c11Bytes, size);
      this.#lines = new LineTable(c13, this.#sections, this.#pdb.strings);
    }
    return this.#lines;
  }

  /** The part of a procedure that starts last at or before the address. */
  before(rva: number): CodeChunk | undefined {
    this.#chunks ??= new RangeIndex(this.symbols.chunks);
    return this.#chunks.before(rva);
  }

  /** The physical function comes last; empty if no procedure covers the address. */
  framesAt(rva: number): readonly SymbolFrame[] {
    this.#chunks ??= new RangeIndex(this.symbols.chunks);
    const procedure = this.#chunks.at(rva)?.procedure;
    if (procedure === undefined) return [];
    const frames: SymbolFrame[] = [];
    let code = innermostSite(this.#sitesOf(procedure), rva);
    for (; code !== undefined; code = code.parent) {
      frames.push({
        function: this.#inlineeName(code.site.inlinee),
        functionRva: procedure.rva,
        inlined: true,
        source: this.#inlineSource(code, rva),
      });
    }
    frames.push({
      function: procedure.name,
      functionRva: procedure.rva,
      inlined: false,
      source: this.lines.lineAt(rva),
    });
    return frames;
  }

  #sitesOf(procedure: Procedure): readonly SiteCode[] {
    const known = this.#sites.get(procedure);
    if (known !== undefined) return known;
    // A site stands after the one that it was inlined into.
    const sites = new Map<InlineSite, SiteCode>();
    for (const site of procedure.sites) {
      const { file, line } = this.lines.inlinee(site.inlinee) ?? { file: 0, line: 0 };
      const { annotationsAt, annotationsEnd } = site;
      const ranges = readInlineRanges(this.#stream, annotationsAt, annotationsEnd, procedure.chunkRvas, line, file).map(
        (range) => ({ ...range, rva: range.start }),
      );
      ranges.sort((a, b) => a.rva - b.rva);
      const end = ranges.reduce((latest, range) => Math.max(latest, range.end), 0);
      const parent = site.parent === undefined ? undefined : sites.get(site.parent);
      sites.set(site, { site, parent, ranges, start: ranges[0]?.rva ?? 0, end });
    }
    const list = [...sites.values()];
    this.#sites.set(procedure, list);
    return list;
  }

  #inlineSource(code: SiteCode, rva: number): SourceLine | undefined {
    const range = coveringRange(code, rva);
    if (range === undefined || this.lines.inlinee(code.site.inlinee) === undefined) return undefined;
    return this.lines.sourceLine(range.file, range.line);
  }

  #inlineeName(id: number): string {
    const global = id >= crossScopeBit ? this.#importedId(id) : id;
    const name = global === undefined ? undefined : this.#pdb.functionIds.name(global);
    return name ?? `<inlined function 0x${id.toString(16)}>`;
  }

  #importedId(id: number): number | undefined {
    const imported = this.lines.crossScopeImport(id);
    return imported === undefined ? undefined : this.#moduleNamed(imported.module)?.lines.exportedId(imported.localId);
  }
}

/** The deepest site whose code covers the address. */
function innermostSite(sites: readonly SiteCode[], rva: number): SiteCode | undefined {
  let found: SiteCode | undefined;
  for (const code of sites) {
    if (rva < code.start || rva >= code.end || code.site.depth <= (found?.site.depth ?? 0)) continue;
    if (coveringRange(code, rva) !== undefined) found = code;
  }
  return found;
}

function coveringRange({ ranges }: SiteCode, rva: number): InlineRange | undefined {
  const range = ranges[lastAtOrBefore(ranges, rva)];
  return range !== undefined && rva < range.end ? range : undefined;
}
