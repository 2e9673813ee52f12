import { CommandError, type DebuggerCommand } from '../command.ts';
import { evaluate } from '../expression.ts';
import { instructionAt, instructionLine } from '../instructions.ts';
import { generalRegisters, readRegister, selectors, writeRegister } from '../registers.ts';
import { temporaryIndex } from '../scope.ts';
import type { Session } from '../session.ts';

/** `r` */
export const registers: DebuggerCommand = {
  name: 'r',
  usage: ['r', 'r Register[, Register]', 'r Register = Value'],
  summary: 'shows or sets registers',
  details: [
    'Registers are rax to r15, rip, efl, their parts (eax, ax, al, ah, r8d, ...), single flags (zf, cf, ...), selectors,',
    'cr8, mxcsr, and the pseudo-registers $t0 to $t19 ($ip, $ra, $retreg, $thread, $bug_param1 and others can only be read).',
    'What is set is what the machine goes on with.',
  ],
  completes: ['register'],
  run: (session, text) => {
    if (text === '') {
      showAll(session);
      return;
    }
    const [, name, value] = /^@?([$\w]+)\s*=\s*(.*)$/.exec(text) ?? [];
    if (name !== undefined && value !== undefined) set(session, name.toLowerCase(), evaluate(session, value));
    else for (const one of text.split(/[,\s]+/)) if (one !== '') show(session, one.replace(/^@/, '').toLowerCase());
  },
};

function showAll(session: Session): void {
  const { nt } = session.target;
  const value = (name: string): string => (readRegister(nt, name) ?? 0n).toString(16).padStart(16, '0');
  for (let at = 0; at < generalRegisters.length; at += 3) {
    const row = generalRegisters.slice(at, at + 3).map(([name]) => `${name.padStart(at >= 9 ? 3 : 0)}=${value(name)}`);
    session.print(row.join(' '));
  }
  const flags = flagTexts.map(([name, set, clear]) => (readRegister(nt, name) === 1n ? set : clear)).join(' ');
  const efl = readRegister(nt, 'efl') ?? 0n;
  session.print(`iopl=${Number((efl >> 12n) & 3n)}         ${flags}`);
  const selected = Object.entries(selectors).map(
    ([name, selector]) => `${name}=${selector.toString(16).padStart(4, '0')}`,
  );
  session.print(`${selected.join('  ')}             efl=${efl.toString(16).padStart(8, '0')}`);
  if (nt.options.flagsLiveAtExit !== true) {
    session.print(
      '(Arithmetic flags may be those of an earlier instruction: this machine was not made for a debugger.)',
    );
  }
  showInstruction(session);
}

/** As the debugger spells them: when set, when clear. */
const flagTexts: readonly (readonly [string, string, string])[] = [
  ['of', 'ov', 'nv'],
  ['df', 'dn', 'up'],
  ['if', 'ei', 'di'],
  ['sf', 'ng', 'pl'],
  ['zf', 'zr', 'nz'],
  ['af', 'ac', 'na'],
  ['pf', 'pe', 'po'],
  ['cf', 'cy', 'nc'],
];

/** The place where the machine stands and what comes next; also after a step or at a breakpoint. */
export function showInstruction(session: Session): void {
  const { rip } = session.target.nt.cpu.state;
  // An import thunk is the first thing of the routine that it leads to.
  const va = session.symbols.thunkAt(rip)?.target?.va ?? rip;
  for (const line of instructionLine(session, instructionAt(session, va), true)) session.print(line);
}

/** Digits of a register by its width. */
function widthOf(name: string): number {
  if (/^([a-d][hl]|[sd]il|[sb]pl|r\d+b)$/.test(name)) return 2;
  if (/^([a-d]x|[sd]i|[sb]p|r\d+w|[c-gs]s)$/.test(name)) return 4;
  if (/^(e..|r\d+d|efl|mxcsr|rflags)$/.test(name)) return 8;
  if (/^([cpazsido]f|cr8)$/.test(name)) return 1;
  return 16;
}

function show(session: Session, name: string): void {
  const value = session.scope.register(name);
  if (value === undefined) throw new CommandError(`Bad register error in '${name}'`);
  session.print(`${name}=${value.toString(16).padStart(widthOf(name), '0')}`);
}

function set(session: Session, name: string, value: bigint): void {
  const temporary = temporaryIndex(name);
  if (temporary !== undefined) session.temporaries[temporary] = value;
  else if (session.scope.register(name) === undefined) throw new CommandError(`Bad register error in '${name}'`);
  else if (!writeRegister(session.target.nt, name, value)) throw new CommandError(`${name} cannot be set`);
  session.machineRan();
}
