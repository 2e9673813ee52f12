/**
 * Damages good drivers and takes each through its life: every mutant must end in a report with a verdict, or be refused
 * with a PoolproofError; in bounded time and memory. Run: `npx tsx fuzz/driver-mutations.ts COUNT SEED [FIRST]`, from the
 * repository's root; mutant N of a seed is the same whatever COUNT and FIRST are.
 */
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { PoolproofError } from '../src/base/errors.ts';
import { parsePe } from '../src/image/pe/index.ts';
import type { SymbolCandidate } from '../src/image/symbols/index.ts';
import type { Report } from '../src/run/report/report.ts';
import { parseStep, type Step } from '../src/run/scenario/step.ts';
import { verify } from '../src/run/verify.ts';
import { defaultFlags } from '../src/verifier/core/options.ts';
import { Random } from './pe-mutations.ts';

/** A good driver with one of its scenarios. */
export interface Original {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly pdb: SymbolCandidate | undefined;
  /** Undefined: the tour. */
  readonly steps: readonly Step[] | undefined;
  readonly places: readonly Place[];
  readonly headers: Place;
}

/** A range of the file that is damaged as one kind of thing. */
interface Place {
  readonly what: string;
  readonly start: number;
  readonly end: number;
}

interface Expectations {
  readonly drivers: readonly {
    readonly name: string;
    readonly sys: string;
    readonly pdb: string | null;
    readonly runs: readonly { readonly name: string; readonly steps: readonly { readonly step: string }[] }[];
  }[];
}

/** Only large or slow. */
const left = ['spin', 'recurse', 'poolbench'];

/** Every run of the sample drivers, the tour of each, and the driver that checks exceptions. */
export function sampleOriginals(): Original[] {
  const { drivers } = JSON.parse(readFileSync('drivers/expected.json', 'utf8')) as Expectations;
  const samples = drivers.filter(({ name }) => !left.includes(name));
  return [...samples, { name: 'seh', sys: 'test/drivers/seh/seh.sys', pdb: null, runs: [] }].flatMap(
    ({ name, sys, pdb, runs }) => {
      const bytes = new Uint8Array(readFileSync(sys));
      const symbols = pdb === null ? undefined : { name: pdb, bytes: new Uint8Array(readFileSync(pdb)) };
      const scenarios = [undefined, ...runs.map(({ steps }) => steps).filter((steps) => steps.length > 0)];
      const places = placesOf(bytes);
      return scenarios.map((steps) => ({
        name,
        bytes,
        pdb: symbols,
        steps: steps?.map(({ step }) => parseStep(step)),
        places,
        headers: { what: 'headers', start: 0, end: parsePe(bytes, name).sizeOfHeaders },
      }));
    },
  );
}

/** Sections without debug information, and what the data directories lead to. */
function placesOf(bytes: Uint8Array): Place[] {
  const pe = parsePe(bytes, 'original');
  const places: Place[] = pe.sections
    .filter(({ name, rawSize }) => rawSize > 0 && !name.startsWith('.debug') && !name.startsWith('/'))
    .map(({ name, rawOffset, rawSize, virtualSize }) => ({
      what: name,
      start: rawOffset,
      end: Math.min(rawOffset + Math.min(rawSize, virtualSize), bytes.length),
    }));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const directories = view.getUint32(60, true) + 24 + 112;
  for (let index = 0; index < 16; index++) {
    const rva = view.getUint32(directories + index * 8, true);
    const size = view.getUint32(directories + index * 8 + 4, true);
    const section = pe.sections.find((each) => rva >= each.rva && rva < each.rva + each.rawSize);
    if (section === undefined || size === 0) continue;
    const start = section.rawOffset + rva - section.rva;
    places.push({ what: `directory ${index}`, start, end: Math.min(start + size, bytes.length) });
  }
  // Two thirds of the damage go to code: what goes elsewhere is often refused before anything runs.
  const code = places.filter(({ what }) => what === '.text' || what === 'INIT' || what === 'PAGE');
  return [...places, ...Array.from({ length: places.length * 2 }, (_, index) => code[index % code.length] as Place)];
}

const interesting = [0, 1, 2, 7, 8, 0x7f, 0x80, 0xff, 0xfff, 0x1000, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_f800];
/** Opcodes that change control flow, privilege or size: `ret call jmp jcc int3 int nop prefixes …`. */
const opcodes = [
  0xc3, 0xe8, 0xe9, 0xeb, 0x74, 0x75, 0xcc, 0xcd, 0x90, 0x48, 0x0f, 0xf3, 0xf0, 0xff, 0x66, 0xfa, 0xf4, 0x50, 0xc9,
];

/** One damaged copy, and what was done. Every second one has its headers intact. */
export function mutate(original: Original, random: Random, keepsHeaders: boolean): { bytes: Uint8Array; done: string } {
  const bytes = original.bytes.slice();
  const done: string[] = [];
  for (let count = 1 + random.below(random.below(4) === 0 ? 16 : 3); count > 0; count--) {
    const place = !keepsHeaders && random.below(3) === 0 ? original.headers : random.pick(original.places);
    const at = place.start + random.below(Math.max(1, place.end - place.start));
    done.push(`${place.what}+0x${(at - place.start).toString(16)} ${damage(bytes, at, place, random)}`);
  }
  if (!keepsHeaders && random.below(24) === 0) {
    const length = random.below(bytes.length);
    return { bytes: bytes.slice(0, length), done: `${done.join(', ')}, cut at ${length}` };
  }
  return { bytes, done: done.join(', ') };
}

function damage(bytes: Uint8Array, at: number, place: Place, random: Random): string {
  const view = new DataView(bytes.buffer);
  const field = Math.min(random.below(2) === 0 ? at & ~3 : at, bytes.length - 8);
  switch (random.below(8)) {
    case 0:
    case 1:
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
      return 'bit';
    case 2:
      bytes[at] = random.below(256);
      return 'byte';
    case 3:
      bytes[at] = random.pick(opcodes);
      return 'opcode';
    case 4:
      view.setUint32(field, random.pick(interesting), true);
      return 'word';
    case 5:
      view.setInt32(field, view.getInt32(field, true) + random.below(33) - 16, true);
      return 'near';
    case 6: {
      const from = place.start + random.below(Math.max(1, place.end - place.start));
      const length = 1 + random.below(32);
      bytes.copyWithin(at, from, Math.min(from + length, bytes.length));
      return 'copy';
    }
    default:
      for (let index = 0; index < 1 + random.below(64) && at + index < bytes.length; index++) {
        bytes[at + index] = random.below(256);
      }
      return 'noise';
  }
}

export interface Mutant {
  readonly number: number;
  readonly original: Original;
  readonly bytes: Uint8Array;
  readonly done: string;
}

export function mutantOf(originals: readonly Original[], seed: number, number: number): Mutant {
  const random = new Random((Math.imul(seed, 0x9e37_79b1) + Math.imul(number, 7919)) | 0);
  const original = random.pick(originals);
  return { number, original, ...mutate(original, random, number % 2 === 0) };
}

/** A mutant that showed something, kept as what differs from the driver. */
export interface KeptMutant {
  /** What it showed. */
  readonly why: string;
  readonly driver: string;
  /** Null: the tour. */
  readonly steps: readonly string[] | null;
  /** Length of the mutant's file, where it was cut. */
  readonly bytes?: number;
  /** Hexadecimal digits by file offset. */
  readonly edits: Readonly<Record<string, string>>;
}

export function keep({ original, bytes }: Mutant, why: string): KeptMutant {
  const edits: Record<string, string> = {};
  let start = -1;
  for (let at = 0; at <= bytes.length; at++) {
    const differs = at < bytes.length && bytes[at] !== original.bytes[at];
    if (differs && start < 0) start = at;
    if (differs || start < 0) continue;
    edits[start] = Buffer.from(bytes.subarray(start, at)).toString('hex');
    start = -1;
  }
  const cut = bytes.length === original.bytes.length ? {} : { bytes: bytes.length };
  return { why, driver: original.name, steps: original.steps?.map(({ text }) => text) ?? null, ...cut, edits };
}

export function mutantOfKept(originals: readonly Original[], kept: KeptMutant): Mutant {
  const original = originals.find(({ name }) => name === kept.driver);
  if (original === undefined) throw new Error(`no driver '${kept.driver}'`);
  const bytes = original.bytes.slice(0, kept.bytes ?? original.bytes.length);
  for (const [at, digits] of Object.entries(kept.edits)) bytes.set(Buffer.from(digits, 'hex'), Number(at));
  const steps = kept.steps?.map(parseStep);
  return { number: 0, original: { ...original, steps }, bytes, done: kept.why };
}

export const instructionLimit = 2_000_000;

/** The verdict and how it came, or the refusal's code. Throws whatever else comes out. */
export function runMutant({ original, bytes, number }: Mutant): { outcome: string; report: Report | undefined } {
  try {
    const report = verify({
      drivers: [{ name: `${original.name}.sys`, bytes, symbolFiles: original.pdb === undefined ? [] : [original.pdb] }],
      steps: original.steps,
      flags: defaultFlags,
      seed: number + 1,
      instructionLimit,
      now: () => performance.now(),
    });
    JSON.stringify(report);
    const why = report.bugCheck?.code ?? report.unsupported[0]?.kind ?? '';
    return { outcome: `${report.verdict} ${why}`.trim(), report };
  } catch (error) {
    if (!(error instanceof PoolproofError)) throw error;
    if (/[\r\n]/.test(error.message) || error.message.length > 6000) {
      throw new Error(`not one line: ${error.message}`, { cause: error });
    }
    return { outcome: `refused ${error.code}`, report: undefined };
  }
}

export interface MutationRun {
  /** How often each outcome came. */
  readonly outcomes: ReadonlyMap<string, number>;
  readonly slowestMs: number;
  readonly slowest: number;
}

/** Throws, naming the mutant, when one is answered with anything but a report or a PoolproofError. */
export function runDriverMutations(
  originals: readonly Original[],
  count: number,
  seed: number,
  first = 0,
  onMutant: (mutant: Mutant, outcome: string, ms: number) => void = () => {},
): MutationRun {
  const outcomes = new Map<string, number>();
  let slowestMs = 0;
  let slowest = first;
  for (let number = first; number < first + count; number++) {
    const mutant = mutantOf(originals, seed, number);
    const start = performance.now();
    let outcome: string;
    try {
      ({ outcome } = runMutant(mutant));
    } catch (error) {
      throw new Error(`mutant ${number} of seed ${seed} (${mutant.original.name}: ${mutant.done})`, { cause: error });
    }
    const ms = performance.now() - start;
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    if (ms > slowestMs) [slowestMs, slowest] = [ms, number];
    onMutant(mutant, outcome, ms);
  }
  return { outcomes, slowestMs, slowest };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [count = '1000', seed = '1', first = '0'] = process.argv.slice(2);
  console.log(runDriverMutations(sampleOriginals(), Number(count), Number(seed), Number(first)));
}
