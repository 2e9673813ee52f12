import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { matchesImage, openPdb, pdbSymbols } from '../src/image/pdb/index.ts';
import type { SectionRange } from '../src/image/pdb/section-map.ts';
import type { SymbolFrame } from '../src/image/symbols/symbol-source.ts';

const tools = ['clang-16', 'lld-link-16', 'llvm-dlltool-16', 'llvm-symbolizer-16', 'llvm-pdbutil-16'];
const hasTools = tools.every((tool) => spawnSync(tool, ['--help']).error === undefined);
const sources = join(import.meta.dirname, 'symbols-pdb');

interface Build {
  readonly name: string;
  readonly target: string;
  readonly options: readonly string[];
}

const builds: readonly Build[] = [
  { name: 'O0', target: 'x86_64-windows-gnu', options: ['-O0'] },
  { name: 'O2', target: 'x86_64-windows-gnu', options: ['-O2'] },
  { name: 'Os, a section per function', target: 'x86_64-windows-msvc', options: ['-Os', '-ffunction-sections'] },
  { name: 'O2, columns', target: 'x86_64-windows-msvc', options: ['-O2', '-gcolumn-info'] },
  { name: 'O1, unrolled', target: 'x86_64-windows-gnu', options: ['-O1', '-funroll-loops'] },
];

/** The driver with its PDB beside it, and the same code linked again with DWARF instead. */
interface Images {
  readonly withPdb: string;
  readonly withDwarf: string;
}

function build(folder: string, { target, options }: Build): Images {
  const run = (tool: string, args: readonly string[]): void => {
    execFileSync(tool, args, { cwd: sources, stdio: 'pipe' });
  };
  const objects = ['entry.c', 'loops.c', 'classes.cpp'].map((source) => {
    const object = join(folder, `${source}.o`);
    const common = [
      '-g',
      '-gcodeview',
      '-gdwarf-4',
      '-fno-stack-protector',
      '-mno-stack-arg-probe',
      '-fno-exceptions',
      '-w',
    ];
    run('clang-16', [`--target=${target}`, ...common, ...options, '-c', source, '-o', object]);
    return object;
  });
  const library = join(folder, 'ntoskrnl.lib');
  run('llvm-dlltool-16', ['-m', 'i386:x86-64', '-d', 'ntoskrnl.def', '-l', library]);
  const link = (name: string, debug: readonly string[]): string => {
    const image = join(folder, name);
    const options = '/nologo /driver /subsystem:native /machine:x64 /entry:DriverEntry /nodefaultlib /Brepro';
    run('lld-link-16', [...options.split(' '), ...debug, `/out:${image}`, ...objects, library]);
    return image;
  };
  return {
    withPdb: link('x.sys', ['/debug:full', `/pdb:${join(folder, 'x.pdb')}`]),
    withDwarf: link('dwarf.sys', ['/debug:dwarf']),
  };
}

interface ImageFacts {
  readonly sections: readonly SectionRange[];
  readonly text: SectionRange;
  readonly guid: string;
  readonly age: number;
}

/** Read here by hand, so that the test does not lean on the code beside it. */
function readImage(image: Buffer): ImageFacts {
  const header = image.readUInt32LE(0x3c);
  const count = image.readUInt16LE(header + 6);
  const table = header + 24 + image.readUInt16LE(header + 20);
  const sections: SectionRange[] = [];
  for (let at = table; at < table + 40 * count; at += 40) {
    sections.push({ virtualSize: image.readUInt32LE(at + 8), rva: image.readUInt32LE(at + 12) });
  }
  const rsds = image.indexOf('RSDS');
  const hex = (from: number, to: number): string => image.subarray(rsds + from, rsds + to).toString('hex');
  const swapped = (from: number, to: number): string =>
    Buffer.from(image.subarray(rsds + from, rsds + to).toReversed()).toString('hex');
  const guid = `{${swapped(4, 8)}-${swapped(8, 10)}-${swapped(10, 12)}-${hex(12, 14)}-${hex(14, 20)}}`;
  return { sections, text: sections[0] as SectionRange, guid, age: image.readUInt32LE(rsds + 20) };
}

interface PlainFrame {
  readonly function: string;
  readonly file: string;
  readonly line: number;
}

function symbolize(image: string, rvas: readonly number[]): readonly (readonly PlainFrame[])[] {
  const input = rvas.map((rva) => `0x${rva.toString(16)}\n`).join('');
  const args = [`--obj=${image}`, '--inlines', '--relative-address', '--functions=short', '--output-style=JSON'];
  const output = execFileSync('llvm-symbolizer-16', args, { input, maxBuffer: 1 << 28 });
  return output
    .toString()
    .trim()
    .split('\n')
    .map((line) =>
      JSON.parse(line).Symbol.map((frame: { FunctionName: string; FileName: string; Line: number }) => ({
        function: frame.FunctionName,
        file: frame.FileName,
        line: frame.Line,
      })),
    );
}

function codeAddresses({ text }: ImageFacts): number[] {
  return Array.from({ length: text.virtualSize }, (_, i) => text.rva + i);
}

function plain(frames: readonly SymbolFrame[]): PlainFrame[] {
  return frames.map(({ function: name, source }) => ({
    function: name,
    file: source?.file ?? '',
    line: source?.line ?? 0,
  }));
}

function pdbOf({ withPdb }: Images): string {
  return withPdb.replace('.sys', '.pdb');
}

describe.skipIf(!hasTools)('symbols of linked drivers', () => {
  let root = '';
  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'poolproof-pdb-'));
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  describe.each(builds)('$name', (options) => {
    let images: Images;
    let facts: ImageFacts;
    const open = (sections = facts.sections) => pdbSymbols(openPdb(readFileSync(pdbOf(images)), 'x.pdb'), sections);

    beforeAll(() => {
      images = build(mkdtempSync(join(root, 'build-')), options);
      facts = readImage(readFileSync(images.withPdb));
    });

    it('has the frames that llvm-symbolizer has, at every byte of code', () => {
      const rvas = codeAddresses(facts);
      const symbols = open();
      const byPdb = symbolize(images.withPdb, rvas);
      const byDwarf = symbolize(images.withDwarf, rvas);
      const differences: unknown[] = [];
      const compared = { pdb: 0, dwarf: 0, depth: 0 };
      rvas.forEach((address, i) => {
        const found = plain(symbols.framesAt(address));
        compared.depth = Math.max(compared.depth, found.length);
        // Where a function's body is in several files, LLVM mixes their lines if it reads a PDB.
        const kind = found.at(-1)?.function === 'withBody' ? 'dwarf' : 'pdb';
        const wanted = (kind === 'pdb' ? byPdb : byDwarf)[i] ?? [];
        // Import thunks have no source: LLVM names them from the import table, if at all.
        if (kind === 'pdb' && wanted[0]?.file === '' && found.every(({ file }) => file === '')) return;
        // DWARF can say of an instruction that it belongs to no line.
        if (kind === 'dwarf' && wanted[0]?.line === 0) return;
        compared[kind]++;
        if (JSON.stringify(found) !== JSON.stringify(wanted)) differences.push({ address, found, wanted });
      });
      expect(differences).toEqual([]);
      expect(compared.pdb).toBeGreaterThan(500);
      expect(compared.dwarf).toBeGreaterThan(50);
      expect(compared.depth).toBeGreaterThanOrEqual(3);
    });

    it('has the procedures and publics that llvm-pdbutil lists', () => {
      const dump = execFileSync('llvm-pdbutil-16', ['dump', '-symbols', '-publics', pdbOf(images)]).toString();
      const listed = /S_(GPROC32|LPROC32|PUB32|THUNK32) \[.*\] `(.*)`\r?\n.*addr = (\d+):(\d+)/g;
      const symbols = open().symbols();
      let count = 0;
      for (const [, kind, name, section, offset] of dump.matchAll(listed)) {
        const rva = (facts.sections[Number(section) - 1]?.rva ?? Number.NaN) + Number(offset);
        if (kind === 'PUB32' && /^(\?|_Z)/.test(name ?? '')) continue;
        if (Number.isNaN(rva)) continue;
        count++;
        expect(symbols.filter((symbol) => symbol.rva === rva).map((symbol) => symbol.name)).toContain(name);
      }
      expect(count).toBeGreaterThan(10);
      expect(symbols.map(({ rva }) => rva)).toEqual(symbols.map(({ rva }) => rva).sort((a, b) => a - b));
    });

    it('belongs to its image only, and knows its sections', () => {
      const pdb = openPdb(readFileSync(pdbOf(images)), 'x.pdb');
      expect(matchesImage(pdb, facts)).toBe(true);
      expect(matchesImage(pdb, { ...facts, age: facts.age + 1 })).toBe(false);
      expect(
        matchesImage(pdb, { ...facts, guid: facts.guid.replace(/[0-9a-f]/, (c) => (c === '0' ? '1' : '0')) }),
      ).toBe(false);
      expect(pdb.sections).toEqual(facts.sections);
      const entry = pdbSymbols(pdb, []).find('DriverEntry');
      expect(entry).toEqual({
        name: 'DriverEntry',
        rva: expect.any(Number),
        kind: 'function',
        sizeBytes: expect.any(Number),
      });
      expect(
        open()
          .framesAt(entry?.rva ?? 0)
          .at(-1)?.function,
      ).toBe('DriverEntry');
      expect(open().find('ns::s_State')?.kind).toBe('data');
      expect(open().find('driverentry')).toBeUndefined();
      expect(pdb.dbi.sourceFiles(0).some((file) => file.endsWith('entry.c'))).toBe(true);
    });
  });
});
