/** When a run may be called clean, and what keeps it from it. */
import { ntSuccess } from '../nt/ntstatus.ts';
import { statusWithName } from '../nt/status-name.ts';
import type { LoadedDriver } from './loaded-driver.ts';
import type { Machine } from './machine.ts';
import type { Leak, Site, UnsupportedUse, Verdict, Violation } from './report/report.ts';
import { siteText } from './report/site-text.ts';

export interface Findings {
  readonly leaks: readonly Leak[];
  readonly violations: readonly Violation[];
  readonly unsupported: readonly UnsupportedUse[];
}

export interface VerdictAndReasons {
  readonly verdict: Verdict;
  readonly reasons: readonly string[];
}

/**
 * A violation stands whatever else was met; `clean` is said only if nothing at all is missing.
 * `stoppedAt`: the driver's place when it was stopped at its limit.
 */
export function decideVerdict(machine: Machine, findings: Findings, stoppedAt: Site | null): VerdictAndReasons {
  const reasons = incompleteReasons(machine, findings, stoppedAt);
  if (findings.leaks.length > 0 || findings.violations.length > 0) return { verdict: 'violation', reasons };
  return { verdict: reasons.length > 0 ? 'incomplete' : 'clean', reasons };
}

function incompleteReasons(machine: Machine, findings: Findings, stoppedAt: Site | null): string[] {
  const { nt, life, choice } = machine;
  const reasons: string[] = [];
  for (const option of choice.notImplemented)
    reasons.push(`the option '${option.name}' was asked for and is not supported yet`);
  if (machine.poolTracking === undefined) reasons.push('Pool tracking is off: nothing was checked at unload');
  for (const use of findings.unsupported) reasons.push(unsupportedReason(use));
  const end = nt.end.value;
  if (end?.kind === 'instruction-limit') {
    reasons.push(
      `the driver ran ${machine.instructionLimit.toLocaleString('en-US')} instructions (a call of the kernel counts 500) without coming to rest${placeText(stoppedAt)}: a loop without end, or a longer run than --limit allows`,
    );
  }
  reasons.push(...life.state.reasons);
  if (end !== undefined) return reasons;
  for (const driver of machine.drivers) reasons.push(...reasonsOfDriver(machine, driver));
  return reasons;
}

/** What the driver did not do of a whole life. Companions need only have started. */
function reasonsOfDriver(machine: Machine, driver: LoadedDriver): string[] {
  const { nt, life } = machine;
  const { image, isVerified, isLibrary } = driver;
  const isAlone = machine.drivers.length === 1;
  const of = isAlone ? '' : ` of ${image.fileName}`;
  const object = nt.io.drivers.ofImage(image);
  const hasReasons = life.state.reasons.length > 0;
  if (isLibrary) {
    const isGone = nt.images.byIndex(image.index)?.isLoaded === false;
    return isGone || hasReasons || !isVerified ? [] : [`the image${of} was not unloaded`];
  }
  if (object?.entryStatus === undefined) return hasReasons ? [] : [`DriverEntry${of} did not return`];
  if (!ntSuccess(object.entryStatus)) {
    const rest = isAlone ? 'nothing else of the driver was run' : 'nothing else of it was run';
    return [`DriverEntry${of} failed with ${statusWithName(object.entryStatus)}, so ${rest}`];
  }
  if (!isVerified || !life.state.isOver || hasReasons) return [];
  const reasons: string[] = [];
  if (object.state === 'unload-deferred') {
    reasons.push(deferredReason(machine, driver, of));
  } else if (object.state !== 'unloaded') {
    reasons.push(`the image${of} was not unloaded (${object.state})`);
  }
  if (!life.wasReached(driver) && life.madeDevices(driver)) {
    reasons.push(`no request reached a dispatch routine of ${isAlone ? 'the driver' : image.fileName}`);
  }
  return reasons;
}

/** DriverUnload ran, and the image stayed. */
function deferredReason({ nt }: Machine, { image }: LoadedDriver, of: string): string {
  const importers = nt.images.importersOf(image).map(({ fileName }) => fileName);
  if (importers.length > 0) return `the image${of} was not unloaded: ${importers.join(', ')} still imports from it`;
  const driverObject = nt.io.drivers.ofImage(image)?.driverObject;
  const keepers = driverObject === undefined ? [] : nt.io.drivers.keepers(driverObject);
  return `the image${of} was not unloaded: ${keepers.join(', and ')}, and Windows waits for that to go`;
}

function unsupportedReason(use: UnsupportedUse): string {
  const what = { export: 'calls', instruction: 'needs the instruction', behaviour: 'needs', step: 'needs the step' }[
    use.kind
  ];
  return `the driver ${what} ${use.name}${placeText(use.site)}, which is not supported`;
}

function placeText(site: Site | null): string {
  return site === null ? '' : ` at ${siteText(site)}`;
}
