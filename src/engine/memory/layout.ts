/**
 * Where things stand in the one WebAssembly memory that holds the CPU state, the page tables and guest RAM. The
 * translator bakes these offsets into the code that it emits.
 */
import type { Va } from '../../base/va.ts';

export const pageSize = 0x1000;
export const pageShift = 12;
export const pageMask = pageSize - 1;

/** Address of the page that an address lies in. */
export function pageOf(va: Va): Va {
  return (Math.floor(va / pageSize) * pageSize) as Va;
}

/** System space: the one window whose page tables the translated code walks inline. 0xFFFFF800'00000000, 4 GB. */
export const systemSpaceStart = -0x800_0000_0000;
export const systemSpaceHigh32 = 0xffff_f800 | 0;

/** CPU state, one page; fields in `cpu/state.ts`. Offset 0 of the memory is never RAM, so 0 can mean "fault". */
export const cpuStateOffset = 0x1000;
/** Bounce buffer for accesses that cross a page, 64 bytes. */
export const scratchOffset = 0x2000;
/** Where the host finds what it loads from a device's page, and puts what it stores there; a page each. */
export const deviceLoadOffset = 0x4000;
export const deviceStoreOffset = 0x5000;
/** Direct-mapped table from guest address to function index: entries of {i64 va, i32 index, i32 unused}. */
export const dispatchTableOffset = 0x10_0000;
export const dispatchTableBits = 16;
/** One i32 for each page of system space: offset of its frame, with the access bits that need no slow path; for the host. */
export const hostPageTableOffset = 0x40_0000;
/**
 * For translated code, one {@link PageEntry} for each page of system space. A write to a page whose frame must first be
 * noted as changed does not match.
 */
export const pageTableLowIrqlOffset = 0x100_0000;
/** The same without pageable pages; in force at DISPATCH_LEVEL and above. */
export const pageTableHighIrqlOffset = 0x300_0000;
export const ramOffset = 0x500_0000;

/**
 * What the translated code compares: an access of n bytes at `a` is in the page, allowed and within system space if
 * (a + n - 1) | 0xFFF equals the tag; `a` + delta, cut to 32 bits, is its offset then. An entry of zeros never matches.
 */
export const PageEntry = {
  /** i64, last address of the page if it may be read. */
  ReadTag: 0,
  /** i64, the same for writing. */
  WriteTag: 8,
  /** i32. */
  Delta: 16,
  SizeShift: 5,
} as const;

/** Access bits, in page-table entries and in requests. */
export const Access = { Read: 1, Write: 2, Execute: 4 } as const;
export type Access = (typeof Access)[keyof typeof Access];

/** Further bits of a mapping. `Device`: loads and stores are calls of {@link DevicePages}, and the frame's bytes mean nothing. */
export const PageFlag = { User: 8, Pageable: 0x10, Device: 0x20 } as const;
