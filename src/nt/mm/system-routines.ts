/** MmGetSystemRoutineAddress: routines that a driver looks up by name because not every Windows has them. */
import { nullVa, type Va } from '../../base/va.ts';
import type { Call } from '../declare/call.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { type Outcome, unsupported } from '../declare/outcome.ts';
import { pointerTo } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { readUnicodeString } from '../rtl/guest-text.ts';
import { knownKernelExports } from './known-exports.generated.ts';

const knownNames: ReadonlySet<string> = new Set(knownKernelExports.trim().split(/\s+/));
const modules = ['ntoskrnl.exe', 'hal.dll'] as const;

/**
 * NULL only for a name that Windows lacks. For one that Windows has, a thunk of the calling image, so that its calls
 * are known as its own; if the routine does not exist here, the life ends when it is called, not when it is asked for.
 */
function systemRoutine(nt: Nt, name: string, call: Call): Outcome {
  for (const module of modules) {
    const target = nt.images.kernelExport(module, name);
    if (target === undefined) continue;
    const isData = nt.entries.at(target) === undefined;
    return isData || call.image === undefined ? target : thunk(nt, module, name, call);
  }
  return knownNames.has(name) ? thunk(nt, 'ntoskrnl.exe', name, call) : nullVa;
}

function thunk(nt: Nt, module: string, name: string, call: Call): Va | Outcome {
  const va = call.image === undefined ? undefined : nt.images.dynamicThunk(call.image, module, name);
  return va ?? unsupported(`MmGetSystemRoutineAddress of ${name}: no room for another routine`);
}

export const mmSystemRoutines = ntExports('ntoskrnl.exe', {
  MmGetSystemRoutineAddress: ntRoutine({
    doc: 'wdm.h; nf-wdm-mmgetsystemroutineaddress',
    irql: ['PASSIVE', 'PASSIVE'],
    params: { SystemRoutineName: pointerTo('UNICODE_STRING') },
    returns: 'PVOID',
    support: { partial: 'a name that no public list has counts as one that Windows lacks' },
    body: (nt, { SystemRoutineName }, call) => systemRoutine(nt, readUnicodeString(nt.memory, SystemRoutineName), call),
  }),
});
