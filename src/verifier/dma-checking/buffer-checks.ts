/** What a driver says of the memory that a device shall reach: the MDL, the address in it, the length. */
import { type Va, vaAdd, vaInRange } from '../../base/va.ts';
import { PageFlag } from '../../engine/memory/layout.ts';
import { hasMdlFlag, mdlPages, mdlVirtualAddress, pageOf, readPfn } from '../../nt/mm/mdl-layout.ts';
import type { Nt } from '../../nt/nt.ts';
import { MDL, MdlFlag } from '../../nt/structures/io.ts';
import { dmaViolation } from './dma-violation.ts';

/** A partial MDL does not repeat that its source's pages are locked; then the pages themselves are asked. */
const mayBeHeld = MdlFlag.SourceIsNonPagedPool | MdlFlag.Partial;
/** These say that MappedSystemVa is an address. */
const mapped = MdlFlag.MappedToSystemVa | MdlFlag.SourceIsNonPagedPool;

/** The buffer of MapTransfer: in one MDL. */
export function checkTransferBuffer(nt: Nt, mdl: Va, va: Va, bytes: number, record: Va): void {
  checkLength(bytes, record);
  checkMdl(nt, mdl);
  const { start, end } = boundsOf(nt, mdl);
  checkInside(nt, mdl, va);
  const last = vaAdd(va, bytes - 1);
  if (last >= end && pageOf(last) !== pageOf(vaAdd(end, -1))) {
    throw dmaViolation(
      0x1f,
      [3, mdl, bytes],
      `the driver mapped ${bytes} bytes from byte ${va - start} of an MDL of ${end - start} bytes`,
    );
  }
}

/** The buffer of a scatter/gather list: from an address in the first MDL on, maybe through a chain. */
export function checkListBuffer(nt: Nt, mdl: Va, va: Va, bytes: number, record: Va): void {
  checkLength(bytes, record);
  checkMdl(nt, mdl);
  const { start, end } = boundsOf(nt, mdl);
  if (va < start) throw dmaViolation(0x1f, [1, va, mdl], 'the driver passed an address before the first MDL');
  if (!(va < end)) throw dmaViolation(0x1f, [2, va, mdl], 'the driver passed an address behind the first MDL');
  checkChain(nt, mdl, va - start, bytes);
}

/** As {@link checkListBuffer}, by the offset from the start of the chain. */
export function checkChainBuffer(nt: Nt, mdl: Va, offset: number, bytes: number, record: Va): void {
  checkLength(bytes, record);
  checkChain(nt, mdl, offset, bytes);
}

/** The address of FlushAdapterBuffers and MapTransfer must lie in the MDL. */
export function checkInside(nt: Nt, mdl: Va, va: Va): void {
  const { start, end } = boundsOf(nt, mdl);
  if (vaInRange(va, start, end - start)) return;
  throw dmaViolation(0x1b, [va, mdl], 'the driver passed an address that is not in the MDL');
}

function checkLength(bytes: number, record: Va): void {
  if (bytes === 0) throw dmaViolation(0x21, [record], 'the driver mapped a buffer of 0 bytes for DMA');
}

function checkMdl(nt: Nt, mdl: Va): void {
  const { memory } = nt;
  if (!staysInMemory(nt, mdl)) {
    throw dmaViolation(0x0e, [mdl], 'the driver started DMA on a buffer whose pages are not locked');
  }
  if (!hasMdlFlag(memory, mdl, mapped)) return;
  const address = MDL.MappedSystemVa.get(memory, mdl);
  if (memory.mappingAt(address) === undefined) {
    throw dmaViolation(0x22, [mdl], "the buffer's MDL says that it is mapped, and it is not");
  }
}

function staysInMemory(nt: Nt, mdl: Va): boolean {
  const { memory } = nt;
  if (hasMdlFlag(memory, mdl, MdlFlag.PagesLocked | MdlFlag.IoSpace)) return true;
  if (!hasMdlFlag(memory, mdl, mayBeHeld)) return false;
  const { frames } = nt.addressSpace;
  for (let index = 0; index < mdlPages(memory, mdl); index++) {
    const frame = frames.frameOf(readPfn(memory, mdl, index));
    if (frame === undefined) return false;
    const isPageable = (va: Va): boolean => ((memory.mappingAt(va)?.flags ?? 0) & PageFlag.Pageable) !== 0;
    if (frames.lockCount(frame) === 0 && memory.mappingsOfFrame(frame).some(isPageable)) return false;
  }
  return true;
}

/** Offsets beyond the first MDLs are passed over; what is left when the chain ends is missing. */
function checkChain(nt: Nt, first: Va, offset: number, bytes: number): void {
  let before = offset;
  let left = bytes;
  for (let mdl = first; mdl !== 0 && left > 0; mdl = MDL.Next.get(nt.memory, mdl)) {
    const size = MDL.ByteCount.get(nt.memory, mdl);
    if (before < size) {
      checkMdl(nt, mdl);
      left -= size - before;
    }
    before = Math.max(before - size, 0);
  }
  if (left > 0) {
    throw dmaViolation(0x24, [left], `the driver mapped ${bytes} bytes, and its MDLs lack ${left} of them`);
  }
}

function boundsOf(nt: Nt, mdl: Va): { readonly start: Va; readonly end: Va } {
  const start = mdlVirtualAddress(nt.memory, mdl);
  return { start, end: vaAdd(start, MDL.ByteCount.get(nt.memory, mdl)) };
}
