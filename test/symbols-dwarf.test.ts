import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dwarfSections } from '../src/image/dwarf/dwarf-sections.ts';
import { type DwarfSymbolSource, dwarfSymbols } from '../src/image/dwarf/dwarf-symbols.ts';
import { parsePe } from '../src/image/pe/parse-pe.ts';
import type { PeImage } from '../src/image/pe/pe-image.ts';
import { coffSymbols } from '../src/image/symbols/coff-symbols.ts';
import { loadSymbols } from '../src/image/symbols/load-symbols.ts';
import type { SourceLine } from '../src/image/symbols/symbol-source.ts';

const has = (...tools: readonly string[]): boolean =>
  tools.every((tool) => spawnSync(tool, ['--version']).error === undefined);
const hasLlvm = has('clang-16', 'lld-link-16', 'llvm-dlltool-16', 'llvm-symbolizer-16');
const hasGnu = has('x86_64-w64-mingw32-gcc', 'x86_64-w64-mingw32-addr2line', 'llvm-symbolizer-16');
const sources = join(import.meta.dirname, 'symbols-dwarf');
const common = '-g -fno-stack-protector -mno-stack-arg-probe -fno-builtin -fms-extensions -w'.split(' ');

interface Image {
  readonly path: string;
  readonly bytes: Buffer;
  readonly pe: PeImage;
  readonly symbols: DwarfSymbolSource;
}

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'poolproof-dwarf-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function run(tool: string, args: readonly string[]): void {
  execFileSync(tool, args, { cwd: sources, stdio: 'pipe' });
}

function open(path: string): Image {
  const bytes = readFileSync(path);
  const pe = parsePe(bytes, path);
  const sections = dwarfSections((name) => {
    const section = pe.sections.find((candidate) => candidate.name === name);
    if (section === undefined) return undefined;
    const end = section.rawOffset + Math.min(section.rawSize, section.virtualSize);
    return { rva: section.rva, bytes: bytes.subarray(section.rawOffset, end) };
  });
  return { path, bytes, pe, symbols: dwarfSymbols(sections!, pe.preferredBaseU64) };
}

function buildWithGcc(name: string, options: string): Image {
  const path = join(folder, `${name}.sys`);
  const link =
    '-nostdlib -nostartfiles -shared -Wl,--exclude-all-symbols -Wl,--subsystem,native:10.0 -Wl,--image-base,0x140000000 -Wl,--entry,DriverEntry';
  run('x86_64-w64-mingw32-gcc', [
    ...common,
    ...options.split(' '),
    'entry.c',
    'score.c',
    ...link.split(' '),
    '-o',
    path,
    '-lntoskrnl',
  ]);
  return open(path);
}

/** The image, and the image as it would be if clang asked for offsets of line strings and not for their addresses. */
function buildWithClang(name: string, options: string): { readonly asBuilt: Image; readonly mended: Image } {
  const objects = ['entry.c', 'score.c', 'boxes.cpp'].map((source) => {
    const object = join(folder, `${name}-${source}.o`);
    const target = ['--target=x86_64-windows-gnu', '-fno-exceptions'];
    run('clang-16', [...target, ...common, ...options.split(' '), '-c', source, '-o', object]);
    return object;
  });
  const library = join(folder, 'ntoskrnl.lib');
  run('llvm-dlltool-16', ['-m', 'i386:x86-64', '-d', 'ntoskrnl.def', '-l', library]);
  const link = (image: string, inputs: readonly string[]): Image => {
    const path = join(folder, image);
    const flags =
      '/nologo /driver /subsystem:native /machine:x64 /entry:DriverEntry /nodefaultlib /debug:dwarf /Brepro /include:weighBoxes';
    run('lld-link-16', [...flags.split(' '), `/out:${path}`, ...inputs, library]);
    return open(path);
  };
  const mended = objects.map((object) => {
    const path = `${object}.mended`;
    writeFileSync(path, withSectionRelativeLineStrings(readFileSync(object)));
    return path;
  });
  return { asBuilt: link(`${name}.sys`, objects), mended: link(`${name}-mended.sys`, mended) };
}

/** IMAGE_REL_AMD64_ADDR32 (2) to IMAGE_REL_AMD64_SECREL (11) in `.debug_line` of an object file. */
function withSectionRelativeLineStrings(object: Buffer): Buffer {
  const strings = object.readUInt32LE(8) + 18 * object.readUInt32LE(12);
  for (let section = 20; section < 20 + 40 * object.readUInt16LE(2); section += 40) {
    const short = object.toString('latin1', section, section + 8).replace(/\0.*$/, '');
    const start = strings + Number(short.slice(1));
    const name = short.startsWith('/') ? object.toString('latin1', start, object.indexOf(0, start)) : short;
    if (name !== '.debug_line') continue;
    const first = object.readUInt32LE(section + 24);
    for (let at = first; at < first + 10 * object.readUInt16LE(section + 32); at += 10) {
      if (object.readUInt16LE(at + 8) === 2) object.writeUInt16LE(11, at + 8);
    }
  }
  return object;
}

function codeAddresses({ pe }: Image): number[] {
  const text = pe.sections.find(({ name }) => name === '.text')!;
  return Array.from({ length: text.virtualSize }, (_, i) => text.rva + i);
}

function show(name: string, source: SourceLine | undefined): string {
  // LLVM prints the last part of a C++ name only.
  return `${name.replace(/^(?:.*::)/, '')} ${source === undefined ? '?' : `${source.file}:${source.line}`}`;
}

function ourAnswer({ symbols }: Image, rva: number): string {
  const frames = symbols.framesAt(rva);
  if (frames.length === 0) return show('', symbols.lineAt(rva));
  return frames.map((frame) => show(frame.function, frame.source)).join(' < ');
}

function llvmAnswers({ path, pe }: Image, rvas: readonly number[]): string[] {
  const input = rvas.map((rva) => `0x${(pe.preferredBaseU64 + BigInt(rva)).toString(16)}\n`).join('');
  const options = [`--obj=${path}`, '--inlines', '--functions=short', '--output-style=JSON'];
  const text = execFileSync('llvm-symbolizer-16', options, { input, maxBuffer: 1 << 28 }).toString();
  interface Frame {
    readonly FunctionName: string;
    readonly FileName: string;
    readonly Line: number;
  }
  return text
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { readonly Symbol: readonly Frame[] }).Symbol)
    .map((frames) =>
      frames
        .map((f) => show(f.FunctionName, f.Line === 0 ? undefined : { file: f.FileName, line: f.Line }))
        .join(' < '),
    );
}

/** GNU's answers: a line with the address, then two lines for each frame. */
function gnuAnswers({ path, pe }: Image, rvas: readonly number[]): string[] {
  const input = rvas.map((rva) => `0x${(pe.preferredBaseU64 + BigInt(rva)).toString(16)}\n`).join('');
  const options = ['-a', '-i', '-f', '-e', path];
  const text = execFileSync('x86_64-w64-mingw32-addr2line', options, { input, maxBuffer: 1 << 28 }).toString();
  return text
    .trim()
    .split(/^0x[0-9a-f]{16}\r?\n/m)
    .slice(1)
    .map((block) => {
      const lines = block.trim().split(/\r?\n/);
      const frames: string[] = [];
      for (let i = 0; i < lines.length; i += 2) {
        const place = lines[i + 1]!.replace(/ \(discriminator \d+\)$/, '').replace(/^.*:[?0]$/, '?');
        frames.push(`${lines[i] === '??' ? '' : lines[i]} ${place}`);
      }
      return frames.join(' < ');
    });
}

/** How many frames the answers show in all, so that a test says what it covered. */
function depthsOf(answers: readonly string[]): { readonly inlined: number; readonly deepest: number } {
  const depths = answers.map((answer) => answer.split(' < ').length);
  return { inlined: depths.filter((depth) => depth > 1).length, deepest: Math.max(...depths) };
}

const levels = ['-O0', '-O2', '-Os'];

describe.runIf(hasGnu)('DWARF of gcc drivers', () => {
  const variants = [
    ...[2, 3, 4, 5].flatMap((version) => levels.map((level) => `${level} -gdwarf-${version}`)),
    '-O2 -gdwarf-4 -ffunction-sections -Wl,--gc-sections',
    '-O3 -gdwarf-5 -gno-as-loc-support -gdwarf64',
  ];
  it.each(variants)('answers as llvm-symbolizer and addr2line at every address: %s', (options) => {
    const image = buildWithGcc(`gcc${options.replaceAll(/\W+/g, '')}`, options);
    const rvas = codeAddresses(image);
    const ours = rvas.map((rva) => ourAnswer(image, rva));
    expect(depthsOf(ours).deepest).toBeGreaterThanOrEqual(options.startsWith('-O0') ? 3 : 4);
    expect(depthsOf(ours).inlined).toBeGreaterThan(100);
    expect(ours).toEqual(llvmAnswers(image, rvas));
    const covered = rvas.filter((rva) => image.symbols.framesAt(rva).length > 0);
    // With version 5 addr2line 2.40 takes the first file where a sequence doesn't set one: functions and lines remain.
    const comparable = (answer: string): string =>
      options.includes('-gdwarf-5') ? answer.replaceAll(/ \/\S+:/g, ' ') : answer;
    const gnu = gnuAnswers(image, covered).map(comparable);
    expect(covered.map((rva) => comparable(ourAnswer(image, rva)))).toEqual(gnu);
  });

  it('ties the cold part of a function to its start', () => {
    const image = buildWithGcc('gcc-cold', '-O2 -gdwarf-5');
    const coff = coffSymbols(image.bytes, image.pe.sections)!;
    const cold = coff.find('fill.cold')!;
    const [frame] = image.symbols.framesAt(cold.rva).slice(-1);
    expect(frame).toMatchObject({ function: 'fill', functionRva: coff.find('fill')!.rva, inlined: false });
    expect(loadSymbols(image.pe, image.bytes)).toMatchObject({ origin: 'DWARF in gcc-cold.sys', notes: [] });
  });

  it('finds data with its size where the symbol table has it', () => {
    const image = buildWithGcc('gcc-data', '-O1 -gdwarf-4');
    const coff = coffSymbols(image.bytes, image.pe.sections)!;
    const data = image.symbols.symbols().filter(({ kind }) => kind === 'data');
    expect(data.map(({ name, sizeBytes }) => [name, sizeBytes]).sort()).toEqual([
      ['attempts', 4],
      ['head', 8],
      ['pushes', 4],
      ['spare', 32],
      ['title', 7],
      ['weights', 32],
    ]);
    for (const { name, rva } of data)
      expect(coff.symbols().find((s) => s.name.replace(/\.\d+$/, '') === name)?.rva).toBe(rva);
  });
});

describe.runIf(hasLlvm)('DWARF of clang drivers', () => {
  const variants = [4, 5].flatMap((version) => levels.map((level) => `${level} -gdwarf-${version}`));
  it.each(variants)('answers as llvm-symbolizer at every address: %s', (options) => {
    const { asBuilt, mended } = buildWithClang(`clang${options.replaceAll(/\W+/g, '')}`, options);
    const rvas = codeAddresses(mended);
    const ours = rvas.map((rva) => ourAnswer(mended, rva));
    expect(depthsOf(ours).inlined).toBeGreaterThan(100);
    expect(ours).toEqual(llvmAnswers(mended, rvas));
    expect(rvas.map((rva) => ourAnswer(asBuilt, rva))).toEqual(ours);
  });

  it('names what stands in namespaces and classes', () => {
    const { mended } = buildWithClang('clang-names', '-O0 -gdwarf-5');
    const coff = coffSymbols(mended.bytes, mended.pe.sections)!;
    const place = (decorated: string): number => coff.find(decorated)!.rva;
    expect(mended.symbols.find('shop::Box::twice')).toMatchObject({ rva: place('_ZNK4shop3Box5twiceEv') });
    expect(mended.symbols.find('shop::Box::made')).toMatchObject({ rva: place('_ZN4shop3Box4madeE'), sizeBytes: 4 });
    expect(mended.symbols.find("shop::`anonymous namespace'::Content::grams")).toMatchObject({ kind: 'function' });
    expect(mended.symbols.find('Local::half')).toMatchObject({ kind: 'function' });
  });
});
