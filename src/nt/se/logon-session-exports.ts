/** Who wants to hear of the end of logon sessions. */
import { nullVa } from '../../base/va.ts';
import { passiveOnly } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { PVOID } from '../declare/parameter-types.ts';
import { holderOf } from '../mm/holder.ts';
import { STATUS_NOT_FOUND, STATUS_SUCCESS } from '../ntstatus.ts';

export const seLogonSessions = ntExports('ntoskrnl.exe', {
  SeRegisterLogonSessionTerminatedRoutine: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-seregisterlogonsessionterminatedroutine',
    irql: passiveOnly,
    params: { CallbackRoutine: PVOID },
    returns: 'NTSTATUS',
    support: { partial: 'no logon session ends, so the routine is not called' },
    body: (nt, { CallbackRoutine }, call) => {
      const registrar = 'SeRegisterLogonSessionTerminatedRoutine';
      const own = { kind: 'logon-session', routine: CallbackRoutine, context: nullVa, registrar } as const;
      nt.callbacks.add({ ...own, subject: nullVa, ...holderOf(nt, call) });
      return STATUS_SUCCESS;
    },
  }),
  SeUnregisterLogonSessionTerminatedRoutine: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-seunregisterlogonsessionterminatedroutine',
    irql: passiveOnly,
    params: { CallbackRoutine: PVOID },
    returns: 'NTSTATUS',
    body: (nt, { CallbackRoutine }) => {
      const found = nt.callbacks.find('logon-session', ({ routine }) => routine === CallbackRoutine);
      return found !== undefined && nt.callbacks.remove(found.id) ? STATUS_SUCCESS : STATUS_NOT_FOUND;
    },
  }),
});
