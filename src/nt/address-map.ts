/**
 * Where things stand in system space (offsets from 0xFFFFF800'00000000). Fixed, so that two runs give the same
 * addresses; apart, so that an address tells what it is.
 */
import type { Va } from '../base/va.ts';
import { systemSpaceStart } from '../engine/memory/layout.ts';

const at = (offset: number): Va => (systemSpaceStart + offset) as Va;

export const AddressMap = {
  /** The kernel's modules and all import thunks: addresses at which the host takes over. */
  host: { start: at(0x0010_0000), sizeBytes: 0x00f0_0000 },
  kernelModules: at(0x0010_0000),
  thunks: at(0x0080_0000),
  processor: at(0x0100_0000),
  images: { start: at(0x1000_0000), sizeBytes: 0x1000_0000 },
  kernelStacks: { start: at(0x2000_0000), sizeBytes: 0x1000_0000 },
  systemPtes: { start: at(0x3000_0000), sizeBytes: 0x1000_0000 },
  nonPagedPool: { start: at(0x4000_0000), sizeBytes: 0x4000_0000 },
  pagedPool: { start: at(0x8000_0000), sizeBytes: 0x4000_0000 },
  /** The kernel's own objects: never shown as the driver's pool. */
  kernelHeap: { start: at(0xc000_0000), sizeBytes: 0x1000_0000 },
  sharedUserData: -0x0880_0000_0000 as Va,
  userSharedData: 0x7ffe_0000 as Va,
  /** The requesting process's private memory. */
  user: { start: 0x0000_0200_0000_0000 as Va, sizeBytes: 0x1000_0000 },
  /** User space of the System process. */
  systemProcessUser: { start: 0x0000_0300_0000_0000 as Va, sizeBytes: 0x1000_0000 },
  userStart: 0x1_0000 as Va,
  userEnd: 0x7fff_ffff_0000 as Va,
} as const;

/** Bytes of a host address slot: one thunk, one routine entry or one resume point. */
export const hostSlotBytes = 16;
