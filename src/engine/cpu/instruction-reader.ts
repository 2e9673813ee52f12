/** Reads instructions from guest memory. */
import type { Va } from '../../base/va.ts';
import type { GuestMemory } from '../memory/guest-memory.ts';
import { Access, pageMask, pageSize } from '../memory/layout.ts';
import { Code, Decoder, DecoderOptions, Formatter, FormatterSyntax, IcedInstruction } from './iced.ts';
import type { Instruction } from './instruction.ts';
import { plainInstruction } from './plain-instruction.ts';

/** Why there is no instruction at an address. */
export interface FetchFailure {
  readonly va: Va;
  /** The byte whose page can't be executed; undefined if the bytes are not an instruction. */
  readonly faultVa: Va | undefined;
}

/** `DecoderError.NoMoreBytes`. */
const noMoreBytes = 2;
const maxInstructionBytes = 15;
const windowBytes = 192;

/** Reads instructions from executable guest memory; keeps one window of bytes. */
export class InstructionReader {
  private readonly memory: GuestMemory;
  private decoder: Decoder | undefined;
  private windowStart = 0;
  private windowEnd = 0;
  private faultVa: Va | undefined;
  private bytes = new Uint8Array(0);
  /** Where the decoder stands by itself. */
  private position = -1;
  private readonly scratch = new IcedInstruction();

  constructor(memory: GuestMemory) {
    this.memory = memory;
  }

  /** Forgets the window: memory may have changed. */
  reset(): void {
    this.decoder?.free();
    this.decoder = undefined;
  }

  read(va: Va): Instruction | FetchFailure {
    const wanted = this.faultVa === undefined ? maxInstructionBytes : 1;
    if (!this.decoder || va < this.windowStart || va + wanted > this.windowEnd) this.openWindow(va);
    const decoder = this.decoder as Decoder | undefined;
    if (!decoder || this.windowEnd <= va) return { va, faultVa: this.faultVa };
    const { scratch } = this;
    const position = va - this.windowStart;
    if (position !== this.position) {
      decoder.position = position;
      decoder.ip = BigInt.asUintN(64, BigInt(va));
    }
    this.position = -1;
    decoder.decodeOut(scratch);
    const code = scratch.code;
    if (code === Code.INVALID) {
      const ranOut = this.faultVa !== undefined && va + maxInstructionBytes > this.windowEnd;
      return { va, faultVa: ranOut && decoder.lastError === noMoreBytes ? this.faultVa : undefined };
    }
    const length = scratch.length;
    this.position = position + length;
    return plainInstruction(scratch, va, code, length, hasLegacyPrefix(this.bytes, position));
  }

  /** Disassembly in the assembler's notation of the debugger (masm). */
  disassemble(va: Va): string {
    if ('faultVa' in this.read(va)) return '???';
    const formatter = new Formatter(FormatterSyntax.Masm);
    const text = formatter.format(this.scratch);
    formatter.free();
    return text;
  }

  private openWindow(va: Va): void {
    this.reset();
    this.faultVa = undefined;
    const bytes = new Uint8Array(windowBytes);
    let done = 0;
    while (done < windowBytes) {
      const at = (va + done) as Va;
      const mapping = this.memory.mappingAt(at);
      if (mapping === undefined || (mapping.flags & Access.Execute) === 0) {
        this.faultVa = at;
        break;
      }
      const inPage = at - Math.floor(at / pageSize) * pageSize;
      const part = Math.min(windowBytes - done, pageSize - (inPage & pageMask));
      const offset = this.memory.frameOffset(mapping.frame) + inPage;
      bytes.set(this.memory.u8.subarray(offset, offset + part), done);
      done += part;
    }
    this.windowStart = va;
    this.windowEnd = va + done;
    this.bytes = bytes;
    this.position = -1;
    if (done > 0) this.decoder = new Decoder(64, bytes.subarray(0, done), DecoderOptions.None);
  }
}

const legacyPrefixes: ReadonlySet<number> = new Set([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3]);

/** Whether an instruction has `lock`, `rep`, segment or size prefixes; REX ones in front of them are ignored. */
function hasLegacyPrefix(bytes: Uint8Array, position: number): boolean {
  let at = position;
  while (((bytes[at] as number) & 0xf0) === 0x40) at++;
  return legacyPrefixes.has(bytes[at] as number);
}
