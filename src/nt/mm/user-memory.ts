/** Private memory of the process that makes the requests: its buffers, each with an unmapped page behind it. */
import { assert, PoolproofError } from '../../base/errors.ts';
import type { StoreMap } from '../../base/store.ts';
import { type Va, vaAdd } from '../../base/va.ts';
import { Access, PageFlag, pageSize } from '../../engine/memory/layout.ts';
import { AddressMap } from '../address-map.ts';
import type { Nt } from '../nt.ts';
import { pageOf, spannedPages } from './mdl-layout.ts';

const alignment = 16;
const pageFlags = Access.Read | Access.Write | PageFlag.User | PageFlag.Pageable;

export class UserMemory {
  private readonly nt: Nt;
  /** Size in bytes by address. */
  private readonly buffers: StoreMap<number, number>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.buffers = nt.stores.map('mm/user-buffers');
  }

  /**
   * A buffer, 16-byte aligned, filled with one garbage byte. It ends (but for that alignment) where the unmapped page
   * begins. An empty buffer is an address that cannot be accessed.
   * @throws PoolproofError PP3200 if the machine's memory is used up.
   */
  allocate(bytes: number): Va {
    const { memory, addressSpace } = this.nt;
    const pages = Math.ceil(bytes / pageSize);
    const start = memory.freeFrameCount < pages ? undefined : addressSpace.reserve(AddressMap.user, pages + 1);
    if (start === undefined) {
      throw new PoolproofError(
        'PP3200',
        `no memory is left for a user buffer of ${bytes} bytes; give the machine more`,
      );
    }
    const garbage = 0x81 + (this.nt.random.u32() % 0x7d);
    for (let index = 0; index < pages; index++) {
      const frame = memory.allocateFrame();
      assert(frame !== undefined, 'frames were counted before');
      memory.frameBytes(frame).fill(garbage);
      memory.mapPage(vaAdd(start, index * pageSize), frame, pageFlags);
    }
    const va = vaAdd(start, pages * pageSize - Math.ceil(bytes / alignment) * alignment);
    this.buffers.set(va, bytes);
    return va;
  }

  /** Gives a buffer back; pages that a driver has locked or mapped live until it lets them go. */
  free(va: Va): void {
    const bytes = this.buffers.get(va);
    assert(bytes !== undefined, 'a user buffer is freed once');
    this.buffers.delete(va);
    const { memory, addressSpace } = this.nt;
    const pages = spannedPages(va, bytes);
    for (let index = 0; index < pages; index++) {
      const frame = memory.unmapPage(vaAdd(pageOf(va), index * pageSize));
      if (frame !== undefined) addressSpace.frames.release(frame);
    }
    addressSpace.release(AddressMap.user, pageOf(va), pages + 1);
  }
}
