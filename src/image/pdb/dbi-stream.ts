import { nilStream } from './msf.ts';
import { unsupportedPdb } from './pdb-error.ts';
import type { StreamView } from './stream-view.ts';

const headerSize = 64;
const versionV70 = 19990903;
const contributionsV60 = 0xeffe0000 + 19970605;
const contributionsV2 = 0xeffe0000 + 20140516;

/** One compiland: an object file, an import, or what the linker made. */
export interface PdbModule {
  /** As linked: an object file's path, `Import:…`, `* Linker *`. */
  readonly name: string;
  readonly objectFile: string;
  /** Stream of its symbols and lines, {@link nilStream} if it has none. */
  readonly stream: number;
  /** Bytes of symbol records (with their signature) at the start of the stream. */
  readonly symbolBytes: number;
  /** Bytes of the line information that follows. `c11` is the kind before Visual C++ 2005, not read. */
  readonly c11Bytes: number;
  readonly c13Bytes: number;
}

/** A part of a section that one module put there. */
export interface SectionContribution {
  /** From 1. */
  readonly section: number;
  readonly offset: number;
  readonly sizeBytes: number;
  readonly module: number;
}

/**
 * Stream 3: modules, who contributed what, and where everything else stands.
 * Source: https://llvm.org/docs/PDB/DbiStream.html; microsoft-pdb, PDB/dbi/dbi.h (NewDBIHdr, MODI_60_Persist).
 */
export interface DbiStream {
  /** The age that the image's CodeView record has: unlike the info stream's it counts links only. */
  readonly age: number;
  readonly machine: number;
  /** Private symbols were removed (`/PDBSTRIPPED`). */
  readonly isStripped: boolean;
  readonly globalsStream: number;
  readonly publicsStream: number;
  readonly symbolRecordsStream: number;
  readonly modules: readonly PdbModule[];
  readonly contributions: readonly SectionContribution[];
  /** Optional debug streams by {@link debugStream}; missing or 0xffff means none. */
  readonly debugStreams: readonly number[];
  /** Source files of each module, in the module list's order. */
  sourceFiles(module: number): readonly string[];
}

/** Order of the optional debug streams (DBGTYPE in microsoft-pdb, langapi/include/pdb.h). */
export const debugStream = { omapToSource: 3, omapFromSource: 4, sectionHeaders: 5 } as const;

export function readDbiStream(stream: StreamView): DbiStream {
  const signature = stream.u32(0);
  const version = stream.u32(4);
  if (signature !== 0xffffffff || version < versionV70) {
    const found = signature === 0xffffffff ? `DBI version ${version}` : 'a DBI stream without version';
    throw unsupportedPdb(stream.fileName, found, `version ${versionV70} or newer`);
  }
  const modulesSize = stream.u32(24);
  const contributionsSize = stream.u32(28);
  const filesSize = stream.u32(36);
  const debugSize = stream.u32(48);
  const contributionsAt = headerSize + modulesSize;
  // Between them: section map; after the files: type server map and edit-and-continue names.
  const filesAt = contributionsAt + contributionsSize + stream.u32(32);
  const debugAt = filesAt + filesSize + stream.u32(40) + stream.u32(52);

  const modules = readModules(stream.part(headerSize, modulesSize, 'module list'));
  const contributions = readContributions(stream.part(contributionsAt, contributionsSize, 'section contributions'));
  const debug = stream.part(debugAt, debugSize, 'optional debug header');
  const debugStreams: number[] = [];
  for (let at = 0; at + 2 <= debugSize; at += 2) debugStreams.push(debug.u16(at));
  const files = stream.part(filesAt, filesSize, 'source file list');
  return {
    age: stream.u32(8),
    machine: stream.u16(58),
    isStripped: (stream.u16(56) & 2) !== 0,
    globalsStream: stream.u16(12),
    publicsStream: stream.u16(16),
    symbolRecordsStream: stream.u16(20),
    modules,
    contributions,
    debugStreams,
    sourceFiles: (module) => readSourceFiles(files, module),
  };
}

function readModules(list: StreamView): PdbModule[] {
  const modules: PdbModule[] = [];
  const streams = new Set<number>();
  for (let at = 0; at < list.length; ) {
    const nameEnd = list.textEnd(at + 64);
    const objectEnd = list.textEnd(nameEnd + 1);
    const stream = list.u16(at + 34);
    if (stream !== nilStream && streams.has(stream)) {
      throw list.damaged(`stream ${stream} of two modules`, 'a stream of its own for each');
    }
    streams.add(stream);
    modules.push({
      name: list.text(at + 64),
      objectFile: list.text(nameEnd + 1),
      stream,
      symbolBytes: list.u32(at + 36),
      c11Bytes: list.u32(at + 40),
      c13Bytes: list.u32(at + 44),
    });
    at = (objectEnd + 4) & ~3;
  }
  return modules;
}

function readContributions(table: StreamView): SectionContribution[] {
  if (table.length === 0) return [];
  const version = table.u32(0);
  if (version !== contributionsV60 && version !== contributionsV2) {
    throw table.damaged(`version 0x${version.toString(16)}`, '0xf12eba2d or 0xf13151e4');
  }
  const entrySize = version === contributionsV2 ? 32 : 28;
  const contributions: SectionContribution[] = [];
  for (let at = 4; at + entrySize <= table.length; at += entrySize) {
    contributions.push({
      section: table.u16(at),
      offset: table.u32(at + 4),
      sizeBytes: table.u32(at + 8),
      module: table.u16(at + 16),
    });
  }
  return contributions;
}

/** The list counts files in 16 bits although there can be more; the per-module counts are right. */
function readSourceFiles(list: StreamView, module: number): string[] {
  if (list.length < 4) return [];
  const moduleCount = list.u16(0);
  if (module >= moduleCount) return [];
  const countsAt = 4 + 2 * moduleCount;
  let first = 0;
  let total = 0;
  for (let i = 0; i < moduleCount; i++) {
    if (i === module) first = total;
    total += list.u16(countsAt + 2 * i);
  }
  const offsetsAt = countsAt + 2 * moduleCount;
  const namesAt = offsetsAt + 4 * total;
  const files: string[] = [];
  for (let i = 0; i < list.u16(countsAt + 2 * module); i++) {
    files.push(list.text(namesAt + list.u32(offsetsAt + 4 * (first + i))));
  }
  return files;
}
