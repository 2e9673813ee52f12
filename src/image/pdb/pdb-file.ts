import { type DbiStream, debugStream, readDbiStream } from './dbi-stream.ts';
import { FunctionIds } from './function-ids.ts';
import { type InfoStream, readInfoStream } from './info-stream.ts';
import { MsfFile, nilStream } from './msf.ts';
import { unsupportedPdb } from './pdb-error.ts';
import type { SectionRange } from './section-map.ts';
import { StreamView } from './stream-view.ts';
import { StringTable } from './string-table.ts';
import { TypeRecords } from './type-records.ts';

/** Fixed stream numbers. */
const infoStream = 1;
const typeStream = 2;
const dbiStream = 3;
const idStream = 4;
const sectionHeaderSize = 40;
const machineAmd64 = 0x8664;

/** An opened PDB: header streams are read, everything else on first use. */
export class PdbFile {
  readonly fileName: string;
  readonly info: InfoStream;
  readonly dbi: DbiStream;
  readonly #msf: MsfFile;
  #types: TypeRecords | undefined;
  #functionIds: FunctionIds | undefined;
  #strings: StringTable | undefined;

  constructor(bytes: Uint8Array, fileName: string) {
    this.fileName = fileName;
    this.#msf = new MsfFile(bytes, fileName);
    this.info = readInfoStream(this.#msf.stream(infoStream, 'info stream'));
    if (!this.#msf.hasStream(dbiStream)) {
      throw unsupportedPdb(fileName, 'a PDB without DBI stream (written by a compiler)', "the linker's PDB");
    }
    this.dbi = readDbiStream(this.#msf.stream(dbiStream, 'DBI stream'));
    if (this.dbi.machine !== machineAmd64) {
      throw unsupportedPdb(fileName, `machine 0x${this.dbi.machine.toString(16)}`, '0x8664 (x64)');
    }
  }

  /** The types, for names of classes and for `dt`; undefined if there are none. */
  get types(): TypeRecords | undefined {
    if (this.#types === undefined && this.#msf.hasStream(typeStream)) {
      this.#types = new TypeRecords(this.#msf.stream(typeStream, 'type stream'));
    }
    return this.#types;
  }

  get functionIds(): FunctionIds {
    if (this.#functionIds === undefined) {
      const hasIds = this.info.hasIdStream && this.#msf.hasStream(idStream);
      const ids = hasIds ? new TypeRecords(this.#msf.stream(idStream, 'ID stream')) : undefined;
      this.#functionIds = new FunctionIds(ids, this.types);
    }
    return this.#functionIds;
  }

  /** File names that lines refer to; undefined if the PDB has none. */
  get strings(): StringTable | undefined {
    const index = this.info.namedStreams.get('/names');
    if (this.#strings === undefined && index !== undefined) {
      this.#strings = new StringTable(this.#msf.stream(index, 'string table /names'));
    }
    return this.#strings;
  }

  /** Sections as the linker laid them out; empty if the PDB does not say. */
  get sections(): readonly SectionRange[] {
    const index = this.dbi.debugStreams[debugStream.sectionHeaders] ?? nilStream;
    if (index === nilStream) return [];
    const headers = this.#msf.stream(index, 'section headers');
    const sections: SectionRange[] = [];
    for (let at = 0; at + sectionHeaderSize <= headers.length; at += sectionHeaderSize) {
      sections.push({ virtualSize: headers.u32(at + 8), rva: headers.u32(at + 12) });
    }
    return sections;
  }

  /** Whether a tool moved the code after linking, so that addresses here are not those of the image. */
  get isRearranged(): boolean {
    const { debugStreams } = this.dbi;
    return [debugStream.omapToSource, debugStream.omapFromSource].some((kind) => {
      const index = debugStreams[kind] ?? nilStream;
      return index !== nilStream && this.#msf.hasStream(index);
    });
  }

  /** A stream by number; an empty one for {@link nilStream}. `where` names it in errors. */
  stream(index: number, where: string): StreamView {
    if (index === nilStream) return new StreamView(new Uint8Array(0), where, this.fileName);
    return this.#msf.stream(index, where);
  }
}

/**
 * Opens a PDB: reads its container, identity and module list.
 *
 * @throws PoolproofError PP1201 (not a PDB), PP1202 (a kind that is not read), PP1203 (damaged). What is read later
 * throws PP1203 too.
 */
export function openPdb(bytes: Uint8Array, fileName: string): PdbFile {
  return new PdbFile(bytes, fileName);
}

/** Who the image says its PDB is: the RSDS record of its debug directory. */
export interface CodeViewIdentity {
  /** In any notation: case, hyphens and braces do not matter. */
  readonly guid: string;
  readonly age: number;
}

/** Whether the PDB belongs to the image. Images record the age of the DBI stream. */
export function matchesImage(pdb: PdbFile, codeView: CodeViewIdentity): boolean {
  const guid = codeView.guid.replaceAll(/[{}-]/g, '').toUpperCase();
  return guid === pdb.info.guid && codeView.age === pdb.dbi.age;
}
