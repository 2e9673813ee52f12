/**
 * How instructions are translated: one function for each mnemonic. What no table has is `unsupported` when reached.
 */
import type { Emitter } from './emitter.ts';
import type { Mnemonic } from './iced.ts';
import type { Instruction } from './instruction.ts';

/** `false`: this form of the instruction is not supported, and nothing has been emitted. */
// biome-ignore lint/suspicious/noConfusingVoidType: nearly all translators have nothing to say
export type Translation = void | false;

/** Emits the code of one instruction. */
export type InstructionTranslator = (emitter: Emitter, instruction: Instruction) => Translation;

/** Keyed by mnemonic as iced spells it. */
export type InstructionTable = Readonly<Partial<Record<keyof typeof Mnemonic, InstructionTranslator>>>;
