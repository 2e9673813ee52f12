/** The library: what the command line is made of. */
export { AssertionError, PoolproofError } from './base/errors.ts';
export type * from './hardware/device-model.ts';
export { deviceModels } from './hardware/index.ts';
export { parsePe } from './image/pe/index.ts';
export type { SymbolCandidate } from './image/symbols/index.ts';
export { type InspectedImport, type Inspection, inspect, type Support } from './run/inspect.ts';
export { Machine, type MachineSnapshot } from './run/machine.ts';
export { type DriverFile, defaultInstructionLimit, type MachineOptions } from './run/machine-options.ts';
export { inspectionText } from './run/report/inspection-text.ts';
export type * from './run/report/report.ts';
export { reportText } from './run/report/text.ts';
export { parseStep, type Step } from './run/scenario/step.ts';
export { Answer, type Data, DeviceFile, type IoctlOptions, LifeEnded, type TransferOptions } from './run/verbs.ts';
export { type VerifyOptions, verify, verifyScenario } from './run/verify.ts';
export { defaultFlags, standardFlags } from './verifier/core/options.ts';
