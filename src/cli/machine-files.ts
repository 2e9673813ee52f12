/** The files that a machine is made of, and where sources are looked for. */
import { statSync } from 'node:fs';
import { basename } from 'node:path';
import { parsePe } from '../image/pe/index.ts';
import type { DriverFile, MachineOptions } from '../run/machine-options.ts';
import type { ReadSource } from '../run/report/source-excerpt.ts';
import type { Step } from '../run/scenario/step.ts';
import { optionError } from './errors.ts';
import { readInputFile } from './input-files.ts';
import { SourceFiles } from './source-files.ts';
import { findSymbols, type SymbolChoice } from './symbol-files.ts';

/** What the command line chose of a machine. */
export interface MachineChoice {
  readonly companions: readonly string[];
  readonly steps: readonly Step[];
  readonly flags: number;
  readonly seed: number;
  readonly resources: 'default' | 'none';
  readonly deviceModel: string | undefined;
  readonly hardwareIds: readonly string[];
  readonly limit: number;
  /** Symbol paths. */
  readonly symbols: readonly string[];
  readonly downloadSymbols: boolean;
  /** Folders with source files. */
  readonly sources: readonly string[];
  /** Whether a terminal is shown how far a run is. */
  readonly progress: boolean;
}

export interface ChosenMachine extends Omit<MachineOptions, 'flagsLiveAtExit'> {
  readonly readSource: ReadSource;
}

/** Reads the drivers (`paths`) and what goes with them. Throws PoolproofError. */
export async function chooseMachine(paths: readonly string[], choice: MachineChoice): Promise<ChosenMachine> {
  const symbols: SymbolChoice = {
    paths: choice.symbols,
    fallback: process.env._NT_SYMBOL_PATH,
    isDownloadWanted: choice.downloadSymbols,
  };
  const companions: DriverFile[] = [];
  for (const path of choice.companions) companions.push(await readDriver(path, symbols));
  const drivers: DriverFile[] = [];
  for (const path of paths) drivers.push(await readDriver(path, symbols));
  const sources = new SourceFiles([...paths, ...choice.companions], choice.sources);
  return {
    drivers,
    companions,
    flags: choice.flags,
    seed: choice.seed,
    resources: choice.resources,
    deviceModel: choice.deviceModel,
    ...(choice.hardwareIds.length === 0 ? {} : { hardwareIds: choice.hardwareIds }),
    instructionLimit: choice.limit,
    steps: choice.steps.length === 0 ? undefined : choice.steps,
    readSource: (file) => sources.find(file),
  };
}

/** Throws PoolproofError for a folder of sources that is none. */
export function checkSourceFolders({ sources }: MachineChoice): void {
  for (const path of sources) {
    if (!isDirectory(path)) throw optionError('--source', path, 'a directory');
  }
}

export const isDirectory = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

/** Poolproof failed within a life. */
export class LifeError extends Error {
  override readonly name = 'LifeError';
  /** The command that repeats the life. */
  readonly command: string;

  constructor(command: string, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.command = command;
  }
}

async function readDriver(path: string, symbols: SymbolChoice): Promise<DriverFile> {
  const bytes = readInputFile(path);
  const name = basename(path);
  const search = await findSymbols(path, parsePe(bytes, name), symbols);
  return { name, path, bytes, symbolFiles: search.candidates, symbolSearch: search };
}
