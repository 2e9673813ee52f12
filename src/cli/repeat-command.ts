/** The command that runs the same life again: a finding is worth little without it. */
import { defaultInstructionLimit } from '../run/machine-options.ts';
import { defaultFlags } from '../verifier/core/options.ts';

export interface RunChoice {
  readonly paths: readonly string[];
  readonly companions: readonly string[];
  readonly seed: number;
  readonly resources: 'default' | 'none';
  readonly deviceModel?: string | undefined;
  readonly hardwareIds: readonly string[];
  readonly flags: number;
  readonly steps: readonly string[];
  readonly scenario?: string | undefined;
  readonly symbols: readonly string[];
  readonly downloadSymbols: boolean;
  readonly sources: readonly string[];
  readonly limit: number;
}

/** For a POSIX shell. */
export function repeatCommand(choice: RunChoice): string {
  const paths = choice.paths.map((path) => (path.startsWith('-') ? `./${path}` : path));
  const words = ['poolproof', ...paths, '--seed', String(choice.seed)];
  for (const path of choice.companions) words.push('--companion', path);
  if (choice.flags !== defaultFlags) words.push('--flags', `0x${choice.flags.toString(16)}`);
  if (choice.limit !== defaultInstructionLimit) words.push('--limit', String(choice.limit));
  if (choice.resources !== 'default') words.push('--resources', choice.resources);
  if (choice.deviceModel !== undefined) words.push('--device-model', choice.deviceModel);
  for (const id of choice.hardwareIds) words.push('--hardware-id', id);
  for (const path of choice.symbols) words.push('--symbols', path);
  if (choice.downloadSymbols) words.push('--download-symbols');
  for (const path of choice.sources) words.push('--source', path);
  if (choice.scenario !== undefined) words.push('--scenario', choice.scenario);
  for (const step of choice.steps) words.push('--do', step);
  return words.map(shellQuoted).join(' ');
}

/** A word as a POSIX shell takes it literally. */
export function shellQuoted(word: string): string {
  return /^[\w./:@%+=,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
