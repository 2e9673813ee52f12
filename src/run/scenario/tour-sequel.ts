/**
 * The second half of a device's tour, made of the answers to the first: other names and orders, several files at once,
 * files that are closed in the middle of something, requests that pend while others come, and sequences by chance.
 */
import {
  ntSuccess,
  STATUS_INVALID_DEVICE_REQUEST,
  STATUS_NOT_IMPLEMENTED,
  STATUS_NOT_SUPPORTED,
} from '../../nt/ntstatus.ts';
import { Chance } from './chance.ts';
import { parseStep, type Step } from './step.ts';
import { type Trial, trial } from './tour.ts';
import { inventedInput, transfers } from './tour-requests.ts';

/** Stands in the plan behind the first half of a device's tour. */
export interface TourSequel {
  readonly verb: 'tour-sequel';
  readonly path: string;
  readonly codes: readonly number[];
}

/** What the first half came to. */
interface Answered {
  readonly text: string;
  readonly status: number;
}

/** Steps of a tour, about. A sequel takes half of what is left of them, and less if the device has little to show. */
const mostSteps = 720;
const mostStepsOfSequel = 300;
/** Instructions of a sequel, about: a driver that works long on each request gets fewer of them. */
const mostInstructions = 60_000_000;
/** Steps by chance on one pair of files. */
const stepsByChance = 14;

type Acts = readonly (Step | Trial)[];

/** What a sequel follows from. */
export interface SoFar {
  /** Of all steps. */
  readonly results: readonly Answered[];
  /** Instructions that the machine has run. */
  readonly retired: number;
  readonly seed: number;
}

/** The sequel of a device: the same for the same answers and seed. */
export function sequelOf({ path, codes: tried }: TourSequel, { results, retired, seed }: SoFar): Acts {
  const from = results.findLastIndex(({ text }) => text === `open ${path}`);
  // A device that cannot be opened has nothing to show.
  if (from < 0 || !ntSuccess((results[from] as Answered).status)) return [...named(path)];
  const answered = unique(results.slice(from).filter(({ text }) => /^(ioctl|read|write) /.test(text)));
  const pending = answered.filter(({ text }) => text.endsWith(' async')).map(({ text }) => text);
  const succeeded = answered.filter(({ text, status }) => !text.endsWith(' async') && ntSuccess(status));
  const codes = tried.filter((code) => answered.some((answer) => isUnderstood(answer, code)));
  const kinds = byKind(succeeded.map(({ text }) => text));
  const good = firstAndLast(kinds);
  const all = [...codes].reverse().map((code) => `ioctl 0x${code.toString(16)}`);
  const isWorthwhile = codes.length > 0 || tried.length === 0;
  let left = Math.min(
    mostStepsOfSequel,
    Math.floor((mostSteps - results.length) / (isWorthwhile ? 2 : 8)),
    Math.floor((mostInstructions / (retired + 1)) * results.length),
  );
  const taken: (Step | Trial)[] = [];
  const take = (acts: Acts): void => {
    if (acts.length > left) return;
    left -= acts.length;
    taken.push(...acts);
  };
  take(closedOver(path, pending));
  take(named(path));
  take(downwards(path, all, good));
  for (const request of pending.slice(0, 3)) take(interrupted(path, request, good, all));
  const until = left - Math.floor(left / 3);
  for (const request of good) if (left > until) take(closedAfter(path, request));
  const chance = new Chance(seed);
  const pool = { kinds, pending, codes, seed };
  while (left > stepsByChance + 4 && (codes.length > 0 || kinds.length > 0)) take(byChance(path, pool, chance));
  return taken;
}

/** The requests that pended again, the file closed over them, and opened once more. */
function closedOver(path: string, pending: readonly string[]): Acts {
  const texts = pending.slice(0, 20);
  return [
    parseStep(`open ${path}`),
    ...texts.map(trial),
    ...(texts.length === 0 ? [] : [parseStep('close'), parseStep(`open ${path}`)]),
    parseStep('close'),
  ];
}

/** A name behind the device's, which is the driver's to understand. */
function named(path: string): Acts {
  return [parseStep(`n=open ${path}\\name`), trial('close n')];
}

/** Codes from the last to the first on a second file, twice; the first one is closed in the middle. */
function downwards(path: string, all: readonly string[], good: readonly string[]): Acts {
  const on = (file: string): Acts =>
    all.map((code) => trial(withFile(good.find((text) => isOf(text, code)) ?? `${code} in=00*8 out=8`, file)));
  return [
    parseStep(`a=open ${path}`),
    parseStep(`b=open ${path}`),
    ...on('b'),
    trial('close a'),
    ...on('b'),
    trial('close b'),
  ];
}

/** Two of a request that pends; what else there is meanwhile; a cancellation; two more, and the file is closed. */
function interrupted(path: string, request: string, good: readonly string[], all: readonly string[]): Acts {
  const others = [
    ...good.filter((text) => !request.startsWith(`${text.split(' in=')[0]} `)),
    ...all
      .filter((code) => !isOf(request, code))
      .flatMap((code) => ['in=01000000*64 out=256', 'in=0000000008000000*2 out=16'].map((form) => `${code} ${form}`)),
  ].slice(0, 10);
  return [
    parseStep(`open ${path}`),
    ...[request, request, ...others].map(trial),
    trial('cancel'),
    trial(request),
    trial(request),
    trial('close'),
  ];
}

/** A file on which nothing else was done, and one on which it was done twice. */
function closedAfter(path: string, request: string): Acts {
  const open = parseStep(`open ${path}`);
  return [open, trial(request), trial('close'), open, trial(request), trial(request), trial('close')];
}

interface Pool {
  /** Requests that succeeded, by what they are. */
  readonly kinds: readonly (readonly string[])[];
  readonly pending: readonly string[];
  readonly codes: readonly number[];
  readonly seed: number;
}

/** On two files that are open at once. */
function byChance(path: string, pool: Pool, chance: Chance): Acts {
  const acts: (Step | Trial)[] = [parseStep(`a=open ${path}`), parseStep(`b=open ${path}`)];
  const main = chance.oneOf(['a', 'b']);
  while (acts.length < stepsByChance) {
    const file = chance.below(4) === 0 ? chance.oneOf(['a', 'b']) : main;
    acts.push(trial(withFile(requestByChance(pool, chance), file)));
  }
  return [...acts, ...(chance.below(2) === 0 ? [trial(`cancel ${main}`)] : []), trial('close a'), trial('close b')];
}

function requestByChance({ kinds, pending, codes, seed }: Pool, chance: Chance): string {
  const kind = chance.below(10);
  if (kind < 6 && kinds.length > 0) return chance.oneOf(chance.oneOf(kinds));
  if (kind === 6 && pending.length > 0) return chance.oneOf(pending);
  if (kind === 7 || codes.length === 0) return chance.oneOf(transfers(seed));
  return `ioctl 0x${chance.oneOf(codes).toString(16)} ${inventedInput(chance)}`;
}

/** `ioctl NAME 0x222000 …` */
function withFile(text: string, file: string): string {
  return text.replace(' ', ` ${file} `);
}

/** Whether it is a request with the control code: `ioctl 0x222000`. */
function isOf(text: string, code: string): boolean {
  return text === code || text.startsWith(`${code} `);
}

/** Whether an answer shows that the device knows the control code. */
function isUnderstood({ text, status }: Answered, code: number): boolean {
  const isRefusal = [STATUS_INVALID_DEVICE_REQUEST, STATUS_NOT_SUPPORTED, STATUS_NOT_IMPLEMENTED].includes(status);
  return !isRefusal && isOf(text, `ioctl 0x${code.toString(16)}`);
}

/** Those of each control code, reads, and writes. */
function byKind(texts: readonly string[]): readonly (readonly string[])[] {
  const kinds = new Map<string, string[]>();
  for (const text of texts) {
    const [verb, code] = text.split(' ');
    const kind = verb === 'ioctl' ? `${verb} ${code}` : `${verb}`;
    kinds.set(kind, [...(kinds.get(kind) ?? []), text]);
  }
  return [...kinds.values()];
}

/** At most two of each kind: all the first ones, then the last ones. */
function firstAndLast(kinds: readonly (readonly string[])[]): readonly string[] {
  const lasts = kinds.filter(({ length }) => length > 1).map((list) => list.at(-1) as string);
  return [...kinds.map((list) => list[0] as string), ...lasts];
}

function unique(answers: readonly Answered[]): readonly Answered[] {
  return [...new Map(answers.map((answer) => [answer.text, answer])).values()];
}
