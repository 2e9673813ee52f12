/**
 * What outlives the driver besides pool: devices, symbolic links, handles, object references, threads, memory and
 * mappings of the memory manager. Windows looks for none of these at unload; each is a leak all the same.
 */
import type { Va } from '../../base/va.ts';
import { pageSize } from '../../engine/memory/layout.ts';
import { tagText } from '../../nt/declare/parameter-types.ts';
import type { Origin } from '../../nt/mm/holder.ts';
import type { KernelImage } from '../../nt/mm/kernel-image.ts';
import type { PageLock } from '../../nt/mm/page-locks.ts';
import type { Nt } from '../../nt/nt.ts';
import { deviceRegistrations } from './device-registrations.ts';
import { dmaResources } from './dma-resources.ts';
import { type HeldReferences, ObjectReferences } from './object-references.ts';

export type ResourceKind =
  | 'device'
  | 'symbolic-link'
  | 'handle'
  | 'reference'
  | 'contiguous'
  | 'noncached'
  | 'locked-pages'
  | 'mapping'
  | 'thread'
  | 'lookaside'
  | 'resource'
  | 'timer'
  | 'registry-callback'
  | 'error-log-entry'
  | 'callback'
  | 'interrupt'
  | 'common-buffer'
  | 'scatter-gather'
  | 'map-registers'
  | 'adapter-channel'
  | 'adapter';

export interface OutlivingResource extends Origin {
  readonly kind: ResourceKind;
  /** A name, where it has one. */
  readonly name: string | undefined;
  readonly address: Va;
  readonly bytes: number;
}

export class OutlivingResources {
  private readonly nt: Nt;
  private readonly references: ObjectReferences;

  constructor(nt: Nt) {
    this.nt = nt;
    this.references = new ObjectReferences(nt);
  }

  /** What the driver left behind; asked after its image went. */
  ofImage(image: KernelImage): OutlivingResource[] {
    return [
      ...this.named(image),
      ...this.handles(image),
      ...this.objectReferences(image),
      ...this.threads(image),
      ...this.memory(image),
      ...this.lookasideLists(image),
      ...this.resources(image),
      ...this.timers(image),
      ...this.registryCallbacks(image),
      ...this.errorLogEntries(image),
      ...this.callbacks(image),
      ...deviceRegistrations(this.nt, image.index),
      ...dmaResources(this.nt.dma.outstanding(), image.index),
    ];
  }

  /** What was obtained with a DMA adapter and is outstanding; not the adapter itself, which is being released. */
  ofAdapter(adapter: Va): OutlivingResource[] {
    return dmaResources({ ...this.nt.dma.outstanding(adapter), adapters: [] }, undefined);
  }

  /** Pages of a process that the driver keeps locked. */
  lockedIn(process: Va, { index }: KernelImage): OutlivingResource[] {
    return [...this.nt.mdls.outstandingLocks()]
      .filter((lock) => lock.process === process && lock.imageIndex === index)
      .map(lockedPages);
  }

  /** References that the driver holds to files whose handles are all closed. */
  fileReferences(image: KernelImage): OutlivingResource[] {
    return this.objectReferences(image).filter(({ address }) => {
      const object = this.nt.objects.get(address);
      return object?.type === 'File' && object.handleCount === 0;
    });
  }

  /** References to objects that the driver holds now. */
  referencesOf(imageIndex: number): readonly HeldReferences[] {
    return this.references.ofImage(imageIndex);
  }

  private named({ index }: KernelImage): OutlivingResource[] {
    const found: OutlivingResource[] = [];
    for (const { createdBy, name, device, stack, activity } of this.nt.io.devices.all()) {
      if (createdBy === index) found.push({ kind: 'device', name, address: device, bytes: 0, stack, activity });
    }
    for (const { imageIndex, name, stack, activity } of this.nt.objects.symbolicLinks()) {
      if (imageIndex === index)
        found.push({ kind: 'symbolic-link', name, address: 0 as Va, bytes: 0, stack, activity });
    }
    return found;
  }

  private handles({ index }: KernelImage): OutlivingResource[] {
    const found: OutlivingResource[] = [];
    for (const { imageIndex, handle, body, stack, activity } of this.nt.objects.allHandles()) {
      if (imageIndex !== index) continue;
      const object = this.nt.objects.get(body);
      const name = object?.name === undefined ? object?.type : `${object.type} ${object.name}`;
      found.push({ kind: 'handle', name, address: handle as Va, bytes: 0, stack, activity });
    }
    return found;
  }

  private objectReferences({ index }: KernelImage): OutlivingResource[] {
    return this.references.ofImage(index).flatMap(({ object, objectName, origins }) =>
      origins.map(
        (origin): OutlivingResource => ({
          kind: 'reference',
          name: objectName,
          address: object,
          bytes: 0,
          ...origin,
        }),
      ),
    );
  }

  /** Threads that the driver started and that have not ended. */
  private threads({ index }: KernelImage): OutlivingResource[] {
    return [...this.nt.scheduler.all()]
      .filter(({ creator, state }) => creator.imageIndex === index && state !== 'terminated')
      .map(({ kthread, creator }) => ({
        kind: 'thread',
        name: undefined,
        address: kthread,
        bytes: 0,
        stack: creator.stack,
        activity: creator.activity,
      }));
  }

  private memory({ index }: KernelImage): OutlivingResource[] {
    const { contiguous, pageAllocations, mappingAddresses, mdls } = this.nt;
    const found: OutlivingResource[] = [];
    const add = (kind: ResourceKind, address: Va, bytes: number, { stack, activity }: Origin): void => {
      found.push({ kind, name: undefined, address, bytes, stack, activity });
    };
    for (const block of contiguous.outstanding()) {
      const kind = block.purpose === 'contiguous' ? 'contiguous' : 'noncached';
      if (block.imageIndex === index) add(kind, block.va, block.bytes, block);
    }
    for (const pages of pageAllocations.outstanding()) {
      if (pages.imageIndex === index) add('locked-pages', pages.mdl, pages.frames.length * pageSize, pages);
    }
    for (const lock of mdls.outstandingLocks()) if (lock.imageIndex === index) found.push(lockedPages(lock));
    for (const mapping of mdls.outstandingMappings()) {
      if (mapping.imageIndex === index) add('mapping', mapping.va, mapping.pages * pageSize, mapping);
    }
    for (const reserved of mappingAddresses.outstanding()) {
      if (reserved.imageIndex === index) add('mapping', reserved.va, reserved.pages * pageSize, reserved);
    }
    return found;
  }

  /** Lists that were not deleted. What they hold is pool, and leaked as such. */
  private lookasideLists({ index }: KernelImage): OutlivingResource[] {
    return [...this.nt.lookasides.all()]
      .filter(({ imageIndex }) => imageIndex === index)
      .map(({ list, tag, stack, activity }) => ({
        kind: 'lookaside',
        name: tagText(tag),
        address: list,
        bytes: 0,
        stack,
        activity,
      }));
  }

  /** ERESOURCEs that were not deleted: the system's list of them still leads to each. */
  private resources({ index }: KernelImage): OutlivingResource[] {
    return [...this.nt.resources.all()]
      .filter(({ holder }) => holder.imageIndex === index)
      .map(({ resource, holder: { stack, activity } }) => ({
        kind: 'resource',
        name: undefined,
        address: resource,
        bytes: 0,
        stack,
        activity,
      }));
  }

  /** Timers of ExAllocateTimer that were not deleted. */
  private timers({ index }: KernelImage): OutlivingResource[] {
    return [...this.nt.executiveTimers.all()]
      .filter(({ imageIndex }) => imageIndex === index)
      .map(({ timer, stack, activity }) => ({
        kind: 'timer',
        name: undefined,
        address: timer,
        bytes: 0,
        stack,
        activity,
      }));
  }

  /** Routines of the driver that the kernel would still call. */
  private callbacks({ index }: KernelImage): OutlivingResource[] {
    return [...this.nt.callbacks.all()]
      .filter(({ imageIndex }) => imageIndex === index)
      .map(({ routine, registrar, stack, activity }) => ({
        kind: 'callback',
        name: registrar,
        address: routine,
        bytes: 0,
        stack,
        activity,
      }));
  }

  private errorLogEntries({ index }: KernelImage): OutlivingResource[] {
    return [...this.nt.io.registrations.pendingErrorLogEntries]
      .filter(({ imageIndex }) => imageIndex === index)
      .map(({ entry, bytes, stack, activity }) => ({
        kind: 'error-log-entry',
        name: undefined,
        address: entry,
        bytes,
        stack,
        activity,
      }));
  }

  private registryCallbacks({ index }: KernelImage): OutlivingResource[] {
    return [...this.nt.registry.callbacks.all()]
      .filter(({ imageIndex }) => imageIndex === index)
      .map(({ routine, altitude, stack, activity }) => ({
        kind: 'registry-callback',
        name: altitude,
        address: routine,
        bytes: 0,
        stack,
        activity,
      }));
  }
}

function lockedPages({ mdl, pages, stack, activity }: PageLock): OutlivingResource {
  return { kind: 'locked-pages', name: undefined, address: mdl, bytes: pages * pageSize, stack, activity };
}
