/** Requests for an adapter's channel or for a scatter/gather list, as they wait until they are granted. */
import type { Va } from '../../base/va.ts';
import type { Holder } from '../mm/holder.ts';

/** What DEVICE_OBJECT.Queue.Wcb or a DMA transfer context stands for while the request waits. */
interface WaitingRequest extends Holder {
  readonly id: number;
  readonly adapter: Va;
  readonly device: Va;
  /** DEVICE_OBJECT.CurrentIrp when it was asked for. */
  readonly irp: Va;
  /** AdapterControl or AdapterListControl; null if the caller wants none. */
  readonly routine: Va;
  readonly routineContext: bigint;
  readonly registers: number;
  /** DMA transfer context of the Ex forms; null otherwise. */
  readonly context: Va;
}

/** AllocateAdapterChannel(Ex) */
export interface AdapterRequest extends WaitingRequest {
  readonly kind: 'channel';
}

/** GetScatterGatherList(Ex), BuildScatterGatherList(Ex) */
export interface ListRequest extends WaitingRequest {
  readonly kind: 'list';
  readonly mdl: Va;
  /** Of the first byte, from the start of the chain. */
  readonly offset: number;
  /** Of the first byte in the first MDL's address space. */
  readonly va: Va;
  readonly bytes: number;
  readonly isWriteToDevice: boolean;
  /** The driver's buffer; null if the list is the HAL's to allocate. */
  readonly buffer: Va;
}

export type ChannelRequest = AdapterRequest | ListRequest;
