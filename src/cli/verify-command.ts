import { statSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { PoolproofError } from '../base/errors.ts';
import { parsePe } from '../image/pe/index.ts';
import type { DriverFile } from '../run/machine-options.ts';
import type { Report } from '../run/report/report.ts';
import { reportText } from '../run/report/text.ts';
import type { Step } from '../run/scenario/step.ts';
import { type VerifyOptions, verify, verifyScenario } from '../run/verify.ts';
import { optionError } from './errors.ts';
import { type ExitStatus, statusOfVerdict } from './exit-status.ts';
import { readInputFile } from './input-files.ts';
import { ProgressLine } from './progress-line.ts';
import { repeatCommand } from './repeat-command.ts';
import { SourceFiles } from './source-files.ts';
import { findSymbols, type SymbolChoice } from './symbol-files.ts';
import { type Terminal, writeJson } from './terminal.ts';

export interface VerifyCommandOptions {
  readonly companions: readonly string[];
  readonly steps: readonly Step[];
  /** A scenario module's path. */
  readonly scenario: string | undefined;
  readonly flags: number;
  readonly seed: number;
  readonly resources: 'default' | 'none';
  readonly deviceModel?: string | undefined;
  readonly hardwareIds: readonly string[];
  readonly limit: number;
  /** Symbol paths. */
  readonly symbols: readonly string[];
  readonly downloadSymbols: boolean;
  /** Folders with source files. */
  readonly sources: readonly string[];
  readonly json: string | undefined;
  /** Whether a terminal is shown how far the run is. */
  readonly progress: boolean;
}

/** `poolproof verify`: the drivers in one machine, loaded in the order given. */
export async function verifyCommand(
  paths: readonly string[],
  options: VerifyCommandOptions,
  terminal: Terminal,
): Promise<ExitStatus> {
  checkDestinations(options);
  const repeat = repeatCommand({ ...options, paths, steps: options.steps.map(({ text }) => text) });
  const report = await run(paths, options, terminal, repeat);
  if (options.json !== '-') {
    terminal.out(reportText(report, terminal.style));
    if (report.verdict !== 'clean') terminal.out(`${terminal.style.faint(`Repeat: ${repeat}`)}\n`);
  }
  if (options.json !== undefined) writeJson(options.json, report, terminal);
  return statusOfVerdict(report.verdict);
}

/** What would be found wrong only after the run, or never. Throws PoolproofError. */
function checkDestinations({ sources, json }: VerifyCommandOptions): void {
  for (const path of sources) {
    if (!isDirectory(path)) throw optionError('--source', path, 'a directory');
  }
  if (json === undefined || json === '-') return;
  if (!isDirectory(dirname(resolve(json)))) throw optionError('--json', json, 'a file in a directory that exists');
}

const isDirectory = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

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

async function run(
  paths: readonly string[],
  options: VerifyCommandOptions,
  terminal: Terminal,
  repeat: string,
): Promise<Report> {
  const symbols: SymbolChoice = {
    paths: options.symbols,
    fallback: process.env._NT_SYMBOL_PATH,
    isDownloadWanted: options.downloadSymbols,
  };
  const companions: DriverFile[] = [];
  for (const path of options.companions) companions.push(await readDriver(path, symbols));
  const drivers: DriverFile[] = [];
  for (const path of paths) drivers.push(await readDriver(path, symbols));
  const sources = new SourceFiles([...paths, ...options.companions], options.sources);
  const now = (): number => performance.now();
  const line = options.progress && terminal.progress ? new ProgressLine(terminal.progress, now) : undefined;
  try {
    const machine: VerifyOptions = {
      drivers,
      companions,
      flags: options.flags,
      seed: options.seed,
      resources: options.resources,
      deviceModel: options.deviceModel,
      ...(options.hardwareIds.length === 0 ? {} : { hardwareIds: options.hardwareIds }),
      instructionLimit: options.limit,
      readSource: (file) => sources.find(file),
      ...(line === undefined ? {} : { onProgress: (read) => line.show(read) }),
      now,
    };
    if (options.scenario !== undefined) {
      const { loadScenario } = await import('./scenario-file.ts');
      return await verifyScenario(machine, await loadScenario(options.scenario));
    }
    return verify({ ...machine, steps: options.steps.length === 0 ? undefined : options.steps });
  } catch (error) {
    throw error instanceof PoolproofError ? error : new LifeError(repeat, error);
  } finally {
    line?.end();
  }
}

async function readDriver(path: string, symbols: SymbolChoice): Promise<DriverFile> {
  const bytes = readInputFile(path);
  const name = basename(path);
  const search = await findSymbols(path, parsePe(bytes, name), symbols);
  return { name, path, bytes, symbolFiles: search.candidates, symbolSearch: search };
}
