/** ObRegisterCallbacks: who wants to filter the opening of processes and threads. */
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import type { Call } from '../declare/call.ts';
import { upToApc } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { unsupported } from '../declare/outcome.ts';
import { PVOID, pointerTo } from '../declare/parameter-types.ts';
import { holderOf } from '../mm/holder.ts';
import type { Nt } from '../nt.ts';
import {
  STATUS_ACCESS_DENIED,
  STATUS_FLT_INSTANCE_ALTITUDE_COLLISION,
  STATUS_INVALID_PARAMETER,
  STATUS_SUCCESS,
} from '../ntstatus.ts';
import { isIntegrityChecked } from '../ps/notify-exports.ts';
import { readUnicodeString } from '../rtl/guest-text.ts';
import { OB_CALLBACK_REGISTRATION, OB_OPERATION_REGISTRATION } from '../structures/callbacks.ts';

const filterVersion = 0x100;
const registrationBytes = 0x40;
/** Where a registration keeps the altitude, as text with its length in front. */
const altitudeAt = 0x10;

function register(nt: Nt, at: Va, handleAt: Va, call: Call): number {
  const { memory } = nt;
  if (OB_CALLBACK_REGISTRATION.Version.get(memory, at) !== filterVersion) return STATUS_INVALID_PARAMETER;
  const count = OB_CALLBACK_REGISTRATION.OperationRegistrationCount.get(memory, at);
  if (count === 0) return STATUS_INVALID_PARAMETER;
  const altitude = readUnicodeString(memory, OB_CALLBACK_REGISTRATION.Altitude.at(at)).slice(0, 20);
  const operations = OB_CALLBACK_REGISTRATION.OperationRegistration.get(memory, at);
  const routines: Va[] = [];
  for (let index = 0; index < count; index++) {
    const operation = vaAdd(operations, index * OB_OPERATION_REGISTRATION.sizeBytes);
    if (OB_OPERATION_REGISTRATION.Operations.get(memory, operation) === 0) return STATUS_INVALID_PARAMETER;
    const before = OB_OPERATION_REGISTRATION.PreOperation.get(memory, operation);
    const after = OB_OPERATION_REGISTRATION.PostOperation.get(memory, operation);
    const own = [before, after].filter((routine) => routine !== nullVa);
    if (own.length === 0) return STATUS_INVALID_PARAMETER;
    routines.push(...own);
  }
  if (routines.some((routine) => !isIntegrityChecked(nt, routine))) return STATUS_ACCESS_DENIED;
  const isTaken = nt.callbacks.of('object').some(({ subject }) => altitudeOf(nt, subject) === altitude);
  if (isTaken) return STATUS_FLT_INSTANCE_ALTITUDE_COLLISION;
  const registration = nt.pool.allocateKernel(registrationBytes, 'ObCb');
  memory.writeU32(registration, altitude.length);
  for (let index = 0; index < altitude.length; index++) {
    memory.writeU16(vaAdd(registration, altitudeAt + index * 2), altitude.charCodeAt(index));
  }
  const context = OB_CALLBACK_REGISTRATION.RegistrationContext.get(memory, at);
  const entry = { kind: 'object', routine: routines[0] ?? nullVa, context, registrar: 'ObRegisterCallbacks' } as const;
  nt.callbacks.add({ ...entry, subject: registration, ...holderOf(nt, call) }, registration);
  memory.writeVa(handleAt, registration);
  return STATUS_SUCCESS;
}

function altitudeOf({ memory }: Nt, registration: Va): string {
  const length = memory.readU32(registration);
  return String.fromCharCode(
    ...Array.from({ length }, (_, index) => memory.readU16(vaAdd(registration, altitudeAt + index * 2))),
  );
}

export const obFilterCallbacks = ntExports('ntoskrnl.exe', {
  ObRegisterCallbacks: ntRoutine({
    doc: 'wdm.h; nf-wdm-obregistercallbacks',
    irql: upToApc,
    params: { CallbackRegistration: pointerTo('OB_CALLBACK_REGISTRATION'), RegistrationHandle: PVOID },
    returns: 'NTSTATUS',
    support: { partial: 'the callbacks are recorded, and not called when handles are opened' },
    body: (nt, { CallbackRegistration, RegistrationHandle }, call) =>
      register(nt, CallbackRegistration, RegistrationHandle, call),
  }),
  ObUnRegisterCallbacks: ntRoutine({
    doc: 'wdm.h; nf-wdm-obunregistercallbacks',
    irql: upToApc,
    params: { RegistrationHandle: PVOID },
    returns: 'VOID',
    body: (nt, { RegistrationHandle }) => {
      if (nt.callbacks.get(RegistrationHandle, 'object') === undefined) {
        return unsupported('ObUnRegisterCallbacks of what is not registered');
      }
      nt.callbacks.remove(RegistrationHandle);
      nt.pool.freeKernel(RegistrationHandle);
      return undefined;
    },
  }),
  ObGetFilterVersion: ntRoutine({
    doc: 'wdm.h; nf-wdm-obgetfilterversion',
    irql: upToApc,
    params: {},
    returns: 'ULONG',
    body: () => filterVersion,
  }),
});
