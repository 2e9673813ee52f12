/** `u`, `ub`, `uf`: code as instructions. */
import { type Va, vaAdd, vaFromU64 } from '../../base/va.ts';
import { builtinAddress, symbolAt } from '../addresses.ts';
import { CommandError, type DebuggerCommand } from '../command.ts';
import { evaluatePrefix } from '../expression.ts';
import { behind, type CodeAt, codeText, instructionAt } from '../instructions.ts';
import { parseRange } from '../ranges.ts';
import type { Session } from '../session.ts';
import { siteLine } from '../site-text.ts';

const usualInstructions = 8;
/** Bytes in front of an address from which `ub` starts where no function is known. */
const backwardBytes = 0x40;

export const unassemble: DebuggerCommand = {
  name: 'u',
  usage: ['u [Range]'],
  summary: 'shows code as instructions',
  details: [
    'Eight instructions, `Address L5` five, or all from `Start End`. Without a range it goes on where it ended.',
  ],
  completes: ['address'],
  repeat: 'continues',
  run: (session, text) => {
    const range = parseRange(session, text, 1);
    const start = range?.start ?? session.disassemblyNext ?? session.target.nt.cpu.state.rip;
    const isBySize = range !== undefined && !/\sL|^\S+L/i.test(text.trim());
    const end = isBySize && range.count !== undefined ? vaAdd(start, range.count) : undefined;
    const count = end === undefined ? (range?.count ?? usualInstructions) : Number.POSITIVE_INFINITY;
    session.disassemblyNext = show(session, start, count, end);
  },
};

export const unassembleBackward: DebuggerCommand = {
  name: 'ub',
  usage: ['ub [Address [LCount]]'],
  summary: 'shows the instructions in front of an address',
  details: ['Instructions are counted from the beginning of the function, so that none is taken apart wrongly.'],
  completes: ['address'],
  run: (session, text) => {
    const typed = text === '' ? undefined : evaluatePrefix(session, text);
    const va = typed === undefined ? session.target.nt.cpu.state.rip : vaFromU64(typed.value);
    const [, length] = /^l\s*(.+)$/i.exec(typed?.rest ?? '') ?? [];
    const count = length === undefined ? usualInstructions : Number(evaluatePrefix(session, length).value);
    const before: CodeAt[] = [];
    for (let at = startBefore(session, va); at < va; ) {
      const code = instructionAt(session, at);
      before.push(code);
      at = behind(code);
    }
    const shown = before.slice(-count);
    for (const [index, code] of shown.entries()) print(session, code, index === 0);
  },
};

export const unassembleFunction: DebuggerCommand = {
  name: 'uf',
  usage: ['uf [/c] [Address]'],
  summary: 'shows a whole function as instructions',
  details: ['Lines are those of the source. Parts between jumps stand apart. /c shows calls alone.'],
  completes: ['symbol'],
  run: (session, text) => {
    const [, callsOnly, rest = ''] = /^(\/c)?\s*(.*)$/.exec(text) ?? [];
    const va = rest === '' ? session.target.nt.cpu.state.rip : vaFromU64(evaluatePrefix(session, rest).value);
    const code = functionCode(session, va);
    if (callsOnly !== undefined) showCalls(session, code);
    else showBlocks(session, code);
  },
};

export const unassembleCommands: readonly DebuggerCommand[] = [unassemble, unassembleBackward, unassembleFunction];

/** Returns where it ended. */
function show(session: Session, start: Va, count: number, end: Va | undefined): Va {
  let at = start;
  for (let index = 0; index < count && (end === undefined || at < end); index++) {
    const code = instructionAt(session, at);
    print(session, code, index === 0);
    // As the debugger does: nothing follows what can't be read.
    if (code.bytes === undefined)
      throw new CommandError(`           ^ Memory access error in 'u ${builtinAddress(start)}'`);
    at = behind(code);
  }
  return at;
}

function print(session: Session, code: CodeAt, isFirst: boolean): void {
  const symbol = symbolAt(session, code.va);
  const begins = symbol !== undefined && !/[+-]0x[0-9a-f]+$/.test(symbol);
  if (symbol !== undefined && (isFirst || begins)) session.print(heading(session, code.va, symbol));
  session.print(codeText(code));
}

/** `toaster!ToasterIoctl+0x4c [c:\src\toaster\ioctl.c @ 50]:` */
function heading(session: Session, va: Va, symbol: string): string {
  const [site] = session.stacks.at(va, va);
  return `${symbol}${site === undefined ? '' : siteLine(site)}:`;
}

/** The ranges of the function around an address, the one with its beginning first. */
function rangesAround(session: Session, va: Va): readonly { readonly start: Va; readonly end: Va }[] {
  const known = session.target.nt.images.functionRangesOf(va);
  if (known !== undefined && known.length > 0) return known;
  // A leaf function has no unwind data: up to the next symbol.
  const near = session.symbols.around(va);
  if (near?.below === undefined || near.below.kind !== 'function' || !near.image.isDriver) return [];
  const { below, above, image } = near;
  const next = above?.va ?? vaAdd(image.base, image.sizeBytes);
  return [{ start: below.va, end: below.sizeBytes > 0 ? vaAdd(below.va, below.sizeBytes) : next }];
}

function startBefore(session: Session, va: Va): Va {
  const range = rangesAround(session, vaAdd(va, -1)).find(({ start, end }) => start < va && va <= end);
  return range?.start ?? vaAdd(va, -backwardBytes);
}

function functionCode(session: Session, va: Va): readonly CodeAt[] {
  const code: CodeAt[] = [];
  for (const { start, end } of rangesAround(session, va)) {
    for (let at = start; at < end; ) {
      const one = instructionAt(session, at);
      if (one.bytes === undefined) break;
      code.push(one);
      at = behind(one);
    }
  }
  if (code.length === 0) throw new CommandError('No code found, aborting');
  return withoutTables(code);
}

/**
 * Compilers put tables of jumps behind a function's code, where they look like instructions: what follows the last jump
 * or return, is jumped to by nothing and can't all be decoded is none.
 */
function withoutTables(code: readonly CodeAt[]): readonly CodeAt[] {
  const targets = code.flatMap(({ instruction }) => instruction?.target ?? []);
  const lastTarget = code.findLastIndex(({ va }) => targets.includes(va));
  const firstUndecoded = code.findIndex(({ instruction }, index) => index > lastTarget && instruction === undefined);
  if (firstUndecoded < 0) return code;
  const tail = code.slice(lastTarget + 1, firstUndecoded);
  const end = tail.findIndex(({ instruction }) => instruction?.flow === 'jump' || instruction?.flow === 'end');
  return end < 0 ? code : code.slice(0, lastTarget + 1 + end + 1);
}

function showBlocks(session: Session, code: readonly CodeAt[]): void {
  const leaders = new Set<Va>();
  for (const one of code) {
    const { flow, target } = one.instruction ?? { flow: 'next', target: undefined };
    if (flow !== 'call' && target !== undefined) leaders.add(target);
    if (flow !== 'call' && flow !== 'next') leaders.add(behind(one));
  }
  let previous: CodeAt | undefined;
  for (const one of code) {
    const isApart = previous !== undefined && behind(previous) !== one.va;
    if (previous === undefined || isApart || leaders.has(one.va)) {
      if (previous !== undefined) session.print();
      session.print(heading(session, one.va, symbolAt(session, one.va) ?? builtinAddress(one.va)));
    }
    const [site] = session.stacks.at(one.va, one.va);
    session.print(`${site?.line === undefined ? '' : `${String(site.line).padStart(5)} `}${codeText(one)}`);
    previous = one;
  }
}

function showCalls(session: Session, code: readonly CodeAt[]): void {
  const [first] = code;
  if (first === undefined) return;
  session.print(`${symbolAt(session, first.va) ?? ''} (${builtinAddress(first.va)})`);
  for (const one of code) {
    if (one.instruction?.flow !== 'call') continue;
    session.print(`  ${symbolAt(session, one.va) ?? ''} (${builtinAddress(one.va)}):`);
    session.print(`    ${one.instruction.mnemonic} to ${one.instruction.operands}`);
  }
}
