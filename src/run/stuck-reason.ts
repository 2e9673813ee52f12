/** Why a life could not go on, in words. */

import { STATUS_PENDING } from '../nt/ntstatus.ts';
import type { RunResult } from '../nt/run-loop.ts';
import { statusWithName } from '../nt/status-name.ts';
import type { Act, LifeState, SentRequest } from './life-state.ts';

const nameOfAct: Readonly<Record<string, string>> = {
  load: 'DriverEntry',
  arrival: 'the arrival of the device (AddDevice, IRP_MN_START_DEVICE)',
  departure: 'the removal of the device',
};
/** Requests that a reason names. */
const mostNamed = 4;

/** `result`: how the machine came to a stand. */
export function stuckReason(state: LifeState, act: Act, result: RunResult): string {
  if (state.stage === 'waiting') {
    return `the device was not removed: Windows does not remove it while a file is open on it${stillPending(state)}`;
  }
  const what = 'text' in act ? `the step '${act.text}'` : (nameOfAct[act.verb] ?? 'the end of the process');
  const { request } = state;
  const which = request === undefined ? '' : ` (${request.what})`;
  if (result === 'deadline') return `${what}${which} did not end within ten virtual minutes`;
  if (state.stage === 'completing') {
    return `${what}${which} waits for its request to be completed, and nothing is left to run that could do it`;
  }
  return `${what}${which} waits for something that nothing left to run can bring`;
}

/** Why DriverUnload was not called. `name`: ` of B.sys` where there are several drivers; `holders` as of `holdersOf`. */
export function unloadReason(state: LifeState, name: string, holders: readonly string[]): string {
  const what = `DriverUnload${name} was not called: Windows does not call it while a file is open on a device of the driver, or a device is attached to one`;
  const who = holders.length === 0 ? '' : `; ${holders.join(', ')}`;
  return `${what}${who}${stillPending(state)}`;
}

function stillPending({ pending, results }: LifeState): string {
  const requests = [...new Set(pending.map((request) => pendingText(request, results[request.stepIndex]?.text ?? '')))];
  const more = requests.length > mostNamed ? ` and ${requests.length - mostNamed} more` : '';
  return requests.length === 0 ? '' : `; still pending: ${requests.slice(0, mostNamed).join(', ')}${more}`;
}

/** A request that no driver has completed, and how its dispatch routine left it. */
function pendingText({ what, returned }: SentRequest, step: string): string {
  const how =
    returned === undefined
      ? ', whose dispatch routine holds its thread'
      : returned === STATUS_PENDING
        ? ''
        : `, whose dispatch routine returned ${statusWithName(returned)} without completing it`;
  return `'${step}' (${what}${how})`;
}
