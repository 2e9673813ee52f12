import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type PeImage, parsePe } from '../src/image/pe/index.ts';
import { type LoadedSymbols, loadSymbols, type SymbolCandidate } from '../src/image/symbols/load-symbols.ts';
import { buildPe, unwindInfo } from './pe-builder.ts';

const has = (...tools: readonly string[]): boolean =>
  tools.every((tool) => spawnSync(tool, ['--version']).error === undefined);

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'poolproof-load-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const source = (result: number): string =>
  `int shared; static int twice(int x) { return 2 * x + shared; }\nint DriverEntry(void) { return twice(${result}); }\n`;

function run(tool: string, ...args: readonly string[]): void {
  execFileSync(tool, args, { cwd: folder, stdio: 'pipe' });
}

interface Opened {
  readonly pe: PeImage;
  readonly bytes: Uint8Array;
}

function open(name: string): Opened {
  const bytes = readFileSync(join(folder, name));
  return { bytes, pe: parsePe(bytes, `builds/${name}`) };
}

const candidate = (name: string): SymbolCandidate => ({
  name: join(folder, name),
  bytes: readFileSync(join(folder, name)),
});

function entryOf({ source: symbols }: LoadedSymbols, { pe }: Opened): unknown {
  return symbols.framesAt(pe.entryPointRva!).at(-1);
}

describe.runIf(has('clang-16', 'lld-link-16'))('symbols of a driver with a PDB', () => {
  function build(name: string, result: number): Opened {
    writeFileSync(join(folder, `${name}.c`), source(result));
    run('clang-16', '--target=x86_64-windows-gnu', '-O0', '-g', '-gcodeview', '-c', `${name}.c`, '-o', `${name}.o`);
    const flags = '/nologo /driver /subsystem:native /machine:x64 /entry:DriverEntry /nodefaultlib /debug:full /Brepro';
    run('lld-link-16', ...flags.split(' '), `/pdb:${name}.pdb`, `/out:${name}.sys`, `${name}.o`);
    return open(`${name}.sys`);
  }

  it('takes the PDB of this very build, under any name', () => {
    const driver = build('mine', 1);
    build('other', 2);
    const loaded = loadSymbols(driver.pe, driver.bytes, [candidate('other.pdb'), candidate('mine.pdb')]);
    expect(loaded).toMatchObject({ origin: 'mine.pdb', notes: [], source: { kind: 'pdb' } });
    expect(entryOf(loaded, driver)).toMatchObject({ function: 'DriverEntry', source: { line: 2 } });
    copyFileSync(join(folder, 'mine.pdb'), join(folder, 'renamed.PDB'));
    expect(loadSymbols(driver.pe, driver.bytes, [candidate('renamed.PDB')])).toMatchObject({ origin: 'renamed.PDB' });
  });

  it('refuses a PDB of another build and says why', () => {
    const driver = build('mine', 1);
    build('other', 2);
    copyFileSync(join(folder, 'other.pdb'), join(folder, 'MINE.pdb'));
    const loaded = loadSymbols(driver.pe, driver.bytes, [candidate('MINE.pdb')]);
    expect(loaded.origin).toBe('exports of mine.sys');
    expect(loaded.notes).toHaveLength(1);
    expect(loaded.notes[0]).toMatch(
      /^MINE\.pdb is not used: it belongs to another build \(it is [0-9A-F]{32} age 1, the image asks for [0-9A-F]{32} age 1\)$/,
    );
    expect(entryOf(loaded, driver)).toMatchObject({ function: 'EntryPoint', source: undefined });
  });

  it('says that the PDB is missing or damaged', () => {
    const driver = build('mine', 1);
    expect(loadSymbols(driver.pe, driver.bytes).notes[0]).toMatch(
      /^mine\.pdb \([0-9A-F]{32} age 1\) was not found; looked for: beside the driver$/,
    );
    const damaged = { name: 'mine.pdb', bytes: Uint8Array.of(1, 2, 3) };
    expect(loadSymbols(driver.pe, driver.bytes, [damaged]).notes).toEqual([expect.stringContaining('not a PDB file')]);
  });
});

describe.runIf(has('x86_64-w64-mingw32-gcc', 'x86_64-w64-mingw32-strip'))('symbols of a driver built by gcc', () => {
  function build(): void {
    writeFileSync(join(folder, 'gnu.c'), source(3));
    const flags =
      '-O0 -g -nostdlib -nostartfiles -shared -Wl,--exclude-all-symbols -Wl,--subsystem,native -Wl,--entry,DriverEntry';
    run('x86_64-w64-mingw32-gcc', ...flags.split(' '), 'gnu.c', '-o', 'gnu.sys');
    run('x86_64-w64-mingw32-strip', '-g', 'gnu.sys', '-o', 'named.sys');
    run('x86_64-w64-mingw32-strip', '-s', 'gnu.sys', '-o', 'bare.sys');
  }

  it('goes from DWARF to COFF symbols to what the image itself says', () => {
    build();
    const [full, named, bare] = [open('gnu.sys'), open('named.sys'), open('bare.sys')];
    const loaded = [full, named, bare].map(({ pe, bytes }) => loadSymbols(pe, bytes));
    expect(loaded.map(({ origin }) => origin)).toEqual([
      'DWARF in gnu.sys',
      'COFF symbols of named.sys',
      'exports of bare.sys',
    ]);
    expect(loaded.flatMap(({ notes }) => notes)).toEqual([]);
    expect(entryOf(loaded[0]!, full)).toMatchObject({ function: 'DriverEntry', source: { line: 2 } });
    expect(entryOf(loaded[1]!, named)).toMatchObject({ function: 'DriverEntry', source: undefined });
    expect(entryOf(loaded[2]!, bare)).toMatchObject({ function: 'EntryPoint', source: undefined });
    const { rva } = loaded[0]!.source.find('twice')!;
    expect(loaded[1]!.source.find('twice')?.rva).toBe(rva);
    expect(loaded[2]!.source.framesAt(rva + 3)).toMatchObject([
      { function: `sub_${rva.toString(16)}`, functionRva: rva },
    ]);
  });

  it('falls back where DWARF is damaged, and says so once', () => {
    build();
    const { bytes, pe } = open('gnu.sys');
    const line = pe.sections.find(({ name }) => name === '.debug_line')!;
    bytes.fill(0xff, line.rawOffset + 4, line.rawOffset + 8);
    const loaded = loadSymbols(pe, bytes);
    expect(loaded.notes).toEqual([]);
    for (let i = 0; i < 3; i++) {
      expect(entryOf(loaded, { bytes, pe })).toMatchObject({ function: 'DriverEntry', source: undefined });
    }
    expect(loaded.notes).toEqual([expect.stringMatching(/^debug information is malformed: .debug_line at 0x0/)]);
    expect(loaded.source.symbols().map(({ name }) => name)).toContain('twice');
  });
});

describe('symbols of an image without any', () => {
  const noUnwinding = unwindInfo({});

  it('has exports, the entry point, and functions of .pdata', () => {
    const built = buildPe({
      code: new Uint8Array(0x60).fill(0x90),
      entryOffset: 0x10,
      exports: [
        { name: 'Leaf', offset: 0 },
        { name: 'Second', offset: 0x10 },
        { name: 'Other', forwarder: 'hal.Other' },
      ],
      functions: [
        { begin: 0x10, end: 0x20, unwind: noUnwinding },
        { begin: 0x30, end: 0x50, unwind: noUnwinding },
      ],
    });
    const pe = parsePe(built.bytes, 'x.sys');
    const { source, origin, notes } = loadSymbols(pe, built.bytes, [{ name: 'x.pdb', bytes: new Uint8Array(4) }]);
    expect([origin, notes]).toEqual(['exports of x.sys', ['x.pdb is not used: the image names no PDB']]);
    const at = (offset: number): unknown => source.framesAt(built.textRva + offset)[0]?.function;
    const unnamed = `sub_${(built.textRva + 0x30).toString(16)}`;
    expect([0, 0xf, 0x10, 0x1f, 0x20, 0x30, 0x4f, 0x50].map(at)).toEqual([
      'Leaf',
      'Leaf',
      'Second',
      'Second',
      undefined,
      unnamed,
      unnamed,
      undefined,
    ]);
    expect(source.find(unnamed)).toMatchObject({ rva: built.textRva + 0x30, sizeBytes: 0x20 });
    expect(source.symbols().map(({ name }) => name)).toEqual(['Leaf', 'Second', unnamed]);
  });
});
