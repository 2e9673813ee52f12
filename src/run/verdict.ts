/** When a run may be called clean, and what keeps it from it. */
import { ntSuccess, statusText } from '../nt/ntstatus.ts';
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
      `the driver ran ${machine.options.instructionLimit.toLocaleString('en-US')} instructions (a call of the kernel counts 500) without coming to rest${placeText(stoppedAt)}: a loop without end, or a longer run than --limit allows`,
    );
  }
  reasons.push(...life.state.reasons);
  if (end !== undefined) return reasons;
  const driver = nt.io.drivers.ofImage(machine.image);
  if (driver?.entryStatus === undefined) {
    if (life.state.reasons.length === 0) reasons.push('DriverEntry did not return');
  } else if (!ntSuccess(driver.entryStatus)) {
    reasons.push(`DriverEntry failed with ${statusText(driver.entryStatus)}, so nothing else of the driver was run`);
  } else if (life.state.isOver && life.state.reasons.length === 0) {
    if (driver.state === 'unload-deferred') {
      reasons.push('the image was not unloaded: device objects of the driver remain, and Windows waits for them to go');
    } else if (driver.state !== 'unloaded') {
      reasons.push(`the image was not unloaded (${driver.state})`);
    }
    if (!life.reachedDriver && life.madeDevices) reasons.push('no request reached a dispatch routine of the driver');
  }
  return reasons;
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
