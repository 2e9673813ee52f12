/** What a debugger shows of a machine with a driver, as text: prompts with the lines that were typed, and the answers. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect } from 'vitest';
import { evaluateAddress } from '../../src/debugger/expression.ts';
import { Session } from '../../src/debugger/session.ts';
import { parseStep } from '../../src/index.ts';
import { debugTarget } from '../../src/run/debug-target.ts';
import { Machine } from '../../src/run/machine.ts';
import type { DriverFile, MachineOptions } from '../../src/run/machine-options.ts';
import { repository } from '../end-to-end.ts';

const read = (path: string): Uint8Array => new Uint8Array(readFileSync(join(repository, path)));

/** A driver of this repository (`drivers/leaky-inventory/leaky-inventory.sys`) with its PDB, if it has one. */
export function driverFile(path: string): DriverFile {
  const pdb = path.replace(/\.sys$/, '.pdb');
  const symbolFiles = existsSync(join(repository, pdb)) ? [{ name: basename(pdb), bytes: read(pdb) }] : [];
  return { name: basename(path), path, bytes: read(path), symbolFiles };
}

export interface DebuggedMachine {
  readonly machine: Machine;
  readonly session: Session;
  /** Types lines; gives prompts, lines and answers. */
  type(lines: readonly string[]): Promise<string>;
}

/** A session at a fresh machine; `steps` as after `--do`, none for the tour. */
export function debug(
  paths: readonly string[],
  steps: readonly string[] = [],
  options: Partial<MachineOptions> = {},
): DebuggedMachine {
  const machine = new Machine({
    drivers: paths.map(driverFile),
    steps: steps.length === 0 ? undefined : steps.map(parseStep),
    // As poolproof kd has it.
    flagsLiveAtExit: true,
    ...options,
  });
  let text = '';
  const session = new Session(debugTarget(machine), {
    write: (more) => {
      text += more;
    },
    breathe: () => Promise.resolve(),
  });
  return {
    machine,
    session,
    type: async (lines) => {
      text = '';
      for (const line of lines) {
        text += `${session.prompt}${line}\n`;
        await session.execute(line);
      }
      return text;
    },
  };
}

/** As {@link debug}, stopped where control first reaches `place`: an expression. */
export function debugAt(
  paths: readonly string[],
  place: string,
  steps: readonly string[] = [],
  options: Partial<MachineOptions> = {},
): DebuggedMachine {
  const debugged = debug(paths, steps, options);
  const { debugControl } = debugged.machine.nt;
  debugControl.attach();
  debugControl.setBreakpoints([evaluateAddress(debugged.session, place)]);
  expect(debugged.machine.resume(), `${place} is reached`).toBe('stopped');
  return debugged;
}

/** As {@link debug}, taken to the end of the life, and the lines typed there. */
export async function transcriptAtEnd(
  paths: readonly string[],
  steps: readonly string[],
  lines: readonly string[],
  options: Partial<MachineOptions> = {},
): Promise<string> {
  const debugged = debug(paths, steps, options);
  debugged.machine.run();
  return debugged.type(lines);
}

/** Addresses of the kernel's own code and objects, which move with every routine that it gets, as dots. */
export function withoutKernelAddresses(text: string): string {
  return text.replace(/fffff800(`?)(00|c0)[0-9a-f]{6}/g, 'fffff800$1$2......');
}

/**
 * Compares a transcript with the file `name`.txt beside the test (`folder`: its `import.meta.dirname`). UPDATE_GOLDEN=1
 * writes it; what differs is left in `name`.actual.
 */
export function expectTranscript(folder: string, name: string, transcript: string): void {
  const golden = join(folder, `${name}.txt`);
  const actual = join(folder, `${name}.actual`);
  const text = withoutKernelAddresses(transcript);
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(golden, text);
  const wanted = existsSync(golden) ? withoutKernelAddresses(readFileSync(golden, 'utf8')) : '';
  if (wanted === text) rmSync(actual, { force: true });
  else writeFileSync(actual, text);
  expect(text, `${golden}: UPDATE_GOLDEN=1 writes it anew`).toBe(wanted);
}
