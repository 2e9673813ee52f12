/** What a driver obtained for DMA and did not give back. */
import type { Va } from '../../base/va.ts';
import type { OutstandingDma } from '../../nt/hal/dma-adapters.ts';
import type { Holder } from '../../nt/mm/holder.ts';
import type { OutlivingResource, ResourceKind } from './outliving-resources.ts';

/** Of one driver; of all if `imageIndex` is undefined. Map registers of a scatter/gather list are the list's. */
export function dmaResources(dma: OutstandingDma, imageIndex: number | undefined): OutlivingResource[] {
  const found: OutlivingResource[] = [];
  const add = (
    kind: ResourceKind,
    address: Va,
    bytes: number,
    { imageIndex: owner, stack, activity }: Holder,
  ): void => {
    if (imageIndex !== undefined && owner !== imageIndex) return;
    found.push({ kind, name: undefined, address, bytes, stack, activity });
  };
  for (const buffer of dma.commonBuffers) add('common-buffer', buffer.va, buffer.bytes, buffer);
  for (const list of dma.scatterGatherLists) add('scatter-gather', list.list, 0, list);
  for (const file of dma.mapRegisterFiles) {
    if (file.purpose === 'scatter-gather') continue;
    for (let register = 0; register < file.count; register++) add('map-registers', file.base, 0, file);
  }
  for (const channel of dma.channels) {
    if (channel.purpose === 'channel') add('adapter-channel', channel.adapter, 0, channel);
  }
  for (const adapter of dma.adapters) add('adapter', adapter.adapter, 0, adapter);
  return found;
}
