/** How a device starts: its resources, IRP_MN_START_DEVICE, and what it is asked then. */
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import type { Call, ResumedCall } from '../declare/call.ts';
import { unsupported } from '../declare/outcome.ts';
import { tagOf } from '../ex/pool.ts';
import type { Nt } from '../nt.ts';
import { ntSuccess, STATUS_CONFLICTING_ADDRESSES, STATUS_SUCCESS } from '../ntstatus.ts';
import { IO_STACK_LOCATION, IRP } from '../structures/io.ts';
import { DEVICE_CAPABILITIES, PNP_PARAMETERS, PnpDeviceState, PnpMinor } from '../structures/pnp.ts';
import { PoolType } from '../structures/pool.ts';
import {
  chooseResources,
  requirementsBytes,
  resourceListBytes,
  writeRequirements,
  writeResourceList,
} from './resources.ts';
import type { RequestStep } from './sequence-steps.ts';

const pnpTag = tagOf('Pp  ');

export const freeQueried = (nt: Nt, va: Va): void => {
  if (va !== nullVa) nt.pool.freeAny(va);
};

/** The requirements of the device, in paged pool: the driver may put a list of its own in their place. */
function requirementsOf(nt: Nt, pdo: Va, call: Call | ResumedCall): Va {
  const resources = nt.io.pnp.get(pdo)?.resources ?? [];
  if (resources.length === 0) return nullVa;
  const request = { poolType: PoolType.PagedPool, bytes: requirementsBytes(resources), tag: pnpTag };
  const list = nt.pool.allocate(request, call);
  if (list === undefined) return nullVa;
  writeRequirements(nt.memory, list, resources);
  return list;
}

/** A driver changes the list, or frees it and answers with another; the PnP manager frees what comes back. */
export const filterResourceRequirements: RequestStep = {
  minor: PnpMinor.FilterResourceRequirements,
  fill: (nt, location, { pdo }, irp, call) => {
    const list = requirementsOf(nt, pdo, call);
    IO_STACK_LOCATION.Parameter0.set(nt.memory, location, list);
    nt.memory.writeVa(IRP.Information.at(irp), list);
    return list;
  },
  answered: (nt, { pdo, data }, { status, information }) => {
    const device = nt.io.pnp.get(pdo);
    const list = ntSuccess(status) ? information : data;
    // A driver that answered with another list and did not free this one is forgiven.
    if (list !== data && data !== nullVa && nt.pool.blockAt(data) !== undefined) freeQueried(nt, data);
    if (device === undefined || list === nullVa) return { data: nullVa };
    const resources = chooseResources(nt.memory, list, device.resources);
    freeQueried(nt, list);
    if (!('refusal' in resources)) {
      nt.io.pnp.change(pdo, { resources });
      return { data: nullVa };
    }
    if (device.parent === nullVa) return { instead: unsupported(`a driver asks for ${resources.refusal}`) };
    nt.io.pnp.change(pdo, { failure: { what: 'the choice of resources', status: STATUS_CONFLICTING_ADDRESSES } });
    return { data: nullVa, status: STATUS_CONFLICTING_ADDRESSES, isOver: true };
  },
};

/** Both lists are NULL for a device without resources. */
export const startDevice: RequestStep = {
  minor: PnpMinor.StartDevice,
  fill: (nt, location, { pdo }) => {
    nt.io.pnp.freeLists(pdo);
    const resources = nt.io.pnp.get(pdo)?.resources ?? [];
    if (resources.length === 0) return nullVa;
    const [raw, translated] = [false, true].map((isTranslated) => {
      const list = nt.pool.allocateKernel(resourceListBytes(resources), 'PnpR');
      writeResourceList(nt.memory, list, resources, isTranslated);
      return list;
    }) as [Va, Va];
    PNP_PARAMETERS.AllocatedResources.set(nt.memory, location, raw);
    PNP_PARAMETERS.AllocatedResourcesTranslated.set(nt.memory, location, translated);
    nt.io.pnp.change(pdo, { lists: { raw, translated } });
    return nullVa;
  },
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
const systemStates = 7;

export const queryCapabilities: RequestStep = {
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
  answered: (nt, { pdo, data }, { status }) => {
    const flags = DEVICE_CAPABILITIES.Flags.get(nt.memory, data);
    const states = DEVICE_CAPABILITIES.DeviceState.at(data);
    const deviceStates = Array.from({ length: systemStates }, (_, index) =>
      nt.memory.readU32(vaAdd(states, index * 4)),
    );
    nt.pool.freeKernel(data);
    if (ntSuccess(status)) nt.io.pnp.change(pdo, { capabilities: { flags, deviceStates } });
    return { data: nullVa };
  },
};

const removedStates = PnpDeviceState.Disabled | PnpDeviceState.Failed | PnpDeviceState.Removed;

/** A device that failed, or is disabled or gone, is taken away as if it had been pulled out. */
export const queryState: RequestStep = {
  minor: PnpMinor.QueryPnpDeviceState,
  answered: (_nt, _state, { status, information }) => {
    if (!ntSuccess(status)) return undefined;
    if ((information & removedStates) !== 0) return { status: STATUS_SUCCESS, goOnWith: 'surpriseRemove' };
    return (information & PnpDeviceState.ResourcesChanged) !== 0 ? { goOnWith: 'rebalance' } : undefined;
  },
};

/** After a rebalance, a device that still wants other resources has had its turn. */
export const queryStateAgain: RequestStep = {
  minor: PnpMinor.QueryPnpDeviceState,
  answered: (_nt, _state, { status, information }) =>
    ntSuccess(status) && (information & removedStates) !== 0 ? { goOnWith: 'surpriseRemove' } : undefined,
};
