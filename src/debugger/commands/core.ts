/** The commands that every debugger has: memory, registers, symbols, stacks, code. */
import type { DebuggerCommand } from '../command.ts';
import { breakpointCommands } from './breakpoint.ts';
import { displayCommands } from './display-memory.ts';
import { enterCommands } from './enter-memory.ts';
import { evaluate, formats } from './evaluate.ts';
import { examineSymbols } from './examine-symbols.ts';
import { go, goToStep, goUp } from './go.ts';
import { echo, help, remarks } from './help.ts';
import { listModules } from './list-modules.ts';
import { nearestSymbols } from './nearest-symbols.ts';
import { quit } from './quit.ts';
import { registers } from './registers.ts';
import { stackCommands } from './stack.ts';
import { stepOver, traceInto } from './step.ts';
import { steps } from './steps.ts';
import { time } from './time.ts';
import { unassembleCommands } from './unassemble.ts';

export const coreCommands: readonly DebuggerCommand[] = [
  ...breakpointCommands,
  ...displayCommands,
  ...enterCommands,
  evaluate,
  formats,
  examineSymbols,
  go,
  goToStep,
  goUp,
  echo,
  help,
  ...remarks,
  listModules,
  nearestSymbols,
  quit,
  registers,
  ...stackCommands,
  stepOver,
  steps,
  traceInto,
  time,
  ...unassembleCommands,
];
