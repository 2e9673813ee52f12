/**
 * Generic tables: ordered by the driver's compare routine, in memory of its allocate routine. Both are called, so a search
 * stands in the resume frame: [operation, table, buffer, bytes, where to tell, node]. AVL tables are kept balanced
 * enough by splaying what is inserted.
 */
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import type { ResumedCall } from '../declare/call.ts';
import { anyIrql, upToDispatch } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest, type Outcome } from '../declare/outcome.ts';
import { BOOLEAN, PVOID, ULONG } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { LIST_ENTRY } from '../structures/ke.ts';
import { RTL_AVL_TABLE, RTL_BALANCED_LINKS, RTL_GENERIC_TABLE, RTL_SPLAY_LINKS } from '../structures/tables.ts';
import { Tree } from './splay.ts';

/** TABLE_SEARCH_RESULT */
const Found = { EmptyTree: 0, Node: 1, InsertAsLeft: 2, InsertAsRight: 3 } as const;
/** RTL_GENERIC_COMPARE_RESULTS */
const Compared = { Less: 0, Greater: 1, Equal: 2 } as const;
const Operation = { Insert: 0, Delete: 1, Lookup: 2, LookupFull: 3 } as const;

/** What tells splay tables and AVL tables apart. */
interface Kind {
  readonly layout: typeof RTL_GENERIC_TABLE | typeof RTL_AVL_TABLE;
  readonly isAvl: boolean;
  /** Bytes in front of an element's data. */
  readonly headerBytes: number;
}

const splayKind: Kind = {
  layout: RTL_GENERIC_TABLE,
  isAvl: false,
  headerBytes: RTL_SPLAY_LINKS.sizeBytes + LIST_ENTRY.sizeBytes,
};
const avlKind: Kind = { layout: RTL_AVL_TABLE, isAvl: true, headerBytes: RTL_BALANCED_LINKS.sizeBytes };

function treeOf(nt: Nt, kind: Kind, table: Va): Tree {
  return new Tree(nt.memory, kind.isAvl ? table : nullVa);
}

function rootOf({ memory }: Nt, kind: Kind, table: Va): Va {
  return kind.isAvl ? RTL_BALANCED_LINKS.RightChild.get(memory, table) : RTL_GENERIC_TABLE.TableRoot.get(memory, table);
}

function setRoot({ memory }: Nt, kind: Kind, table: Va, root: Va): void {
  if (!kind.isAvl) RTL_GENERIC_TABLE.TableRoot.set(memory, table, root);
}

const dataOf = (kind: Kind, node: Va): Va => vaAdd(node, kind.headerBytes);

// ---- searching

/** Record: [operation, table, buffer, bytes, first place to tell, second place to tell]. */
function search(nt: Nt, kind: Kind, record: readonly number[]): Outcome {
  const root = rootOf(nt, kind, record[1] as Va);
  return root === nullVa ? conclude(nt, kind, record, nullVa, Found.EmptyTree) : compare(nt, kind, record, root);
}

function compare(nt: Nt, kind: Kind, record: readonly number[], node: Va): Outcome {
  const [, table = 0, buffer = 0] = record;
  const routine = kind.layout.CompareRoutine.get(nt.memory, table as Va);
  return callGuest(routine, [table, buffer, dataOf(kind, node)], 'compared', [...record.slice(0, 6), node]);
}

const compared = (kind: Kind) => (nt: Nt, call: ResumedCall) => {
  const tree = treeOf(nt, kind, call.va(1));
  const node = call.va(6);
  if (call.status === Compared.Equal) return conclude(nt, kind, call.record, node, Found.Node);
  const isLess = call.status === Compared.Less;
  const next = isLess ? tree.left(node) : tree.right(node);
  if (next !== nullVa) return compare(nt, kind, call.record, next);
  return conclude(nt, kind, call.record, node, isLess ? Found.InsertAsLeft : Found.InsertAsRight);
};

function conclude(nt: Nt, kind: Kind, record: readonly number[], node: Va, found: number): Outcome {
  const [operation, table = 0, , , first = 0, second = 0] = record;
  const isFound = found === Found.Node;
  switch (operation) {
    case Operation.Insert:
      return isFound ? toldOld(nt, kind, record, node) : insert(nt, kind, record, node, found);
    case Operation.Delete:
      return isFound ? remove(nt, kind, table as Va, node) : false;
    case Operation.LookupFull:
      nt.memory.writeVa(first as Va, node);
      nt.memory.writeU32(second as Va, found);
      break;
  }
  if (!isFound) return nullVa;
  if (!kind.isAvl) setRoot(nt, kind, table as Va, treeOf(nt, kind, table as Va).splay(node));
  return dataOf(kind, node);
}

// ---- inserting

function tellNew(nt: Nt, at: number, isNew: boolean): void {
  if (at !== nullVa) nt.memory.writeU8(at as Va, isNew ? 1 : 0);
}

function toldOld(nt: Nt, kind: Kind, record: readonly number[], node: Va): Outcome {
  tellNew(nt, record[4] ?? 0, false);
  if (!kind.isAvl) setRoot(nt, kind, record[1] as Va, treeOf(nt, kind, record[1] as Va).splay(node));
  return dataOf(kind, node);
}

/** Asks the driver for memory; the record is [operation, table, buffer, bytes, new element at, 0, parent, found]. */
function insert(nt: Nt, kind: Kind, record: readonly number[], parent: Va, found: number): Outcome {
  const [, table = 0, , bytes = 0] = record;
  const routine = kind.layout.AllocateRoutine.get(nt.memory, table as Va);
  return callGuest(routine, [table, bytes + kind.headerBytes], 'allocated', [...record.slice(0, 6), parent, found]);
}

const allocated = (kind: Kind) => (nt: Nt, call: ResumedCall) => {
  const { memory } = nt;
  const node = call.resultVa;
  const [table, buffer, bytes, parent, found] = [call.va(1), call.va(2), call.word(3), call.va(6), call.word(7)];
  tellNew(nt, call.word(4), node !== nullVa);
  if (node === nullVa) return nullVa;
  const tree = treeOf(nt, kind, table);
  if (found === Found.EmptyTree) tree.plant(node);
  else tree.attach(node, parent, found === Found.InsertAsLeft);
  if (!kind.isAvl) appendToOrder(nt, table, node);
  setRoot(nt, kind, table, tree.splay(node));
  changeCount(nt, kind, table, 1);
  memory.copy(dataOf(kind, node), buffer, bytes);
  return dataOf(kind, node);
};

const orderOf = (node: Va): Va => vaAdd(node, RTL_SPLAY_LINKS.sizeBytes);

function appendToOrder({ memory }: Nt, table: Va, node: Va): void {
  const [head, entry] = [RTL_GENERIC_TABLE.InsertOrderList.at(table), orderOf(node)];
  const last = LIST_ENTRY.Blink.get(memory, head);
  LIST_ENTRY.Flink.set(memory, entry, head);
  LIST_ENTRY.Blink.set(memory, entry, last);
  LIST_ENTRY.Flink.set(memory, last, entry);
  LIST_ENTRY.Blink.set(memory, head, entry);
}

/** A change makes the place of RtlGetElement… worthless. */
function changeCount({ memory }: Nt, { layout }: Kind, table: Va, by: number): void {
  const count = layout.NumberGenericTableElements.get(memory, table) + by;
  layout.NumberGenericTableElements.set(memory, table, count);
  layout.WhichOrderedElement.set(memory, table, 0);
  layout.OrderedPointer.set(memory, table, nullVa);
}

// ---- deleting

function remove(nt: Nt, kind: Kind, table: Va, node: Va): Outcome {
  const { memory } = nt;
  const tree = treeOf(nt, kind, table);
  if (kind.isAvl && RTL_AVL_TABLE.RestartKey.get(memory, table) === node) {
    RTL_AVL_TABLE.RestartKey.set(memory, table, tree.predecessor(node));
  }
  const near = tree.remove(node);
  setRoot(nt, kind, table, near === nullVa ? nullVa : tree.splay(near));
  if (!kind.isAvl) {
    const entry = orderOf(node);
    const [next, last] = [LIST_ENTRY.Flink.get(memory, entry), LIST_ENTRY.Blink.get(memory, entry)];
    LIST_ENTRY.Flink.set(memory, last, next);
    LIST_ENTRY.Blink.set(memory, next, last);
  }
  changeCount(nt, kind, table, -1);
  return callGuest(kind.layout.FreeRoutine.get(memory, table), [table, node], 'freed', []);
}

// ---- walking

function smallest(nt: Nt, kind: Kind, table: Va): Va {
  const root = rootOf(nt, kind, table);
  return root === nullVa ? nullVa : treeOf(nt, kind, table).leftmost(root);
}

/** RtlEnumerateGenericTable: what was told last is the root; that of AVL tables stands in RestartKey. */
function enumerate(nt: Nt, kind: Kind, table: Va, restarts: boolean): Va {
  const tree = treeOf(nt, kind, table);
  const last = kind.isAvl ? RTL_AVL_TABLE.RestartKey.get(nt.memory, table) : rootOf(nt, kind, table);
  const isFresh = restarts || last === nullVa;
  const node = isFresh ? smallest(nt, kind, table) : tree.successor(last);
  if (kind.isAvl) RTL_AVL_TABLE.RestartKey.set(nt.memory, table, node === nullVa && !isFresh ? last : node);
  else if (node !== nullVa) setRoot(nt, kind, table, tree.splay(node));
  return node === nullVa ? nullVa : dataOf(kind, node);
}

/** The key is the element told last; null starts. */
function enumerateFrom(nt: Nt, kind: Kind, table: Va, keyAt: Va): Va {
  const key = nt.memory.readVa(keyAt);
  const node = key === nullVa ? smallest(nt, kind, table) : treeOf(nt, kind, table).successor(key);
  if (node === nullVa) return nullVa;
  nt.memory.writeVa(keyAt, node);
  return dataOf(kind, node);
}

/** By number: in the order of insertion, of AVL tables in the order of the elements. */
function element(nt: Nt, kind: Kind, table: Va, index: number): Va {
  const { memory } = nt;
  if (index >= kind.layout.NumberGenericTableElements.get(memory, table)) return nullVa;
  if (kind.isAvl) {
    const tree = treeOf(nt, kind, table);
    let node = smallest(nt, kind, table);
    for (let count = 0; count < index; count++) node = tree.successor(node);
    return dataOf(kind, node);
  }
  let entry = LIST_ENTRY.Flink.get(memory, RTL_GENERIC_TABLE.InsertOrderList.at(table));
  for (let count = 0; count < index; count++) entry = LIST_ENTRY.Flink.get(memory, entry);
  return vaAdd(entry, LIST_ENTRY.sizeBytes);
}

interface Initialisation {
  readonly Table: Va;
  readonly CompareRoutine: Va;
  readonly AllocateRoutine: Va;
  readonly FreeRoutine: Va;
  readonly TableContext: Va;
}

function initialise({ memory }: Nt, kind: Kind, args: Initialisation): undefined {
  const { layout } = kind;
  memory.fill(args.Table, layout.sizeBytes, 0);
  if (kind.isAvl) RTL_BALANCED_LINKS.Parent.set(memory, args.Table, args.Table);
  else {
    const head = RTL_GENERIC_TABLE.InsertOrderList.at(args.Table);
    LIST_ENTRY.Flink.set(memory, head, head);
    LIST_ENTRY.Blink.set(memory, head, head);
  }
  layout.CompareRoutine.set(memory, args.Table, args.CompareRoutine);
  layout.AllocateRoutine.set(memory, args.Table, args.AllocateRoutine);
  layout.FreeRoutine.set(memory, args.Table, args.FreeRoutine);
  layout.TableContext.set(memory, args.Table, args.TableContext);
}

/** The routines of one kind of table; `page` is what their documentation pages end in. */
function routinesOf(kind: Kind, page: '' | 'avl') {
  const doc = (name: string): string => `ntddk.h; nf-ntddk-${name}${page}`;
  const resume = { compared: compared(kind), allocated: allocated(kind), freed: (): Outcome => true };
  return {
    initialise: ntRoutine({
      doc: doc('rtlinitializegenerictable'),
      irql: upToDispatch,
      params: { Table: PVOID, CompareRoutine: PVOID, AllocateRoutine: PVOID, FreeRoutine: PVOID, TableContext: PVOID },
      returns: 'VOID',
      body: (nt, args) => initialise(nt, kind, args),
    }),
    insert: ntRoutine({
      doc: doc('rtlinsertelementgenerictable'),
      irql: upToDispatch,
      params: { Table: PVOID, Buffer: PVOID, BufferSize: ULONG, NewElement: PVOID },
      returns: 'PVOID',
      body: (nt, { Table, Buffer, BufferSize, NewElement }) =>
        search(nt, kind, [Operation.Insert, Table, Buffer, BufferSize, NewElement, 0]),
      resume,
    }),
    insertFull: ntRoutine({
      doc: doc('rtlinsertelementgenerictablefull'),
      irql: upToDispatch,
      params: {
        Table: PVOID,
        Buffer: PVOID,
        BufferSize: ULONG,
        NewElement: PVOID,
        NodeOrParent: PVOID,
        SearchResult: ULONG,
      },
      returns: 'PVOID',
      body: (nt, { Table, Buffer, BufferSize, NewElement, NodeOrParent, SearchResult }) => {
        const record = [Operation.Insert, Table, Buffer, BufferSize, NewElement, 0];
        return conclude(nt, kind, record, NodeOrParent, SearchResult);
      },
      resume,
    }),
    remove: ntRoutine({
      doc: doc('rtldeleteelementgenerictable'),
      irql: upToDispatch,
      params: { Table: PVOID, Buffer: PVOID },
      returns: 'BOOLEAN',
      body: (nt, { Table, Buffer }) => search(nt, kind, [Operation.Delete, Table, Buffer, 0, 0, 0]),
      resume,
    }),
    lookup: ntRoutine({
      doc: doc('rtllookupelementgenerictable'),
      irql: upToDispatch,
      params: { Table: PVOID, Buffer: PVOID },
      returns: 'PVOID',
      body: (nt, { Table, Buffer }) => search(nt, kind, [Operation.Lookup, Table, Buffer, 0, 0, 0]),
      resume,
    }),
    lookupFull: ntRoutine({
      doc: doc('rtllookupelementgenerictablefull'),
      irql: upToDispatch,
      params: { Table: PVOID, Buffer: PVOID, NodeOrParent: PVOID, SearchResult: PVOID },
      returns: 'PVOID',
      body: (nt, { Table, Buffer, NodeOrParent, SearchResult }) =>
        search(nt, kind, [Operation.LookupFull, Table, Buffer, 0, NodeOrParent, SearchResult]),
      resume,
    }),
    enumerate: ntRoutine({
      doc: doc('rtlenumerategenerictable'),
      irql: upToDispatch,
      params: { Table: PVOID, Restart: BOOLEAN },
      returns: 'PVOID',
      body: (nt, { Table, Restart }) => enumerate(nt, kind, Table, Restart),
    }),
    enumerateFrom: ntRoutine({
      doc: doc('rtlenumerategenerictablewithoutsplaying'),
      irql: upToDispatch,
      params: { Table: PVOID, RestartKey: PVOID },
      returns: 'PVOID',
      body: (nt, { Table, RestartKey }) => enumerateFrom(nt, kind, Table, RestartKey),
    }),
    element: ntRoutine({
      doc: doc('rtlgetelementgenerictable'),
      irql: anyIrql,
      params: { Table: PVOID, I: ULONG },
      returns: 'PVOID',
      body: (nt, { Table, I }) => element(nt, kind, Table, I),
    }),
    count: ntRoutine({
      doc: doc('rtlnumbergenerictableelements'),
      irql: upToDispatch,
      params: { Table: PVOID },
      returns: 'ULONG',
      body: ({ memory }, { Table }) => kind.layout.NumberGenericTableElements.get(memory, Table),
    }),
    isEmpty: ntRoutine({
      doc: doc('rtlisgenerictableempty'),
      irql: upToDispatch,
      params: { Table: PVOID },
      returns: 'BOOLEAN',
      body: ({ memory }, { Table }) => kind.layout.NumberGenericTableElements.get(memory, Table) === 0,
    }),
  };
}

const splay = routinesOf(splayKind, '');
const avl = routinesOf(avlKind, 'avl');

export const rtlGenericTables = ntExports('ntoskrnl.exe', {
  RtlInitializeGenericTable: splay.initialise,
  RtlInsertElementGenericTable: splay.insert,
  RtlInsertElementGenericTableFull: splay.insertFull,
  RtlDeleteElementGenericTable: splay.remove,
  RtlLookupElementGenericTable: splay.lookup,
  RtlLookupElementGenericTableFull: splay.lookupFull,
  RtlEnumerateGenericTable: splay.enumerate,
  RtlEnumerateGenericTableWithoutSplaying: splay.enumerateFrom,
  RtlGetElementGenericTable: splay.element,
  RtlNumberGenericTableElements: splay.count,
  RtlIsGenericTableEmpty: splay.isEmpty,
  RtlInitializeGenericTableAvl: avl.initialise,
  RtlInsertElementGenericTableAvl: avl.insert,
  RtlInsertElementGenericTableFullAvl: avl.insertFull,
  RtlDeleteElementGenericTableAvl: avl.remove,
  RtlLookupElementGenericTableAvl: avl.lookup,
  RtlLookupElementGenericTableFullAvl: avl.lookupFull,
  RtlEnumerateGenericTableAvl: avl.enumerate,
  RtlEnumerateGenericTableWithoutSplayingAvl: avl.enumerateFrom,
  RtlGetElementGenericTableAvl: avl.element,
  RtlNumberGenericTableElementsAvl: avl.count,
  RtlIsGenericTableEmptyAvl: avl.isEmpty,
});
