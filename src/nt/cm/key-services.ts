/** Keys and their values through handles: ZwOpenKey, ZwQueryValueKey and the like. The kernel exports the Zw forms only. */
import { nullVa, type Va } from '../../base/va.ts';
import type { Call, ResumedCall } from '../declare/call.ts';
import { passiveOnly } from '../declare/irql-ranges.ts';
import { ntExports } from '../declare/nt-routine.ts';
import { type Outcome, unsupported } from '../declare/outcome.ts';
import { ACCESS_MASK, HANDLE, PVOID, pointerTo, ULONG } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import {
  STATUS_INVALID_PARAMETER,
  STATUS_NO_MORE_ENTRIES,
  STATUS_OBJECT_NAME_NOT_FOUND,
  STATUS_SUCCESS,
} from '../ntstatus.ts';
import { readUnicodeString } from '../rtl/guest-text.ts';
import type { NotifyName } from './callback-calls.ts';
import { filtered } from './filtered-keys.ts';
import { giveInformation, KeyClass, keyInformation, valueInformation } from './key-information.ts';
import type { RegistryKey } from './registry-tree.ts';

const pattributes = pointerTo('OBJECT_ATTRIBUTES');
const pstring = pointerTo('UNICODE_STRING');
const pulong = pointerTo('ULONG');

/** REG_OPTION_*, wdm.h */
const option = { isVolatile: 0x1, createLink: 0x2, backupRestore: 0x4, openLink: 0x8 } as const;
/** MaxKeyInfoClass */
const unknownKeyClass = 10;
const createdNewKey = 1;
const openedExistingKey = 2;

interface OpenKey {
  readonly KeyHandle: Va;
  readonly DesiredAccess: number;
  readonly ObjectAttributes: Va;
}

function openKey(nt: Nt, args: OpenKey, options: number, call: Call | ResumedCall): Outcome {
  if ((options & ~(option.openLink | option.backupRestore)) !== 0) return STATUS_INVALID_PARAMETER;
  const found = nt.registry.findByAttributes(args.ObjectAttributes, (options & option.openLink) !== 0);
  if (found.key === undefined) return found.status;
  nt.registry.open(call, found.key, args.DesiredAccess, found.isKernelHandle, args.KeyHandle);
  return STATUS_SUCCESS;
}

interface CreateKey extends OpenKey {
  readonly Class: Va;
  readonly CreateOptions: number;
  readonly Disposition: Va;
}

function createKey(nt: Nt, args: CreateKey, call: Call | ResumedCall): Outcome {
  const { CreateOptions: options } = args;
  if ((options & ~0xf) !== 0) return STATUS_INVALID_PARAMETER;
  if ((options & option.createLink) !== 0) return unsupported('ZwCreateKey with REG_OPTION_CREATE_LINK');
  const found = nt.registry.findByAttributes(args.ObjectAttributes, (options & option.openLink) !== 0);
  const className = args.Class === nullVa ? '' : readUnicodeString(nt.memory, args.Class);
  const isVolatile = (options & option.isVolatile) !== 0;
  const { status, key } = found.key === undefined ? nt.registry.create(found, { className, isVolatile }) : found;
  if (key === undefined) return status;
  nt.registry.open(call, key, args.DesiredAccess, found.isKernelHandle, args.KeyHandle);
  const disposition = found.key === undefined ? createdNewKey : openedExistingKey;
  if (args.Disposition !== nullVa) nt.memory.writeU32(args.Disposition, disposition);
  return STATUS_SUCCESS;
}

function withKey(nt: Nt, handle: Va, body: (key: RegistryKey) => Outcome): Outcome {
  const { status, key } = nt.registry.resolve(handle);
  return key === undefined ? status : body(key);
}

/** The name of a value as the routines take it: zeros at its end do not count. */
function valueName(nt: Nt, string: Va): string {
  return readUnicodeString(nt.memory, string).replace(/\0+$/, '');
}

interface GiveTo {
  readonly Length: number;
  readonly ResultLength: Va;
}

function giveKey(nt: Nt, key: RegistryKey, infoClass: number, at: Va, args: GiveTo): Outcome {
  const information = keyInformation(nt.registry.tree, key, infoClass);
  if (infoClass >= unknownKeyClass) return STATUS_INVALID_PARAMETER;
  if (information === undefined) return unsupported(`information of class ${infoClass} about a registry key`);
  return giveInformation(nt.memory, information, { at, length: args.Length, resultLength: args.ResultLength });
}

interface ValueQuery extends GiveTo {
  readonly KeyValueInformationClass: number;
  readonly KeyValueInformation: Va;
}

function giveValue(nt: Nt, value: RegistryKey['values'][number], args: ValueQuery): Outcome {
  const information = valueInformation(value, args.KeyValueInformationClass);
  if (information === undefined) return STATUS_INVALID_PARAMETER;
  const to = { at: args.KeyValueInformation, length: args.Length, resultLength: args.ResultLength };
  return giveInformation(nt.memory, information, to);
}

const keyOnly = (notify: NotifyName, doc: string, body: (nt: Nt, key: RegistryKey) => number) =>
  filtered(notify, {
    doc,
    irql: passiveOnly,
    params: { KeyHandle: HANDLE },
    returns: 'NTSTATUS',
    body: (nt, { KeyHandle }) => withKey(nt, KeyHandle, (key) => body(nt, key)),
  });

export const cmKeyServices = ntExports('ntoskrnl.exe', {
  ZwOpenKey: filtered('OpenKeyEx', {
    doc: 'wdm.h; nf-wdm-zwopenkey',
    irql: passiveOnly,
    params: { KeyHandle: PVOID, DesiredAccess: ACCESS_MASK, ObjectAttributes: pattributes },
    returns: 'NTSTATUS',
    body: (nt, args, call) => openKey(nt, args, 0, call),
  }),
  ZwOpenKeyEx: filtered('OpenKeyEx', {
    doc: 'wdm.h; nf-wdm-zwopenkeyex',
    irql: passiveOnly,
    params: { KeyHandle: PVOID, DesiredAccess: ACCESS_MASK, ObjectAttributes: pattributes, OpenOptions: ULONG },
    returns: 'NTSTATUS',
    body: (nt, args, call) => openKey(nt, args, args.OpenOptions, call),
  }),
  ZwCreateKey: filtered('CreateKeyEx', {
    doc: 'wdm.h; nf-wdm-zwcreatekey',
    irql: passiveOnly,
    params: {
      KeyHandle: PVOID,
      DesiredAccess: ACCESS_MASK,
      ObjectAttributes: pattributes,
      TitleIndex: ULONG,
      Class: pstring,
      CreateOptions: ULONG,
      Disposition: pulong,
    },
    returns: 'NTSTATUS',
    support: { partial: 'symbolic links cannot be created' },
    body: (nt, args, call) => createKey(nt, args, call),
  }),
  ZwDeleteKey: keyOnly('DeleteKey', 'wdm.h; nf-wdm-zwdeletekey', (nt, key) => nt.registry.tree.deleteKey(key)),
  // Nothing is on a disk.
  ZwFlushKey: keyOnly('FlushKey', 'wdm.h; nf-wdm-zwflushkey', () => STATUS_SUCCESS),
  ZwQueryKey: filtered('QueryKey', {
    doc: 'wdm.h; nf-wdm-zwquerykey',
    irql: passiveOnly,
    params: {
      KeyHandle: HANDLE,
      KeyInformationClass: ULONG,
      KeyInformation: PVOID,
      Length: ULONG,
      ResultLength: pulong,
    },
    returns: 'NTSTATUS',
    support: { partial: 'basic, node, full, name and cached information' },
    body: (nt, args) =>
      withKey(nt, args.KeyHandle, (key) => giveKey(nt, key, args.KeyInformationClass, args.KeyInformation, args)),
  }),
  ZwEnumerateKey: filtered('EnumerateKey', {
    doc: 'wdm.h; nf-wdm-zwenumeratekey',
    irql: passiveOnly,
    params: {
      KeyHandle: HANDLE,
      Index: ULONG,
      KeyInformationClass: ULONG,
      KeyInformation: PVOID,
      Length: ULONG,
      ResultLength: pulong,
    },
    returns: 'NTSTATUS',
    body: (nt, args) =>
      withKey(nt, args.KeyHandle, (key) => {
        if (args.KeyInformationClass > KeyClass.Full) return STATUS_INVALID_PARAMETER;
        const subkey = nt.registry.tree.key(key.subkeys[args.Index] ?? 0);
        if (subkey === undefined) return STATUS_NO_MORE_ENTRIES;
        return giveKey(nt, subkey, args.KeyInformationClass, args.KeyInformation, args);
      }),
  }),
  ZwQueryValueKey: filtered('QueryValueKey', {
    doc: 'wdm.h; nf-wdm-zwqueryvaluekey',
    irql: passiveOnly,
    params: {
      KeyHandle: HANDLE,
      ValueName: pstring,
      KeyValueInformationClass: ULONG,
      KeyValueInformation: PVOID,
      Length: ULONG,
      ResultLength: pulong,
    },
    returns: 'NTSTATUS',
    body: (nt, args) =>
      withKey(nt, args.KeyHandle, (key) => {
        const value = nt.registry.tree.value(key, valueName(nt, args.ValueName));
        return value === undefined ? STATUS_OBJECT_NAME_NOT_FOUND : giveValue(nt, value, args);
      }),
  }),
  ZwEnumerateValueKey: filtered('EnumerateValueKey', {
    doc: 'wdm.h; nf-wdm-zwenumeratevaluekey',
    irql: passiveOnly,
    params: {
      KeyHandle: HANDLE,
      Index: ULONG,
      KeyValueInformationClass: ULONG,
      KeyValueInformation: PVOID,
      Length: ULONG,
      ResultLength: pulong,
    },
    returns: 'NTSTATUS',
    body: (nt, args) =>
      withKey(nt, args.KeyHandle, ({ values }) => {
        const value = values[args.Index];
        return value === undefined ? STATUS_NO_MORE_ENTRIES : giveValue(nt, value, args);
      }),
  }),
  ZwSetValueKey: filtered('SetValueKey', {
    doc: 'wdm.h; nf-wdm-zwsetvaluekey',
    irql: passiveOnly,
    params: { KeyHandle: HANDLE, ValueName: pstring, TitleIndex: ULONG, Type: ULONG, Data: PVOID, DataSize: ULONG },
    returns: 'NTSTATUS',
    body: (nt, args) =>
      withKey(nt, args.KeyHandle, (key) => {
        const data = args.DataSize === 0 ? new Uint8Array(0) : nt.memory.readBytes(args.Data, args.DataSize);
        return nt.registry.tree.setValue(key, valueName(nt, args.ValueName), args.Type, data);
      }),
  }),
  ZwDeleteValueKey: filtered('DeleteValueKey', {
    doc: 'wdm.h; nf-wdm-zwdeletevaluekey',
    irql: passiveOnly,
    params: { KeyHandle: HANDLE, ValueName: pstring },
    returns: 'NTSTATUS',
    body: (nt, { KeyHandle, ValueName }) =>
      withKey(nt, KeyHandle, (key) => nt.registry.tree.deleteValue(key, valueName(nt, ValueName))),
  }),
});
