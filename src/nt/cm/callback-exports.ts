/** What RegistryCallback routines ask of the configuration manager: contexts of key objects, their names. */
import { nullVa, type Va } from '../../base/va.ts';
import { upToApc } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { PVOID, pointerTo, ULONG } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { STATUS_INVALID_PARAMETER, STATUS_KEY_DELETED, STATUS_SUCCESS } from '../ntstatus.ts';
import { UNICODE_STRING } from '../structures/strings.ts';

const pcookie = pointerTo('LARGE_INTEGER');
/** A key is told by a number that is a multiple of this, as it is by an address on Windows. */
const keyIdUnit = 0x10;

function cookieAt(nt: Nt, at: Va): number {
  return Number(nt.memory.readU64(at));
}

interface Asked {
  readonly Cookie: Va;
  readonly Object: Va;
  readonly ObjectID: Va;
  readonly ObjectName: Va;
}

/** `name`: makes the UNICODE_STRING. */
function giveId(nt: Nt, args: Asked, name: (path: string) => Va): number {
  const { memory, registry, objects } = nt;
  if (registry.callbacks.get(cookieAt(nt, args.Cookie)) === undefined) return STATUS_INVALID_PARAMETER;
  if (objects.get(args.Object)?.type !== 'Key') return STATUS_INVALID_PARAMETER;
  const key = registry.keyOf(args.Object);
  if (key === undefined) return STATUS_KEY_DELETED;
  if (args.ObjectID !== nullVa) memory.writeVa(args.ObjectID, (key.id * keyIdUnit) as Va);
  if (args.ObjectName !== nullVa) memory.writeVa(args.ObjectName, name(registry.tree.pathOf(key)));
  return STATUS_SUCCESS;
}

function makeName(nt: Nt, path: string): Va {
  const name = nt.pool.allocateKernel(UNICODE_STRING.sizeBytes, 'CMnm');
  nt.io.drivers.writeString(name, path);
  return name;
}

export const cmCallbacks = ntExports('ntoskrnl.exe', {
  CmSetCallbackObjectContext: ntRoutine({
    doc: 'wdm.h; nf-wdm-cmsetcallbackobjectcontext',
    irql: upToApc,
    params: { Object: PVOID, Cookie: pcookie, NewContext: PVOID, OldContext: PVOID },
    returns: 'NTSTATUS',
    body: (nt, args) => {
      const cookie = cookieAt(nt, args.Cookie);
      const { callbacks } = nt.registry;
      if (callbacks.get(cookie) === undefined || nt.objects.get(args.Object)?.type !== 'Key')
        return STATUS_INVALID_PARAMETER;
      if (args.OldContext !== nullVa) nt.memory.writeVa(args.OldContext, callbacks.contextOf(cookie, args.Object));
      callbacks.setContext(cookie, args.Object, args.NewContext);
      return STATUS_SUCCESS;
    },
  }),
  /** The name stays as long as the key object. */
  CmCallbackGetKeyObjectID: ntRoutine({
    doc: 'wdm.h; nf-wdm-cmcallbackgetkeyobjectid',
    irql: upToApc,
    params: { Cookie: pcookie, Object: PVOID, ObjectID: PVOID, ObjectName: PVOID },
    returns: 'NTSTATUS',
    body: (nt, args) => giveId(nt, args, (path) => nt.registry.nameOf(args.Object, () => makeName(nt, path))),
  }),
  CmCallbackGetKeyObjectIDEx: ntRoutine({
    doc: 'wdm.h; nf-wdm-cmcallbackgetkeyobjectidex',
    irql: upToApc,
    params: { Cookie: pcookie, Object: PVOID, ObjectID: PVOID, ObjectName: PVOID, Flags: ULONG },
    returns: 'NTSTATUS',
    support: { partial: 'a name that is not released is not reported' },
    body: (nt, args) => (args.Flags !== 0 ? STATUS_INVALID_PARAMETER : giveId(nt, args, (path) => makeName(nt, path))),
  }),
  CmCallbackReleaseKeyObjectIDEx: ntRoutine({
    doc: 'wdm.h; nf-wdm-cmcallbackreleasekeyobjectidex',
    irql: upToApc,
    params: { ObjectName: pointerTo('UNICODE_STRING') },
    returns: 'VOID',
    body: (nt, { ObjectName }) => {
      nt.pool.freeAny(UNICODE_STRING.Buffer.get(nt.memory, ObjectName));
      nt.pool.freeAny(ObjectName);
    },
  }),
  /** No transactions here. */
  CmGetBoundTransaction: ntRoutine({
    doc: 'wdm.h; nf-wdm-cmgetboundtransaction',
    irql: upToApc,
    params: { Cookie: pcookie, Object: PVOID },
    returns: 'PVOID',
    body: () => nullVa,
  }),
});
