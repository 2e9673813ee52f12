/** What drivers ask the PnP manager to do with a device: a worker thread does it later. */
import type { StoreCell } from '../../base/store.ts';
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import type { Nt } from '../nt.ts';
import { WORK_QUEUE_ITEM } from '../structures/io-queues.ts';
import { DispatcherType, KEVENT } from '../structures/ke.ts';
import type { SequenceName } from './sequence-steps.ts';

export type DeviceQuery =
  | { readonly what: 'sequence'; readonly pdo: Va; readonly sequence: SequenceName }
  /** PnpNotifyInterfaceChange, PnpNotifyCustomEvent: a routine that is called with the block. */
  | { readonly what: 'call'; readonly routine: string; readonly args: readonly number[] };

/** A work item, and an event that is set when all is done. */
const work = { event: WORK_QUEUE_ITEM.sizeBytes, sizeBytes: WORK_QUEUE_ITEM.sizeBytes + KEVENT.sizeBytes } as const;

/** One worker at a time takes what is queued, in order; what the system does to a device later comes after all of it. */
export class DeviceQueries {
  private readonly nt: Nt;
  private readonly waiting: StoreCell<readonly DeviceQuery[]>;
  /** The worker's block; null while nothing is to be done. */
  private readonly block: StoreCell<Va>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.waiting = nt.stores.cell<readonly DeviceQuery[]>('pnp/device-queries', []);
    this.block = nt.stores.cell('pnp/device-query-work', nullVa);
  }

  queue(pdo: Va, sequence: SequenceName): undefined {
    this.add({ what: 'sequence', pdo, sequence });
  }

  queueCall(routine: string, args: readonly number[]): undefined {
    this.add({ what: 'call', routine, args });
  }

  private add(query: DeviceQuery): void {
    const { memory, pool, dispatcher, entries, workQueue } = this.nt;
    this.waiting.value = [...this.waiting.value, query];
    if (this.block.value !== nullVa) return;
    const item = pool.allocateKernel(work.sizeBytes, 'PnpQ');
    dispatcher.initialise(vaAdd(item, work.event), DispatcherType.EventNotification, KEVENT.sizeBytes / 4, 0);
    WORK_QUEUE_ITEM.WorkerRoutine.set(memory, item, entries.routineVa('PnpDeviceActionWorker'));
    memory.writeVa(WORK_QUEUE_ITEM.Parameter.at(item), item);
    this.block.value = item;
    workQueue.queue(item);
  }

  /** The event that says that what was queued is done; undefined if it is. */
  get untilDone(): Va | undefined {
    return this.block.value === nullVa ? undefined : vaAdd(this.block.value, work.event);
  }

  /** Nothing is left to do: whoever waited for that goes on. */
  end(): void {
    const item = this.block.value;
    this.block.value = nullVa;
    this.nt.dispatcher.signal(vaAdd(item, work.event), 1);
    this.nt.pool.freeKernel(item);
  }

  /** What is to be done first; it stays until {@link done}. */
  get first(): DeviceQuery | undefined {
    return this.waiting.value[0];
  }

  done(): void {
    this.waiting.value = this.waiting.value.slice(1);
  }
}
