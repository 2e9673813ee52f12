/** Doubly linked lists in the driver's memory. */
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { BugCheck } from '../declare/bug-check.ts';
import type { Nt } from '../nt.ts';
import { LIST_ENTRY } from '../structures/ke.ts';

export function initialiseList(nt: Nt, head: Va): void {
  nt.memory.writeVa(head, head);
  nt.memory.writeVa(vaAdd(head, 8), head);
}

const corrupt = (): BugCheck =>
  new BugCheck(0x139, [3, 0, 0, 0], 'a list entry is corrupt: its neighbour does not point back at it');

/** What the list macros check too: neighbours point at each other. */
export function checkLinks(nt: Nt, entry: Va, next: Va): void {
  if (LIST_ENTRY.Blink.get(nt.memory, next) !== entry) throw corrupt();
}

export function checkForward(nt: Nt, entry: Va, next: Va): void {
  if (LIST_ENTRY.Flink.get(nt.memory, entry) !== next) throw corrupt();
}

/** Inserts between two neighbours. */
export function insertBetween(nt: Nt, before: Va, after: Va, entry: Va): void {
  checkLinks(nt, before, after);
  LIST_ENTRY.Flink.set(nt.memory, entry, after);
  LIST_ENTRY.Blink.set(nt.memory, entry, before);
  LIST_ENTRY.Blink.set(nt.memory, after, entry);
  LIST_ENTRY.Flink.set(nt.memory, before, entry);
}

export function removeHead(nt: Nt, head: Va): Va {
  const { memory } = nt;
  const entry = LIST_ENTRY.Flink.get(memory, head);
  if (entry === head) return nullVa;
  const next = LIST_ENTRY.Flink.get(memory, entry);
  checkLinks(nt, head, entry);
  checkLinks(nt, entry, next);
  LIST_ENTRY.Flink.set(memory, head, next);
  LIST_ENTRY.Blink.set(memory, next, head);
  return entry;
}
