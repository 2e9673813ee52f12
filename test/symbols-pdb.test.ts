import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { matchesImage, openPdb, pdbSymbols } from '../src/image/pdb/index.ts';
import type { SectionRange } from '../src/image/pdb/section-map.ts';

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

function build(folder: string, { target, options }: Build): string {
  const run = (tool: string, args: readonly string[]): void => {
    execFileSync(tool, args, { cwd: sources, stdio: ['ignore', 'pipe', 'inherit'] });
  };
  const objects = ['entry.c', 'loops.c', 'classes.cpp'].map((source) => {
    const object = join(folder, `${source}.o`);
    const common = ['-g', '-gcodeview', '-fno-stack-protector', '-mno-stack-arg-probe', '-fno-exceptions', '-w'];
    run('clang-16', [`--target=${target}`, ...common, ...options, '-c', source, '-o', object]);
    return object;
  });
  const library = join(folder, 'ntoskrnl.lib');
  run('llvm-dlltool-16', ['-m', 'i386:x86-64', '-d', 'ntoskrnl.def', '-l', library]);
  const image = join(folder, 'x.sys');
  run('lld-link-16', [
    ...'/nologo /driver /subsystem:native /machine:x64 /entry:DriverEntry /nodefaultlib /debug:full /Brepro'.split(' '),
    `/pdb:${join(folder, 'x.pdb')}`,
    `/out:${image}`,
    ...objects,
    library,
  ]);
  return image;
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

describe.skipIf(!hasTools)('symbols of linked drivers', () => {
  const root = mkdtempSync(join(tmpdir(), 'poolproof-pdb-'));
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  describe.each(builds)('$name', (options) => {
    let image = '';
    let facts: ImageFacts;
    const open = (sections = facts.sections) =>
      pdbSymbols(openPdb(readFileSync(image.replace('.sys', '.pdb')), 'x.pdb'), sections);

    beforeAll(() => {
      image = build(mkdtempSync(join(root, 'build-')), options);
      facts = readImage(readFileSync(image));
    });

    it('has the frames that llvm-symbolizer has, at every byte of code', () => {
      const { rva, virtualSize } = facts.text;
      const rvas = Array.from({ length: virtualSize }, (_, i) => rva + i);
      const expected = symbolize(image, rvas);
      const symbols = open();
      const differences: unknown[] = [];
      let inlined = 0;
      rvas.forEach((address, i) => {
        const frames = symbols.framesAt(address);
        // Import thunks: LLVM takes them from the import table, not from the PDB.
        if (expected[i]?.[0]?.file === '' && frames.every(({ source }) => source === undefined)) return;
        const found = frames.map(({ function: name, source }) => ({
          function: name,
          file: source?.file ?? '',
          line: source?.line ?? 0,
        }));
        inlined = Math.max(inlined, frames.filter((frame) => frame.inlined).length);
        if (found.at(-1)?.function === 'withBody') return;
        if (JSON.stringify(found) !== JSON.stringify(expected[i])) {
          differences.push({ address: address.toString(16), found, expected: expected[i] });
        }
      });
      expect(differences.slice(0, 3)).toEqual([]);
      expect(differences.length).toBe(0);
      expect(inlined).toBeGreaterThanOrEqual(2);
    });
  });
});
