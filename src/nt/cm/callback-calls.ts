/**
 * Calls RegistryCallback routines before and after an operation, those of higher altitudes outside: before it in that
 * order up to the first that does not let it pass, after it in reverse, those that let it pass.
 * Source: windows-driver-docs, "Handling Notifications" and "Layered registry filtering drivers".
 */
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { passiveOnly } from '../declare/irql-ranges.ts';
import { ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { type CallGuest, callGuest, type Outcome, type ResumeRecord } from '../declare/outcome.ts';
import { PVOID, ULONG } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { ntSuccess, STATUS_CALLBACK_BYPASS, STATUS_SUCCESS } from '../ntstatus.ts';
import {
  REG_CREATE_KEY_INFORMATION_V1,
  REG_DELETE_KEY_INFORMATION,
  REG_DELETE_VALUE_KEY_INFORMATION,
  REG_ENUMERATE_KEY_INFORMATION,
  REG_POST_OPERATION_INFORMATION,
  REG_QUERY_KEY_INFORMATION,
  REG_QUERY_VALUE_KEY_INFORMATION,
  REG_SET_VALUE_KEY_INFORMATION,
} from '../structures/registry-callbacks.ts';

/** REG_NOTIFY_CLASS of an operation: before and after it. */
export const Notify = {
  DeleteKey: [0, 15],
  SetValueKey: [1, 16],
  DeleteValueKey: [2, 17],
  EnumerateKey: [5, 20],
  EnumerateValueKey: [6, 21],
  QueryKey: [7, 22],
  QueryValueKey: [8, 23],
  KeyHandleClose: [14, 25],
  CreateKeyEx: [26, 27],
  OpenKeyEx: [28, 29],
  FlushKey: [30, 31],
} as const;
export type NotifyName = keyof typeof Notify;

export const callbackObjectContextCleanup = 40;

interface ContextFields {
  readonly call: number;
  readonly object: number;
}

const fieldsOf = (layout: {
  readonly CallContext: { readonly offset: number };
  readonly ObjectContext: { readonly offset: number };
}): ContextFields => ({ call: layout.CallContext.offset, object: layout.ObjectContext.offset });

const keyOnly = fieldsOf(REG_DELETE_KEY_INFORMATION);
const enumerated = fieldsOf(REG_ENUMERATE_KEY_INFORMATION);
const opened: ContextFields = {
  call: REG_CREATE_KEY_INFORMATION_V1.CallContext.offset,
  object: REG_CREATE_KEY_INFORMATION_V1.RootObjectContext.offset,
};
const contextsOf: Readonly<Record<number, ContextFields>> = {
  [Notify.DeleteKey[0]]: keyOnly,
  [Notify.SetValueKey[0]]: fieldsOf(REG_SET_VALUE_KEY_INFORMATION),
  [Notify.DeleteValueKey[0]]: fieldsOf(REG_DELETE_VALUE_KEY_INFORMATION),
  [Notify.EnumerateKey[0]]: enumerated,
  [Notify.EnumerateValueKey[0]]: enumerated,
  [Notify.QueryKey[0]]: fieldsOf(REG_QUERY_KEY_INFORMATION),
  [Notify.QueryValueKey[0]]: fieldsOf(REG_QUERY_VALUE_KEY_INFORMATION),
  [Notify.KeyHandleClose[0]]: keyOnly,
  [Notify.CreateKeyEx[0]]: opened,
  [Notify.OpenKeyEx[0]]: opened,
  [Notify.FlushKey[0]]: keyOnly,
};
const afterwards = fieldsOf(REG_POST_OPERATION_INFORMATION);

/** What lies behind the information: how many let the operation pass, how many there are, {cookie, call context} of each. */
const postAt = 0x100;
const passedAt = 0x140;
const countAt = 0x144;
const entriesAt = 0x150;
const entryBytes = 16;

/** Memory for one operation: information before it, after it, and the routines that are to hear of it. */
export function makeBlock(nt: Nt): Va {
  const { memory, pool } = nt;
  const callbacks = nt.registry.callbacks.byAltitude();
  const sizeBytes = entriesAt + callbacks.length * entryBytes;
  const block = pool.allocateKernel(sizeBytes, 'CMcb');
  memory.fill(block, sizeBytes, 0);
  memory.writeU32(vaAdd(block, countAt), callbacks.length);
  for (const [index, { cookie }] of callbacks.entries()) {
    memory.writeU64(vaAdd(block, entriesAt + index * entryBytes), BigInt(cookie));
  }
  return block;
}

export function passed(nt: Nt, block: Va): number {
  return nt.memory.readU32(vaAdd(block, passedAt));
}

/** Asks the routines; the resume point gets STATUS_SUCCESS if the operation may go on. */
export function callBefore(nt: Nt, name: NotifyName, block: Va, resume: string, record: ResumeRecord): CallGuest {
  return callGuest(nt.entries.routineVa('CmpCallCallBacks'), [Notify[name][0], block, block, 0], resume, record);
}

/** Tells those that let the operation pass; the resume point gets the status that the caller is to get. */
export function callAfter(
  nt: Nt,
  name: NotifyName,
  { block, object, status }: { readonly block: Va; readonly object: Va; readonly status: number },
  resume: string,
  record: ResumeRecord,
): CallGuest {
  const { memory } = nt;
  const information = vaAdd(block, postAt);
  REG_POST_OPERATION_INFORMATION.Object.set(memory, information, object);
  REG_POST_OPERATION_INFORMATION.Status.set(memory, information, status);
  REG_POST_OPERATION_INFORMATION.ReturnStatus.set(memory, information, status);
  REG_POST_OPERATION_INFORMATION.PreInformation.set(memory, information, block);
  return callGuest(nt.entries.routineVa('CmpCallCallBacks'), [Notify[name][1], information, block, 1], resume, record);
}

/** Record: [class, information, block, whether it is over, place of the routine that was called last]. */
function next(
  nt: Nt,
  [notifyClass = 0, information = 0, block = 0, isAfter = 0, last = -1]: readonly number[],
): Outcome {
  const { memory, registry } = nt;
  const count = memory.readU32(vaAdd(block as Va, countAt));
  const at = information as Va;
  const step = isAfter === 1 ? -1 : 1;
  for (let index = last + step; index >= 0 && index < count; index += step) {
    const entry = vaAdd(block as Va, entriesAt + index * entryBytes);
    const callback = registry.callbacks.get(Number(memory.readU64(entry)));
    if (isAfter === 0) memory.writeU32(vaAdd(block as Va, passedAt), index + 1);
    if (callback === undefined) continue;
    const fields = isAfter === 1 ? afterwards : (contextsOf[notifyClass] as ContextFields);
    const object = memory.readVa(isOpen(notifyClass) ? REG_CREATE_KEY_INFORMATION_V1.RootObject.at(at) : at);
    memory.writeVa(vaAdd(at, fields.call), memory.readVa(vaAdd(entry, 8)));
    memory.writeVa(vaAdd(at, fields.object), registry.callbacks.contextOf(callback.cookie, object));
    const record = [notifyClass, information, block, isAfter, index];
    return callGuest(callback.routine, [callback.context, notifyClass, at], 'called', record);
  }
  return isAfter === 1 ? REG_POST_OPERATION_INFORMATION.Status.get(memory, at) : STATUS_SUCCESS;
}

function isOpen(notifyClass: number): boolean {
  return notifyClass === Notify.CreateKeyEx[0] || notifyClass === Notify.OpenKeyEx[0];
}

/** A routine returned: before the operation anything but success ends the round, afterwards it may change the status. */
function answered(nt: Nt, record: readonly number[], status: number): Outcome {
  const { memory } = nt;
  const [notifyClass = 0, information = 0, block = 0, isAfter = 0, index = 0] = record;
  const at = information as Va;
  if (isAfter === 1) {
    if (status === STATUS_CALLBACK_BYPASS) {
      const changed = REG_POST_OPERATION_INFORMATION.ReturnStatus.get(memory, at);
      REG_POST_OPERATION_INFORMATION.Status.set(memory, at, changed);
    }
    return next(nt, record);
  }
  if (!ntSuccess(status)) {
    memory.writeU32(vaAdd(block as Va, passedAt), index);
    return status;
  }
  const { call } = contextsOf[notifyClass] as ContextFields;
  const entry = vaAdd(block as Va, entriesAt + index * entryBytes);
  memory.writeVa(vaAdd(entry, 8), memory.readVa(vaAdd(at, call)));
  return next(nt, record);
}

export const cmCallbackCalls = ntInternals({
  CmpCallCallBacks: ntRoutine({
    doc: 'calls RegistryCallback routines one after the other',
    irql: passiveOnly,
    params: { NotifyClass: ULONG, Information: PVOID, Block: PVOID, IsAfter: ULONG },
    returns: 'NTSTATUS',
    body: (nt, { NotifyClass, Information, Block, IsAfter }) =>
      next(nt, [NotifyClass, Information, Block, IsAfter, IsAfter === 1 ? passed(nt, Block) : -1]),
    resume: { called: (nt, call) => answered(nt, call.record, call.status >>> 0) },
  }),
});

/** REG_CALLBACK_CONTEXT_CLEANUP_INFORMATION for a routine whose context of an object ends. */
export function callForCleanup(
  nt: Nt,
  ended: { readonly cookie: number; readonly object: Va; readonly context: Va },
  resume: string,
  record: ResumeRecord,
): CallGuest | undefined {
  nt.registry.callbacks.setContext(ended.cookie, ended.object, nullVa);
  const callback = nt.registry.callbacks.get(ended.cookie);
  if (callback === undefined) return undefined;
  const { memory } = nt;
  const information = nt.pool.allocateKernel(0x20, 'CMcb');
  memory.fill(information, 0x20, 0);
  memory.writeVa(information, ended.object);
  memory.writeVa(vaAdd(information, 8), ended.context);
  const args = [callback.context, callbackObjectContextCleanup, information];
  return callGuest(callback.routine, args, resume, [information, ...record]);
}
