/**
 * Expressions as the kernel debugger reads them (MASM syntax; "MASM Numbers and Operators" of the WDK's debugger pages).
 *
 * Numbers are hexadecimal unless 0n, 0t or 0y stands in front, and may hold backticks. All arithmetic is of unsigned
 * 64-bit numbers. A word without @ is tried as a number, then as one of the registers of {@link plainRegisters}, then as
 * a symbol, then as any other register or pseudo-register; so `db`, `fe` and `ah` are no symbols, but `!db` and
 * `module!db` are. `.` alone is the instruction pointer. `~` (complement) is added to what is documented.
 *
 * An expression ends where no operator follows: `rsp rsp+20` are two.
 */
import { type Va, vaFromU64 } from '../base/va.ts';
import { CommandError } from './command.ts';

/** What names in an expression mean. */
export interface ExpressionScope {
  /** The address of `module!name`, `name`, or of a module by its name. */
  symbol(name: string): bigint | undefined;
  /** A register, pseudo-registers with their `$`. */
  register(name: string): bigint | undefined;
  /** Little-endian memory; undefined if it can't be read. */
  read(address: Va, bytes: 1 | 2 | 4 | 8): bigint | undefined;
}

export interface ExpressionHolder {
  readonly scope: ExpressionScope;
}

/** The value of a whole text. Throws CommandError with the debugger's own messages. */
export function evaluate(holder: ExpressionHolder, text: string): bigint {
  const { value, rest } = evaluatePrefix(holder, text);
  if (rest !== '') throw new CommandError(`Extra character error in '${rest}'`);
  return value;
}

/** As {@link evaluate}; an address that is not canonical is {@link nonCanonicalVa}. */
export function evaluateAddress(holder: ExpressionHolder, text: string): Va {
  return vaFromU64(evaluate(holder, text));
}

/** The longest expression at the beginning of a text, and what follows it without blanks around it. */
export function evaluatePrefix(
  holder: ExpressionHolder,
  text: string,
): { readonly value: bigint; readonly rest: string } {
  const parser = new Parser(holder.scope, text);
  const value = parser.binary(0);
  return { value, rest: parser.rest.trim() };
}

/** Registers that need no @, unless the word is a hexadecimal number (none is). */
const plainRegisters = /^(r[abcd]x|r[sd]i|r[bs]p|r([89]|1[0-5])|rip|efl)$/i;

type Operation = (left: bigint, right: bigint) => bigint | undefined;

const truth = (value: boolean): bigint => (value ? 1n : 0n);
const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);
/** A shift by more than 63 leaves nothing, whatever the processor would do. */
const shift = (count: bigint): bigint => (count > 64n ? 64n : count);

/** Binary operators by precedence, the weakest first. Longer ones stand before those that they begin with. */
const levels: readonly (readonly (readonly [string, Operation])[])[] = [
  [
    ['or', (a, b) => a | b],
    ['|', (a, b) => a | b],
  ],
  [
    ['xor', (a, b) => a ^ b],
    ['^', (a, b) => a ^ b],
  ],
  [
    ['and', (a, b) => a & b],
    ['&', (a, b) => a & b],
  ],
  [
    ['==', (a, b) => truth(a === b)],
    ['!=', (a, b) => truth(a !== b)],
    ['<=', (a, b) => truth(a <= b)],
    ['>=', (a, b) => truth(a >= b)],
    ['=', (a, b) => truth(a === b)],
    ['<', (a, b) => truth(a < b)],
    ['>', (a, b) => truth(a > b)],
  ],
  [
    ['>>>', (a, b) => u64(BigInt.asIntN(64, a) >> shift(b))],
    ['<<', (a, b) => u64(a << shift(b))],
    ['>>', (a, b) => a >> shift(b)],
  ],
  [
    ['+', (a, b) => u64(a + b)],
    ['-', (a, b) => u64(a - b)],
  ],
  [
    ['*', (a, b) => u64(a * b)],
    ['/', (a, b) => (b === 0n ? undefined : a / b)],
    ['mod', (a, b) => (b === 0n ? undefined : a % b)],
    ['%', (a, b) => (b === 0n ? undefined : a % b)],
  ],
];

const memoryOperators: Readonly<Record<string, 1 | 2 | 4 | 8>> = { by: 1, wo: 2, dwo: 4, qwo: 8, poi: 8 };
const radixes: Readonly<Record<string, { readonly digits: RegExp; readonly radix: bigint }>> = {
  x: { digits: /^[0-9a-f`]+$/i, radix: 16n },
  n: { digits: /^[0-9]+$/, radix: 10n },
  t: { digits: /^[0-7]+$/, radix: 8n },
  y: { digits: /^[01]+$/, radix: 2n },
};
/** Expressions within expressions; more would only be typed to see what happens. */
const deepest = 200;

class Parser {
  private readonly scope: ExpressionScope;
  private readonly text: string;
  private at = 0;
  private depth = 0;

  constructor(scope: ExpressionScope, text: string) {
    this.scope = scope;
    this.text = text;
  }

  get rest(): string {
    return this.text.slice(this.at);
  }

  /** Operands joined by operators of `level` and stronger ones. */
  binary(level: number): bigint {
    const operators = levels[level];
    if (operators === undefined) return this.unary();
    let left = this.binary(level + 1);
    for (;;) {
      this.skipBlanks();
      const start = this.at;
      const operator = operators.find(([name]) => this.takeOperator(name));
      if (operator === undefined) return left;
      const value = operator[1](left, this.binary(level + 1));
      if (value === undefined) throw new CommandError(`Operand error at '${this.text.slice(start)}'`);
      left = value;
    }
  }

  private takeOperator(name: string): boolean {
    const behind = this.at + name.length;
    if (this.text.slice(this.at, behind).toLowerCase() !== name) return false;
    const next = this.text.charAt(behind);
    if (/^[a-z]/.test(name) && /[\w`!$@.]/.test(next)) return false;
    // `>` is not the beginning of `>>`, nor `<` that of `<<`.
    if ((name === '>' || name === '<') && next === name) return false;
    if (name === '>>' && next === '>') return false;
    this.at += name.length;
    return true;
  }

  private unary(): bigint {
    this.skipBlanks();
    if (++this.depth > deepest) throw new CommandError(`Expression is too deep at '${this.rest}'`);
    try {
      return this.operand();
    } finally {
      this.depth--;
    }
  }

  private operand(): bigint {
    const start = this.at;
    const sign = this.text.charAt(start);
    if (sign !== '' && '+-~'.includes(sign)) {
      this.at++;
      const value = this.unary();
      return sign === '+' ? value : u64(sign === '-' ? -value : ~value);
    }
    if (sign === '(') {
      this.at++;
      const value = this.binary(0);
      this.skipBlanks();
      if (this.text.charAt(this.at) !== ')') throw this.missing();
      this.at++;
      return value;
    }
    const word = this.word();
    if (word === '') throw this.missing();
    const operator = word.toLowerCase();
    const bytes = Object.hasOwn(memoryOperators, operator) ? memoryOperators[operator] : undefined;
    if (bytes !== undefined) return this.memory(bytes);
    if (operator === 'not') return truth(this.unary() === 0n);
    if (operator === 'hi') return (this.unary() >> 16n) & 0xffffn;
    if (operator === 'low') return this.unary() & 0xffffn;
    return this.value(word, start);
  }

  private memory(bytes: 1 | 2 | 4 | 8): bigint {
    const start = this.at;
    const value = this.scope.read(vaFromU64(this.unary()), bytes);
    if (value === undefined) throw new CommandError(`Memory access error at '${this.text.slice(start).trim()}'`);
    return value;
  }

  /** A name, a number, or what looks like one: `toaster!Ioctl`, `@$t1`, `fffff805`12e4127c`. */
  private word(): string {
    const [word = ''] = /^(@@?)?[\w`$.?:~]*(![\w`'$.?:@~]+)?/.exec(this.rest) ?? [];
    // A stray `~` or `:` begins nothing.
    this.at += word.length;
    return word;
  }

  private value(word: string, start: number): bigint {
    const from = this.text.slice(start);
    if (word.startsWith('@@')) throw new CommandError(`C++ expressions are not supported: '${from}'`);
    if (word.startsWith('@')) {
      const value = this.scope.register(word.slice(1).toLowerCase());
      if (value === undefined) throw new CommandError(`Bad register error at '${from}'`);
      return value;
    }
    if (word.startsWith('!')) return this.resolved(this.scope.symbol(word.slice(1)), from);
    if (word === '.') return this.resolved(this.scope.register('$ip'), from);
    return (
      this.number(word, from) ??
      (plainRegisters.test(word) ? this.scope.register(word.toLowerCase()) : undefined) ??
      this.scope.symbol(word) ??
      this.resolved(this.scope.register(word.toLowerCase()), from)
    );
  }

  private resolved(value: bigint | undefined, from: string): bigint {
    if (value === undefined) throw new CommandError(`Couldn't resolve error at '${from}'`);
    return value;
  }

  private number(word: string, from: string): bigint | undefined {
    const prefixed = /^0([xnty])(.+)$/i.exec(word);
    const form = prefixed?.[1] === undefined ? undefined : radixes[prefixed[1].toLowerCase()];
    if (form !== undefined && prefixed?.[2] !== undefined && form.digits.test(prefixed[2])) {
      return this.digits(prefixed[2], form.radix, from);
    }
    // A trailing h says what is so anyway.
    const [, digits] = /^([0-9a-f][0-9a-f`]*)h?$/i.exec(word) ?? [];
    return digits === undefined ? undefined : this.digits(digits, 16n, from);
  }

  private digits(text: string, radix: bigint, from: string): bigint {
    let value = 0n;
    for (const digit of text.replaceAll('`', '')) {
      value = value * radix + BigInt(Number.parseInt(digit, 16));
      if (value !== u64(value)) throw new CommandError(`Overflow error at '${from}'`);
    }
    return value;
  }

  private missing(): CommandError {
    const { rest } = this;
    if (rest.trim() === '') return new CommandError("Numeric expression missing from '<EOL>'");
    return new CommandError(`Syntax error at '${rest}'`);
  }

  private skipBlanks(): void {
    while (/\s/.test(this.text.charAt(this.at))) this.at++;
  }
}
