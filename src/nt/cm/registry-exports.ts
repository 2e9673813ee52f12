/** The registry by path: RtlQueryRegistryValues and the like; and who registers to hear of its changes. */
import { nullVa, type Va } from '../../base/va.ts';
import type { Call } from '../declare/call.ts';
import { passiveOnly, upToApc } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest, type Outcome } from '../declare/outcome.ts';
import { LARGE_INTEGER, PVOID, pointerTo, ULONG } from '../declare/parameter-types.ts';
import { holderOf } from '../mm/holder.ts';
import type { Nt } from '../nt.ts';
import { STATUS_SUCCESS } from '../ntstatus.ts';
import { readUnicodeString, readWideZ } from '../rtl/guest-text.ts';
import { queried, startQuery } from './query-values.ts';
import type { RegistryKey } from './registry-tree.ts';
import { relativeKey } from './relative-paths.ts';

const pcwstr = pointerTo('WCHAR');
const byPath = { RelativeTo: ULONG, Path: pcwstr } as const;

/** CmGetCallbackVersion */
const callbackVersion = { major: 1, minor: 0 } as const;

interface ByPath {
  readonly RelativeTo: number;
  readonly Path: Va;
}

function withKey(nt: Nt, { RelativeTo, Path }: ByPath, creates: boolean, body: (key: RegistryKey) => Outcome): Outcome {
  const { status, key } = relativeKey(nt, RelativeTo, Path, creates);
  return key === undefined ? status : body(key);
}

function nameAt(nt: Nt, name: Va): string {
  return name === nullVa ? '' : readWideZ(nt.memory, name);
}

interface Registration {
  readonly Function: Va;
  readonly Context: Va;
  readonly Cookie: Va;
}

function register(nt: Nt, args: Registration, altitude: string | undefined, call: Call): number {
  const { status, cookie } = nt.registry.callbacks.register({
    routine: args.Function,
    context: args.Context,
    altitude,
    ...holderOf(nt, call),
  });
  if (status === STATUS_SUCCESS) nt.memory.writeU64(args.Cookie, BigInt(cookie));
  return status;
}

const notEverything = {
  partial: 'not called for RtlWriteRegistryValue and the like, nor for what the system itself does in the registry',
};

export const cmRegistry = ntExports('ntoskrnl.exe', {
  RtlQueryRegistryValues: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtlqueryregistryvalues',
    irql: passiveOnly,
    params: { ...byPath, QueryTable: pointerTo('RTL_QUERY_REGISTRY_TABLE'), Context: PVOID, Environment: PVOID },
    returns: 'NTSTATUS',
    body: (nt, args, call) =>
      withKey(nt, args, false, (key) => startQuery(nt, key, args.QueryTable, args.Context, args.Environment, call)),
    resume: { queried },
  }),
  RtlWriteRegistryValue: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtlwriteregistryvalue',
    irql: passiveOnly,
    params: { ...byPath, ValueName: pcwstr, ValueType: ULONG, ValueData: PVOID, ValueLength: ULONG },
    returns: 'NTSTATUS',
    body: (nt, args) =>
      withKey(nt, args, true, (key) => {
        const { ValueData: at, ValueLength: length } = args;
        const data = length === 0 ? new Uint8Array(0) : nt.memory.readBytes(at, length);
        return nt.registry.tree.setValue(key, nameAt(nt, args.ValueName), args.ValueType, data);
      }),
  }),
  RtlDeleteRegistryValue: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtldeleteregistryvalue',
    irql: passiveOnly,
    params: { ...byPath, ValueName: pcwstr },
    returns: 'NTSTATUS',
    body: (nt, args) =>
      withKey(nt, args, false, (key) => nt.registry.tree.deleteValue(key, nameAt(nt, args.ValueName))),
  }),
  RtlCheckRegistryKey: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtlcheckregistrykey',
    irql: passiveOnly,
    params: byPath,
    returns: 'NTSTATUS',
    body: (nt, args) => withKey(nt, args, false, () => STATUS_SUCCESS),
  }),
  RtlCreateRegistryKey: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtlcreateregistrykey',
    irql: passiveOnly,
    params: byPath,
    returns: 'NTSTATUS',
    body: (nt, args) => withKey(nt, args, true, () => STATUS_SUCCESS),
  }),
  CmRegisterCallback: ntRoutine({
    doc: 'wdm.h; nf-wdm-cmregistercallback',
    irql: upToApc,
    params: { Function: PVOID, Context: PVOID, Cookie: pointerTo('LARGE_INTEGER') },
    returns: 'NTSTATUS',
    support: notEverything,
    body: (nt, args, call) => register(nt, args, undefined, call),
  }),
  CmRegisterCallbackEx: ntRoutine({
    doc: 'wdm.h; nf-wdm-cmregistercallbackex',
    irql: upToApc,
    params: {
      Function: PVOID,
      Altitude: pointerTo('UNICODE_STRING'),
      Driver: PVOID,
      Context: PVOID,
      Cookie: pointerTo('LARGE_INTEGER'),
      Reserved: PVOID,
    },
    returns: 'NTSTATUS',
    support: notEverything,
    body: (nt, args, call) => register(nt, args, readUnicodeString(nt.memory, args.Altitude), call),
  }),
  CmUnRegisterCallback: ntRoutine({
    doc: 'wdm.h; nf-wdm-cmunregistercallback',
    irql: upToApc,
    params: { Cookie: LARGE_INTEGER },
    returns: 'NTSTATUS',
    body: (nt, { Cookie }) => {
      const { callbacks } = nt.registry;
      const hasContexts = callbacks.findContext(({ cookie }) => cookie === Number(Cookie)) !== undefined;
      if (!hasContexts) return callbacks.unregister(Number(Cookie));
      const [low, high] = [Number(Cookie & 0xffff_ffffn), Number((Cookie >> 32n) & 0xffff_ffffn)];
      return callGuest(nt.entries.routineVa('CmpEndRegistration'), [low, high], 'ended', []);
    },
    resume: { ended: (_nt, call) => call.status },
  }),
  CmGetCallbackVersion: ntRoutine({
    doc: 'wdm.h; nf-wdm-cmgetcallbackversion',
    irql: upToApc,
    params: { Major: pointerTo('ULONG'), Minor: pointerTo('ULONG') },
    returns: 'VOID',
    body: ({ memory }, { Major, Minor }) => {
      if (Major !== nullVa) memory.writeU32(Major, callbackVersion.major);
      if (Minor !== nullVa) memory.writeU32(Minor, callbackVersion.minor);
    },
  }),
});
