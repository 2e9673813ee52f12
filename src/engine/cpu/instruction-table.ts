/**
 * How instructions are translated: one function for each mnemonic. What no table has is `unsupported` when reached.
 */
import type { Emitter } from './emitter.ts';
import type { Mnemonic } from './iced.ts';
import type { Instruction } from './instruction.ts';

/**
 * Emits the code of one instruction. `false`: this form of it is not supported; nothing has been emitted then.
 */
export type InstructionTranslator = (emitter: Emitter, instruction: Instruction) => void | false;

/** Keyed by mnemonic as iced spells it. */
export type InstructionTable = Readonly<Partial<Record<keyof typeof Mnemonic, InstructionTranslator>>>;
