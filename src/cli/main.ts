/** The command line: what is asked for, checked; the commands themselves are loaded when they are needed. */
import { Command, CommanderError, Option } from 'commander';
import { PoolproofError } from '../base/errors.ts';
import { deviceModels } from '../hardware/index.ts';
import { defaultInstructionLimit } from '../run/machine-options.ts';
import { parseStep, type Step, stepForms } from '../run/scenario/step.ts';
import { defaultFlags, standardFlags } from '../verifier/core/options.ts';
import { optionError } from './errors.ts';
import { ExitStatus, exitStatusTexts } from './exit-status.ts';
import { errorLine, type Terminal } from './terminal.ts';

/** Runs the command that the arguments (without `node` and the script) ask for. Never throws. */
export async function runCommandLine(
  args: readonly string[],
  terminal: Terminal,
  version: string,
): Promise<ExitStatus> {
  let status: ExitStatus = ExitStatus.Clean;
  const program = buildProgram(terminal, version, (result) => {
    status = result;
  });
  try {
    await program.parseAsync(args, { from: 'user' });
    return status;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? ExitStatus.Clean : ExitStatus.Usage;
    if (error instanceof PoolproofError) {
      terminal.err(errorLine(error.message));
      return ExitStatus.Usage;
    }
    reportInternalError(error, args.includes('--debug'), terminal);
    return ExitStatus.Internal;
  }
}

function buildProgram(terminal: Terminal, version: string, finish: (status: ExitStatus) => void): Command {
  const program = new Command('poolproof')
    .description('Finds the memory leaks of Windows kernel-mode drivers, and names the line that leaks.')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .addHelpText('after', `\n${stepHelp()}\n\n${exitStatusHelp()}`);
  configure(program, terminal);

  const verify = program
    .command('verify', { isDefault: true })
    .summary('run drivers and report what they leak (the default command)')
    .description('Runs the drivers together through a life and reports what they leak.')
    .argument('<driver...>', 'x64 driver images (.sys); several make one machine, the lowest of a stack first')
    .option(
      '--companion <file>',
      'load this driver or kernel-mode DLL first, unverified; repeatable',
      collect(String),
      [],
    )
    .option('--do <step>', 'a step of the scenario; repeat it for more, order is kept', collect(parseStep), [])
    .addOption(new Option('--scenario <file>', 'a module whose default function drives the machine').conflicts('do'))
    .addOption(new Option('--flags <bits>', 'Driver Verifier options as in verifier /flags').argParser(parseFlags))
    .addOption(new Option('--standard', 'the standard options of Driver Verifier').conflicts('flags'))
    .option('--json <file>', 'write the report as JSON; - is standard output')
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
    .addHelpText('after', `\n${stepHelp()}\n\n${exitStatusHelp()}`)
    .action(async (paths: string[], options: VerifyFlags) => {
      const { verifyCommand } = await import('./verify-command.ts');
      const flags = options.standard ? standardFlags : (options.flags ?? defaultFlags);
      finish(
        await verifyCommand(
          paths,
          {
            ...options,
            companions: options.companion,
            sources: options.source,
            hardwareIds: options.hardwareId,
            steps: options.do,
            scenario: options.scenario,
            flags,
            json: options.json,
          },
          terminal,
        ),
      );
    });
  configure(verify, terminal);

  const inspect = program
    .command('inspect')
    .summary('tell what an image is and which of its imports are supported')
    .description('Tells what an image is and which of its imports are supported, without running it.')
    .argument('<driver>', 'x64 driver image (.sys)')
    .option('--json <file>', 'write it as JSON; - is standard output')
    .option('--debug', "with an error of poolproof's own, print where it happened")
    .helpOption('-h, --help', 'print this help')
    .action(async (path: string, options: { json?: string }) => {
      const { inspectCommand } = await import('./inspect-command.ts');
      finish(inspectCommand(path, options, terminal));
    });
  configure(inspect, terminal);

  const manager = program
    .command('manager')
    .summary('open Driver Verifier Manager: the drivers run in the browser, with their counters to watch')
    .description('Serves Driver Verifier Manager, a web page, to this machine. Drivers run in the browser.')
    .argument('[driver...]', 'x64 driver images (.sys) that the page offers, with the symbols and sources beside them')
    .option('--port <n>', 'port on 127.0.0.1; 0: any that is free', parsePort, 0)
    .option('--no-open', 'print the address, and open no browser')
    .option('--debug', "with an error of poolproof's own, print where it happened")
    .helpOption('-h, --help', 'print this help')
    .action(async (paths: string[], options: { port: number; open: boolean }) => {
      const { managerCommand } = await import('./manager-command.ts');
      finish(await managerCommand(paths, options, terminal));
    });
  configure(manager, terminal);
  return program;
}

interface VerifyFlags {
  readonly companion: readonly string[];
  readonly do: readonly Step[];
  readonly scenario?: string;
  readonly flags?: number;
  readonly standard?: true;
  readonly json?: string;
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

function configure(command: Command, terminal: Terminal): void {
  command
    .exitOverride()
    .showSuggestionAfterError()
    .configureOutput({
      writeOut: (text) => terminal.out(text),
      writeErr: (text) => terminal.err(text),
      outputError: (text, write) => write(errorLine(`${text.replace(/^error: /, '').trim()}; see poolproof --help`)),
    });
}

function stepHelp(): string {
  const width = Math.max(...stepForms.map(({ form }) => form.length));
  return ['Steps (--do):', ...stepForms.map(({ form, does }) => `  ${form.padEnd(width)}  ${does}`)].join('\n');
}

function exitStatusHelp(): string {
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

function parsePort(text: string): number {
  const value = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value <= 0xffff)) throw optionError('--port', text, 'a number from 0 to 65535');
  return value;
}

function parseLimit(text: string): number {
  const value = /^\d+(\.\d+)?(e\d+)?$/i.test(text) ? Number(text) : Number.NaN;
  if (!(Number.isSafeInteger(value) && value > 0)) {
    throw optionError('--limit', text, 'a number of instructions such as 4e9');
  }
  return value;
}

function reportInternalError(error: unknown, isDebug: boolean, terminal: Terminal): void {
  const message = error instanceof Error ? error.message : String(error);
  const command =
    error instanceof Error && 'command' in error ? `; it happens again with: ${String(error.command)}` : '';
  terminal.err(errorLine(`this is poolproof's own fault: ${message}${command}; please report it with the driver`));
  for (let at = error; isDebug && at instanceof Error; at = at.cause) terminal.err(`${at.stack ?? ''}\n`);
}
