/** Event tracing: providers that drivers register. No session listens, so no provider is ever enabled. */
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { anyIrql, passiveOnly } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { PVOID, pointerTo, UCHAR, ULONG, ULONG64 } from '../declare/parameter-types.ts';
import { holderOf } from '../mm/holder.ts';
import type { Nt } from '../nt.ts';
import { STATUS_INVALID_HANDLE, STATUS_INVALID_PARAMETER, STATUS_SUCCESS } from '../ntstatus.ts';

const providerBytes = 0x40;
const guidBytes = 16;
const pguid = pointerTo('GUID');
const pdescriptor = pointerTo('EVENT_DESCRIPTOR');

/** A REGHANDLE is the address of the registration. */
function isProvider(nt: Nt, handle: bigint): boolean {
  return nt.callbacks.get(Number(BigInt.asIntN(64, handle)), 'etw') !== undefined;
}

/** Nobody listens: an event of a provider that is registered goes nowhere. */
function written(nt: Nt, handle: bigint): number {
  return isProvider(nt, handle) ? STATUS_SUCCESS : STATUS_INVALID_HANDLE;
}

/** EVENT_ACTIVITY_CTRL_* */
const Activity = { GetId: 1, SetId: 2, CreateId: 3, GetSetId: 4, CreateSetId: 5 } as const;

function writeNewId(nt: Nt, at: Va): void {
  for (let offset = 0; offset < guidBytes; offset += 4) nt.memory.writeU32(vaAdd(at, offset), nt.random.u32());
}

export const etwProviders = ntExports('ntoskrnl.exe', {
  EtwRegister: ntRoutine({
    doc: 'wdm.h; nf-wdm-etwregister',
    irql: passiveOnly,
    params: { ProviderId: pguid, EnableCallback: PVOID, CallbackContext: PVOID, RegHandle: PVOID },
    returns: 'NTSTATUS',
    support: { partial: 'no session enables the provider, so its callback is not called' },
    body: (nt, { ProviderId, EnableCallback: routine, CallbackContext: context, RegHandle }, call) => {
      if (ProviderId === nullVa || RegHandle === nullVa) return STATUS_INVALID_PARAMETER;
      const subject = nt.pool.allocateKernel(providerBytes, 'EtwR');
      nt.memory.copy(subject, ProviderId, guidBytes);
      const entry = { kind: 'etw', routine, context, registrar: 'EtwRegister', subject } as const;
      nt.callbacks.add({ ...entry, ...holderOf(nt, call) }, subject);
      nt.memory.writeVa(RegHandle, subject);
      return STATUS_SUCCESS;
    },
  }),
  EtwUnregister: ntRoutine({
    doc: 'wdm.h; nf-wdm-etwunregister',
    irql: passiveOnly,
    params: { RegHandle: ULONG64 },
    returns: 'NTSTATUS',
    body: (nt, { RegHandle }) => {
      if (!isProvider(nt, RegHandle)) return STATUS_INVALID_HANDLE;
      const handle = Number(BigInt.asIntN(64, RegHandle)) as Va;
      nt.callbacks.remove(handle);
      nt.pool.freeKernel(handle);
      return STATUS_SUCCESS;
    },
  }),
  EtwEventEnabled: ntRoutine({
    doc: 'wdm.h; nf-wdm-etweventenabled',
    irql: anyIrql,
    params: { RegHandle: ULONG64, EventDescriptor: pdescriptor },
    returns: 'BOOLEAN',
    body: () => false,
  }),
  EtwProviderEnabled: ntRoutine({
    doc: 'wdm.h; nf-wdm-etwproviderenabled',
    irql: anyIrql,
    params: { RegHandle: ULONG64, Level: UCHAR, Keyword: ULONG64 },
    returns: 'BOOLEAN',
    body: () => false,
  }),
  EtwWrite: ntRoutine({
    doc: 'wdm.h; nf-wdm-etwwrite',
    irql: anyIrql,
    params: {
      RegHandle: ULONG64,
      EventDescriptor: pdescriptor,
      ActivityId: pguid,
      UserDataCount: ULONG,
      UserData: PVOID,
    },
    returns: 'NTSTATUS',
    body: (nt, { RegHandle }) => written(nt, RegHandle),
  }),
  EtwWriteEx: ntRoutine({
    doc: 'wdm.h; nf-wdm-etwwriteex',
    irql: anyIrql,
    params: { RegHandle: ULONG64, EventDescriptor: pdescriptor, Filter: ULONG64, Flags: ULONG },
    returns: 'NTSTATUS',
    body: (nt, { RegHandle }) => written(nt, RegHandle),
  }),
  EtwWriteTransfer: ntRoutine({
    doc: 'wdm.h; nf-wdm-etwwritetransfer',
    irql: anyIrql,
    params: { RegHandle: ULONG64, EventDescriptor: pdescriptor, ActivityId: pguid, RelatedActivityId: pguid },
    returns: 'NTSTATUS',
    body: (nt, { RegHandle }) => written(nt, RegHandle),
  }),
  EtwWriteString: ntRoutine({
    doc: 'wdm.h; nf-wdm-etwwritestring',
    irql: anyIrql,
    params: { RegHandle: ULONG64, Level: UCHAR, Keyword: ULONG64, ActivityId: pguid },
    returns: 'NTSTATUS',
    body: (nt, { RegHandle }) => written(nt, RegHandle),
  }),
  EtwSetInformation: ntRoutine({
    doc: 'wdm.h; nf-wdm-etwsetinformation',
    irql: passiveOnly,
    params: { RegHandle: ULONG64, InformationClass: ULONG, EventInformation: PVOID, InformationLength: ULONG },
    returns: 'NTSTATUS',
    body: (nt, { RegHandle }) => written(nt, RegHandle),
  }),
  EtwActivityIdControl: ntRoutine({
    doc: 'wdm.h; nf-wdm-etwactivityidcontrol',
    irql: anyIrql,
    params: { ControlCode: ULONG, ActivityId: pguid },
    returns: 'NTSTATUS',
    support: { partial: 'a thread has no activity of its own: asked for, it is zero' },
    body: (nt, { ControlCode, ActivityId }) => {
      if (ControlCode < Activity.GetId || ControlCode > Activity.CreateSetId) return STATUS_INVALID_PARAMETER;
      if (ControlCode === Activity.CreateId) writeNewId(nt, ActivityId);
      else if (ControlCode !== Activity.SetId) nt.memory.fill(ActivityId, guidBytes, 0);
      return STATUS_SUCCESS;
    },
  }),
});
