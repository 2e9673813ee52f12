/**
 * Tags and padding around what devices reach: looked at when a transfer is flushed, map registers or a common buffer are
 * freed, or the adapter is released.
 */
import { vaAdd } from '../../base/va.ts';
import type { BugCheck, BugCheckParameter } from '../../nt/declare/bug-check.ts';
import type { CommonBuffer, MappedTransfer } from '../../nt/hal/dma-adapters.ts';
import {
  damagedCommonBuffer,
  damagedFreeRegisters,
  damagedGuards,
  type GuardDamage,
} from '../../nt/hal/dma-double-buffers.ts';
import type { Nt } from '../../nt/nt.ts';
import type { AdapterAccounts } from './adapter-accounts.ts';
import type { CallChecks } from './call-checks.ts';
import { dmaViolation } from './dma-violation.ts';

/** What lies between the guards, in the addresses in which it is told. */
interface Guarded {
  readonly what: string;
  readonly start: BugCheckParameter;
  readonly bytes: number;
  /** Where the guard changed. */
  at(damage: GuardDamage): BugCheckParameter;
}

export function addGuardChecks(nt: Nt, calls: CallChecks, accounts: AdapterAccounts): void {
  nt.events.on('transferFlushing', ({ transfer }) => {
    if (accounts.of(transfer.adapter) !== undefined) checkTransfer(nt, transfer);
  });
  nt.events.on('mapRegistersFreed', ({ file }) => {
    if (accounts.of(file.adapter) === undefined) return;
    const [damage] = damagedFreeRegisters(nt, file);
    if (damage === undefined) return;
    throw dmaViolation(
      0x0f,
      [3, damage.address],
      `memory of a map register with which nothing is mapped was written at physical address 0x${damage.address.toString(16)}`,
    );
  });
  nt.events.on('commonBufferFreed', ({ buffer }) => {
    if (accounts.of(buffer.adapter) !== undefined) checkCommonBuffer(nt, buffer);
  });
  calls.on('PutDmaAdapter', ({ adapter }) => {
    const { transfers, commonBuffers } = nt.dma.outstanding(adapter.adapter);
    for (const transfer of transfers) checkTransfer(nt, transfer);
    for (const buffer of commonBuffers) checkCommonBuffer(nt, buffer);
  });
}

/** Addresses of a double buffer are physical ones: it is mapped nowhere. */
function checkTransfer(nt: Nt, transfer: MappedTransfer): void {
  const [damage] = damagedGuards(nt, transfer);
  if (damage === undefined) return;
  throw damaged(damage, {
    what: 'buffer of a transfer',
    start: transfer.logical,
    bytes: transfer.bytes,
    at: ({ address }) => address,
  });
}

function checkCommonBuffer(nt: Nt, buffer: CommonBuffer): void {
  const [damage] = damagedCommonBuffer(nt, buffer);
  if (damage === undefined) return;
  throw damaged(damage, {
    what: 'common buffer',
    start: buffer.va,
    bytes: buffer.bytes,
    at: ({ address }) => vaAdd(buffer.va, Number(address - buffer.logical)),
  });
}

function damaged(damage: GuardDamage, { what, start, bytes, at }: Guarded): BugCheck {
  const text = (which: string): string => `the driver or its device wrote ${which} the ${what} of ${bytes} bytes`;
  switch (damage.kind) {
    case 'tag-before':
      return dmaViolation(0x0f, [1, bytes, start], text('before'));
    case 'tag-after':
      return dmaViolation(0x0f, [2, bytes, start], text('behind'));
    case 'padding-before':
      return dmaViolation(0x0f, [4, start, at(damage)], text('before'));
    case 'padding-after':
      return dmaViolation(0x0f, [5, start, at(damage)], text('behind'));
    default:
      return dmaViolation(0x0f, [3, at(damage)], 'memory of a map register with which nothing is mapped was written');
  }
}
