/** What the routines of DMA_OPERATIONS have in common: their adapter, and in whose name they allocate. */
import { type Va, vaAdd } from '../../base/va.ts';
import type { Call } from '../declare/call.ts';
import { type Outcome, unsupported } from '../declare/outcome.ts';
import { PVOID, pointerTo, ULONG, ULONG64 } from '../declare/parameter-types.ts';
import { type Holder, holderOf, originOf } from '../mm/holder.ts';
import type { Nt } from '../nt.ts';
import { DMA_ADAPTER } from '../structures/dma.ts';
import type { DmaAdapter, MapRegisterFile } from './dma-adapters.ts';

export const padapter = pointerTo('DMA_ADAPTER');
export const pdevice = pointerTo('DEVICE_OBJECT');
export const pmdl = pointerTo('MDL');
export const plist = pointerTo('SCATTER_GATHER_LIST');
/** A routine of the driver, and what it is given. */
export const callback = { ExecutionRoutine: PVOID, Context: ULONG64 } as const;
export const mdlRange = { Mdl: pmdl, CurrentVa: PVOID, Length: ULONG } as const;
export const chainRange = { Mdl: pmdl, Offset: ULONG64, Length: ULONG } as const;

/** Runs `body` with the adapter. What is none (any more) can't be used: how that ends on Windows is chance. */
export function withAdapter(nt: Nt, va: Va, call: Call, body: (adapter: DmaAdapter) => Outcome): Outcome {
  const adapter = nt.dma.adapter(va);
  if (adapter !== undefined && !adapter.isPut) return body(adapter);
  // A pointer to nothing faults, as it does on Windows.
  nt.memory.readVa(vaAdd(va, DMA_ADAPTER.DmaOperations.offset));
  return unsupported(`${call.name} with ${adapter?.isPut === true ? 'an adapter that was put' : 'what is no adapter'}`);
}

/** As {@link withAdapter}, with map registers of the adapter's. */
export function withFile(
  nt: Nt,
  va: Va,
  base: Va,
  call: Call,
  body: (adapter: DmaAdapter, file: MapRegisterFile) => Outcome,
): Outcome {
  return withAdapter(nt, va, call, (adapter) => {
    const file = nt.dma.files.get(base);
    if (file?.adapter === va) return body(adapter, file);
    return unsupported(`${call.name} with map registers that are not allocated (any more)`);
  });
}

/** Calls that do not come through the driver's table count as those of the driver that obtained the adapter. */
export function holderWith(nt: Nt, adapter: DmaAdapter, call: Call): Holder {
  return call.image === undefined ? { imageIndex: adapter.imageIndex, ...originOf(nt) } : holderOf(nt, call);
}

/** An offset or length of 64 bits, as a number: exact as far as an MDL chain can be long. */
export function asNumber(value: bigint): number {
  return Number(value);
}
