/**
 * Children that a bus driver reports: who they are, what they need, and (as no driver is installed for them) whether they
 * can be used raw. What they answer with is in paged pool that the PnP manager frees.
 */
import { nullVa, type Va } from '../../base/va.ts';
import { Access, pageSize } from '../../engine/memory/layout.ts';
import { BugCheck } from '../declare/bug-check.ts';
import type { Nt } from '../nt.ts';
import { ntSuccess } from '../ntstatus.ts';
import { readWide } from '../rtl/guest-text.ts';
import { BusQueryId, Capability, DeviceRelation, DeviceText, PNP_PARAMETERS, PnpMinor } from '../structures/pnp.ts';
import { type DeviceIdentity, instancePath } from './device-identity.ts';
import { takeChildren } from './relations.ts';
import { chooseResources } from './resources.ts';
import { type DecideStep, forEach, type RequestStep } from './sequence-steps.ts';
import { freeQueried } from './start-steps.ts';

export const queryBusRelations: RequestStep = {
  minor: PnpMinor.QueryDeviceRelations,
  fill: (nt, location) => {
    PNP_PARAMETERS.RelationType.set(nt.memory, location, DeviceRelation.Bus);
    return nullVa;
  },
  answered: (nt, { pdo }, { status, information }) => {
    takeChildren(nt, pdo, status, information);
    return undefined;
  },
};

export const surpriseRemoveMissing = forEach(
  (nt, { pdo }) =>
    nt.io.pnp
      .childrenOf(pdo)
      .find(({ state, isMissing }) => isMissing === true && (state === 'started' || state === 'stopped'))?.pdo,
  'surpriseRemove',
);

/** One that somebody has open goes when it is closed. */
export const removeMissing = forEach(
  (nt, { pdo }) =>
    nt.io.pnp.childrenOf(pdo).find((child) => child.isMissing === true && !nt.io.pnp.isOpen(child.pdo))?.pdo,
  'remove',
);

export const enumerateChildren = forEach(
  (nt, { pdo }) => nt.io.pnp.childrenOf(pdo).find(({ state }) => state === 'adding')?.pdo,
  'enumerate',
);

// ---- who it is

/** 1 DeviceID, 2 UniqueID, 3 HardwareIDs, 4 CompatibleIDs: bug check 0xCA/3. */
const idNumber = [1, 3, 4, 2] as const;
const longestId = 200;
const longestIdList = 2000;

/** Legal in an ID: 0x20 to 0x7F but the comma. */
const illegalCharacter = /[^\u0020-\u002b\u002d-\u007f]/;

function queryId(type: number, known: (names: readonly string[]) => Partial<DeviceIdentity>): RequestStep {
  const isList = type === BusQueryId.Hardware || type === BusQueryId.Compatible;
  return {
    minor: PnpMinor.QueryId,
    fill: (nt, location) => {
      PNP_PARAMETERS.IdType.set(nt.memory, location, type);
      return nullVa;
    },
    answered: (nt, { pdo }, { status, information }) => {
      if (!ntSuccess(status) || information === nullVa) return undefined;
      const names = readNames(nt, information, isList);
      if (names?.every((name) => !illegalCharacter.test(name)) !== true) {
        const summary = 'a bus driver answered IRP_MN_QUERY_ID with text that does not end or has illegal characters';
        throw new BugCheck(0xca, [3, pdo, information, idNumber[type] ?? 0], summary);
      }
      freeQueried(nt, information);
      rename(nt, pdo, known(names));
      return undefined;
    },
  };
}

/** The strings of a null-terminated text or a REG_MULTI_SZ; undefined if it does not end. */
function readNames(nt: Nt, at: Va, isList: boolean): readonly string[] | undefined {
  const limit = isList ? longestIdList : longestId;
  let text = '';
  for (let units = 0; units < limit; units++) {
    const unit = (at + units * 2) as Va;
    if (units * 2 >= pageSize && !nt.memory.isAccessible(unit, 2, Access.Read)) return undefined;
    const character = readWide(nt.memory, unit, 1);
    if (character === '\0' && (!isList || text === '' || text.endsWith('\0'))) {
      return isList ? text.split('\0').slice(0, -1) : [text];
    }
    text += character;
  }
  return undefined;
}

function rename(nt: Nt, pdo: Va, change: Partial<DeviceIdentity>): void {
  const device = nt.io.pnp.get(pdo);
  if (device !== undefined) nt.io.pnp.change(pdo, { identity: { ...device.identity, ...change } });
}

function queryText(type: number, known: (text: string) => Partial<DeviceIdentity>): RequestStep {
  return {
    minor: PnpMinor.QueryDeviceText,
    fill: (nt, location) => {
      PNP_PARAMETERS.TextType.set(nt.memory, location, type);
      PNP_PARAMETERS.LocaleId.set(nt.memory, location, 0x409);
      return nullVa;
    },
    answered: (nt, { pdo }, { status, information }) => {
      if (!ntSuccess(status) || information === nullVa) return undefined;
      rename(nt, pdo, known(readNames(nt, information, false)?.[0] ?? ''));
      freeQueried(nt, information);
      return undefined;
    },
  };
}

export const queryIds: readonly RequestStep[] = [
  queryId(BusQueryId.Device, ([deviceId = '']) => ({ deviceId })),
  queryId(BusQueryId.Instance, ([instance = '']) => ({ instance })),
  queryId(BusQueryId.Hardware, (hardwareIds) => ({ hardwareIds })),
  queryId(BusQueryId.Compatible, (compatibleIds) => ({ compatibleIds })),
  queryText(DeviceText.Description, (description) => ({ description })),
  queryText(DeviceText.Location, (location) => ({ location })),
];

/** Two children of one bus with one name, or of any with one that says it is unique: bug check 0xCA/1. */
export const checkDuplicate: DecideStep = {
  decide: (nt, { pdo }) => {
    const device = nt.io.pnp.get(pdo);
    if (device === undefined || device.identity.deviceId === '') return { isOver: true, ...nameless(nt, pdo) };
    const path = instancePath(device.identity).toLowerCase();
    const isUnique = ((device.capabilities?.flags ?? 0) & Capability.UniqueId) !== 0;
    const other = [...nt.io.pnp.all()].find(
      (one) =>
        one.pdo !== pdo &&
        one.state !== 'adding' &&
        (isUnique || one.parent === device.parent) &&
        one.isMissing !== true &&
        instancePath(one.identity).toLowerCase() === path,
    );
    if (other === undefined) return undefined;
    throw new BugCheck(0xca, [1, pdo, other.pdo, 0], `a bus driver reported two children with the name ${path}`);
  },
};

/** A child that does not say what it is can't be used. */
function nameless(nt: Nt, pdo: Va): object {
  nt.io.pnp.change(pdo, { state: 'enumerated' });
  return {};
}

// ---- what it needs

export const queryBusInformation: RequestStep = {
  minor: PnpMinor.QueryBusInformation,
  answered: (nt, _state, { status, information }) => {
    if (ntSuccess(status)) freeQueried(nt, information);
    return undefined;
  },
};

/** What the device was given before the system started; drivers do not see it again. */
export const queryResources: RequestStep = {
  minor: PnpMinor.QueryResources,
  answered: (nt, _state, { status, information }) => {
    if (ntSuccess(status)) freeQueried(nt, information);
    return undefined;
  },
};

export const queryResourceRequirements: RequestStep = {
  minor: PnpMinor.QueryResourceRequirements,
  answered: (nt, { pdo }, { status, information }) => {
    if (!ntSuccess(status) || information === nullVa) return undefined;
    const resources = chooseResources(nt.memory, information, nt.io.pnp.get(pdo)?.resources ?? []);
    freeQueried(nt, information);
    if (!('refusal' in resources)) nt.io.pnp.change(pdo, { resources });
    return undefined;
  },
};

/** Without a driver, a device is started only if it says that it can be used raw. */
export const startIfRaw: DecideStep = {
  decide: (nt, { pdo }) => {
    nt.io.pnp.change(pdo, { state: 'enumerated' });
    const flags = nt.io.pnp.get(pdo)?.capabilities?.flags ?? 0;
    return (flags & Capability.RawDeviceOk) === 0 ? { isOver: true } : { goOnWith: 'firstStart' };
  },
};
