import type { StoreCell, StoreMap } from '../../base/store.ts';
import type { Va } from '../../base/va.ts';
import { BugCheck } from '../declare/bug-check.ts';
import { Irql } from '../declare/nt-routine.ts';
import type { Nt } from '../nt.ts';
import { STATUS_ABANDONED, STATUS_WAIT_0 } from '../ntstatus.ts';
import { DISPATCHER_HEADER, DispatcherType, KMUTANT } from '../structures/ke.ts';
import { setIrql } from './irql.ts';

/** What can be waited for: reads and changes dispatcher headers in guest memory, and wakes threads. */
export class Dispatcher {
  private readonly nt: Nt;
  /** IRQL to which the next wait returns, after a routine with Wait = TRUE kept the dispatcher to itself. */
  private readonly heldFrom: StoreCell<number | undefined>;
  /** Kernel mutexes that are owned, with their owner. */
  private readonly ownedMutexes: StoreMap<number, Va>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.heldFrom = nt.stores.cell<number | undefined>('ke/dispatcher-held-from', undefined);
    this.ownedMutexes = nt.stores.map('ke/owned-mutexes');
  }

  /** What Wait = TRUE asks for: nothing else runs before the wait that has to follow. */
  holdForWait(): void {
    this.heldFrom.value ??= this.nt.cpu.state.irql;
    if (this.nt.cpu.state.irql < Irql.DISPATCH) setIrql(this.nt, Irql.DISPATCH);
  }

  /** The wait begins. */
  endHoldForWait(): void {
    if (this.heldFrom.value === undefined) return;
    setIrql(this.nt, this.heldFrom.value);
    this.heldFrom.value = undefined;
  }

  /** A mutex that the thread owns. */
  mutexOwnedBy(kthread: Va): Va | undefined {
    for (const [mutex, owner] of this.ownedMutexes.entries()) if (owner === kthread) return mutex as Va;
    return undefined;
  }

  forgetMutex(mutex: Va): void {
    this.ownedMutexes.delete(mutex);
  }

  /** Fills a DISPATCHER_HEADER. `size` counts ULONGs, as the Size field does. */
  initialise(object: Va, type: number, size: number, signalState: number): void {
    const { memory } = this.nt;
    DISPATCHER_HEADER.Type.set(memory, object, type);
    DISPATCHER_HEADER.Signalling.set(memory, object, 0);
    DISPATCHER_HEADER.Size.set(memory, object, size);
    DISPATCHER_HEADER.Reserved1.set(memory, object, 0);
    DISPATCHER_HEADER.SignalState.set(memory, object, signalState);
    const list = DISPATCHER_HEADER.WaitListHead.at(object);
    memory.writeVa(list, list);
    memory.writeVa((list + 8) as Va, list);
  }

  signalState(object: Va): number {
    return DISPATCHER_HEADER.SignalState.get(this.nt.memory, object);
  }

  /** Sets the signal state and wakes whom it lets go on, with a boost of `increment`; returns the state before. */
  signal(object: Va, signalState: number, increment = 0): number {
    const before = this.signalState(object);
    DISPATCHER_HEADER.SignalState.set(this.nt.memory, object, signalState);
    if (signalState > 0) this.nt.scheduler.wakeWaiters(object, increment);
    return before;
  }

  /** Whether a wait of that thread on the object would end at once. */
  isSignalled(object: Va, kthread: Va): boolean {
    const { memory } = this.nt;
    const type = DISPATCHER_HEADER.Type.get(memory, object) & 0x7f;
    if (!isDispatcherType(type)) {
      throw new BugCheck(
        0xa,
        [object, this.nt.cpu.state.irql, 0, 0],
        `a wait on ${type}: not a dispatcher object, or not initialised`,
      );
    }
    if (this.signalState(object) > 0) return true;
    return type === DispatcherType.Mutant && KMUTANT.OwnerThread.get(memory, object) === kthread;
  }

  /** Ends a wait if its objects allow it and takes what it takes; the wait status, or undefined to go on waiting. */
  trySatisfy(objects: readonly Va[], waitAll: boolean, kthread: Va): number | undefined {
    if (objects.length === 0) return undefined;
    if (waitAll) {
      if (!objects.every((object) => this.isSignalled(object, kthread))) return undefined;
      let status = STATUS_WAIT_0;
      for (const object of objects) if (this.take(object, kthread)) status = STATUS_ABANDONED;
      return status;
    }
    const index = objects.findIndex((object) => this.isSignalled(object, kthread));
    const object = objects[index];
    if (object === undefined) return undefined;
    return (this.take(object, kthread) ? STATUS_ABANDONED : STATUS_WAIT_0) + index;
  }

  /** What a satisfied wait does to the object. True if it is a mutex that its owner abandoned. */
  private take(object: Va, kthread: Va): boolean {
    const { memory } = this.nt;
    const type = DISPATCHER_HEADER.Type.get(memory, object) & 0x7f;
    const state = this.signalState(object);
    switch (type) {
      case DispatcherType.EventSynchronization:
      case DispatcherType.TimerSynchronization:
        DISPATCHER_HEADER.SignalState.set(memory, object, 0);
        return false;
      case DispatcherType.Semaphore:
      case DispatcherType.Queue:
        DISPATCHER_HEADER.SignalState.set(memory, object, state - 1);
        return false;
      case DispatcherType.Mutant: {
        DISPATCHER_HEADER.SignalState.set(memory, object, state - 1);
        if (state - 1 !== 0) return false;
        KMUTANT.OwnerThread.set(memory, object, kthread);
        this.ownedMutexes.set(object, kthread);
        this.nt.scheduler.update(kthread, {
          kernelApcDisable: this.nt.scheduler.thread(kthread).kernelApcDisable - KMUTANT.ApcDisable.get(memory, object),
        });
        const isAbandoned = KMUTANT.Abandoned.get(memory, object) !== 0;
        KMUTANT.Abandoned.set(memory, object, 0);
        return isAbandoned;
      }
      default:
        return false;
    }
  }
}

const dispatcherTypes: readonly number[] = Object.values(DispatcherType);

function isDispatcherType(type: number): boolean {
  return dispatcherTypes.includes(type);
}
