/** `?` and `.formats`: what an expression is. */
import { quadword } from '../addresses.ts';
import type { DebuggerCommand } from '../command.ts';
import { evaluate as expressionValue } from '../expression.ts';
import { fileTimeText, utcText } from '../time-text.ts';
import { asciiOf } from './display-memory.ts';
import { help } from './help.ts';

const notation = [
  'Numbers are hexadecimal; 0n, 0t and 0y stand in front of decimal, octal and binary ones, and ` may stand in them.',
  '* / mod (%)  + -  << >> >>>  = (==) != < > <= >=  and (&)  xor (^)  or (|), the strongest first; + - ~ not hi low in',
  'front of one. by wo dwo qwo poi read memory at an address. @rax is a register, @$t1 a pseudo-register, . is @$ip.',
  'module!name and name are symbols, module is its base. A word of hexadecimal digits is a number: !db, not db.',
];

export const evaluate: DebuggerCommand = {
  name: '?',
  usage: ['? Expression', '?'],
  summary: 'evaluates an expression; alone lists the commands',
  details: notation,
  completes: ['address'],
  run: (session, text) => {
    if (text === '') return help.run(session, '');
    const value = expressionValue(session, text);
    session.print(`Evaluate expression: ${BigInt.asIntN(64, value)} = ${quadword(value)}`);
  },
};

export const formats: DebuggerCommand = {
  name: '.formats',
  usage: ['.formats Expression'],
  summary: 'shows a number in all formats',
  details: ['Values of 32 bits are also taken as seconds since 1970, others as a file time.'],
  completes: ['address'],
  run: (session, text) => {
    const value = expressionValue(session, text);
    const bytes = Array.from({ length: 8 }, (_, index) => Number((value >> BigInt(56 - 8 * index)) & 0xffn));
    const view = new DataView(new ArrayBuffer(8));
    view.setBigUint64(0, value);
    const time = value <= 0xffff_ffffn ? utcText(Number(value) * 1000) : fileTimeText(value);
    session.print('Evaluate expression:');
    session.print(`  Hex:     ${quadword(value)}`);
    session.print(`  Decimal: ${BigInt.asIntN(64, value)}`);
    session.print(`  Octal:   ${value.toString(8).padStart(22, '0')}`);
    session.print(`  Binary:  ${bytes.map((byte) => byte.toString(2).padStart(8, '0')).join(' ')}`);
    session.print(`  Chars:   ${asciiOf(bytes)}`);
    session.print(`  Time:    ${time ?? '***** Invalid FILETIME'}`);
    session.print(`  Float:   low ${general(view.getFloat32(4))} high ${general(view.getFloat32(0))}`);
    session.print(`  Double:  ${general(view.getFloat64(0))}`);
  },
};

/** As `%g` of the debugger's C library: six digits, exponents of at least three. */
export function general(value: number): string {
  if (Number.isNaN(value)) return value.toString().toLowerCase();
  if (!Number.isFinite(value)) return value < 0 ? '-inf' : 'inf';
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  const [digits = '', exponent = ''] = value.toExponential(5).split('e');
  const power = Number(exponent);
  if (power >= -4 && power < 6) return trimmed(value.toFixed(Math.max(0, 5 - power)));
  return `${trimmed(digits)}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(3, '0')}`;
}

function trimmed(digits: string): string {
  return digits.includes('.') ? digits.replace(/\.?0+$/, '') : digits;
}
