/** What a machine is made of. */
import { PoolproofError } from '../base/errors.ts';
import { modelProblem } from '../hardware/check-model.ts';
import type { DeviceModel } from '../hardware/device-model.ts';
import { deviceModels, findDeviceModel } from '../hardware/index.ts';
import type { SymbolCandidate } from '../image/symbols/index.ts';
import type { Step } from './scenario/step.ts';

export interface DriverFile {
  /** `leaky.sys` */
  readonly name: string;
  /** Where it was read from; for the report. */
  readonly path?: string | null;
  readonly bytes: Uint8Array;
  /** What may hold the driver's symbols. */
  readonly symbolFiles?: readonly SymbolCandidate[];
  /** Where else symbols were looked for, and what was met there and can't be used; for the report. */
  readonly symbolSearch?: { readonly places: readonly string[]; readonly notes: readonly string[] };
}

export interface MachineOptions {
  /** The drivers that are verified, in the order in which they are loaded. Of a device's stack the first is the lowest. */
  readonly drivers: readonly DriverFile[];
  /** Drivers and kernel-mode DLLs that are loaded before and not verified. */
  readonly companions?: readonly DriverFile[];
  /** Undefined: the tour, or what is asked for by the machine's own verbs. */
  readonly steps?: readonly Step[] | undefined;
  /** Driver Verifier's, as in `verifier /flags`; {@link defaultFlags} unless given. */
  readonly flags?: number;
  /** Contents of fresh memory, order of threads; 1 unless given. */
  readonly seed?: number;
  /** Instructions in a row, without the machine coming to rest, after which the life is ended. */
  readonly instructionLimit?: number;
  /** Hardware of the plug-and-play device: `default` gives it memory, ports and interrupts. */
  readonly resources?: 'none' | 'default';
  /** Hardware IDs of the device, the most special first. */
  readonly hardwareIds?: readonly string[];
  /** The hardware of the plug-and-play device, with resources and IDs of its own: one's own, or the name of one that is there. */
  readonly deviceModel?: DeviceModel | string | undefined;
  /** Set when a first life showed that it is needed; see `Cpu.needsExactFlags`. */
  readonly flagsLiveAtExit?: boolean;
}

/** Minutes of a busy loop. */
export const defaultInstructionLimit = 4e9;

/** Throws PP5006 for a name that no model has, and for a model that can't be. */
export function deviceModelOf({ deviceModel }: MachineOptions): DeviceModel | undefined {
  if (deviceModel === undefined) return undefined;
  const model = typeof deviceModel === 'string' ? findDeviceModel(deviceModel) : deviceModel;
  if (model === undefined) {
    const names = deviceModels.map(({ name }) => name).join(', ');
    throw new PoolproofError('PP5006', `there is no device model '${String(deviceModel)}', only ${names}`);
  }
  const problem = modelProblem(model);
  if (problem !== undefined)
    throw new PoolproofError('PP5006', `the device model '${model.name}' can't be: ${problem}`);
  return model;
}
