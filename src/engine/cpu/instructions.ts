/**
 * All instruction tables together.
 */
import { Mnemonic } from './iced.ts';
import type { InstructionTable, InstructionTranslator } from './instruction-table.ts';
import { integerTable } from './translate-integer.ts';
import { shiftTable } from './translate-shift.ts';
import { stackTable } from './translate-stack.ts';

const tables: readonly InstructionTable[] = [integerTable, shiftTable, stackTable];

const translators = new Map<Mnemonic, InstructionTranslator>();
for (const table of tables) {
  for (const [name, translator] of Object.entries(table)) {
    translators.set(Mnemonic[name as keyof typeof Mnemonic], translator);
  }
}

export function translatorOf(mnemonic: Mnemonic): InstructionTranslator | undefined {
  return translators.get(mnemonic);
}
