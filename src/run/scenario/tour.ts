/**
 * What is done without a scenario: every device that the driver made is opened, read, written and closed, and the
 * control codes that its dispatch routine knows are tried, with requests such as a tester would send.
 */
import type { Nt } from '../../nt/nt.ts';
import type { LoadedDriver } from '../loaded-driver.ts';
import type { Step } from './step.ts';
import { parseStep } from './step.ts';
import { targetsOf } from './tour-targets.ts';

/** A request whose answer is not waited for: if it pends, it gets a little time and is cancelled. */
export type Trial = Step & { readonly verb: 'ioctl' | 'read' | 'write'; readonly isTrial: true };

/** The requests of the tour that pended are made again, the file is closed over them, and opened once more. */
export interface CloseOverRequests {
  readonly verb: 'close-over-requests';
  readonly path: string;
}

export interface Tour {
  readonly acts: readonly (Step | Trial | CloseOverRequests)[];
  /** Control codes that were found in the dispatch routine. */
  readonly codes: number;
  /** Requests with control codes that are planned. */
  readonly requests: number;
}

/** Steps of a tour, about: those that follow from what pends come on top. */
const mostSteps = 200;

/** In the order in which they are left out if there are too many codes, the last first; sent from small to large. */
const requestForms: readonly { readonly order: number; readonly words: (seed: number) => string }[] = [
  { order: 2, words: () => 'in=01000000*64 out=256' },
  { order: 0, words: () => '' },
  { order: 4, words: (seed) => `in=noise:256:${seed} out=256` },
  { order: 3, words: () => 'in=40000000*64 out=256' },
  { order: 1, words: () => 'in=00*8 out=8' },
  { order: 5, words: (seed) => `in=noise:4096:${seed} out=4096` },
];

/** The tour of the drivers that are loaded. The same for the same drivers and seed. */
export function planTour(nt: Nt, drivers: readonly LoadedDriver[]): Tour {
  nt.io.lowerDevice.tryDrivers();
  const targets = targetsOf(nt, drivers);
  const acts: (Step | Trial | CloseOverRequests)[] = [];
  let count = 0;
  for (const { path, codes } of targets) {
    const requests = controlRequests(codes, targets.length, nt.options.seed);
    count += requests.length;
    acts.push(parseStep(`open ${path}`), trial('read 64'), trial('write 00*64'));
    acts.push(...requests.map(trial), parseStep('close'), { verb: 'close-over-requests', path });
  }
  if ([...nt.io.pnp.all()].some(({ state, drivers: stack }) => state === 'started' && stack.length > 0)) {
    acts.push(...pnpSteps);
  }
  return { acts, codes: new Set(targets.flatMap(({ codes }) => codes)).size, requests: count };
}

/** The acts of {@link CloseOverRequests}; `pended`: the texts of the steps that did. */
export function closeOverRequests(path: string, pended: readonly string[]): readonly Step[] {
  const texts = [...new Set(pended)].slice(0, mostSteps / 10);
  return [`open ${path}`, ...texts, ...(texts.length === 0 ? [] : ['close', `open ${path}`]), 'close'].map(parseStep);
}

/** What is sent to one device: round by round, so that one code's request can prepare another's. */
function controlRequests(codes: readonly number[], devices: number, seed: number): readonly string[] {
  if (codes.length === 0 || devices === 0) return [];
  const room = Math.max(0, Math.floor(mostSteps / devices) - 6);
  const rounds = Math.max(1, Math.min(requestForms.length, Math.floor(room / codes.length)));
  return requestForms
    .slice(0, rounds)
    .sort((a, b) => a.order - b.order)
    .flatMap(({ words }) => codes.map((code) => `ioctl 0x${code.toString(16)} ${words(seed)}`.trim()))
    .slice(0, room);
}

function trial(text: string): Trial {
  return { ...(parseStep(text) as Trial), isTrial: true };
}

/** The ways of a device: stopped and started, asleep and awake, pulled out; and (the next one) removed in order. */
const pnpSteps: readonly Step[] = [
  'stop',
  'start',
  'cancel-stop',
  'interrupt',
  'suspend',
  'resume',
  'cancel-remove',
  'surprise-remove',
  'start',
  'stop',
  'start',
  'remove',
].map(parseStep);
