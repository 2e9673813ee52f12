/** The command line: what is asked for, checked; the commands themselves are loaded when they are needed. */
import { Command, CommanderError, Option } from 'commander';
import { PoolproofError } from '../base/errors.ts';
import { optionError } from './errors.ts';
import { ExitStatus } from './exit-status.ts';
import { exitStatusHelp, type MachineFlags, machineChoice, machineCommand, stepHelp } from './machine-flags.ts';
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

  const verify = machineCommand(program, 'verify', { isDefault: true })
    .summary('run drivers and report what they leak (the default command)')
    .description('Runs the drivers together through a life and reports what they leak.')
    .addOption(new Option('--scenario <file>', 'a module whose default function drives the machine').conflicts('do'))
    .option('--json <file>', 'write the report as JSON; - is standard output')
    .option('--break', 'enter the kernel debugger (as poolproof kd) when the machine stops with a bug check', false)
    .action(async (paths: string[], options: MachineFlags & VerifyFlags) => {
      const { verifyCommand } = await import('./verify-command.ts');
      const { scenario, json, break: breaks } = options;
      finish(await verifyCommand(paths, { ...machineChoice(options), scenario, json, breaks }, terminal));
    });
  configure(verify, terminal);

  const kd = machineCommand(program, 'kd')
    .summary('debug drivers: a kernel debugger at a machine that runs them')
    .description(
      'Stops before the first instruction of the first driver, and takes commands of the kernel debugger; .help lists them.',
    )
    .option(
      '-c <commands>',
      'run these commands first, separated by semicolons; with q at the end it is not interactive',
    )
    .addHelpText(
      'after',
      "\nThe status is the verdict's when the life of the drivers is over, 0 when the session was left before.\nCtrl+C stops a run.",
    )
    .action(async (paths: string[], options: MachineFlags & { readonly c?: string }) => {
      const { kdCommand } = await import('./kd-command.ts');
      finish(await kdCommand(paths, { ...machineChoice(options), commands: options.c }, terminal, version));
    });
  configure(kd, terminal);

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
  readonly scenario?: string;
  readonly json?: string;
  readonly break: boolean;
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

function parsePort(text: string): number {
  const value = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value <= 0xffff)) throw optionError('--port', text, 'a number from 0 to 65535');
  return value;
}

function reportInternalError(error: unknown, isDebug: boolean, terminal: Terminal): void {
  const message = error instanceof Error ? error.message : String(error);
  const command =
    error instanceof Error && 'command' in error ? `; it happens again with: ${String(error.command)}` : '';
  terminal.err(errorLine(`this is poolproof's own fault: ${message}${command}; please report it with the driver`));
  for (let at = error; isDebug && at instanceof Error; at = at.cause) terminal.err(`${at.stack ?? ''}\n`);
}
