/** KDEVICE_QUEUE: entries of requests that wait while a device is busy. */

import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { chain } from '../declare/chain.ts';
import type { Nt } from '../nt.ts';
import { KDEVICE_QUEUE, KDEVICE_QUEUE_ENTRY, LIST_ENTRY } from '../structures/ke.ts';

/** KOBJECTS: DeviceQueueObject */
const deviceQueueObject = 20;

export function initialiseDeviceQueue(nt: Nt, queue: Va): void {
  const { memory } = nt;
  KDEVICE_QUEUE.Type.set(memory, queue, deviceQueueObject);
  KDEVICE_QUEUE.Size.set(memory, queue, KDEVICE_QUEUE.sizeBytes);
  const head = KDEVICE_QUEUE.DeviceListHead.at(queue);
  memory.writeVa(head, head);
  memory.writeVa(vaAdd(head, 8), head);
  KDEVICE_QUEUE.Lock.set(memory, queue, 0n);
  KDEVICE_QUEUE.Busy.set(memory, queue, 0);
}

const queueName = 'a device queue';

function find(entries: Iterable<Va>, isWanted: (entry: Va) => boolean): Va | undefined {
  for (const entry of entries) if (isWanted(entry)) return entry;
  return undefined;
}

/** Inserts behind the entries with the same or a smaller key (at the end without one); false if the device was idle. */
export function insertDeviceQueue(nt: Nt, queue: Va, entry: Va, key: number | undefined): boolean {
  const { memory } = nt;
  if (KDEVICE_QUEUE.Busy.get(memory, queue) === 0) {
    KDEVICE_QUEUE.Busy.set(memory, queue, 1);
    KDEVICE_QUEUE_ENTRY.Inserted.set(memory, entry, 0);
    return false;
  }
  const head = KDEVICE_QUEUE.DeviceListHead.at(queue);
  let after = LIST_ENTRY.Blink.get(memory, head);
  if (key !== undefined) {
    KDEVICE_QUEUE_ENTRY.SortKey.set(memory, entry, key);
    const isBefore = (at: Va): boolean => KDEVICE_QUEUE_ENTRY.SortKey.get(memory, at) <= key;
    after =
      find(
        chain(after, head, (at) => LIST_ENTRY.Blink.get(memory, at), queueName),
        isBefore,
      ) ?? head;
  }
  const next = LIST_ENTRY.Flink.get(memory, after);
  LIST_ENTRY.Flink.set(memory, entry, next);
  LIST_ENTRY.Blink.set(memory, entry, after);
  LIST_ENTRY.Blink.set(memory, next, entry);
  LIST_ENTRY.Flink.set(memory, after, entry);
  KDEVICE_QUEUE_ENTRY.Inserted.set(memory, entry, 1);
  return true;
}

/** The first entry (or the first with at least that key, or else the first); NULL and idle if there is none. */
export function removeDeviceQueue(nt: Nt, queue: Va, key?: number): Va {
  const { memory } = nt;
  const head = KDEVICE_QUEUE.DeviceListHead.at(queue);
  const first = LIST_ENTRY.Flink.get(memory, head);
  if (first === head) {
    KDEVICE_QUEUE.Busy.set(memory, queue, 0);
    return nullVa;
  }
  let entry = first;
  if (key !== undefined) {
    const isNext = (at: Va): boolean => KDEVICE_QUEUE_ENTRY.SortKey.get(memory, at) >= key;
    entry =
      find(
        chain(first, head, (at) => LIST_ENTRY.Flink.get(memory, at), queueName),
        isNext,
      ) ?? first;
  }
  unlink(nt, entry);
  return entry;
}

/** Takes a certain entry out; false if it is in no queue. */
export function removeEntry(nt: Nt, entry: Va): boolean {
  if (KDEVICE_QUEUE_ENTRY.Inserted.get(nt.memory, entry) === 0) return false;
  unlink(nt, entry);
  return true;
}

function unlink(nt: Nt, entry: Va): void {
  const { memory } = nt;
  const [next, before] = [LIST_ENTRY.Flink.get(memory, entry), LIST_ENTRY.Blink.get(memory, entry)];
  LIST_ENTRY.Flink.set(memory, before, next);
  LIST_ENTRY.Blink.set(memory, next, before);
  KDEVICE_QUEUE_ENTRY.Inserted.set(memory, entry, 0);
}
