/** The line on a terminal that says how far a long run has come. */

import { printable } from '../base/printable.ts';
import type { Progress } from '../run/progress.ts';

/** Where it is drawn. */
export interface ProgressTerminal {
  write(text: string): void;
  /** Characters of a line. */
  readonly columns: number;
}

/** Short runs show none. */
const patienceMs = 1000;
const redrawMs = 100;
const eraseLine = '\r\u001b[K';
const mostStepCharacters = 40;

export class ProgressLine {
  private readonly terminal: ProgressTerminal;
  private readonly now: () => number;
  private due: number;
  private isShown = false;

  /** `now`: milliseconds from any start. */
  constructor(terminal: ProgressTerminal, now: () => number) {
    this.terminal = terminal;
    this.now = now;
    this.due = now() + patienceMs;
  }

  /** Called often; draws now and then. */
  show(read: () => Progress): void {
    const now = this.now();
    if (now < this.due) return;
    this.due = now + redrawMs;
    this.isShown = true;
    // The last column stays free: terminals break the line there.
    this.terminal.write(`${eraseLine}${progressText(read()).slice(0, Math.max(1, this.terminal.columns - 1))}`);
  }

  end(): void {
    if (this.isShown) this.terminal.write(eraseLine);
    this.isShown = false;
  }
}

export function progressText({ at, virtualMs, instructions, liveBlocks, liveBytes }: Progress): string {
  const what = printable(at);
  const step = what.length > mostStepCharacters ? `${what.slice(0, mostStepCharacters - 1)}…` : what;
  return [
    step,
    `${(virtualMs / 1000).toFixed(2)} s virtual`,
    `${Math.floor(instructions / 1e6)} M instructions`,
    `${liveBlocks} blocks, ${liveBytes} bytes`,
  ].join('  ');
}
