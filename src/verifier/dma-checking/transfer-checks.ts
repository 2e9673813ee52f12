/** Mapping and flushing: whether a call fits to the buffer, to the map registers, and to what was mapped before. */
import { type Va, vaAdd, vaLow } from '../../base/va.ts';
import { pageMask, pageSize } from '../../engine/memory/layout.ts';
import type { BugCheck } from '../../nt/declare/bug-check.ts';
import type { Call } from '../../nt/declare/call.ts';
import { PVOID, ULONG, ULONG64 } from '../../nt/declare/parameter-types.ts';
import { type MappedTransfer, type MapRegisterFile, registerAddress } from '../../nt/hal/dma-adapters.ts';
import { mdlVirtualAddress, spannedPages } from '../../nt/mm/mdl-layout.ts';
import type { Nt } from '../../nt/nt.ts';
import { MDL } from '../../nt/structures/io.ts';
import { checkChainBuffer, checkInside, checkListBuffer, checkTransferBuffer } from './buffer-checks.ts';
import type { CallChecks, CheckedAdapter } from './call-checks.ts';
import { dmaViolation } from './dma-violation.ts';

export function addTransferChecks(nt: Nt, calls: CallChecks): void {
  const offset = (call: Call, index: number): number => Number(ULONG64.read(call, index));
  calls.on('MapTransfer', ({ adapter, account }, call) => {
    const [mdl, base, va] = [PVOID.read(call, 1), PVOID.read(call, 2), PVOID.read(call, 3)];
    const bytes = nt.memory.readU32(PVOID.read(call, 4));
    checkTransferBuffer(nt, mdl, va, bytes, account.record);
    const file = nt.dma.files.get(base);
    if (file === undefined) return;
    // With scatter/gather one call need not map more than what lies in a page, whatever was asked for.
    const { isScatterGather } = adapter.description;
    const surely = isScatterGather ? Math.min(bytes, pageSize - (vaLow(va) & pageMask)) : bytes;
    checkOverlap(nt, file, va, surely);
    checkRoom(nt, file, va, surely);
  });
  calls.on('MapTransferEx', ({ account }, call) => {
    const [mdl, base] = [PVOID.read(call, 1), PVOID.read(call, 2)];
    const bytes = nt.memory.readU32(PVOID.read(call, 5));
    checkChainBuffer(nt, mdl, offset(call, 3), bytes, account.record);
    const file = nt.dma.files.get(base);
    const isMapped = file !== undefined && nt.dma.transfersOf(file.base).length > 0;
    if (isMapped) throw notFlushed(nt, file, bytes);
  });
  calls.on('FlushAdapterBuffers', (checked, call) => {
    const [mdl, base, va] = [PVOID.read(call, 1), PVOID.read(call, 2), PVOID.read(call, 3)];
    checkInside(nt, mdl, va);
    const from = va - mdlVirtualAddress(nt.memory, mdl);
    checkFlush(nt, checked, { mdl, base, offset: from, bytes: ULONG.read(call, 4) });
  });
  calls.on('FlushAdapterBuffersEx', (checked, call) => {
    const [mdl, base] = [PVOID.read(call, 1), PVOID.read(call, 2)];
    checkFlush(nt, checked, { mdl, base, offset: offset(call, 3), bytes: ULONG.read(call, 4) });
  });
  const list = ({ account }: CheckedAdapter, call: Call): void =>
    checkListBuffer(nt, PVOID.read(call, 2), PVOID.read(call, 3), ULONG.read(call, 4), account.record);
  calls.on('GetScatterGatherList', list);
  calls.on('BuildScatterGatherList', list);
  const listEx = ({ account }: CheckedAdapter, call: Call): void =>
    checkChainBuffer(nt, PVOID.read(call, 3), offset(call, 4), ULONG.read(call, 5), account.record);
  calls.on('GetScatterGatherListEx', listEx);
  calls.on('BuildScatterGatherListEx', listEx);
}

function checkOverlap(nt: Nt, file: MapRegisterFile, va: Va, bytes: number): void {
  for (const transfer of nt.dma.transfersOf(file.base)) {
    const first = Math.max(transfer.va, va) as Va;
    if (first >= Math.min(transfer.va + transfer.bytes, va + bytes)) continue;
    throw dmaViolation(
      0x1d,
      [va, vaAdd(va, bytes), first],
      'the driver mapped a buffer for DMA of which a part is mapped already and was not flushed',
    );
  }
}

/** What was mapped before and not flushed keeps its registers. */
function checkRoom(nt: Nt, file: MapRegisterFile, va: Va, bytes: number): void {
  const transfers = nt.dma.transfersOf(file.base);
  if (transfers.length === 0) return;
  const used = transfers.reduce((sum, { registers }) => sum + registers, 0);
  const continues = (vaLow(va) & pageMask) !== 0 && transfers.some((one) => one.va + one.bytes === va);
  if (used + spannedPages(va, bytes) - (continues ? 1 : 0) > file.count) throw notFlushed(nt, file, bytes);
}

function notFlushed(nt: Nt, file: MapRegisterFile, bytes: number): BugCheck {
  const mapped = bytesOf(nt.dma.transfersOf(file.base)) + bytes;
  return dmaViolation(
    0x0d,
    [mapped, file.count * pageSize],
    'the driver mapped a buffer for DMA and had not flushed what was mapped before with the same map registers',
  );
}

interface Flush {
  readonly mdl: Va;
  readonly base: Va;
  /** From the start of the MDL. */
  readonly offset: number;
  readonly bytes: number;
}

function checkFlush(nt: Nt, { account }: CheckedAdapter, asked: Flush): void {
  const { mdl, base, offset } = asked;
  const file = nt.dma.files.get(base);
  const transfers = file === undefined ? [] : nt.dma.transfersOf(base);
  if (file === undefined || transfers.length === 0) {
    const va = vaAdd(mdlVirtualAddress(nt.memory, mdl), offset);
    throw dmaViolation(0x20, [base, va, mdl], 'the driver flushed map registers with which nothing is mapped');
  }
  const first = transfers.find((one) => one.chain === mdl && offset >= one.offset && offset < one.offset + one.bytes);
  if (first === undefined) {
    throw dmaViolation(
      0x16,
      [registerAddress(base, 0), account.record],
      'the driver flushed a buffer that is not mapped with these map registers',
    );
  }
  checkEnd(nt, file, first, asked);
}

/** From the register of the first byte on, the file must have one for each page. */
function checkEnd(nt: Nt, file: MapRegisterFile, first: MappedTransfer, { mdl, offset, bytes }: Flush): void {
  const va = vaAdd(first.va, offset - first.offset);
  const page = spannedPages(first.va, va - first.va + 1) - 1;
  const room = (file.count - first.firstRegister - page) * pageSize - (vaLow(va) & pageMask);
  if (bytes <= room) return;
  const inMdl = MDL.ByteCount.get(nt.memory, mdl) - offset;
  throw dmaViolation(
    0x00,
    [1, Math.max(0, inMdl - room), bytes - room],
    `the driver flushed ${bytes} bytes; its map registers end after ${room}`,
  );
}

function bytesOf(transfers: readonly MappedTransfer[]): number {
  return transfers.reduce((sum, { bytes }) => sum + bytes, 0);
}
