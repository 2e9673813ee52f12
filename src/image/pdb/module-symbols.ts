import {
  closesScope,
  isProcedure,
  opensScope,
  readData,
  readLabel,
  readProcedure,
  readSeparatedCode,
  readThunk,
  readTrampoline,
  type SymbolRecord,
  symbolKind,
  symbolRecordAt,
} from './codeview-symbols.ts';
import type { RvaRange } from './range-index.ts';
import type { SectionMap } from './section-map.ts';
import type { StreamView } from './stream-view.ts';

/** A call that was inlined: the site's line program stays unread until an address in the procedure is looked up. */
export interface InlineSite {
  /** Function ID in IPI, or a reference to another module's if bit 31 is set. */
  readonly inlinee: number;
  /** Line program in the module's stream. */
  readonly annotationsAt: number;
  readonly annotationsEnd: number;
  /** The site that this one was inlined into, undefined if that is the procedure. */
  readonly parent: InlineSite | undefined;
  /** 1 for sites directly in the procedure. */
  readonly depth: number;
}

export interface Procedure extends RvaRange {
  readonly name: string;
  /** Starts of its code: main part first, then parts that the compiler separated. */
  readonly chunkRvas: readonly number[];
  readonly sites: readonly InlineSite[];
}

/** A stretch of code of one procedure. */
export interface CodeChunk extends RvaRange {
  readonly procedure: Procedure;
}

/** A jump of an incremental link; it leads to `targetRva`. */
export interface Trampoline extends RvaRange {
  readonly targetRva: number | undefined;
}

export interface ModuleSymbols {
  readonly chunks: readonly CodeChunk[];
  readonly trampolines: readonly Trampoline[];
  readonly data: readonly { readonly name: string; readonly rva: number }[];
  readonly labels: readonly { readonly name: string; readonly rva: number }[];
}

interface OpenProcedure {
  readonly procedure: Procedure;
  readonly chunkRvas: number[];
  readonly sites: InlineSite[];
}

interface Scope {
  readonly code: OpenProcedure | undefined;
  readonly site: InlineSite | undefined;
}

const outside: Scope = { code: undefined, site: undefined };
const signatureC13 = 4;

/** Reads the symbol records of one module: `sizeBytes` at the start of its stream. */
export function readModuleSymbols(stream: StreamView, sizeBytes: number, sections: SectionMap): ModuleSymbols {
  const reader = new ModuleReader(stream, sections);
  if (sizeBytes === 0) return reader;
  const signature = stream.u32(0);
  if (signature !== signatureC13) throw stream.damaged(`symbol format ${signature}`, `${signatureC13}`);
  if (sizeBytes > stream.length) throw stream.damaged(`${stream.length} bytes`, `${sizeBytes} bytes of symbols`);
  for (let at = 4; at < sizeBytes; ) {
    const record = symbolRecordAt(stream, at, sizeBytes);
    reader.add(record);
    at = record.end;
  }
  return reader;
}

class ModuleReader implements ModuleSymbols {
  readonly chunks: CodeChunk[] = [];
  readonly trampolines: Trampoline[] = [];
  readonly data: { name: string; rva: number }[] = [];
  readonly labels: { name: string; rva: number }[] = [];
  readonly #stream: StreamView;
  readonly #sections: SectionMap;
  readonly #scopes: Scope[] = [];
  /** Procedures by the start of each of their scopes: separated code names its parent so. */
  readonly #byScopeStart = new Map<number, OpenProcedure>();

  constructor(stream: StreamView, sections: SectionMap) {
    this.#stream = stream;
    this.#sections = sections;
  }

  add(record: SymbolRecord): void {
    const { kind } = record;
    if (closesScope(kind)) {
      this.#scopes.pop();
    } else if (opensScope(kind)) {
      this.#scopes.push(this.#openScope(record));
    } else if (kind === symbolKind.trampoline) {
      this.#addTrampoline(record);
    } else if (kind === symbolKind.localData32 || kind === symbolKind.globalData32) {
      this.#addNamed(this.data, readData(this.#stream, record));
    } else if (kind === symbolKind.label32 && this.#scopes.length === 0) {
      // Labels in a procedure are the compiler's own, as `$LN5`.
      this.#addNamed(this.labels, readLabel(this.#stream, record));
    }
  }

  #openScope(record: SymbolRecord): Scope {
    const around = this.#scopes.at(-1) ?? outside;
    const { kind, dataAt } = record;
    if (isProcedure(kind) || kind === symbolKind.thunk32) return this.#openProcedure(record);
    switch (kind) {
      case symbolKind.inlineSite:
      case symbolKind.inlineSite2:
        return this.#openSite(record, around);
      case symbolKind.separatedCode:
        return this.#openSeparatedCode(record, around);
      case symbolKind.block32: {
        const start = this.#sections.rva(this.#stream.u16(dataAt + 16), this.#stream.u32(dataAt + 12));
        this.#noteScopeStart(start, around.code);
        return around;
      }
      default:
        return around;
    }
  }

  #openProcedure(record: SymbolRecord): Scope {
    const read = record.kind === symbolKind.thunk32 ? readThunk : readProcedure;
    const { name, section, offset, sizeBytes } = read(this.#stream, record);
    const rva = this.#sections.rva(section, offset);
    if (rva === undefined) return outside;
    const chunkRvas = [rva];
    const sites: InlineSite[] = [];
    const procedure: Procedure = { name, rva, sizeBytes, chunkRvas, sites };
    const code: OpenProcedure = { procedure, chunkRvas, sites };
    this.chunks.push({ rva, sizeBytes, procedure });
    this.#noteScopeStart(rva, code);
    return { code, site: undefined };
  }

  #openSite(record: SymbolRecord, around: Scope): Scope {
    const { code, site: parent } = around;
    if (code === undefined) return outside;
    const site: InlineSite = {
      inlinee: this.#stream.u32(record.dataAt + 8),
      annotationsAt: record.dataAt + (record.kind === symbolKind.inlineSite2 ? 16 : 12),
      annotationsEnd: record.end,
      parent,
      depth: parent === undefined ? 1 : parent.depth + 1,
    };
    code.sites.push(site);
    return { code, site };
  }

  #openSeparatedCode(record: SymbolRecord, around: Scope): Scope {
    const { section, offset, sizeBytes, parentSection, parentOffset } = readSeparatedCode(this.#stream, record);
    const rva = this.#sections.rva(section, offset);
    const parentRva = this.#sections.rva(parentSection, parentOffset);
    const code = (parentRva === undefined ? undefined : this.#byScopeStart.get(parentRva)) ?? around.code;
    if (rva === undefined || code === undefined) return outside;
    code.chunkRvas.push(rva);
    this.chunks.push({ rva, sizeBytes, procedure: code.procedure });
    this.#noteScopeStart(rva, code);
    return { code, site: around.code === code ? around.site : undefined };
  }

  #noteScopeStart(rva: number | undefined, code: OpenProcedure | undefined): void {
    if (rva !== undefined && code !== undefined && !this.#byScopeStart.has(rva)) this.#byScopeStart.set(rva, code);
  }

  #addTrampoline(record: SymbolRecord): void {
    const { section, offset, sizeBytes, targetSection, targetOffset } = readTrampoline(this.#stream, record);
    const rva = this.#sections.rva(section, offset);
    if (rva === undefined) return;
    this.trampolines.push({ rva, sizeBytes, targetRva: this.#sections.rva(targetSection, targetOffset) });
  }

  #addNamed(
    list: { name: string; rva: number }[],
    { name, section, offset }: { readonly name: string; readonly section: number; readonly offset: number },
  ): void {
    const rva = this.#sections.rva(section, offset);
    if (rva !== undefined) list.push({ name, rva });
  }
}
