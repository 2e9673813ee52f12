/** Instructions at an address as `u` writes them. */
import { type Va, vaAdd } from '../base/va.ts';
import { type DisassembledInstruction, disassemble, longestInstruction } from '../engine/cpu/disassembler.ts';
import { builtinAddress, symbolAt } from './addresses.ts';
import { readMemory } from './memory.ts';
import type { Session } from './session.ts';

/** What stands at an address; bytes that are no instruction are taken one by one. */
export interface CodeAt {
  readonly va: Va;
  /** Undefined if not even the first byte can be read. */
  readonly bytes: Uint8Array | undefined;
  readonly instruction: DisassembledInstruction | undefined;
}

export function instructionAt(session: Session, va: Va): CodeAt {
  const readable: number[] = [];
  for (const byte of readMemory(session.target.nt, va, longestInstruction)) {
    if (byte === undefined) break;
    readable.push(byte);
  }
  const bytes = Uint8Array.from(readable);
  if (bytes.length === 0) return { va, bytes: undefined, instruction: undefined };
  const instruction = disassemble(va, bytes, (address) => operandAddress(session, address));
  return { va, bytes: instruction?.bytes ?? bytes.slice(0, 1), instruction };
}

/** The address behind it. */
export function behind({ va, bytes }: CodeAt): Va {
  return vaAdd(va, bytes?.length ?? 1);
}

/** ``toaster!ToasterQueue (fffff805`12e412d0)`` */
function operandAddress(session: Session, va: Va): string {
  const symbol = symbolAt(session, va);
  return symbol === undefined ? builtinAddress(va) : `${symbol} (${builtinAddress(va)})`;
}

/** The line of an instruction; above it the name of the place if `isFirst` or a symbol begins there. */
export function instructionLine(session: Session, code: CodeAt, isFirst: boolean): readonly string[] {
  const symbol = symbolAt(session, code.va);
  const header = symbol !== undefined && (isFirst || !/[+-]0x[0-9a-f]+$/.test(symbol)) ? [`${symbol}:`] : [];
  return [...header, codeText(code)];
}

/** ``fffff805`12e41230 4889542410      mov     qword ptr [rsp+10h],rdx`` */
export function codeText({ va, bytes, instruction }: CodeAt): string {
  const digits = bytes === undefined ? '??' : [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  const text =
    instruction === undefined
      ? '???'
      : `${instruction.mnemonic.padEnd(instruction.operands === '' ? 0 : 7)} ${instruction.operands}`.trimEnd();
  return `${builtinAddress(va)} ${digits.padEnd(15)} ${text}`;
}
