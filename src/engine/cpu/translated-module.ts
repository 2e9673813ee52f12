/** What all translated modules have in common: their function types and imports, and what is noted of each. */
import type { Va } from '../../base/va.ts';
import type { FunctionType } from './wasm-module.ts';
import { WasmType } from './wasm-writer.ts';

const { I32 } = WasmType;
export const functionTypes: readonly FunctionType[] = [
  { parameters: [I32], results: [I32] },
  { parameters: [I32, I32, I32], results: [I32] },
  { parameters: [], results: [] },
  { parameters: [], results: [I32] },
];

/** In the order of `Import` in emitter.ts. */
export const importedFunctions = [
  { name: 'slowLoad', type: 1 },
  { name: 'slowStore', type: 1 },
  { name: 'slowModify', type: 1 },
  { name: 'commitModify', type: 2 },
  { name: 'hostInstruction', type: 1 },
  { name: 'rareOperation', type: 0 },
] as const;

export type RuntimeImports = Record<(typeof importedFunctions)[number]['name'], (...operands: number[]) => unknown>;

export interface TranslatedModule {
  readonly entries: readonly Va[];
  /** Address of the instruction, if it is a step that is kept. */
  readonly stepAt: Va | undefined;
  readonly unitIds: readonly number[];
  readonly pages: ReadonlySet<Va>;
  /** Frame of each page when it was translated; undefined if it was not executable. */
  readonly frames: ReadonlyMap<Va, number | undefined>;
}
