/** `e` and its family: writes guest memory. */
import { vaFromU64 } from '../../base/va.ts';
import { builtinAddress } from '../addresses.ts';
import { CommandError, type DebuggerCommand } from '../command.ts';
import { takeWord } from '../command-line.ts';
import { evaluatePrefix } from '../expression.ts';
import { writeMemory } from '../memory.ts';
import type { Session } from '../session.ts';

const sizes: readonly (readonly [string, number, string])[] = [
  ['eb', 1, 'bytes'],
  ['ew', 2, 'words'],
  ['ed', 4, 'doublewords'],
  ['eq', 8, 'quadwords'],
  ['ep', 8, 'pointers'],
];

const texts: readonly (readonly [string, 1 | 2, boolean])[] = [
  ['ea', 1, false],
  ['eza', 1, true],
  ['eu', 2, false],
  ['ezu', 2, true],
];

const numberCommands = sizes.map(
  ([name, bytes, what]): DebuggerCommand => ({
    name,
    usage: [`${name} Address Values`],
    summary: `writes ${what} to memory`,
    details: [
      "Values are expressions with blanks between them, or characters in single quotes: ' cbA'.",
      'Protection of pages is passed over; translated code is made anew. Registers of devices are not written.',
      ...(name === 'ed'
        ? [
            "ed nt!PoolHitTag ' cbA' stops the machine where pool with the tag `Abc ` is allocated or freed; 0 ends that.",
          ]
        : []),
    ],
    completes: ['address', 'text'],
    run: (session, text) => {
      const { value, rest } = evaluatePrefix(session, text);
      if (rest === '') throw new CommandError(`${name}: values are missing; nothing is asked for here`);
      write(session, value, valuesOf(session, rest, bytes));
    },
  }),
);

const textCommands = texts.map(
  ([name, characterBytes, isEnded]): DebuggerCommand => ({
    name,
    usage: [`${name} Address "String"`],
    summary: `writes text of ${characterBytes === 1 ? 'one' : 'two'}-byte characters to memory, ${isEnded ? 'and a zero' : 'without a zero'}`,
    completes: ['address', 'text'],
    run: (session, text) => {
      const { value, rest } = evaluatePrefix(session, text);
      if (!rest.startsWith('"')) throw new CommandError(`Syntax error at '${rest}': text stands between quotes`);
      const characters = [...takeWord(rest).word].map((character) => character.charCodeAt(0));
      write(session, value, numbersToBytes([...characters, ...(isEnded ? [0] : [])].map(BigInt), characterBytes));
    },
  }),
);

export const enterCommands: readonly DebuggerCommand[] = [...numberCommands, ...textCommands];

function valuesOf(session: Session, text: string, bytes: number): Uint8Array {
  const values: bigint[] = [];
  for (let left = text; left !== ''; ) {
    const quoted = /^'([^']*)'\s*/.exec(left);
    if (quoted?.[1] !== undefined) {
      values.push(...charactersAs(quoted[1], bytes));
      left = left.slice(quoted[0].length);
    } else {
      const { value, rest } = evaluatePrefix(session, left);
      const isNegative = BigInt.asIntN(64, value) < 0n && BigInt.asIntN(bytes * 8, value) === BigInt.asIntN(64, value);
      if (value >> BigInt(bytes * 8) !== 0n && !isNegative) throw new CommandError(`Overflow error in '${left}'`);
      values.push(value);
      left = rest;
    }
  }
  return numbersToBytes(values, bytes);
}

/** `eb` takes each character; the others as many as one number holds, the last in the lowest byte: ' cbA' is the tag `Abc `. */
function charactersAs(text: string, bytes: number): readonly bigint[] {
  const codes = [...text].map((character) => BigInt(character.charCodeAt(0) & 0xff));
  if (bytes === 1) return codes;
  if (codes.length > bytes) throw new CommandError(`Overflow error in '${text}'`);
  return [codes.reduce((value, code) => (value << 8n) | code, 0n)];
}

function numbersToBytes(values: readonly bigint[], bytes: number): Uint8Array {
  return Uint8Array.from(
    values.flatMap((value) =>
      Array.from({ length: bytes }, (_, index) => Number((value >> BigInt(8 * index)) & 0xffn)),
    ),
  );
}

function write(session: Session, address: bigint, bytes: Uint8Array): void {
  const va = vaFromU64(address);
  if (!writeMemory(session.target.nt, va, bytes))
    throw new CommandError(`Memory access error at '${builtinAddress(va)}'`);
  session.displayNext = va;
}
