/** Where a command writes, and how emphasis looks there. */
import { writeFileSync } from 'node:fs';
import pc from 'picocolors';
import { printable, terminalSafeJson } from '../base/printable.ts';
import { plainStyle, type TextStyle } from '../run/report/text.ts';
import type { ConsoleInput } from './console-lines.ts';
import { fileError, systemProblem } from './errors.ts';
import type { ProgressTerminal } from './progress-line.ts';

export interface Terminal {
  /** Standard output: results. */
  out(text: string): void;
  /** Standard error: everything else. */
  err(text: string): void;
  readonly style: TextStyle;
  /** Where commands are read; undefined: nowhere. */
  readonly input?: ConsoleInput | undefined;
  /** Where progress is shown; undefined if standard error is no terminal. */
  readonly progress?: ProgressTerminal | undefined;
}

const colours = pc.createColors(true);

export const colourStyle: TextStyle = {
  verdict: (verdict, text) =>
    colours.bold(
      verdict === 'clean' ? colours.green(text) : verdict === 'violation' ? colours.red(text) : colours.yellow(text),
    ),
  strong: colours.bold,
  faint: colours.dim,
};

/** Colour goes to terminals only, and only where NO_COLOR (no-color.org) and TERM allow it. */
export function styleFor(isTerminal: boolean, environment: Readonly<Record<string, string | undefined>>): TextStyle {
  const isWanted = isTerminal && !environment.NO_COLOR && environment.TERM !== 'dumb';
  return isWanted ? colourStyle : plainStyle;
}

/** One line on standard error, whatever the message holds. */
export function errorLine(message: string): string {
  return `poolproof: ${printable(message.trim().replace(/\s*\n\s*/g, ' '))}\n`;
}

/** Writes a JSON document to a file, or to standard output for `-`. Throws PP6001. */
export function writeJson(destination: string, value: unknown, terminal: Terminal): void {
  const text = `${terminalSafeJson(JSON.stringify(value, null, 2))}\n`;
  if (destination === '-') {
    terminal.out(text);
    return;
  }
  try {
    writeFileSync(destination, text);
  } catch (error) {
    throw fileError(destination, `can't be written: ${systemProblem(error)}`, error);
  }
}
