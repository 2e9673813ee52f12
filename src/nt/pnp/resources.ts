/**
 * Hardware resources of a device: what the simulated bus has for it, the lists in which they are asked for
 * (IO_RESOURCE_REQUIREMENTS_LIST) and given (CM_RESOURCE_LIST), and the choice between the two, which is the PnP manager's.
 */
import { type Va, vaAdd } from '../../base/va.ts';
import type { GuestMemory } from '../../engine/memory/guest-memory.ts';
import type { DeviceModel } from '../../hardware/device-model.ts';
import {
  CM_PARTIAL_RESOURCE_DESCRIPTOR,
  CM_RESOURCE_LIST,
  IO_RESOURCE_DESCRIPTOR,
  IO_RESOURCE_REQUIREMENTS_LIST,
  ResourceFlag,
  ResourceOption,
  ResourceShare,
  ResourceType,
} from '../structures/resources.ts';

export interface AddressResource {
  readonly type: 'memory' | 'port';
  /** Physical address, or port. */
  readonly start: number;
  readonly bytes: number;
  readonly flags: number;
}

export interface InterruptResource {
  readonly type: 'interrupt';
  /** What the bus knows it by. */
  readonly rawVector: number;
  /** What IoConnectInterrupt takes. */
  readonly vector: number;
  readonly irql: number;
  readonly isMessage: boolean;
  readonly isLatched: boolean;
}

/** Data of a bus driver for itself, which the PnP manager hands on. */
export interface PrivateResource {
  readonly type: 'private';
  readonly data: readonly [number, number, number];
}

export type DeviceResource = AddressResource | InterruptResource | PrivateResource;

/** InterfaceType: PNPBus is 15, PCIBus 5; the simulated bus calls itself by the latter. */
const pciBus = 5;
const affinity = 1n;
/** Vectors of the processor: the IRQL is the upper half of a vector. */
const vectorOf = (irql: number, index: number): number => irql * 16 + (index % 16);
const lineIrql = 9;
const messageIrql = 11;

const memoryBase = 0xfeb0_0000;
const memoryBytes = 0x1000;
const portBase = 0xc000;
const portBytes = 0x20;

/** What the nth device of the root bus has: registers in memory, ports, a line and a message. */
export function defaultResources(number: number): readonly DeviceResource[] {
  const line = { rawVector: 16 + (number % 8), vector: vectorOf(lineIrql, number), irql: lineIrql };
  const message = {
    rawVector: vectorOf(messageIrql, number),
    vector: vectorOf(messageIrql, number),
    irql: messageIrql,
  };
  return [
    { type: 'memory', start: memoryBase + (number % 0x100) * memoryBytes, bytes: memoryBytes, flags: 0 },
    { type: 'port', start: portBase + (number % 0x100) * portBytes, bytes: portBytes, flags: ResourceFlag.PortIo },
    { type: 'interrupt', ...line, isMessage: false, isLatched: false },
    { type: 'interrupt', ...message, isMessage: true, isLatched: true },
  ];
}

/** Where 64-bit memory, memory below 4 GB, and ports of devices with a model are placed, and how much room there is. */
const windows = {
  high: { start: 0x40_0000_0000, bytes: 0x40_0000_0000 },
  low: { start: 0xc000_0000, bytes: 0x3000_0000 },
  port: { start: 0xd000, bytes: 0x1000 },
} as const;
type Window = keyof typeof windows;

/** What the nth device of the root bus has if it is one with a model. Two devices in a row stand in different places. */
export function modelResources({ ranges, interrupts = {} }: DeviceModel, number: number): readonly DeviceResource[] {
  const used: Record<Window, number> = { high: 0, low: 0, port: 0 };
  const placed = ranges.map(({ type, bytes, is64Bit }) => {
    const window: Window = type === 'port' ? 'port' : is64Bit === true ? 'high' : 'low';
    // Two ranges share no page.
    const room = type === 'port' ? bytes : Math.max(bytes, 0x1000);
    const offset = Math.ceil(used[window] / room) * room;
    used[window] = offset + room;
    return { window, offset };
  });
  const addresses = ranges.map(({ type, bytes, isPrefetchable }, index): AddressResource => {
    const { window, offset } = placed[index] as (typeof placed)[number];
    const stride = 2 ** Math.ceil(Math.log2(used[window]));
    const start = windows[window].start + (number % Math.floor(windows[window].bytes / stride)) * stride + offset;
    const flags =
      type === 'port'
        ? ResourceFlag.PortIo | ResourceFlag.PortBar
        : ResourceFlag.MemoryBar | (isPrefetchable === true ? ResourceFlag.MemoryPrefetchable : 0);
    return { type, start, bytes, flags };
  });
  const rawLine = 16 + (number % 8);
  const line = { rawVector: rawLine, vector: vectorOf(lineIrql, number), irql: lineIrql };
  const messages = Array.from({ length: interrupts.messages ?? 0 }, (_, index): InterruptResource => {
    const vector = messageIrql * 16 + ((number + index) % 32);
    return { type: 'interrupt', rawVector: vector, vector, irql: messageIrql, isMessage: true, isLatched: true };
  });
  return [
    ...addresses,
    ...(interrupts.line === true ? [{ type: 'interrupt', ...line, isMessage: false, isLatched: false } as const] : []),
    ...messages,
  ];
}

export const interruptsOf = (resources: readonly DeviceResource[]): InterruptResource[] =>
  resources.filter((resource) => resource.type === 'interrupt');

// ---- CM_RESOURCE_LIST

export const resourceListBytes = (resources: readonly DeviceResource[]): number =>
  CM_RESOURCE_LIST.Descriptors.offset + resources.length * CM_PARTIAL_RESOURCE_DESCRIPTOR.sizeBytes;

export function writeResourceList(
  memory: GuestMemory,
  list: Va,
  resources: readonly DeviceResource[],
  isTranslated: boolean,
): void {
  memory.fill(list, resourceListBytes(resources), 0);
  CM_RESOURCE_LIST.Count.set(memory, list, 1);
  CM_RESOURCE_LIST.InterfaceType.set(memory, list, pciBus);
  CM_RESOURCE_LIST.Version.set(memory, list, 1);
  CM_RESOURCE_LIST.Revision.set(memory, list, 1);
  CM_RESOURCE_LIST.DescriptorCount.set(memory, list, resources.length);
  for (const [index, resource] of resources.entries()) {
    const at = vaAdd(CM_RESOURCE_LIST.Descriptors.at(list), index * CM_PARTIAL_RESOURCE_DESCRIPTOR.sizeBytes);
    writeGiven(memory, at, resource, isTranslated);
  }
}

function writeGiven(memory: GuestMemory, at: Va, resource: DeviceResource, isTranslated: boolean): void {
  const given = CM_PARTIAL_RESOURCE_DESCRIPTOR;
  given.Type.set(memory, at, typeCode(resource));
  given.ShareDisposition.set(memory, at, shareOf(resource));
  given.Flags.set(memory, at, flagsOf(resource));
  if (resource.type === 'private') {
    for (const [index, word] of resource.data.entries()) memory.writeU32(vaAdd(at, 4 + index * 4), word);
  } else if (resource.type !== 'interrupt') {
    given.Start.set(memory, at, BigInt(resource.start));
    given.Length.set(memory, at, resource.bytes);
  } else {
    given.Affinity.set(memory, at, affinity);
    given.Vector.set(memory, at, isTranslated ? resource.vector : resource.rawVector);
    if (isTranslated) given.Level.set(memory, at, resource.irql);
    else if (resource.isMessage) given.MessageCount.set(memory, at, 1);
    else given.Level.set(memory, at, resource.rawVector);
  }
}

// ---- IO_RESOURCE_REQUIREMENTS_LIST

export const requirementsBytes = (resources: readonly DeviceResource[]): number =>
  IO_RESOURCE_REQUIREMENTS_LIST.Descriptors.offset + resources.length * IO_RESOURCE_DESCRIPTOR.sizeBytes;

/** One list, each resource in the only place that it can have. */
export function writeRequirements(memory: GuestMemory, list: Va, resources: readonly DeviceResource[]): void {
  const size = requirementsBytes(resources);
  const requirements = IO_RESOURCE_REQUIREMENTS_LIST;
  memory.fill(list, size, 0);
  requirements.ListSize.set(memory, list, size);
  requirements.InterfaceType.set(memory, list, pciBus);
  requirements.AlternativeLists.set(memory, list, 1);
  requirements.Version.set(memory, list, 1);
  requirements.Revision.set(memory, list, 1);
  requirements.Count.set(memory, list, resources.length);
  for (const [index, resource] of resources.entries()) {
    const at = vaAdd(requirements.Descriptors.at(list), index * IO_RESOURCE_DESCRIPTOR.sizeBytes);
    writeAsked(memory, at, resource);
  }
}

function writeAsked(memory: GuestMemory, at: Va, resource: DeviceResource): void {
  const asked = IO_RESOURCE_DESCRIPTOR;
  asked.Type.set(memory, at, typeCode(resource));
  asked.ShareDisposition.set(memory, at, shareOf(resource));
  asked.Flags.set(memory, at, flagsOf(resource));
  if (resource.type === 'private') {
    for (const [index, word] of resource.data.entries()) memory.writeU32(vaAdd(at, 8 + index * 4), word);
  } else if (resource.type === 'interrupt') {
    asked.MinimumVector.set(memory, at, resource.rawVector);
    asked.MaximumVector.set(memory, at, resource.rawVector);
  } else {
    asked.Length.set(memory, at, resource.bytes);
    asked.Alignment.set(memory, at, resource.bytes);
    asked.MinimumAddress.set(memory, at, BigInt(resource.start));
    asked.MaximumAddress.set(memory, at, BigInt(resource.start + resource.bytes - 1));
  }
}

/** What cannot be had, in words. */
export type Refusal = { readonly refusal: string };

/**
 * Chooses resources for the first list of `requirements`: what the bus has (`own`) where it fits, else the lowest place
 * that is asked for. Alternatives of a requirement that was met are left out.
 */
export function chooseResources(
  memory: GuestMemory,
  requirements: Va,
  own: readonly DeviceResource[],
): readonly DeviceResource[] | Refusal {
  const count = IO_RESOURCE_REQUIREMENTS_LIST.Count.get(memory, requirements);
  if (IO_RESOURCE_REQUIREMENTS_LIST.AlternativeLists.get(memory, requirements) === 0) return [];
  const chosen: DeviceResource[] = [];
  const left = [...own];
  for (let index = 0; index < count; index++) {
    const at = vaAdd(
      IO_RESOURCE_REQUIREMENTS_LIST.Descriptors.at(requirements),
      index * IO_RESOURCE_DESCRIPTOR.sizeBytes,
    );
    // Configuration data and null descriptors ask for nothing, and an alternative stands behind what was met.
    const type = IO_RESOURCE_DESCRIPTOR.Type.get(memory, at);
    if ((IO_RESOURCE_DESCRIPTOR.Option.get(memory, at) & ResourceOption.Alternative) !== 0) continue;
    if (type === ResourceType.Null || type === 128) continue;
    const resource = choose(memory, at, left);
    if ('refusal' in resource) return resource;
    left.splice(left.indexOf(resource), left.includes(resource) ? 1 : 0);
    chosen.push(resource);
  }
  return chosen;
}

function choose(memory: GuestMemory, at: Va, own: readonly DeviceResource[]): DeviceResource | Refusal {
  const asked = IO_RESOURCE_DESCRIPTOR;
  const type = asked.Type.get(memory, at);
  const flags = asked.Flags.get(memory, at);
  if (type === ResourceType.DevicePrivate) {
    return { type: 'private', data: [8, 12, 16].map((offset) => memory.readU32(vaAdd(at, offset))) as never };
  }
  if (type === ResourceType.Interrupt) {
    const [lowest, highest] = [asked.MinimumVector.get(memory, at), asked.MaximumVector.get(memory, at)];
    const isMessage = (flags & ResourceFlag.InterruptMessage) !== 0;
    const fitting = interruptsOf(own).find(
      (one) => one.isMessage === isMessage && (isMessage || (one.rawVector >= lowest && one.rawVector <= highest)),
    );
    return fitting ?? { refusal: 'an interrupt that the device of the simulated bus does not have' };
  }
  if (type !== ResourceType.Port && type !== ResourceType.Memory) return { refusal: `a resource of type ${type}` };
  const bytes = asked.Length.get(memory, at);
  const [lowest, highest] = [
    Number(asked.MinimumAddress.get(memory, at)),
    Number(asked.MaximumAddress.get(memory, at)),
  ];
  const name = type === ResourceType.Port ? 'port' : 'memory';
  const fits = (one: DeviceResource): boolean =>
    one.type === name && one.start >= lowest && one.start + bytes - 1 <= highest && bytes <= one.bytes;
  const fitting = own.find(fits);
  if (fitting?.type === name) return fitting;
  return { refusal: `${name === 'port' ? 'ports' : 'memory'} that the device of the simulated bus does not have` };
}

const codes = {
  memory: ResourceType.Memory,
  port: ResourceType.Port,
  interrupt: ResourceType.Interrupt,
  private: ResourceType.DevicePrivate,
} as const;

const typeCode = ({ type }: DeviceResource): number => codes[type];

function shareOf(resource: DeviceResource): number {
  return resource.type === 'interrupt' && !resource.isMessage ? ResourceShare.Shared : ResourceShare.DeviceExclusive;
}

function flagsOf(resource: DeviceResource): number {
  if (resource.type === 'private') return 0;
  if (resource.type !== 'interrupt') return resource.flags;
  return (
    (resource.isLatched ? ResourceFlag.InterruptLatched : 0) | (resource.isMessage ? ResourceFlag.InterruptMessage : 0)
  );
}
