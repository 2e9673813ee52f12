/** Where a leak comes from besides its place in the driver: the routine that allocated, and the steps of the life. */

import type { LifeState } from '../life-state.ts';
import type { LoadedDriver } from '../loaded-driver.ts';
import type { LeakStep, Site } from './report.ts';

/** Modules of the kernel, as the debugger has them. */
const kernelModules = ['nt', 'hal'];

/** The routine of the kernel that the driver called; null if the stack does not show one. */
export function allocatorOf(stack: readonly Site[]): string | null {
  const driver = stack.findIndex(({ module }) => !kernelModules.includes(module));
  const callee = driver < 0 ? undefined : stack[driver - 1];
  return callee?.function ?? null;
}

/** How much came in which activity of the kernel, in the order of time. */
export type Activities = readonly { readonly activity: number; readonly count: number }[];

/** The steps in which something was taken, in the order of time. */
export function stepsOf(
  activities: Activities,
  life: LifeState,
  drivers: readonly LoadedDriver[],
): readonly LeakStep[] {
  return activities.map(({ activity, count }) => ({ ...activityAt(activity, life, drivers), count }));
}

/** An act of the plan as people know it. Steps have the numbers that they have in the report. */
export function activityAt(
  index: number,
  { plan, results }: LifeState,
  drivers: readonly LoadedDriver[],
): Omit<LeakStep, 'count'> {
  const act = plan[index];
  if (act === undefined) return { step: null, name: 'the end' };
  if ('text' in act) {
    const before = plan.slice(0, index).filter((other) => 'text' in other).length;
    // A request of the tour that pends is told as an asynchronous one.
    const names = 'isTrial' in act ? [act.text, `${act.text} async`] : [act.text];
    const name = names.find((text) => text === results[before]?.text);
    const isNumbered = results[before] === undefined || name !== undefined;
    return { step: isNumbered ? before + 1 : null, name: name ?? act.text };
  }
  const of = 'driver' in act && drivers.length > 1 ? ` of ${drivers[act.driver]?.file.name ?? ''}` : '';
  switch (act.verb) {
    case 'load':
      return { step: null, name: `DriverEntry${of}` };
    case 'final-unload':
      return { step: null, name: `DriverUnload${of}` };
    case 'arrival':
      return { step: null, name: 'AddDevice and start' };
    case 'settling':
      return { step: null, name: 'what the start left running' };
    case 'departure':
      return { step: null, name: 'the removal of the device' };
    case 'registry-use':
      return { step: null, name: 'what the process does in the registry' };
    case 'process-start':
    case 'process-images':
      return { step: null, name: 'the start of the process' };
    case 'other-process':
      return { step: null, name: 'another process that starts before the unload' };
    case 'aftermath':
      return { step: null, name: 'what the driver left running' };
    default:
      return { step: null, name: 'the end of the process' };
  }
}
