/**
 * The system goes to sleep and comes back: IRP_MN_QUERY_POWER and IRP_MN_SET_POWER for a system state, one stack after the
 * other, children before the devices that they hang on when power goes and after them when it comes.
 */
import { nullVa, type Va } from '../../base/va.ts';
import type { Call, ResumedCall } from '../declare/call.ts';
import { passiveOnly } from '../declare/irql-ranges.ts';
import { ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest, type Outcome } from '../declare/outcome.ts';
import { ULONG } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { ntSuccess, STATUS_INVALID_DEVICE_STATE, STATUS_SUCCESS } from '../ntstatus.ts';
import { makeStackRequest, type StackAnswer, sendStackRequest, stackRequestResume } from '../pnp/stack-requests.ts';
import { MajorFunction } from '../structures/io.ts';
import { PNP_PARAMETERS, PowerMinor } from '../structures/pnp.ts';
import { PowerAction, PowerStateType, SystemPower } from '../structures/power.ts';
import { displaySettings } from './power-settings.ts';

/** SYSTEM_POWER_STATE_CONTEXT: target, effective and current state, four bits each from bit 8 on. */
const contextOf = (target: number, current: number): number => (target << 8) | (target << 12) | (current << 16);

/** What is being done; the numbers stand on the stack. `restore`: a query was refused, and all are told of the old state. */
const Phase = { query: 0, sleep: 1, restore: 2, wake: 3 } as const;

/** Record, after [block, irp] of a request: [phase, status, device, devices to come…]. */
function next(nt: Nt, phase: number, status: number, devices: readonly Va[]): Outcome {
  const [device, ...rest] = devices;
  if (device === undefined) return phaseOver(nt, phase, status);
  // A device may have gone meanwhile.
  if (nt.io.pnp.get(device)?.state !== 'started') return next(nt, phase, status, rest);
  const minor = phase === Phase.query ? PowerMinor.QueryPower : PowerMinor.SetPower;
  const isToSleep = phase === Phase.query || phase === Phase.sleep;
  const [target, current] = isToSleep
    ? [SystemPower.Sleeping3, SystemPower.Working]
    : [SystemPower.Working, phase === Phase.wake ? SystemPower.Sleeping3 : SystemPower.Working];
  const request = makeStackRequest(nt, device, MajorFunction.Power, minor, (location) => {
    PNP_PARAMETERS.SystemContext.set(nt.memory, location, contextOf(target, current));
    PNP_PARAMETERS.PowerType.set(nt.memory, location, PowerStateType.System);
    PNP_PARAMETERS.PowerState.set(nt.memory, location, target);
    PNP_PARAMETERS.ShutdownType.set(nt.memory, location, PowerAction.Sleep);
  });
  return sendStackRequest(nt, request, [phase, status, device, ...rest]);
}

/** Drivers must not fail IRP_MN_SET_POWER for a system state; if one does, nothing comes of it. */
function answered(nt: Nt, call: ResumedCall, answer: StackAnswer): Outcome {
  const [, , phase, status, , ...rest] = call.record as [number, number, number, number, Va, ...Va[]];
  if (phase !== Phase.query || ntSuccess(answer.status)) return next(nt, phase, status, rest);
  return next(nt, Phase.restore, answer.status, nt.power.devices);
}

function phaseOver(nt: Nt, phase: number, status: number): Outcome {
  if (phase === Phase.query) return next(nt, Phase.sleep, status, nt.power.devices.reverse());
  if (phase === Phase.restore) return status;
  nt.power.setSystemState(phase === Phase.sleep ? SystemPower.Sleeping3 : SystemPower.Working);
  return tellDisplay(nt, status, 0);
}

/** Record: [status, index of the setting]. */
function tellDisplay(nt: Nt, status: number, index: number): Outcome {
  if (index >= displaySettings.length) return status;
  return callGuest(nt.entries.routineVa('PopNotifyPowerSetting'), [index], 'settingTold', [status, index]);
}

export const poSystemPower = ntInternals({
  PopSetSystemPowerState: ntRoutine({
    doc: 'puts the system to sleep (S3), or wakes it (S0)',
    irql: passiveOnly,
    params: { SystemState: ULONG },
    returns: 'NTSTATUS',
    body: (nt, { SystemState }, _call: Call) => {
      if (nt.power.systemState === SystemState) return STATUS_INVALID_DEVICE_STATE;
      return SystemState === SystemPower.Working
        ? next(nt, Phase.wake, STATUS_SUCCESS, nt.power.devices)
        : next(nt, Phase.query, STATUS_SUCCESS, nt.power.devices.reverse());
    },
    resume: {
      ...stackRequestResume(answered, (_nt, call) => ({ pdo: (call.record[4] ?? nullVa) as Va })),
      settingTold: (nt, call) => tellDisplay(nt, call.word(0), call.word(1) + 1),
    },
  }),
});
