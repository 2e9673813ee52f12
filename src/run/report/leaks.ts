/** What drivers left behind, as the report tells it. */
import { hexVa, type Va } from '../../base/va.ts';
import type { CallStackReader } from '../../debugger/call-stack.ts';
import type { BugCheck } from '../../nt/declare/bug-check.ts';
import { tagText } from '../../nt/declare/parameter-types.ts';
import { PoolType } from '../../nt/structures/pool.ts';
import type { OutlivingResource } from '../../verifier/outliving-resources/outliving-resources.ts';
import type { AllocationGroup } from '../../verifier/pool-tracking/tracked-allocations.ts';
import type { LoadedDriver } from '../loaded-driver.ts';
import type { Machine } from '../machine.ts';
import { type Activities, allocatorOf, stepsOf } from './leak-origin.ts';
import type { Leak } from './report.ts';
import { excerptOf, type ReadSource } from './source-excerpt.ts';

/** Of every verified driver, in the order in which they were loaded; of each what is pool first, oldest first. */
export function leaksOf(machine: Machine, stacks: CallStackReader, readSource: ReadSource | undefined): Leak[] {
  return machine.verified.flatMap((driver) => {
    const leaks: readonly LeakInMachine[] = [
      ...poolLeaks(machine, driver, stacks),
      ...resourceLeaks(outlivingResources(machine, driver), machine, stacks),
    ];
    const of = machine.drivers.length === 1 ? {} : { driver: driver.file.name };
    return leaks.map((leak) => ({ ...leak, source: excerptOf(leak.site, readSource), ...of }));
  });
}

/** As far as the machine itself tells it. */
type LeakInMachine = Omit<Leak, 'source' | 'driver'>;

/** Whether what the driver still holds is leaked: only if the image went, or the check at unload said so. */
export function isUnloaded(machine: Machine, { image, isLibrary }: LoadedDriver): boolean {
  if (machine.stoppedUnloadOf !== undefined) return machine.stoppedUnloadOf === image.index;
  if (machine.nt.end.value !== undefined) return false;
  if (isLibrary) return machine.nt.images.byIndex(image.index)?.isLoaded === false;
  const state = machine.nt.io.drivers.ofImage(image)?.state;
  return state === 'unloaded' || state === 'load-failed' || state === 'unload-deferred';
}

function poolLeaks(machine: Machine, driver: LoadedDriver, stacks: CallStackReader): LeakInMachine[] {
  const { poolTracking } = machine;
  if (poolTracking === undefined || !isUnloaded(machine, driver)) return [];
  return poolTracking.allocations.groupsOf(driver.image.index).map((group) => poolLeak(group, machine, stacks));
}

function poolLeak(group: AllocationGroup, { life, drivers }: Machine, stacks: CallStackReader): LeakInMachine {
  const { oldest, count, bytes } = group;
  const stack = stacks.read(oldest.stack);
  const steps = stepsOf(group.activities, life.state, drivers);
  return {
    kind: oldest.kind,
    tag: tagText(oldest.tag),
    bytes,
    count,
    poolType: poolTypeName(oldest.poolType),
    address: hexVa(oldest.va),
    site: stacks.driverSite(stack),
    allocator: allocatorOf(stack),
    sinceStep: steps[0] ?? null,
    steps,
    stack,
    fault: null,
  };
}

function outlivingResources(machine: Machine, driver: LoadedDriver): readonly OutlivingResource[] {
  const { nt, outlivingResources: resources, life } = machine;
  const end = nt.end.value;
  // A process ended with locked pages.
  if (end?.kind === 'bug-check' && end.bugCheck.code === 0xcb) {
    return resources.lockedIn(nt.processor.requesterProcess, driver.image);
  }
  if (isUnloaded(machine, driver)) return resources.ofImage(driver.image);
  // An adapter is released and something of it was not freed.
  if (end?.kind === 'bug-check' && isDmaLeak(end.bugCheck)) {
    const adapter = nt.dma.adapter(Number(end.bugCheck.parameters[1]) as Va);
    return adapter?.imageIndex === driver.image.index ? resources.ofAdapter(adapter.adapter) : [];
  }
  // What keeps a driver from being unloaded for ever is leaked although the check at unload never comes.
  return life.state.keptLoaded.length === 0 ? [] : resources.fileReferences(driver.image);
}

/** DMA checking: what was obtained with an adapter was not freed before it. */
export function isDmaLeak({ code, parameters }: BugCheck): boolean {
  const rule = Number(parameters[0]);
  return code === 0xe6 && rule >= 0x07 && rule <= 0x0a;
}

/** Equal in kind, name and stack is one leak. */
function resourceLeaks(
  resources: readonly OutlivingResource[],
  { life, drivers }: Machine,
  stacks: CallStackReader,
): LeakInMachine[] {
  const groups = new Map<string, OutlivingResource[]>();
  for (const resource of resources) {
    const key = `${resource.kind} ${resource.name} ${resource.stack.join()}`;
    const group = groups.get(key);
    if (group) group.push(resource);
    else groups.set(key, [resource]);
  }
  return [...groups.values()].map((group) => {
    const first = group[0] as OutlivingResource;
    const stack = stacks.read(first.stack);
    const steps = stepsOf(activitiesOf(group), life.state, drivers);
    return {
      kind: first.kind,
      tag: null,
      bytes: group.reduce((sum, { bytes }) => sum + bytes, 0),
      count: group.length,
      poolType: null,
      address: hexVa(first.address),
      ...(first.name === undefined ? {} : { name: first.name }),
      site: stacks.driverSite(stack),
      allocator: allocatorOf(stack),
      sinceStep: steps[0] ?? null,
      steps,
      stack,
      fault: null,
    };
  });
}

/** How many came in which activity, in the order of time. */
function activitiesOf(group: readonly OutlivingResource[]): Activities {
  const counts = new Map<number, number>();
  for (const { activity } of group) counts.set(activity, (counts.get(activity) ?? 0) + 1);
  return [...counts].sort(([one], [other]) => one - other).map(([activity, count]) => ({ activity, count }));
}

const poolTypeNames = new Map<number, string>(Object.entries(PoolType).map(([name, value]) => [value, name]));

export function poolTypeName(poolType: number): string {
  return poolTypeNames.get(poolType) ?? `0x${poolType.toString(16)}`;
}
