/**
 * What is done without a scenario: every device that the driver made is opened, read, written and closed, and the
 * control codes that its dispatch routine knows are tried, with requests such as a tester would send. What follows from
 * their answers is the sequel (`tour-sequel.ts`).
 */
import type { Nt } from '../../nt/nt.ts';
import type { LoadedDriver } from '../loaded-driver.ts';
import type { Step } from './step.ts';
import { parseStep } from './step.ts';
import { requestForms, transfers } from './tour-requests.ts';
import type { TourSequel } from './tour-sequel.ts';
import { targetsOf } from './tour-targets.ts';

/** A request whose answer is not waited for: if it pends, it gets a little time and is cancelled, unless it is asynchronous. */
export type RequestTrial = Step & { readonly verb: 'ioctl' | 'read' | 'write'; readonly isTrial: true };

/** A step that is left out if the file is not open that it names. */
export type Trial = RequestTrial | (Step & { readonly verb: 'close' | 'cancel'; readonly isTrial: true });

export interface Tour {
  readonly acts: readonly (Step | Trial | TourSequel)[];
  /** Control codes that were found in the dispatch routine. */
  readonly codes: number;
}

/** Steps of a tour before its sequel, about: those that follow from what pends come on top. */
const mostSteps = 240;

/** The tour of the drivers that are loaded. The same for the same drivers and seed. */
export function planTour(nt: Nt, drivers: readonly LoadedDriver[]): Tour {
  nt.io.lowerDevice.tryDrivers();
  const targets = targetsOf(nt, drivers);
  const acts: (Step | Trial | TourSequel)[] = [];
  const { seed } = nt.options;
  for (const { path, codes } of targets) {
    const requests = controlRequests(codes, targets.length, seed);
    // Reads and writes once more when the control codes have set up what they set up.
    const texts = [...transfers(seed), ...requests, ...(requests.length === 0 ? [] : transfers(seed))];
    acts.push(parseStep(`open ${path}`), ...texts.map(trial), parseStep('close'));
    acts.push({ verb: 'tour-sequel', path, codes });
  }
  if ([...nt.io.pnp.all()].some(({ state, drivers: stack }) => state === 'started' && stack.length > 0)) {
    acts.push(...pnpSteps);
  }
  return { acts, codes: new Set(targets.flatMap(({ codes }) => codes)).size };
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

export function trial(text: string): Trial {
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
