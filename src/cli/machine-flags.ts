/** The options that choose a machine and what runs in it: of `verify` and `kd`. */
import { type Command, type CommandOptions, Option } from 'commander';
import { deviceModels } from '../hardware/index.ts';
import { defaultInstructionLimit } from '../run/machine-options.ts';
import { parseStep, type Step, stepForms } from '../run/scenario/step.ts';
import { defaultFlags, standardFlags } from '../verifier/core/options.ts';
import { optionError } from './errors.ts';
import { exitStatusTexts } from './exit-status.ts';
import type { MachineChoice } from './machine-files.ts';

/** As commander has them. */
export interface MachineFlags {
  readonly companion: readonly string[];
  readonly do: readonly Step[];
  readonly flags?: number;
  readonly standard?: true;
  readonly seed: number;
  readonly resources: 'default' | 'none';
  readonly deviceModel?: string;
  readonly hardwareId: readonly string[];
  readonly symbols: readonly string[];
  readonly downloadSymbols: boolean;
  readonly source: readonly string[];
  readonly limit: number;
  readonly progress: boolean;
}

/** A command that takes drivers and the options of a machine. */
export function machineCommand(program: Command, name: string, command: CommandOptions = {}): Command {
  return program
    .command(name, command)
    .argument('<driver...>', 'x64 driver images (.sys); several make one machine, the lowest of a stack first')
    .option(
      '--companion <file>',
      'load this driver or kernel-mode DLL first, unverified; repeatable',
      collect(String),
      [],
    )
    .option('--do <step>', 'a step of the scenario; repeat it for more, order is kept', collect(parseStep), [])
    .addOption(new Option('--flags <bits>', 'Driver Verifier options as in verifier /flags').argParser(parseFlags))
    .addOption(new Option('--standard', 'the standard options of Driver Verifier').conflicts('flags'))
    .option('--seed <n>', 'choose another life: contents of fresh memory, order of threads', parseSeed, 1)
    .addOption(
      new Option('--resources <set>', 'hardware resources of the plug-and-play device')
        .choices(['default', 'none'])
        .default('default'),
    )
    .addOption(
      new Option(
        '--device-model <name>',
        'what stands behind the device: registers, interrupts and DMA of its own',
      ).choices(deviceModels.map(({ name }) => name)),
    )
    .option('--hardware-id <id>', 'hardware ID of the device; repeatable, the most special first', collect(String), [])
    .option(
      '--symbols <path>',
      'symbol file, directory, store or path as in _NT_SYMBOL_PATH; repeatable',
      collect(String),
      [],
    )
    .option('--download-symbols', 'ask the servers of the symbol path, and keep what they have in its directory', false)
    .option('--source <dir>', 'directory with source files, for lines in the report; repeatable', collect(String), [])
    .option(
      '--limit <instructions>',
      'give up after so many instructions without rest',
      parseLimit,
      defaultInstructionLimit,
    )
    .option('--no-progress', 'do not show on the terminal how far a long run is')
    .option('--debug', "with an error of poolproof's own, print where it happened")
    .helpOption('-h, --help', 'print this help')
    .addHelpText('after', `\n${stepHelp()}\n\n${exitStatusHelp()}`);
}

export function machineChoice(options: MachineFlags): MachineChoice {
  return {
    companions: options.companion,
    steps: options.do,
    flags: options.standard ? standardFlags : (options.flags ?? defaultFlags),
    seed: options.seed,
    resources: options.resources,
    deviceModel: options.deviceModel,
    hardwareIds: options.hardwareId,
    symbols: options.symbols,
    downloadSymbols: options.downloadSymbols,
    sources: options.source,
    limit: options.limit,
    progress: options.progress,
  };
}

export function stepHelp(): string {
  const width = Math.max(...stepForms.map(({ form }) => form.length));
  return ['Steps (--do):', ...stepForms.map(({ form, does }) => `  ${form.padEnd(width)}  ${does}`)].join('\n');
}

export function exitStatusHelp(): string {
  return ['Exit status:', ...exitStatusTexts.map(([status, text]) => `  ${status}  ${text}`)].join('\n');
}

function collect<T>(parse: (text: string) => T): (text: string, before: readonly T[]) => readonly T[] {
  return (text, before) => [...before, parse(text)];
}

function parseFlags(text: string): number {
  const value = /^(0x[0-9a-f]{1,8}|\d{1,10})$/i.test(text) ? Number(text) : Number.NaN;
  if (!(value <= 0xffff_ffff)) throw optionError('--flags', text, 'bits such as 0x8');
  return value;
}

function parseSeed(text: string): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value <= 0xffff_ffff)) throw optionError('--seed', text, 'a number from 0 to 4294967295');
  return value;
}

function parseLimit(text: string): number {
  const value = /^\d+(\.\d+)?(e\d+)?$/i.test(text) ? Number(text) : Number.NaN;
  if (!(Number.isSafeInteger(value) && value > 0)) {
    throw optionError('--limit', text, 'a number of instructions such as 4e9');
  }
  return value;
}
