import type { Va } from '../../base/va.ts';
import type { KernelImage } from '../../nt/mm/kernel-image.ts';
import type { Nt } from '../../nt/nt.ts';
import type { Step } from './step.ts';
import { parseStep } from './step.ts';

/** What is done without a scenario: every device that the driver made is opened, read, written and closed. */
export function tourSteps(nt: Nt, image: KernelImage): readonly Step[] {
  const driver = nt.io.drivers.ofImage(image);
  if (driver === undefined) return [];
  const links = [...nt.objects.symbolicLinks()];
  const steps: Step[] = [];
  for (const { name } of nt.io.devices.ofDriver(driver.driverObject).reverse()) {
    if (name === undefined) continue;
    const link = links.find(({ target }) => target.toLowerCase() === name.toLowerCase());
    const path = link === undefined ? name : `\\\\.\\${link.name.slice(link.name.lastIndexOf('\\') + 1)}`;
    for (const text of [`open ${path}`, 'read 64', `write ${'00'.repeat(64)}`, 'close']) steps.push(parseStep(text));
  }
  for (const link of interfacesOf(nt, driver.driverObject)) {
    const path = `\\\\.\\${link.slice(link.indexOf('\\', 1) + 1)}`;
    for (const text of [`open ${path}`, 'read 64', `write ${'00'.repeat(64)}`, 'close']) steps.push(parseStep(text));
  }
  if (nt.io.pnp.ofDriver(driver.driverObject)?.state === 'started') steps.push(...pnpSteps);
  return steps;
}

/** The ways of a device: stopped and started, removed in order, and (the next one) pulled out. */
const pnpSteps: readonly Step[] = ['stop', 'start', 'remove', 'start', 'surprise-remove'].map(parseStep);

/** Names of the driver's device interfaces that are enabled. */
function interfacesOf(nt: Nt, driverObject: Va): readonly string[] {
  return [...nt.io.interfaces.all()]
    .filter(({ pdo, isEnabled }) => isEnabled && nt.io.pnp.get(pdo)?.driverObject === driverObject)
    .map(({ link }) => link);
}
