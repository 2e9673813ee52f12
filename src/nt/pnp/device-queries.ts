/** What drivers ask the PnP manager to do with a device: a worker thread does it later. */
import type { StoreCell } from '../../base/store.ts';
import type { Va } from '../../base/va.ts';
import type { Nt } from '../nt.ts';
import { WORK_QUEUE_ITEM } from '../structures/io-queues.ts';
import type { SequenceName } from './sequence-steps.ts';

export type DeviceQuery =
  | { readonly what: 'sequence'; readonly pdo: Va; readonly sequence: SequenceName }
  /** PnpNotifyInterfaceChange, PnpNotifyCustomEvent: a routine that is called with the block. */
  | { readonly what: 'call'; readonly routine: string; readonly args: readonly number[] };

/** One worker at a time takes what is queued, in order. */
export class DeviceQueries {
  private readonly nt: Nt;
  private readonly waiting: StoreCell<readonly DeviceQuery[]>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.waiting = nt.stores.cell<readonly DeviceQuery[]>('pnp/device-queries', []);
  }

  queue(pdo: Va, sequence: SequenceName): undefined {
    this.add({ what: 'sequence', pdo, sequence });
  }

  queueCall(routine: string, args: readonly number[]): undefined {
    this.add({ what: 'call', routine, args });
  }

  private add(query: DeviceQuery): void {
    const isFirst = this.waiting.value.length === 0;
    this.waiting.value = [...this.waiting.value, query];
    if (!isFirst) return;
    const item = this.nt.pool.allocateKernel(WORK_QUEUE_ITEM.sizeBytes, 'PnpQ');
    WORK_QUEUE_ITEM.WorkerRoutine.set(this.nt.memory, item, this.nt.entries.routineVa('PnpDeviceActionWorker'));
    this.nt.memory.writeVa(WORK_QUEUE_ITEM.Parameter.at(item), item);
    this.nt.workQueue.queue(item);
  }

  /** What is to be done first; it stays until {@link done}. */
  get first(): DeviceQuery | undefined {
    return this.waiting.value[0];
  }

  done(): void {
    this.waiting.value = this.waiting.value.slice(1);
  }
}
