import { describe, expect, it } from 'vitest';
import { nonCanonicalVa } from '../base/va.ts';
import { CommandError } from './command.ts';
import { type ExpressionHolder, evaluate, evaluateAddress, evaluatePrefix } from './expression.ts';

const symbols: Readonly<Record<string, bigint>> = {
  'toaster!ToasterIoctl': 0xfffff805_12e41230n,
  ToasterIoctl: 0xfffff805_12e41230n,
  toaster: 0xfffff805_12e40000n,
  'ns::Box::run': 0x5000n,
  db: 0x77n,
  'toaster!db': 0x78n,
  r8x: 0x79n,
  low: 0x7an,
  cl1: 0x7bn,
  efg: 0x7cn,
};
const registers: Readonly<Record<string, bigint>> = {
  rax: 0x1000n,
  rsp: 0xfffff800_20031ee0n,
  rip: 0xfffff805_12e41234n,
  $ip: 0xfffff805_12e41234n,
  r8: 8n,
  al: 0xabn,
  cl: 0xcdn,
  zf: 1n,
  $t0: 5n,
};
/** 0x1000: 88 77 66 55 44 33 22 11 */
const scope: ExpressionHolder = {
  scope: {
    symbol: (name) => symbols[name],
    register: (name) => registers[name],
    read: (address, bytes) => (address === 0x1000 ? 0x1122334455667788n & ((1n << BigInt(bytes * 8)) - 1n) : undefined),
  },
};
const value = (text: string): bigint => evaluate(scope, text);

function errorOf(text: string): string {
  try {
    value(text);
  } catch (thrown) {
    if (thrown instanceof CommandError) return thrown.message;
    throw thrown;
  }
  return 'none';
}

describe('numbers', () => {
  it.each([
    ['10', 16n],
    ['0x10', 16n],
    ['0n10', 10n],
    ['0t10', 8n],
    ['0y10', 2n],
    ['0N10', 10n],
    ['80h', 128n],
    ['fe', 254n],
    ['FFFFF805`12E4127C', 0xfffff805_12e4127cn],
    ['ffffffffffffffff', 0xffffffff_ffffffffn],
    ['0x`1', 1n],
  ])('%s', (text, expected) => {
    expect(value(text)).toBe(expected);
  });

  it('are of 64 bits', () => {
    expect(errorOf('10000000000000000')).toBe("Overflow error at '10000000000000000'");
  });
});

describe('operators', () => {
  it.each([
    ['1+2*3', 7n],
    ['(1+2)*3', 9n],
    ['10-1-1', 14n],
    ['64/10', 6n],
    ['64%10', 4n],
    ['64 mod 10', 4n],
    ['1<<8', 0x100n],
    ['8000000000000000>>3f', 1n],
    ['8000000000000000>>>3f', 0xffffffff_ffffffffn],
    ['1<<40', 0n],
    ['ffffffffffffffff>>50', 0n],
    ['1 << 4 + 4', 0x100n],
    ['3 & 6 | 8', 10n],
    ['8 | 6 & 3', 10n],
    ['f xor 3', 12n],
    ['f ^ 3 | 10', 0x1cn],
    ['c or 3', 15n],
    ['c and 4', 4n],
    ['1 == 1', 1n],
    ['1=1', 1n],
    ['1 != 1', 0n],
    ['2 < 3', 1n],
    ['2 > 3', 0n],
    ['3 <= 3', 1n],
    ['3 >= 4', 0n],
    // Unsigned: -1 is the greatest of all.
    ['-1 > 1', 1n],
    ['1 + 1 == 2', 1n],
    ['-1', 0xffffffff_ffffffffn],
    ['- - 5', 5n],
    ['+5', 5n],
    ['~0', 0xffffffff_ffffffffn],
    ['not 0', 1n],
    ['not 5', 0n],
    ['hi 12345678', 0x1234n],
    ['low 12345678', 0x5678n],
    ['hi(12345678)+1', 0x1235n],
    // Unary operators are stronger.
    ['low 10001 + 1', 2n],
    ['0-1', 0xffffffff_ffffffffn],
  ])('%s', (text, expected) => {
    expect(value(text)).toBe(expected);
  });

  it('say what cannot be done', () => {
    expect(errorOf('5/0')).toBe("Operand error at '/0'");
    expect(errorOf('5 mod 0')).toBe("Operand error at 'mod 0'");
  });
});

describe('memory', () => {
  it.each([
    ['by(1000)', 0x88n],
    ['wo(1000)', 0x7788n],
    ['dwo(1000)', 0x55667788n],
    ['qwo(1000)', 0x11223344_55667788n],
    ['poi(@rax)', 0x11223344_55667788n],
    ['by 1000 + 1', 0x89n],
    ['POI(rax)', 0x11223344_55667788n],
  ])('%s', (text, expected) => {
    expect(value(text)).toBe(expected);
  });

  it('that cannot be read is an error', () => {
    expect(errorOf('poi(2000)')).toBe("Memory access error at '(2000)'");
  });
});

describe('names', () => {
  it.each([
    ['@rax', 0x1000n],
    ['rax+1', 0x1001n],
    ['RAX', 0x1000n],
    ['r8', 8n],
    ['@al', 0xabn],
    ['@zf', 1n],
    ['@$ip', 0xfffff805_12e41234n],
    ['.', 0xfffff805_12e41234n],
    ['.+4', 0xfffff805_12e41238n],
    ['@$t0', 5n],
    ['$t0', 5n],
    ['toaster!ToasterIoctl+0x4c', 0xfffff805_12e4127cn],
    ['ToasterIoctl+4c', 0xfffff805_12e4127cn],
    ['toaster', 0xfffff805_12e40000n],
    ['ns::Box::run', 0x5000n],
    // Digits first: these are no symbols and no registers without their marks.
    ['db', 0xdbn],
    ['!db', 0x77n],
    ['toaster!db', 0x78n],
    // Not a number: a symbol, then a register.
    ['r8x', 0x79n],
    ['cl', 0xcdn],
    ['cl1', 0x7bn],
    ['efg', 0x7cn],
    ['!low', 0x7an],
  ])('%s', (text, expected) => {
    expect(value(text)).toBe(expected);
  });

  it.each([
    ['xyz', "Couldn't resolve error at 'xyz'"],
    ['1+xyz+2', "Couldn't resolve error at 'xyz+2'"],
    ['nowhere!xyz', "Couldn't resolve error at 'nowhere!xyz'"],
    ['@nosuch', "Bad register error at '@nosuch'"],
    ['', "Numeric expression missing from '<EOL>'"],
    ['1+', "Numeric expression missing from '<EOL>'"],
    ['(1', "Numeric expression missing from '<EOL>'"],
    [')', "Syntax error at ')'"],
    ['1 2', "Extra character error in '2'"],
    ['@@c++(1)', "C++ expressions are not supported: '@@c++(1)'"],
  ])('%s is an error', (text, message) => {
    expect(errorOf(text)).toBe(message);
  });
});

it('an expression ends where no operator follows', () => {
  expect(evaluatePrefix(scope, 'rsp rsp+20')).toEqual({ value: registers.rsp, rest: 'rsp+20' });
  expect(evaluatePrefix(scope, '1000 L8')).toEqual({ value: 0x1000n, rest: 'L8' });
  expect(evaluatePrefix(scope, '1 android')).toEqual({ value: 1n, rest: 'android' });
});

it('addresses are canonical or none', () => {
  expect(evaluateAddress(scope, 'fffff805`12e40000')).toBe(-0x7fa_ed1c_0000);
  expect(evaluateAddress(scope, '8000`00000000')).toBe(nonCanonicalVa);
});

it('what is nested without end is refused, not run', () => {
  expect(errorOf('('.repeat(100_000))).toMatch(/^Expression is too deep/);
  expect(errorOf('-'.repeat(100_000))).toMatch(/^Expression is too deep/);
});

it('takes no time over what is long', () => {
  expect(value(`${'1+'.repeat(50_000)}1`)).toBe(50_001n);
  expect(errorOf('1'.repeat(300_000))).toMatch(/^Overflow error/);
});
