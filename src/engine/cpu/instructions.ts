/**
 * All instruction tables together.
 */
import { Mnemonic } from './iced.ts';
import type { InstructionTable, InstructionTranslator } from './instruction-table.ts';
import { bitsTable } from './translate-bits.ts';
import { exchangeTable } from './translate-exchange.ts';
import { integerTable } from './translate-integer.ts';
import { multiplyTable } from './translate-multiply.ts';
import { shiftTable } from './translate-shift.ts';
import { translateSse } from './translate-sse.ts';
import { stackTable } from './translate-stack.ts';
import { stringTable } from './translate-string.ts';

const tables: readonly InstructionTable[] = [
  integerTable,
  exchangeTable,
  shiftTable,
  multiplyTable,
  bitsTable,
  stackTable,
  stringTable,
];

const translators = new Map<Mnemonic, InstructionTranslator>();
for (const table of tables) {
  for (const [name, translator] of Object.entries(table)) {
    translators.set(Mnemonic[name as keyof typeof Mnemonic], translator);
  }
}

const sse: InstructionTranslator = (e, i) => (translateSse(e, i) ? undefined : false);

/** Translates an instruction; `false` if it is not supported. MOVSD and CMPSD are string instructions and SSE ones. */
export const translateInstruction: InstructionTranslator = (e, i) => {
  const translator = translators.get(i.mnemonic);
  if (translator && translator(e, i) !== false) return;
  return sse(e, i);
};
