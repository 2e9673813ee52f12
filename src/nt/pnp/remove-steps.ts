/** How a device stops, goes in order, or is pulled out; its children before it. */
import { nullVa, type Va } from '../../base/va.ts';
import { unsupported } from '../declare/outcome.ts';
import type { Nt } from '../nt.ts';
import { ntSuccess, STATUS_PNP_QUERY_VETOED } from '../ntstatus.ts';
import { DeviceRelation, PNP_PARAMETERS, PnpMinor } from '../structures/pnp.ts';
import { type TargetEvent, targetEventNumber } from './notification-data.ts';
import type { PnpState } from './plug-and-play.ts';
import { takeRelations } from './relations.ts';
import {
  type CallStep,
  type DecideStep,
  forEach,
  type RequestStep,
  type SequenceName,
  type SequenceState,
} from './sequence-steps.ts';

/** The first child in one of the states. */
const childIn =
  (...states: readonly PnpState[]) =>
  (nt: Nt, { pdo }: SequenceState): Va | undefined =>
    nt.io.pnp.childrenOf(pdo).find(({ state }) => states.includes(state))?.pdo;

/** A query that a driver may refuse: then what was asked before is taken back. */
function query(minor: number, whenRefused: SequenceName, pending: PnpState): RequestStep {
  return {
    minor,
    answered: (nt, { pdo }, { status }) => {
      nt.io.pnp.change(pdo, { state: pending });
      return ntSuccess(status) ? undefined : { status, goOnWith: whenRefused };
    },
  };
}

/** A request whose answer the PnP manager does not look at. */
function order(minor: number, state: PnpState): RequestStep {
  return {
    minor,
    answered: (nt, { pdo }) => {
      nt.io.pnp.change(pdo, { state });
      return undefined;
    },
  };
}

const refusedBy =
  (whenRefused: SequenceName) =>
  (_nt: Nt, _state: SequenceState, status: number): { status: number; goOnWith: SequenceName } | undefined =>
    ntSuccess(status) ? undefined : { status, goOnWith: whenRefused };

/** Tells those who registered for the device (IoRegisterPlugPlayNotification). */
function tell(event: keyof typeof TargetEvent, whenRefused?: SequenceName): CallStep {
  return {
    call: (_nt, { pdo }) => ['PnpNotifyTargetDeviceChange', [targetEventNumber(event), pdo]],
    ...(whenRefused === undefined ? {} : { answered: refusedBy(whenRefused) }),
  };
}

// ---- stop

export const queryStopChildren = forEach(childIn('started'), 'queryStopOnly', refusedBy('cancelStop'));
export const queryStop = query(PnpMinor.QueryStopDevice, 'cancelStop', 'stop-pending');
export const stopChildren = forEach(childIn('stop-pending'), 'stopOnly');
export const cancelStopChildren = forEach(childIn('stop-pending'), 'cancelStop');
export const startStoppedChildren = forEach(childIn('stopped'), 'start');

export const stopDevice: RequestStep = {
  minor: PnpMinor.StopDevice,
  answered: (nt, { pdo }) => {
    nt.io.pnp.change(pdo, { state: 'stopped' });
    nt.io.pnp.freeLists(pdo);
    return undefined;
  },
};

/** Only for a device that was asked. */
export const cancelStop: RequestStep = {
  ...order(PnpMinor.CancelStopDevice, 'started'),
  isLeftOut: (nt, { pdo }) => nt.io.pnp.get(pdo)?.state !== 'stop-pending',
};

// ---- removal in order

/** Devices that must go with this one. */
export const queryRemovalRelations: RequestStep = relationsStep(DeviceRelation.Removal, 'removed');
export const queryEjectionRelations: RequestStep = relationsStep(DeviceRelation.Ejection, 'ejected');

function relationsStep(type: number, what: string): RequestStep {
  return {
    minor: PnpMinor.QueryDeviceRelations,
    fill: (nt, location) => {
      PNP_PARAMETERS.RelationType.set(nt.memory, location, type);
      return nullVa;
    },
    answered: (nt, { pdo }, { status, information }) => {
      const others = takeRelations(nt, status, information).filter((other) => other !== pdo);
      return others.length === 0
        ? undefined
        : { instead: unsupported(`devices that are to be ${what} with another one (${others.length})`) };
    },
  };
}

export const tellQueryRemove = tell('queryRemove', 'cancelRemove');
export const tellRemoveCancelled = tell('removeCancelled');
export const tellRemoveComplete = tell('removeComplete');
export const queryRemoveChildren = forEach(childIn('started'), 'queryRemoveOnly', refusedBy('cancelRemove'));
export const queryRemove = query(PnpMinor.QueryRemoveDevice, 'cancelRemove', 'remove-pending');
export const cancelRemoveChildren = forEach(childIn('remove-pending'), 'cancelRemove');

/** Open handles keep a device from being removed in order. */
export const refuseIfOpen: DecideStep = {
  decide: (nt, { pdo }) =>
    nt.io.pnp.isOpen(pdo) ? { status: STATUS_PNP_QUERY_VETOED, goOnWith: 'cancelRemove' } : undefined,
};

export const cancelRemove: RequestStep = {
  ...order(PnpMinor.CancelRemoveDevice, 'started'),
  isLeftOut: (nt, { pdo }) => nt.io.pnp.get(pdo)?.state !== 'remove-pending',
};

/** Children whose turn to be asked is over, and those that no driver was ever installed for. */
export const removeChildren = forEach(
  childIn('remove-pending', 'enumerated', 'surprise-removed', 'stopped', 'adding'),
  'remove',
);

export const removeDevice: RequestStep = {
  minor: PnpMinor.RemoveDevice,
  answered: (nt, { pdo }) => {
    nt.io.pnp.retire(pdo, nt.io.pnp.get(pdo)?.failure === undefined ? 'removed' : 'failed');
    return undefined;
  },
};

// ---- pulled out

export const surpriseRemoveChildren = forEach(childIn('started', 'stopped'), 'surpriseRemove');

export const surpriseRemoval: RequestStep = {
  minor: PnpMinor.SurpriseRemoval,
  fill: (nt, _location, { pdo }) => {
    nt.io.hardware.remove(pdo);
    return nullVa;
  },
  answered: (nt, { pdo }) => {
    nt.io.pnp.change(pdo, { state: 'surprise-removed' });
    nt.io.interfaces.disableAll(pdo);
    return undefined;
  },
};

// ---- ejection

/** The device is still in its slot when its drivers go. */
export const removeBeforeEjection: RequestStep = { minor: PnpMinor.RemoveDevice };

/** The bus driver lets go of the device, and will not report it again. */
export const eject: RequestStep = {
  minor: PnpMinor.Eject,
  answered: (nt, { pdo }, { status }) => {
    const { parent } = nt.io.pnp.get(pdo) ?? {};
    nt.io.pnp.retire(pdo, 'removed');
    if (parent !== undefined && parent !== nullVa) nt.io.deviceQueries.queue(parent, 'queryBusRelations');
    return { status };
  },
};
