/** What the kernel tells whoever watches: verifier options, traces, reports. Listeners only look. */
import type { Va } from '../base/va.ts';
import type { Call, ResumedCall } from './declare/call.ts';
import type { PoolBlock, PoolRequest } from './ex/pool.ts';
import type { DmaEvents } from './hal/dma-adapters.ts';
import type { ContiguousBlock } from './mm/contiguous-memory.ts';
import type { KernelImage } from './mm/kernel-image.ts';

/** Event name to payload. */
export interface NtEvents extends DmaEvents {
  imageLoaded: { readonly image: KernelImage };
  /** The driver's unload routine is about to run. */
  driverUnloading: { readonly image: KernelImage; readonly driverObject: Va };
  /** Nothing of the driver will run any more; its image is still mapped and its objects are gone. */
  driverUnloaded: { readonly image: KernelImage; readonly driverObject: Va };
  /** The clock interrupt: about every million instructions. */
  turnEnded: { readonly retired: number };
  debugPrint: { readonly text: string; readonly componentId: number; readonly level: number };
  /** The driver stopped for the debugger: the address of its `int 3`, or where its call of DbgBreakPoint returns to. */
  breakpoint: { readonly address: Va };
  exportCalled: { readonly name: string; readonly image: KernelImage | undefined; readonly returnAddress: Va };
  irqlChanged: { readonly from: number; readonly to: number };
  /** A block was handed to a driver (to whom, the caller tells). */
  poolAllocated: { readonly block: PoolBlock; readonly caller: Call | ResumedCall };
  poolAllocationFailed: { readonly request: PoolRequest; readonly caller: Call | ResumedCall };
  /** Without a caller: the kernel freed what a driver had handed over to it. */
  poolFreed: { readonly block: PoolBlock; readonly caller: Call | ResumedCall | undefined };
  /** Contiguous or noncached memory was given to a driver or taken back. */
  contiguousAllocated: { readonly block: ContiguousBlock };
  contiguousFreed: { readonly block: ContiguousBlock };
  /** A dispatch routine is about to be called. */
  irpDispatched: { readonly irp: Va; readonly device: Va; readonly routine: Va };
  /** IoCompleteRequest with a status that says that it is not complete, or with a cancel routine that is still set. */
  irpCompletedWrongly: { readonly irp: Va; readonly wrong: 'status' | 'cancel-routine'; readonly value: number };
  irpCompleted: { readonly irp: Va; readonly status: number };
  /** IoWriteErrorLogEntry */
  errorLogged: { readonly object: Va; readonly errorCode: number };
  /** A routine that takes steps before it answers gave a driver a reference, which the driver has to drop. */
  referenceGiven: { readonly object: Va; readonly image: KernelImage | undefined };
  /** The kernel took over a reference that a driver had to drop: this driver, or (undefined) whichever has one. */
  referenceReturned: { readonly object: Va; readonly image: KernelImage | undefined };
  threadCreated: { readonly thread: Va };
  threadTerminated: { readonly thread: Va };
  /** Threads of the process have ended and its handles are closed; its memory is still there. */
  processEnding: { readonly process: Va };
}

type Listener<E> = (event: E) => void;

export class NtEventSource {
  private readonly listeners: { [K in keyof NtEvents]?: Listener<NtEvents[K]>[] } = {};

  on<K extends keyof NtEvents>(name: K, listener: Listener<NtEvents[K]>): void {
    const list: Listener<NtEvents[K]>[] = this.listeners[name] ?? [];
    list.push(listener);
    Object.assign(this.listeners, { [name]: list });
  }

  emit<K extends keyof NtEvents>(name: K, event: NtEvents[K]): void {
    const list: Listener<NtEvents[K]>[] | undefined = this.listeners[name];
    if (list === undefined) return;
    for (let index = 0; index < list.length; index++) (list[index] as Listener<NtEvents[K]>)(event);
  }

  /** Whether building the payload is worth it. */
  has(name: keyof NtEvents): boolean {
    return this.listeners[name] !== undefined;
  }
}
