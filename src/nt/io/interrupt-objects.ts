/** Interrupts that drivers connected: which routine a vector leads to, at which IRQL and under which lock. */
import type { StoreMap } from '../../base/store.ts';
import { nullVa, type Va } from '../../base/va.ts';
import { BugCheck } from '../declare/bug-check.ts';
import type { Holder } from '../mm/holder.ts';
import type { Nt } from '../nt.ts';
import { type InterruptResource, interruptsOf } from '../pnp/resources.ts';

export interface InterruptObject extends Holder {
  readonly object: Va;
  /** As IoConnectInterruptEx numbers its forms; the older routine's is the first. */
  readonly version: number;
  /** What the driver disconnects by: the object itself, or a table of messages. */
  readonly handle: Va;
  readonly routine: Va;
  readonly context: bigint;
  readonly lock: Va;
  readonly vector: number;
  readonly synchronizeIrql: number;
  readonly isShared: boolean;
  readonly isLatched: boolean;
  /** Undefined for a line. */
  readonly message: number | undefined;
}

/** As large as the KINTERRUPT of Windows; nothing of it is public. The lock of one that brings none lies in it. */
const objectBytes = 0x120;
const ownLock = 0x20;

export class InterruptObjects {
  private readonly nt: Nt;
  private readonly objects: StoreMap<number, InterruptObject>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.objects = nt.stores.map('io/interrupt-objects');
  }

  get(object: Va): InterruptObject | undefined {
    return this.objects.get(object);
  }

  all(): IterableIterator<InterruptObject> {
    return this.objects.values();
  }

  /** Those that a vector leads to, in the order in which they were connected. */
  ofVector(vector: number): InterruptObject[] {
    return [...this.objects.values()].filter((object) => object.vector === vector);
  }

  isConnected(vector: number): boolean {
    for (const object of this.objects.values()) if (object.vector === vector) return true;
    return false;
  }

  /** Whether one that is `isShared` could be connected to the vector too. */
  canConnect(vector: number, isShared: boolean): boolean {
    const others = this.ofVector(vector);
    return others.length === 0 || (isShared && others.every((other) => other.isShared));
  }

  /** `lock` null: the object's own. `handle` undefined: the object itself. */
  connect(request: Omit<InterruptObject, 'object' | 'handle'> & { readonly handle?: Va }): Va {
    const object = this.nt.pool.allocateKernel(objectBytes, 'IoIn');
    const lock = request.lock === nullVa ? ((object + ownLock) as Va) : request.lock;
    this.objects.set(object, { ...request, object, handle: request.handle ?? object, lock });
    this.nt.io.hardware.interruptsChanged();
    return object;
  }

  /** Disconnects what `handle` stands for; bug check 0xC2 if that is not connected (any more), as its block was freed. */
  disconnect(handle: Va, version: number | undefined): void {
    const found = [...this.objects.values()].filter((object) => object.handle === handle);
    if (found.length === 0) {
      throw new BugCheck(0xc2, [7, 0, 0, handle], 'an interrupt was disconnected that is not connected (any more)');
    }
    for (const { object, version: connected } of found) {
      if (version !== undefined && connected !== version) {
        throw new BugCheck(
          0xca,
          [9, version, 0, 0],
          'an interrupt was disconnected in another way than it was connected',
        );
      }
      this.objects.delete(object);
      this.nt.pool.freeKernel(object);
    }
    if (found[0]?.object !== handle) this.nt.pool.freeKernel(handle);
    this.nt.io.hardware.interruptsChanged();
  }

  /** The interrupt of a device of the simulated bus that has the (translated) vector. */
  resourceOf(vector: number): InterruptResource | undefined {
    for (const { resources } of this.nt.io.pnp.all()) {
      const found = interruptsOf(resources).find((resource) => resource.vector === vector);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}
