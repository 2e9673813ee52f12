/** Splay trees that drivers build of their own nodes, and prefix tables. */
import { nullVa, type Va } from '../../base/va.ts';
import { upToApc, upToDispatch } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { BOOLEAN, PVOID, pointerTo, type ReturnType, ULONG } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { UNICODE_PREFIX_TABLE, UNICODE_PREFIX_TABLE_ENTRY } from '../structures/tables.ts';
import { readUnicodeString } from './guest-text.ts';
import { upcaseText } from './letter-case.ts';
import { Tree } from './splay.ts';

const plinks = pointerTo('RTL_SPLAY_LINKS');
const pprefix = pointerTo('UNICODE_PREFIX_TABLE');
const pentry = pointerTo('UNICODE_PREFIX_TABLE_ENTRY');

const linksRoutine = (doc: string, body: (tree: Tree, links: Va) => Va, returns: ReturnType = 'PVOID') =>
  ntRoutine({
    doc,
    irql: upToDispatch,
    params: { Links: plinks },
    returns,
    body: ({ memory }, { Links }) => body(new Tree(memory), Links),
  });

/** The root that is left, null if none. */
function removed(tree: Tree, links: Va): Va {
  const near = tree.remove(links);
  return near === nullVa ? nullVa : tree.splay(near);
}

// ---- prefix tables: a list of entries, newest first

/** PFX_NTC_TABLE, PFX_NTC_ROOT */
const NodeType = { table: 0x0800, entry: 0x0801 } as const;

function* entriesOf({ memory }: Nt, table: Va): Generator<Va> {
  let at = UNICODE_PREFIX_TABLE.NextPrefixTree.get(memory, table);
  for (let count = 0; at !== table && count < 100_000; count++) {
    yield at;
    at = UNICODE_PREFIX_TABLE_ENTRY.NextPrefixTree.get(memory, at);
  }
}

const prefixOf = ({ memory }: Nt, entry: Va): string =>
  readUnicodeString(memory, UNICODE_PREFIX_TABLE_ENTRY.Prefix.get(memory, entry));

/** Letters before `index` are compared as they are, the others without case. */
function isPrefix(prefix: string, name: string, index: number): boolean {
  if (prefix.length > name.length) return false;
  const [fixed, rest] = [prefix.slice(0, index), upcaseText(prefix.slice(index))];
  if (!name.startsWith(fixed) || !upcaseText(name.slice(fixed.length)).startsWith(rest)) return false;
  return prefix.length === name.length || prefix === '\\' || name[prefix.length] === '\\';
}

function findPrefix(nt: Nt, table: Va, name: string, caseInsensitiveIndex: number): Va {
  let [best, bestLength] = [nullVa, -1];
  for (const entry of entriesOf(nt, table)) {
    const prefix = prefixOf(nt, entry);
    if (prefix.length <= bestLength || !isPrefix(prefix, name, caseInsensitiveIndex)) continue;
    [best, bestLength] = [entry, prefix.length];
  }
  return best;
}

export const rtlSplayTrees = ntExports('ntoskrnl.exe', {
  RtlSplay: linksRoutine('ntifs.h; nf-ntifs-rtlsplay', (tree, links) => tree.splay(links)),
  RtlDelete: linksRoutine('ntifs.h; nf-ntifs-rtldelete', removed),
  RtlDeleteNoSplay: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-rtldeletenosplay',
    irql: upToDispatch,
    params: { Links: plinks, Root: PVOID },
    returns: 'VOID',
    body: ({ memory }, { Links, Root }) => {
      const tree = new Tree(memory);
      const near = tree.remove(Links);
      memory.writeVa(Root, near === nullVa ? nullVa : tree.rootOf(near));
    },
  }),
  RtlSubtreeSuccessor: linksRoutine('ntifs.h; nf-ntifs-rtlsubtreesuccessor', (tree, links) => {
    const right = tree.right(links);
    return right === nullVa ? nullVa : tree.leftmost(right);
  }),
  RtlSubtreePredecessor: linksRoutine('ntifs.h; nf-ntifs-rtlsubtreepredecessor', (tree, links) => {
    const left = tree.left(links);
    return left === nullVa ? nullVa : tree.rightmost(left);
  }),
  RtlRealSuccessor: linksRoutine('ntifs.h; nf-ntifs-rtlrealsuccessor', (tree, links) => tree.successor(links)),
  RtlRealPredecessor: linksRoutine('ntifs.h; nf-ntifs-rtlrealpredecessor', (tree, links) => tree.predecessor(links)),
  RtlInitializeUnicodePrefix: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-rtlinitializeunicodeprefix',
    irql: upToApc,
    params: { PrefixTable: pprefix },
    returns: 'VOID',
    body: ({ memory }, { PrefixTable }) => {
      UNICODE_PREFIX_TABLE.NodeTypeCode.set(memory, PrefixTable, NodeType.table);
      UNICODE_PREFIX_TABLE.NameLength.set(memory, PrefixTable, 0);
      UNICODE_PREFIX_TABLE.NextPrefixTree.set(memory, PrefixTable, PrefixTable);
      UNICODE_PREFIX_TABLE.LastNextEntry.set(memory, PrefixTable, nullVa);
    },
  }),
  RtlInsertUnicodePrefix: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-rtlinsertunicodeprefix',
    irql: upToApc,
    params: { PrefixTable: pprefix, Prefix: pointerTo('UNICODE_STRING'), PrefixTableEntry: pentry },
    returns: 'BOOLEAN',
    body: (nt, { PrefixTable, Prefix, PrefixTableEntry: entry }) => {
      const { memory } = nt;
      const text = readUnicodeString(memory, Prefix);
      for (const other of entriesOf(nt, PrefixTable)) if (prefixOf(nt, other) === text) return false;
      const first = UNICODE_PREFIX_TABLE.NextPrefixTree.get(memory, PrefixTable);
      memory.fill(entry, UNICODE_PREFIX_TABLE_ENTRY.sizeBytes, 0);
      UNICODE_PREFIX_TABLE_ENTRY.NodeTypeCode.set(memory, entry, NodeType.entry);
      UNICODE_PREFIX_TABLE_ENTRY.NameLength.set(memory, entry, text.split('\\').length);
      UNICODE_PREFIX_TABLE_ENTRY.NextPrefixTree.set(memory, entry, first);
      UNICODE_PREFIX_TABLE_ENTRY.CaseMatch.set(memory, entry, entry);
      new Tree(memory).plant(UNICODE_PREFIX_TABLE_ENTRY.Links.at(entry));
      UNICODE_PREFIX_TABLE_ENTRY.Prefix.set(memory, entry, Prefix);
      UNICODE_PREFIX_TABLE.NextPrefixTree.set(memory, PrefixTable, entry);
      return true;
    },
  }),
  RtlFindUnicodePrefix: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-rtlfindunicodeprefix',
    irql: upToApc,
    params: { PrefixTable: pprefix, FullName: pointerTo('UNICODE_STRING'), CaseInsensitiveIndex: ULONG },
    returns: 'PVOID',
    body: (nt, { PrefixTable, FullName, CaseInsensitiveIndex }) =>
      findPrefix(nt, PrefixTable, readUnicodeString(nt.memory, FullName), CaseInsensitiveIndex),
  }),
  RtlRemoveUnicodePrefix: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-rtlremoveunicodeprefix',
    irql: upToApc,
    params: { PrefixTable: pprefix, PrefixTableEntry: pentry },
    returns: 'VOID',
    body: (nt, { PrefixTable, PrefixTableEntry: entry }) => {
      const { memory } = nt;
      const { NextPrefixTree } = UNICODE_PREFIX_TABLE_ENTRY;
      const after = NextPrefixTree.get(memory, entry);
      for (const at of [PrefixTable, ...entriesOf(nt, PrefixTable)]) {
        if (NextPrefixTree.get(memory, at) === entry) {
          NextPrefixTree.set(memory, at, after);
          break;
        }
      }
    },
  }),
  RtlNextUnicodePrefix: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-rtlnextunicodeprefix',
    irql: upToApc,
    params: { PrefixTable: pprefix, Restart: BOOLEAN },
    returns: 'PVOID',
    body: ({ memory }, { PrefixTable, Restart }) => {
      const { LastNextEntry, NextPrefixTree } = UNICODE_PREFIX_TABLE;
      const last = Restart ? nullVa : LastNextEntry.get(memory, PrefixTable);
      const next = NextPrefixTree.get(memory, last === nullVa ? PrefixTable : last);
      LastNextEntry.set(memory, PrefixTable, next === PrefixTable ? nullVa : next);
      return next === PrefixTable ? nullVa : next;
    },
  }),
});
