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

/** Two mnemonics are also those of string instructions; MMX forms share many and have `other` operands. */
function vectorTranslation({ mnemonic, operands }: Instruction): SseTranslation | undefined {
  if (operands.some(({ kind }) => kind === 'other')) return undefined;
  const isString = mnemonic === Mnemonic.Movsd || mnemonic === Mnemonic.Cmpsd;
  if (isString && !operands.some(({ kind }) => kind === 'xmm')) return undefined;
  return translations.get(mnemonic);
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
