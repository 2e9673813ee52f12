import { basename } from 'node:path';
import { PoolproofError } from '../base/errors.ts';
import { parsePe } from '../image/pe/index.ts';
import type { Report, Verdict } from '../run/report/report.ts';
import { reportText } from '../run/report/text.ts';
import type { Step } from '../run/scenario/step.ts';
import { verify } from '../run/verify.ts';
import { ExitStatus, statusOfVerdict, worstStatus } from './exit-status.ts';
import { findSymbolFiles, readInputFile } from './input-files.ts';
import { repeatCommand } from './repeat-command.ts';
import { errorLine, type Terminal, writeJson } from './terminal.ts';

export interface VerifyCommandOptions {
  readonly steps: readonly Step[];
  readonly flags: number;
  readonly seed: number;
  readonly limit: number;
  readonly symbols: readonly string[];
  readonly json: string | undefined;
}

/** `poolproof verify`: one life for each driver, in the order given. A file that can't be used does not stop the others. */
export function verifyCommand(paths: readonly string[], options: VerifyCommandOptions, terminal: Terminal): ExitStatus {
  const isTextWanted = options.json !== '-';
  const reports: Report[] = [];
  const statuses: ExitStatus[] = [];
  for (const path of paths) {
    try {
      const report = verifyFile(path, options, terminal);
      if (isTextWanted) {
        if (reports.length > 0) terminal.out('\n');
        terminal.out(reportText(report, terminal.style));
        if (report.verdict !== 'clean') {
          terminal.out(`${terminal.style.faint(`Repeat: ${repeatCommand(runChoice(path, options))}`)}\n`);
        }
      }
      reports.push(report);
      statuses.push(statusOfVerdict(report.verdict));
    } catch (error) {
      if (!(error instanceof PoolproofError)) throw new LifeError(repeatCommand(runChoice(path, options)), error);
      terminal.err(errorLine(error.message));
      statuses.push(ExitStatus.Usage);
    }
  }
  if (isTextWanted && paths.length > 1) terminal.out(`\n${tally(reports, paths.length - reports.length)}\n`);
  if (options.json !== undefined && reports.length > 0) {
    writeJson(options.json, paths.length === 1 ? reports[0] : reports, terminal);
  }
  return worstStatus(statuses);
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

function verifyFile(path: string, options: VerifyCommandOptions, terminal: Terminal): Report {
  const bytes = readInputFile(path);
  const name = basename(path);
  const warn = (text: string): void => terminal.err(errorLine(text));
  const symbolFiles = findSymbolFiles(path, parsePe(bytes, name), options.symbols, warn);
  return verify({
    driver: { name, path, bytes },
    symbolFiles,
    steps: options.steps.length === 0 ? undefined : options.steps,
    flags: options.flags,
    seed: options.seed,
    instructionLimit: options.limit,
    now: () => performance.now(),
  });
}

function runChoice(path: string, options: VerifyCommandOptions): Parameters<typeof repeatCommand>[0] {
  return { ...options, path, steps: options.steps.map(({ text }) => text) };
}

function tally(reports: readonly Report[], unusable: number): string {
  const count = (verdict: Verdict): number => reports.filter((report) => report.verdict === verdict).length;
  const parts = (['clean', 'violation', 'incomplete', 'error'] as const)
    .filter((verdict) => count(verdict) > 0)
    .map((verdict) => `${count(verdict)} ${verdict}`);
  if (unusable > 0) parts.push(`${unusable} unusable`);
  return `${reports.length + unusable} drivers: ${parts.join(', ')}`;
}
