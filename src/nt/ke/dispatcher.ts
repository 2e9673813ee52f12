import type { Va } from '../../base/va.ts';
import { BugCheck } from '../declare/bug-check.ts';
import type { Nt } from '../nt.ts';
import { STATUS_ABANDONED, STATUS_WAIT_0 } from '../ntstatus.ts';
import { DISPATCHER_HEADER, DispatcherType, KMUTANT } from '../structures/ke.ts';

/** What can be waited for: reads and changes dispatcher headers in guest memory, and wakes threads. */
export class Dispatcher {
  private readonly nt: Nt;

  constructor(nt: Nt) {
    this.nt = nt;
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

  /** Sets the signal state and wakes whom it lets go on; returns the state before. */
  signal(object: Va, signalState: number): number {
    const before = this.signalState(object);
    DISPATCHER_HEADER.SignalState.set(this.nt.memory, object, signalState);
    if (signalState > 0) this.nt.scheduler.wakeWaiters(object);
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
        DISPATCHER_HEADER.SignalState.set(memory, object, state - 1);
        return false;
      case DispatcherType.Mutant: {
        DISPATCHER_HEADER.SignalState.set(memory, object, state - 1);
        if (state - 1 !== 0) return false;
        KMUTANT.OwnerThread.set(memory, object, kthread);
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
