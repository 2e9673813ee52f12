/** RtlQueryRegistryValues: goes through a query table, entry by entry, and calls the driver's routines on the way. */
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { BugCheck } from '../declare/bug-check.ts';
import type { Call, ResumedCall } from '../declare/call.ts';
import { callGuest, type Outcome } from '../declare/outcome.ts';
import type { Nt } from '../nt.ts';
import {
  ntSuccess,
  STATUS_BUFFER_TOO_SMALL,
  STATUS_INVALID_PARAMETER,
  STATUS_KEY_DELETED,
  STATUS_OBJECT_NAME_NOT_FOUND,
  STATUS_SUCCESS,
} from '../ntstatus.ts';
import { readWideZ, wideLength, writeWide } from '../rtl/guest-text.ts';
import { RTL_QUERY_REGISTRY_TABLE } from '../structures/registry.ts';
import { type Delivery, deliveryOf, type QueryEntry, QueryFlag, readEntry, storeDirect } from './query-entry.ts';
import { type RegistryKey, type RegistryValue, RegType } from './registry-tree.ts';

/** Where the query stands; all of it is in the resume frame while the driver's routine runs. */
interface Query {
  readonly entry: Va;
  readonly context: Va;
  readonly environment: Va;
  /** Ids of the key of the call, and of the one that the entries are about. */
  readonly top: number;
  readonly current: number;
  /** Index of the value whose turn it is when all values are wanted; -1: a single one, or none begun. */
  readonly index: number;
  /** Values of the entry that were handed out, those that are deleted since included. */
  readonly count: number;
  /** Name and data for the driver's routine, in memory of the kernel; null between values. */
  readonly buffer: Va;
  /** Strings of a REG_MULTI_SZ that are still to be handed out, in the buffer. */
  readonly next: Va;
  readonly end: Va;
}

type QueryCall = Call | ResumedCall;

const toRecord = (q: Query): number[] => [
  q.entry,
  q.context,
  q.environment,
  q.top,
  q.current,
  q.index,
  q.count,
  q.buffer,
  q.next,
  q.end,
];

function fromRecord(call: ResumedCall): Query {
  return {
    entry: call.va(0),
    context: call.va(1),
    environment: call.va(2),
    top: call.word(3),
    current: call.word(4),
    index: call.word(5),
    count: call.word(6),
    buffer: call.va(7),
    next: call.va(8),
    end: call.va(9),
  };
}

/** An entry (or one of its values) is done: go on from there; or the answer of the whole query, or a call. */
type Step = { readonly query: Query } | { readonly outcome: Outcome };

const answer = (outcome: Outcome): Step => ({ outcome });

export function startQuery(nt: Nt, key: RegistryKey, table: Va, context: Va, environment: Va, call: Call): Outcome {
  const ids = { top: key.id, current: key.id };
  return goOn(
    nt,
    { entry: table, context, environment, ...ids, index: -1, count: 0, buffer: nullVa, next: nullVa, end: nullVa },
    call,
  );
}

function goOn(nt: Nt, query: Query, call: QueryCall): Outcome {
  for (let at = query; ; ) {
    const entry = readEntry(nt.memory, at.entry);
    if (entry.routine === nullVa && (entry.flags & (QueryFlag.Subkey | QueryFlag.Direct)) === 0) return STATUS_SUCCESS;
    const step = at.index < 0 ? begin(nt, at, entry, call) : nextValue(nt, at, entry, call);
    if ('outcome' in step) return step.outcome;
    at = step.query;
  }
}

function begin(nt: Nt, query: Query, entry: QueryEntry, call: QueryCall): Step {
  const has = (flag: number): boolean => (entry.flags & flag) !== 0;
  if (has(QueryFlag.Direct) && (entry.name === nullVa || has(QueryFlag.Subkey) || entry.routine !== nullVa)) {
    return answer(STATUS_INVALID_PARAMETER);
  }
  if (has(QueryFlag.Subkey)) return enterSubkey(nt, query, entry);
  const here = has(QueryFlag.TopKey) ? { ...query, current: query.top } : query;
  if (entry.name !== nullVa) {
    const key = nt.registry.tree.key(here.current);
    if (key === undefined) return answer(STATUS_KEY_DELETED);
    const name = readWideZ(nt.memory, entry.name);
    const value = nt.registry.tree.value(key, name);
    return deliver(nt, here, entry, { key, name: value?.name ?? name, value }, call);
  }
  if (has(QueryFlag.NoValue))
    return answer(callRoutine(here, entry, { name: nullVa, type: 0, data: nullVa, length: 0 }));
  return { query: { ...here, index: 0 } };
}

/** The subkey's values follow if the entry has a routine for them. */
function enterSubkey(nt: Nt, query: Query, entry: QueryEntry): Step {
  const top = nt.registry.tree.key(query.top);
  if (top === undefined) return answer(STATUS_KEY_DELETED);
  if (entry.name === nullVa) return answer(STATUS_INVALID_PARAMETER);
  const { status, key } = nt.registry.tree.find(top, readWideZ(nt.memory, entry.name));
  if (key === undefined) return answer(status);
  const inside = { ...query, current: key.id };
  return { query: entry.routine === nullVa ? following(inside) : { ...inside, index: 0 } };
}

function nextValue(nt: Nt, query: Query, entry: QueryEntry, call: QueryCall): Step {
  const key = nt.registry.tree.key(query.current);
  if (key === undefined) return answer(STATUS_KEY_DELETED);
  const value = key.values[query.index];
  if (value !== undefined) return deliver(nt, query, entry, { key, name: value.name, value }, call);
  const isUnmet = query.count === 0 && (entry.flags & QueryFlag.Required) !== 0;
  return isUnmet ? answer(STATUS_OBJECT_NAME_NOT_FOUND) : { query: following(query) };
}

const following = (query: Query): Query => ({
  ...query,
  entry: vaAdd(query.entry, RTL_QUERY_REGISTRY_TABLE.sizeBytes),
  index: -1,
  count: 0,
});

/** After a value: the next one of the key, or the next entry. */
function afterValue(query: Query, isDeleted: boolean): Query {
  const done = { ...query, count: query.count + 1, buffer: nullVa, next: nullVa, end: nullVa };
  return done.index < 0 ? following(done) : { ...done, index: done.index + (isDeleted ? 0 : 1) };
}

interface Subject {
  readonly key: RegistryKey;
  readonly name: string;
  readonly value: RegistryValue | undefined;
}

function deliver(nt: Nt, query: Query, entry: QueryEntry, { key, name, value }: Subject, call: QueryCall): Step {
  const isDirect = (entry.flags & QueryFlag.Direct) !== 0;
  if (isDirect && (entry.flags & QueryFlag.TypeCheck) === 0 && isUntrusted(nt, key)) {
    const summary =
      'RtlQueryRegistryValues was called with DIRECT and without TYPECHECK for a hive that is not trusted';
    throw new BugCheck(0x139, [9, 0, 0, 0], summary);
  }
  const delivery = deliveryOf(nt.memory, entry, value, query.environment);
  if (!ntSuccess(delivery.status)) return answer(delivery.status);
  if (isDirect) {
    const status = storeDirect(nt, entry, delivery, call);
    if (status !== STATUS_SUCCESS) return answer(status);
  } else if (delivery.parts.length > 0) {
    return answer(handOut(nt, query, entry, name, delivery));
  }
  return { query: afterValue(query, deleteIfAsked(nt, query, entry, name)) };
}

/** Hives of the machine are trusted, those of users are not. */
function isUntrusted(nt: Nt, key: RegistryKey): boolean {
  return nt.registry.tree.pathOf(key).startsWith('\\REGISTRY\\USER\\');
}

function deleteIfAsked(nt: Nt, query: Query, { flags }: QueryEntry, name: string): boolean {
  const key = nt.registry.tree.key(query.current);
  if ((flags & QueryFlag.Delete) === 0 || key === undefined) return false;
  return nt.registry.tree.deleteValue(key, name) === STATUS_SUCCESS;
}

// ---- the driver's routine

interface Handed {
  readonly name: Va;
  readonly type: number;
  readonly data: Va;
  readonly length: number;
}

function callRoutine(query: Query, entry: QueryEntry, { name, type, data, length }: Handed): Outcome {
  const args = [name, type, data, length, query.context, entry.context];
  return callGuest(entry.routine, args, 'queried', toRecord(query));
}

/** Puts name and data where the routine can read them: the name first, the data at the next multiple of eight. */
function handOut(nt: Nt, query: Query, entry: QueryEntry, name: string, { type, parts }: Delivery): Outcome {
  const dataOffset = Math.ceil((name.length + 1) / 4) * 8;
  const bytes = parts.reduce((sum, part) => sum + part.length, 0);
  const buffer = nt.pool.allocateKernel(dataOffset + Math.max(bytes, 8), 'CmQv');
  writeWide(nt.memory, buffer, `${name}\0`);
  const data = vaAdd(buffer, dataOffset);
  let at = data;
  for (const part of parts) {
    nt.memory.writeBytes(at, part);
    at = vaAdd(at, part.length);
  }
  const length = parts[0]?.length ?? 0;
  return callRoutine({ ...query, buffer, next: vaAdd(data, length), end: at }, entry, {
    name: buffer,
    type,
    data,
    length,
  });
}

/** The driver's routine returned. That its buffer was too small is no error. */
export function queried(nt: Nt, call: ResumedCall): Outcome {
  const query = fromRecord(call);
  const entry = readEntry(nt.memory, query.entry);
  const status = call.status === STATUS_BUFFER_TOO_SMALL ? STATUS_SUCCESS : call.status;
  if (ntSuccess(status) && query.next < query.end) {
    const data = query.next;
    const length = Math.min((wideLength(nt.memory, data, (query.end - data) / 2) + 1) * 2, query.end - data);
    return callRoutine({ ...query, next: vaAdd(data, length) }, entry, {
      name: query.buffer,
      type: RegType.Sz,
      data,
      length,
    });
  }
  const name = query.buffer === nullVa ? undefined : readWideZ(nt.memory, query.buffer);
  if (query.buffer !== nullVa) nt.pool.freeKernel(query.buffer);
  if (!ntSuccess(status)) return status;
  const isDeleted = name !== undefined && deleteIfAsked(nt, query, entry, name);
  return goOn(nt, afterValue(query, isDeleted), call);
}
