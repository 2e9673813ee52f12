/**
 * SSE and SSE2: which instruction is translated by what. XMM registers stand in the CPU state.
 * Reference: Intel SDM volume 2.
 */
import type { Emitter } from './emitter.ts';
import { Mnemonic } from './iced.ts';
import type { Instruction } from './instruction.ts';
import type { SseTranslation } from './sse-operands.ts';
import { loadControl, sseFloatTranslations, storeControl } from './translate-sse-float.ts';
import { sseIntegerTranslations } from './translate-sse-integer.ts';
import { sseMoveTranslations } from './translate-sse-move.ts';

/** Translates an SSE instruction; false if it is none that is known. */
export function translateSse(emitter: Emitter, instruction: Instruction): boolean {
  const translation = controlTranslations.get(instruction.mnemonic) ?? vectorTranslation(instruction);
  translation?.(emitter, instruction);
  return translation !== undefined;
}

/** `movsd` and `cmpsd` are also string instructions; MMX forms share mnemonics and have `other` operands. */
function vectorTranslation({ mnemonic, operands }: Instruction): SseTranslation | undefined {
  const hasVectors = operands.some(({ kind }) => kind === 'xmm') && !operands.some(({ kind }) => kind === 'other');
  return hasVectors ? translations.get(mnemonic) : undefined;
}

const controlTranslations: ReadonlyMap<Mnemonic, SseTranslation> = new Map<Mnemonic, SseTranslation>([
  [Mnemonic.Ldmxcsr, loadControl],
  [Mnemonic.Stmxcsr, storeControl],
]);

const translations: ReadonlyMap<Mnemonic, SseTranslation> = new Map([
  ...sseMoveTranslations,
  ...sseIntegerTranslations,
  ...sseFloatTranslations,
]);
