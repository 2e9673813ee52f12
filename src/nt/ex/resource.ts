/**
 * ERESOURCE: shared by readers, exclusive for one writer. Who owns and who waits stands in a store; what the structure
 * shows of it (debuggers read it) is written along. A waiter gets an event of its own, and ownership before it wakes.
 */
import type { StoreMap } from '../../base/store.ts';
import { nullVa, type Va } from '../../base/va.ts';
import { type Holder, kernelHolder } from '../mm/holder.ts';
import type { Nt } from '../nt.ts';
import { ERESOURCE } from '../structures/executive.ts';
import { DispatcherType, KEVENT } from '../structures/ke.ts';

export interface ResourceOwner {
  readonly thread: number;
  readonly count: number;
}

export interface ResourceWaiter {
  readonly thread: number;
  readonly isExclusive: boolean;
  readonly event: Va;
}

export interface Resource {
  readonly resource: Va;
  readonly isExclusive: boolean;
  readonly owners: readonly ResourceOwner[];
  /** Longest wait first. */
  readonly waiters: readonly ResourceWaiter[];
  /** Who initialised it. */
  readonly holder: Holder;
}

/** How a shared request stands to those who wait for exclusive ownership. */
export type SharedKind = 'fair' | 'starve-exclusive' | 'wait-for-exclusive';

const ownedExclusiveFlag = 0x80;

export class Resources {
  private readonly nt: Nt;
  private readonly resources: StoreMap<number, Resource>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.resources = nt.stores.map('ex/resources');
  }

  /** Resources that were initialised and not deleted. */
  all(): IterableIterator<Resource> {
    return this.resources.values();
  }

  get(resource: Va): Resource | undefined {
    return this.resources.get(resource);
  }

  initialise(resource: Va, holder: Holder = kernelHolder): void {
    this.nt.memory.fill(resource, ERESOURCE.sizeBytes, 0);
    this.resources.set(resource, { resource, isExclusive: false, owners: [], waiters: [], holder });
    this.show(resource);
  }

  delete(resource: Va): boolean {
    return this.resources.delete(resource);
  }

  /** Takes the resource exclusively if that is possible at once. */
  tryExclusive(state: Resource, thread: number): boolean {
    const own = state.owners.find((owner) => owner.thread === thread);
    if (state.owners.length > 0 && !(state.isExclusive && own !== undefined)) return false;
    this.grant(state, thread, true);
    return true;
  }

  tryShared(state: Resource, thread: number, kind: SharedKind): boolean {
    const own = state.owners.some((owner) => owner.thread === thread);
    if (state.isExclusive && !own) return false;
    const isExclusiveWaiting = state.waiters.some((waiter) => waiter.isExclusive);
    const yields = isExclusiveWaiting && (kind === 'wait-for-exclusive' || (kind === 'fair' && !own));
    if (yields && state.owners.length > 0 && !state.isExclusive) return false;
    this.grant(state, thread, state.isExclusive);
    return true;
  }

  /** Queues the thread; the event that says it owns the resource. */
  wait(state: Resource, thread: number, isExclusive: boolean): Va {
    const event = this.nt.pool.allocateKernel(KEVENT.sizeBytes, 'ReEv');
    this.nt.dispatcher.initialise(event, DispatcherType.EventSynchronization, KEVENT.sizeBytes / 4, 0);
    this.change(state, { waiters: [...state.waiters, { thread, isExclusive, event }] });
    return event;
  }

  /** False if that thread does not own it. */
  release(state: Resource, thread: number): boolean {
    const own = state.owners.find((owner) => owner.thread === thread);
    if (own === undefined) return false;
    const others = state.owners.filter((owner) => owner !== own);
    const owners = own.count > 1 ? [...others, { thread, count: own.count - 1 }] : others;
    this.change(state, { owners, isExclusive: state.isExclusive && owners.length > 0 });
    this.wakeWaiters(state.resource);
    return true;
  }

  /** The exclusive owner goes on as one of those who share. */
  convertToShared(state: Resource): void {
    this.change(state, { isExclusive: false });
    this.wakeShared(state.resource);
  }

  private wakeWaiters(resource: Va): void {
    const state = this.resources.get(resource);
    const first = state?.waiters[0];
    if (state === undefined || first === undefined || state.owners.length > 0) return;
    if (!first.isExclusive) {
      this.wakeShared(resource);
      return;
    }
    this.change(state, { waiters: state.waiters.slice(1) });
    this.hand(resource, first);
  }

  /** Everybody who waits to share goes on together. */
  private wakeShared(resource: Va): void {
    const state = this.resources.get(resource);
    if (state === undefined) return;
    this.change(state, { waiters: state.waiters.filter((waiter) => waiter.isExclusive) });
    for (const waiter of state.waiters) if (!waiter.isExclusive) this.hand(resource, waiter);
  }

  private hand(resource: Va, waiter: ResourceWaiter): void {
    const state = this.resources.get(resource);
    if (state === undefined) return;
    this.grant(state, waiter.thread, waiter.isExclusive);
    this.nt.dispatcher.signal(waiter.event, 1);
  }

  private grant(state: Resource, thread: number, isExclusive: boolean): void {
    const own = state.owners.find((owner) => owner.thread === thread);
    const others = state.owners.filter((owner) => owner !== own);
    this.change(state, { owners: [...others, { thread, count: (own?.count ?? 0) + 1 }], isExclusive });
  }

  private change(state: Resource, change: Partial<Resource>): void {
    this.resources.set(state.resource, { ...state, ...change });
    this.show(state.resource);
  }

  private show(resource: Va): void {
    const { memory } = this.nt;
    const state = this.resources.get(resource);
    if (state === undefined) return;
    const exclusiveWaiters = state.waiters.filter((waiter) => waiter.isExclusive).length;
    ERESOURCE.ActiveCount.set(memory, resource, state.owners.length);
    ERESOURCE.Flag.set(memory, resource, state.isExclusive ? ownedExclusiveFlag : 0);
    ERESOURCE.OwnerThread.set(memory, resource, (state.owners[0]?.thread ?? nullVa) as Va);
    ERESOURCE.ActiveEntries.set(memory, resource, state.owners.length);
    ERESOURCE.NumberOfExclusiveWaiters.set(memory, resource, exclusiveWaiters);
    ERESOURCE.NumberOfSharedWaiters.set(memory, resource, state.waiters.length - exclusiveWaiters);
  }
}
