export { type FrameShape, frameShape, type SavedRegister } from './frame-shape.ts';
export {
  type CodeRange,
  type FunctionRanges,
  functionRanges,
  lookupFunctionEntry,
  primaryFunction,
} from './function-lookup.ts';
export { parseScopeTable, type ScopeEntry, type ScopeTable } from './scope-table.ts';
export { readUnwindInfo, type UnwindEpilogs, type UnwindInfo, type UnwindOperation } from './unwind-info.ts';
export {
  type UnwindContext,
  type UnwindHandler,
  type UnwindMemory,
  type UnwindRequest,
  type UnwindResult,
  virtualUnwind,
} from './virtual-unwind.ts';
