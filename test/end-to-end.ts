/** The sample drivers, what running them must show, and one way to run them. */
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findDeviceModel } from '../src/hardware/index.ts';
import { defaultFlags, parseStep, type Report, verify } from '../src/index.ts';
import { defaultInstructionLimit } from '../src/run/machine-options.ts';

export const repository = fileURLToPath(new URL('..', import.meta.url));

export interface ExpectedStep {
  readonly step: string;
  /** Null: the machine stops before the step is answered. */
  readonly status: string | null;
  readonly information: number | null;
  /** Digits, or bytes and how many times: `5a*4000,00*96`. */
  readonly output: string | null;
}

export interface ExpectedLeak {
  readonly kind: string;
  readonly tag: string | null;
  readonly name: string | null;
  readonly bytes: number | null;
  /** Null: not checked, as of a plain run. */
  readonly count: number | null;
  readonly poolType: string | null;
  readonly function: string;
  readonly file: string;
  readonly line: number;
}

export interface ExpectedRun {
  readonly name: string;
  readonly steps: readonly ExpectedStep[];
  /** Of the plug-and-play device; none if it is not said. */
  readonly deviceModel?: string;
  readonly verdict: string;
  readonly driverEntryStatus: string | null;
  readonly bugCheck: {
    readonly code: string;
    /** Null, as `allocations`: not checked. */
    readonly parameter1: string | null;
    readonly allocations: number | null;
    /** All four; null where it is an address or not checked. */
    readonly parameters?: readonly (string | null)[];
    /** In which the driver was stopped. */
    readonly function?: string;
  } | null;
  readonly leaks: readonly ExpectedLeak[];
}

export interface ExpectedDriver {
  readonly name: string;
  readonly sys: string;
  readonly pdb: string | null;
  readonly runs: readonly ExpectedRun[];
}

export const { drivers } = JSON.parse(readFileSync(join(repository, 'drivers/expected.json'), 'utf8')) as {
  readonly drivers: readonly ExpectedDriver[];
};

export function runSample(driver: ExpectedDriver, steps: readonly string[], seed = 1, deviceModel?: string): Report {
  const read = (path: string): Uint8Array => new Uint8Array(readFileSync(join(repository, path)));
  return verify({
    drivers: [
      {
        name: basename(driver.sys),
        path: driver.sys,
        bytes: read(driver.sys),
        symbolFiles: driver.pdb === null ? [] : [{ name: driver.pdb, bytes: read(driver.pdb) }],
      },
    ],
    steps: steps.length === 0 ? undefined : steps.map(parseStep),
    deviceModel: deviceModel === undefined ? undefined : findDeviceModel(deviceModel),
    flags: defaultFlags,
    seed,
    instructionLimit: defaultInstructionLimit,
    now: () => performance.now(),
  });
}

/** As expected.json has it. */
export function runExpected(driver: ExpectedDriver, { steps, deviceModel }: ExpectedRun): Report {
  return runSample(
    driver,
    steps.map(({ step }) => step),
    1,
    deviceModel,
  );
}
