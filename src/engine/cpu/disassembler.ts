/** Instructions as text, in the notation of the kernel debugger (masm), for people; nothing of it is executed. */
import { type Va, vaAdd, vaFromU64, vaToU64 } from '../../base/va.ts';
import {
  Decoder,
  DecoderOptions,
  FlowControl,
  Formatter,
  FormatterSyntax,
  IcedInstruction,
  MemorySizeOptions,
  OpKind,
} from './iced.ts';

/** Longest instruction (Intel SDM volume 2, section 2.3.11). */
export const longestInstruction = 15;

export interface DisassembledInstruction {
  readonly va: Va;
  readonly bytes: Uint8Array;
  readonly mnemonic: string;
  readonly operands: string;
  /** Where control goes on. `conditional`: there or to `target`; `call` comes back; `end`: elsewhere for good. */
  readonly flow: 'next' | 'conditional' | 'jump' | 'call' | 'end';
  /** Of a direct jump or call. */
  readonly target: Va | undefined;
}

/** How an address is written within operands. */
export type AddressText = (va: Va) => string;

/** The instruction whose bytes (and perhaps more) are given; undefined if they are none, or not all of it. */
export function disassemble(va: Va, bytes: Uint8Array, addressText: AddressText): DisassembledInstruction | undefined {
  const decoder = new Decoder(64, bytes, DecoderOptions.None);
  decoder.ip = vaToU64(va);
  const instruction = new IcedInstruction();
  decoder.decodeOut(instruction);
  const formatter = new Formatter(FormatterSyntax.Masm);
  try {
    if (instruction.isInvalid) return undefined;
    formatter.memorySizeOptions = MemorySizeOptions.Always;
    formatter.showBranchSize = false;
    formatter.spaceAfterOperandSeparator = false;
    const target = branchTarget(instruction);
    const referred = target ?? (instruction.isIpRelMemoryOperand ? instruction.ipRelMemoryAddress : undefined);
    const text = formatter.formatAllOperands(instruction);
    return {
      va,
      bytes: bytes.slice(0, instruction.length),
      mnemonic: formatter.formatMnemonic(instruction),
      operands: referred === undefined ? text : text.replace(hexText(referred), () => addressText(vaFromU64(referred))),
      flow: flowOf(instruction),
      target: target === undefined ? undefined : vaFromU64(target),
    };
  } finally {
    formatter.free();
    instruction.free();
    decoder.free();
  }
}

/** The address of what follows an instruction. */
export function nextInstruction({ va, bytes }: DisassembledInstruction): Va {
  return vaAdd(va, bytes.length);
}

function branchTarget(instruction: IcedInstruction): bigint | undefined {
  const isNear = instruction.opCount > 0 && instruction.opKind(0) === OpKind.NearBranch64;
  return isNear ? instruction.nearBranchTarget : undefined;
}

function flowOf(instruction: IcedInstruction): DisassembledInstruction['flow'] {
  switch (instruction.flowControl) {
    case FlowControl.ConditionalBranch:
      return 'conditional';
    case FlowControl.UnconditionalBranch:
      return 'jump';
    case FlowControl.Call:
    case FlowControl.IndirectCall:
      return 'call';
    case FlowControl.Return:
    case FlowControl.IndirectBranch:
    case FlowControl.Exception:
      return 'end';
    default:
      return 'next';
  }
}

/** As the formatter writes a 64-bit address. */
function hexText(value: bigint): string {
  const digits = value.toString(16).toUpperCase();
  return `${/^[A-F]/.test(digits) ? '0' : ''}${digits}h`;
}
