import { PoolproofError } from '../../base/errors.ts';
import { moduleName } from '../loaded-driver.ts';
import type { InputPart, Step } from './step.ts';

/** Refuses steps that speak of a driver that is not there, or of a handle or event that no step before them makes. Throws PP5003. */
export function checkSteps(steps: readonly Step[], drivers: readonly string[]): void {
  const files = new Set<string>();
  const events = new Set<string>();
  let isOpen = false;
  let suspended: Step | undefined;
  const refuse = (step: Step, what: string): never => {
    throw new PoolproofError('PP5003', `step '${step.text}': ${what}`);
  };
  for (const step of steps) {
    if (step.verb === 'resume') {
      if (suspended === undefined) refuse(step, 'the system is not asleep: no suspend before it');
      suspended = undefined;
    } else if (step.verb === 'suspend') {
      suspended = step;
    }
    const { driver } = step.verb === 'unload' ? step : {};
    if (driver !== undefined && !drivers.some((name) => moduleName(name) === moduleName(driver))) {
      refuse(step, `no driver is called '${driver}'; there is ${drivers.join(', ')}`);
    }
    if ('input' in step) {
      for (const name of namesIn([...step.input, ...('outputContents' in step ? step.outputContents : [])])) {
        if (!events.has(name) && !files.has(name))
          refuse(step, `no step before it makes '${name}' (${name}=event or ${name}=open …)`);
      }
    }
    if ('target' in step) {
      if (step.target !== undefined && !files.has(step.target)) {
        refuse(step, `no step before it opens '${step.target}' (${step.target}=open …)`);
      }
      if (!isOpen) refuse(step, 'no step before it opens a device (open \\\\.\\Name)');
    } else if (step.verb === 'open') {
      isOpen = true;
      if (step.name !== undefined) files.add(step.name);
    } else if (step.verb === 'event') {
      events.add(step.name ?? 'event');
    }
  }
  if (suspended !== undefined) refuse(suspended, 'no resume follows');
}

function namesIn(parts: readonly InputPart[]): string[] {
  return parts.flatMap((part) => ('handleName' in part ? [part.handleName] : []));
}
