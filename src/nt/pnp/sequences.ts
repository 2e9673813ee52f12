/**
 * What the PnP manager does to a device: sequences of IRP_MJ_PNP requests, each sent when the one before was answered
 * (WDK, "Understanding when remove IRPs are issued", "Starting a device", "Stopping a device to rebalance resources").
 */
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { type Outcome, unsupported } from '../declare/outcome.ts';
import type { Nt } from '../nt.ts';
import { ntSuccess, STATUS_PNP_QUERY_VETOED } from '../ntstatus.ts';
import { releaseObjectLater } from '../ob/references.ts';
import { IO_STACK_LOCATION } from '../structures/io.ts';
import {
  DEVICE_CAPABILITIES,
  DEVICE_RELATIONS,
  DeviceRelation,
  PNP_PARAMETERS,
  PnpDeviceState,
  PnpMinor,
} from '../structures/pnp.ts';
import type { StackAnswer } from './stack-requests.ts';

/** Where a sequence stands besides its request. */
export interface SequenceState {
  readonly pdo: Va;
  /** A block that one request hands to the next: resource requirements, capabilities; null for none. */
  readonly data: Va;
  /** What the sequence's routine returns. */
  readonly status: number;
}

/** On with the next request, with another sequence, or not at all. */
export type Next =
  | (Partial<SequenceState> & { readonly goOnWith?: SequenceName })
  | { readonly instead: Outcome }
  | undefined;

export interface SequenceStep {
  readonly minor: number;
  /** Fills the request's stack location in; may make the block that `answered` frees. */
  readonly fill?: (nt: Nt, location: Va, state: SequenceState) => Va;
  readonly answered?: (nt: Nt, state: SequenceState, answer: StackAnswer) => Next;
}

const freeQueried = (nt: Nt, va: Va): void => {
  if (va !== nullVa) nt.pool.freeAny(va);
};

const queryResourceRequirements: SequenceStep = {
  minor: PnpMinor.QueryResourceRequirements,
  answered: (_nt, _state, { status, information }) => ({ data: ntSuccess(status) ? information : nullVa }),
};

/** The driver answers with a list of its own, which takes the place of the one that it was given. */
const filterResourceRequirements: SequenceStep = {
  minor: PnpMinor.FilterResourceRequirements,
  fill: (nt, location, { data }) => {
    IO_STACK_LOCATION.Parameter0.set(nt.memory, location, data);
    return data;
  },
  answered: (nt, { data }, { status, information }) => {
    const list = ntSuccess(status) && information !== nullVa ? information : data;
    if (list !== data) freeQueried(nt, data);
    freeQueried(nt, list);
    if (list === nullVa) return { data: nullVa };
    return { instead: unsupported('resources for a device (its resource requirements are not empty)') };
  },
};

/** Without resources: both lists are NULL. */
const startDevice: SequenceStep = {
  minor: PnpMinor.StartDevice,
  answered: (nt, { pdo }, { status }) => {
    if (ntSuccess(status)) {
      nt.io.pnp.change(pdo, { state: 'started' });
      return undefined;
    }
    nt.io.pnp.change(pdo, { failure: { what: 'IRP_MN_START_DEVICE', status } });
    return { status, goOnWith: 'remove' };
  },
};

const unknownNumber = 0xffff_ffff;

const queryCapabilities: SequenceStep = {
  minor: PnpMinor.QueryCapabilities,
  fill: ({ memory, pool }, location) => {
    const block = pool.allocateKernel(DEVICE_CAPABILITIES.sizeBytes, 'PnpC');
    DEVICE_CAPABILITIES.Size.set(memory, block, DEVICE_CAPABILITIES.sizeBytes);
    DEVICE_CAPABILITIES.Version.set(memory, block, 1);
    DEVICE_CAPABILITIES.Address.set(memory, block, unknownNumber);
    DEVICE_CAPABILITIES.UINumber.set(memory, block, unknownNumber);
    PNP_PARAMETERS.Capabilities.set(memory, location, block);
    return block;
  },
  answered: (nt, { data }) => {
    nt.pool.freeKernel(data);
    return { data: nullVa };
  },
};

const removedStates = PnpDeviceState.Disabled | PnpDeviceState.Failed | PnpDeviceState.Removed;

const queryState: SequenceStep = {
  minor: PnpMinor.QueryPnpDeviceState,
  answered: (_nt, _state, { status, information }) => {
    if (!ntSuccess(status) || (information & (removedStates | PnpDeviceState.ResourcesChanged)) === 0) return undefined;
    const text = `0x${information.toString(16)}`;
    return { instead: unsupported(`a device that reports its state as failed, disabled or removed (${text})`) };
  },
};

const queryBusRelations: SequenceStep = {
  minor: PnpMinor.QueryDeviceRelations,
  fill: (nt, location) => {
    PNP_PARAMETERS.RelationType.set(nt.memory, location, DeviceRelation.Bus);
    return nullVa;
  },
  answered: (nt, _state, { status, information }) => {
    if (!ntSuccess(status) || information === nullVa) return undefined;
    const count = DEVICE_RELATIONS.Count.get(nt.memory, information);
    const objects = DEVICE_RELATIONS.Objects.at(information);
    for (let index = 0; index < count; index++) {
      releaseObjectLater(nt, nt.memory.readVa(vaAdd(objects, index * 8)));
    }
    freeQueried(nt, information);
    if (count === 0) return undefined;
    return { instead: unsupported(`child devices (the driver is a bus driver and reported ${count})`) };
  },
};

/** A query that a driver may refuse: then what was asked before is taken back. */
function query(minor: number, whenRefused: SequenceName, vetoes?: (nt: Nt, pdo: Va) => boolean): SequenceStep {
  return {
    minor,
    answered: (nt, { pdo }, { status }) => {
      if (!ntSuccess(status)) return { status, goOnWith: whenRefused };
      return vetoes?.(nt, pdo) === true ? { status: STATUS_PNP_QUERY_VETOED, goOnWith: whenRefused } : undefined;
    },
  };
}

const stopDevice: SequenceStep = {
  minor: PnpMinor.StopDevice,
  answered: (nt, { pdo }) => {
    nt.io.pnp.change(pdo, { state: 'stopped' });
    return undefined;
  },
};

const surpriseRemoval: SequenceStep = {
  minor: PnpMinor.SurpriseRemoval,
  answered: (nt, { pdo }) => {
    nt.io.pnp.change(pdo, { state: 'surprise-removed' });
    nt.io.interfaces.disableAll(pdo);
    return undefined;
  },
};

const removeDevice: SequenceStep = {
  minor: PnpMinor.RemoveDevice,
  answered: (nt, { pdo }) => {
    nt.io.pnp.retire(pdo, nt.io.pnp.get(pdo)?.failure === undefined ? 'removed' : 'failed');
    return undefined;
  },
};

const afterStart = [queryCapabilities, queryState, queryBusRelations];

/** Order gives the numbers that stacks and snapshots hold. */
const sequences = {
  firstStart: [queryResourceRequirements, filterResourceRequirements, startDevice, ...afterStart],
  start: [startDevice, ...afterStart],
  stop: [query(PnpMinor.QueryStopDevice, 'cancelStop'), stopDevice],
  cancelStop: [{ minor: PnpMinor.CancelStopDevice }],
  /** Open handles keep a device from being removed in order. */
  queryRemove: [query(PnpMinor.QueryRemoveDevice, 'cancelRemove', (nt, pdo) => nt.io.pnp.isOpen(pdo)), removeDevice],
  cancelRemove: [{ minor: PnpMinor.CancelRemoveDevice }],
  surpriseRemove: [surpriseRemoval],
  remove: [removeDevice],
  queryState: [queryState],
  queryBusRelations: [queryBusRelations],
} as const satisfies Record<string, readonly SequenceStep[]>;

export type SequenceName =
  | 'firstStart'
  | 'start'
  | 'stop'
  | 'cancelStop'
  | 'queryRemove'
  | 'cancelRemove'
  | 'surpriseRemove'
  | 'remove'
  | 'queryState'
  | 'queryBusRelations';

const names = Object.keys(sequences) as SequenceName[];

export const sequenceNumber = (name: SequenceName): number => names.indexOf(name);

/** Undefined behind the last step. */
export function sequenceStep(number: number, index: number): SequenceStep | undefined {
  const name = names[number];
  const steps: readonly SequenceStep[] = name === undefined ? [] : sequences[name];
  return steps[index];
}
