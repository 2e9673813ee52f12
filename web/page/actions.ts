/** What the user can do, and what becomes of the worker's answers. */
import { batch } from '@preact/signals';
import type { Answer, StepSize } from '../worker/messages.ts';
import { Connection } from './connection.ts';
import { fetchFile, type GivenFile, takeFiles } from './files.ts';
import type { ListedDriver, OfferedDriver, PageName, Sample } from './state.ts';
import * as state from './state.ts';

const connection = new Connection(hear);
/** A machine that does not pause within this time is given up. */
const patienceMs = 5000;
/** Characters that the debugger's pane keeps. */
const mostPrinted = 400_000;
/** Whether the user turned to a page since the machine was made: then no other one comes to the front by itself. */
let hasTurned = false;
/** Gives the machine up that does not pause. */
let patience: ReturnType<typeof setTimeout> | undefined;
/** Counts what was asked for to be opened: what comes late is passed over. */
let opening = 0;
/** Where the user was before the last page that came by itself. */
let pageBefore: PageName = 'drivers';

// ---- pages

export function show(page: PageName): void {
  hasTurned = true;
  state.page.value = page;
}

function bringUp(page: PageName): void {
  if (hasTurned) return;
  pageBefore = state.page.value;
  state.page.value = page;
}

// ---- choosing drivers

export async function addFiles(files: readonly GivenFile[], isFresh = false): Promise<void> {
  await guarded(async () => {
    const { taken, passedOver } = await takeFiles(files, isFresh);
    batch(() => {
      if (taken > 0) forgetAfterChange();
      state.problem.value = passedOver.length === 0 ? undefined : { message: passedOver.join('; '), isOurs: false };
    });
  });
}

/** Changes the list of drivers. */
export function changeDrivers(how: (list: readonly ListedDriver[]) => readonly ListedDriver[]): void {
  batch(() => {
    state.drivers.value = how(state.drivers.value);
    forgetAfterChange();
  });
}

/** The machine is another one now; and a sample's steps and device are not for the drivers of the user. */
function forgetAfterChange(): void {
  discardMachine();
  const { value: sample } = state.sample;
  if (sample === undefined || state.drivers.value.some(({ name }) => belongsTo(sample, name))) return;
  if (state.stepText.value === describedSteps(sample)) {
    state.isTour.value = true;
    state.stepText.value = '';
  }
  if (state.deviceModel.value === sample.deviceModel) state.deviceModel.value = undefined;
  state.sample.value = undefined;
}

/** What shows what the sample's description says: steps, or undefined for the tour. */
function describedSteps({ described, runs }: Sample): string | undefined {
  const steps = runs.find(({ name }) => name === described)?.steps;
  return steps === undefined ? undefined : `${steps.join('\n')}\n`;
}

const belongsTo = (sample: Sample | undefined, name: string): boolean =>
  sample?.files.some((file) => file.endsWith(`/${name}`)) === true;

export async function openSample(sample: Sample): Promise<void> {
  const number = ++opening;
  await guarded(async () => {
    const files = await Promise.all(sample.files.map((path) => fetchFile(path, path)));
    if (number !== opening) return;
    await takeFiles(files, true);
    const steps = describedSteps(sample);
    batch(() => {
      discardMachine();
      state.sample.value = sample;
      state.isTour.value = steps === undefined;
      state.stepText.value = steps ?? '';
      state.deviceModel.value = sample.deviceModel;
      state.problem.value = undefined;
    });
  });
}

export async function openOffered(driver: OfferedDriver): Promise<void> {
  await guarded(async () => {
    const files = await Promise.all(driver.files.map(({ name, url }) => fetchFile(url, name)));
    await addFiles(files);
  });
}

/** Changes of what is verified or how need a new machine. */
export function discardMachine(): void {
  if (state.activity.value === 'none') return;
  if (state.activity.value !== 'over') connection.replace();
  batch(() => {
    state.run.value++;
    state.activity.value = 'none';
    forgetRun();
    state.printed.value = '';
  });
}

function forgetRun(): void {
  state.state.value = undefined;
  state.series.value = undefined;
  state.report.value = undefined;
  state.headline.value = '';
  state.bugCheck.value = [];
  state.debugOutput.value = [];
  state.allocationPages.value = new Map();
  state.allocationTotal.value = 0;
  state.chosenAllocation.value = undefined;
  state.allocationDetail.value = undefined;
  state.isBusyDebugging.value = false;
}

// ---- running

/** A new machine with the drivers that are in the list. */
export function load(): void {
  if (state.isRunning.value) connection.replace();
  batch(() => {
    state.run.value++;
    state.activity.value = 'loading';
    state.problem.value = undefined;
    forgetRun();
    if (state.printed.value !== '') print('\n(the machine starts again)\n');
  });
  hasTurned = false;
  const symbolFiles = state.symbolFiles.value;
  connection.send({
    kind: 'load',
    run: state.run.value,
    input: {
      drivers: state.drivers.value.map((driver) => ({ ...driver, symbolFiles })),
      sources: state.sources.value,
      flags: state.flags.value,
      seed: state.seed.value,
      steps: state.isTour.value ? undefined : stepLines(),
      deviceModel: state.deviceModel.value,
    },
  });
  connection.send({ kind: 'pace', callsPerSecond: state.callsPerSecond.value });
}

/** Lines that are neither empty nor remarks. */
export function stepLines(): readonly string[] {
  return state.stepText.value
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
}

export function start(): void {
  if (!state.hasMachine.value || state.activity.value === 'over') load();
  connection.send({ kind: 'resume' });
  bringUp('counters');
}

export function pause(): void {
  const { value: run } = state.run;
  connection.send({ kind: 'pause' });
  clearTimeout(patience);
  patience = setTimeout(() => {
    if (state.run.value !== run || state.activity.value !== 'running') return;
    discardMachine();
    state.problem.value = { message: 'the machine did not pause and was given up', isOurs: true };
  }, patienceMs);
}

export function step(size: StepSize): void {
  if (!state.hasMachine.value || state.activity.value === 'over') load();
  connection.send({ kind: 'step', size });
  bringUp('counters');
}

export function setPace(callsPerSecond: number | undefined): void {
  state.callsPerSecond.value = callsPerSecond;
  connection.send({ kind: 'pace', callsPerSecond });
}

// ---- looking

export function askAllocations(first: number, count: number): void {
  if (state.hasMachine.value) connection.send({ kind: 'allocations', first, count });
}

export function chooseAllocation(address: string): void {
  state.chosenAllocation.value = address;
  connection.send({ kind: 'allocation', address });
}

// ---- debugging

export function typeCommand(line: string): void {
  if (!state.hasMachine.value) load();
  hasTurned = true;
  state.isBusyDebugging.value = true;
  print(`${state.prompt.value}${line}\n`);
  connection.send({ kind: 'command', line });
}

export function askCompletions(line: string): void {
  if (state.hasMachine.value) connection.send({ kind: 'complete', line });
}

function print(text: string): void {
  state.printed.value = `${state.printed.value}${text}`.slice(-mostPrinted);
}

// ---- answers

function hear(answer: Answer): void {
  if (answer.kind === 'ready') {
    state.deviceModels.value = answer.deviceModels;
    return;
  }
  if (answer.run !== state.run.value && answer.run !== -1) return;
  batch(() => take(answer));
}

function take(answer: Exclude<Answer, { kind: 'ready' }>): void {
  switch (answer.kind) {
    case 'state':
      state.activity.value = answer.activity;
      if (!state.isRunning.value) clearTimeout(patience);
      state.state.value = answer.state;
      state.allocationTotal.value = answer.state.allocations;
      return;
    case 'series':
      state.series.value = answer.series;
      return;
    case 'debug-output':
      state.debugOutput.value = [...state.debugOutput.value, ...answer.lines];
      return;
    case 'report':
      state.report.value = answer.report;
      state.headline.value = answer.headline;
      state.bugCheck.value = answer.bugCheck;
      bringUp('result');
      return;
    case 'allocations': {
      const pages = new Map(state.allocationPages.value);
      pages.set(answer.page.first, answer.page);
      state.allocationPages.value = pages;
      state.allocationTotal.value = answer.page.total;
      return;
    }
    case 'allocation':
      if (answer.address === state.chosenAllocation.value) state.allocationDetail.value = answer.detail;
      return;
    case 'printed':
      print(answer.text);
      return;
    case 'prompt':
      state.prompt.value = answer.prompt;
      state.isBusyDebugging.value = false;
      return;
    case 'completions':
      state.completions.value = answer;
      return;
    case 'failed':
      state.problem.value = answer;
      if (state.activity.value === 'loading' || answer.run === -1) {
        state.activity.value = 'none';
        // What was wrong with the drivers or steps is mended there.
        bringUp(pageBefore);
      }
      state.isBusyDebugging.value = false;
      return;
  }
}

async function guarded(act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    state.problem.value = { message: error instanceof Error ? error.message : String(error), isOurs: false };
  }
}
