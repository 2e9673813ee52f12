import { basename } from 'node:path';
import { PoolproofError } from '../base/errors.ts';
import { parsePe } from '../image/pe/index.ts';
import type { DriverFile } from '../run/machine-options.ts';
import type { Report } from '../run/report/report.ts';
import { reportText } from '../run/report/text.ts';
import type { Step } from '../run/scenario/step.ts';
import { verify } from '../run/verify.ts';
import { type ExitStatus, statusOfVerdict } from './exit-status.ts';
import { findSymbolFiles, readInputFile } from './input-files.ts';
import { repeatCommand } from './repeat-command.ts';
import { SourceFiles } from './source-files.ts';
import { errorLine, type Terminal, writeJson } from './terminal.ts';

export interface VerifyCommandOptions {
  readonly companions: readonly string[];
  readonly steps: readonly Step[];
  readonly flags: number;
  readonly seed: number;
  readonly resources: 'default' | 'none';
  readonly hardwareIds: readonly string[];
  readonly limit: number;
  readonly symbols: readonly string[];
  /** Folders with source files. */
  readonly sources: readonly string[];
  readonly json: string | undefined;
}

/** `poolproof verify`: the drivers in one machine, loaded in the order given. */
export function verifyCommand(paths: readonly string[], options: VerifyCommandOptions, terminal: Terminal): ExitStatus {
  const repeat = repeatCommand({ ...options, paths, steps: options.steps.map(({ text }) => text) });
  const report = run(paths, options, terminal, repeat);
  if (options.json !== '-') {
    terminal.out(reportText(report, terminal.style));
    if (report.verdict !== 'clean') terminal.out(`${terminal.style.faint(`Repeat: ${repeat}`)}\n`);
  }
  if (options.json !== undefined) writeJson(options.json, report, terminal);
  return statusOfVerdict(report.verdict);
}

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

function run(paths: readonly string[], options: VerifyCommandOptions, terminal: Terminal, repeat: string): Report {
  const read = (path: string): DriverFile => readDriver(path, options.symbols, terminal);
  const companions = options.companions.map(read);
  const drivers = paths.map(read);
  const sources = new SourceFiles([...paths, ...options.companions], options.sources);
  try {
    return verify({
      drivers,
      companions,
      steps: options.steps.length === 0 ? undefined : options.steps,
      flags: options.flags,
      seed: options.seed,
      resources: options.resources,
      ...(options.hardwareIds.length === 0 ? {} : { hardwareIds: options.hardwareIds }),
      instructionLimit: options.limit,
      readSource: (file) => sources.find(file),
      now: () => performance.now(),
    });
  } catch (error) {
    throw error instanceof PoolproofError ? error : new LifeError(repeat, error);
  }
}

function readDriver(path: string, symbols: readonly string[], terminal: Terminal): DriverFile {
  const bytes = readInputFile(path);
  const name = basename(path);
  const warn = (text: string): void => terminal.err(errorLine(text));
  return { name, path, bytes, symbolFiles: findSymbolFiles(path, parsePe(bytes, name), symbols, warn) };
}
