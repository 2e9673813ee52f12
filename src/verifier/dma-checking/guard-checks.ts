/**
 * Tags and padding around what devices reach: looked at when a transfer is flushed, map registers or a common buffer are
 * freed, or the adapter is released.
 */
import { type Va, vaAdd } from '../../base/va.ts';
import type { BugCheck, BugCheckParameter } from '../../nt/declare/bug-check.ts';
import { PVOID } from '../../nt/declare/parameter-types.ts';
import type { CommonBuffer, MappedTransfer, MapRegisterFile } from '../../nt/hal/dma-adapters.ts';
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
  nt.events.on('transferFlushing', ({ file, transfer }) => {
    // Those of a channel were looked at when the driver called FlushAdapterBuffers(Ex).
    if (file.purpose === 'scatter-gather' && accounts.of(transfer.adapter) !== undefined) checkTransfer(nt, transfer);
  });
  nt.events.on('mapRegistersFreed', ({ file }) => {
    if (accounts.of(file.adapter) !== undefined) checkFreeRegisters(nt, file);
  });
  nt.events.on('commonBufferFreed', ({ buffer }) => {
    if (accounts.of(buffer.adapter) !== undefined) checkCommonBuffer(nt, buffer);
  });
  for (const flush of ['FlushAdapterBuffers', 'FlushAdapterBuffersEx'] as const) {
    calls.on(flush, (_checked, call) => {
      const file = nt.dma.files.get(PVOID.read(call, 2));
      if (file === undefined) return;
      // A tag says more than what lies behind it.
      for (const transfer of nt.dma.transfersOf(file.base)) checkTransfer(nt, transfer);
      checkFreeRegisters(nt, file);
    });
  }
  calls.on('PutDmaAdapter', ({ adapter }) => checkGuardsOf(nt, adapter.adapter));
}

/** Around everything that is outstanding of an adapter. */
export function checkGuardsOf(nt: Nt, adapter: Va): void {
  const { transfers, commonBuffers, mapRegisterFiles } = nt.dma.outstanding(adapter);
  for (const transfer of transfers) checkTransfer(nt, transfer);
  for (const buffer of commonBuffers) checkCommonBuffer(nt, buffer);
  for (const file of mapRegisterFiles) checkFreeRegisters(nt, file);
}

function checkFreeRegisters(nt: Nt, file: MapRegisterFile): void {
  const [damage] = damagedFreeRegisters(nt, file);
  if (damage === undefined) return;
  throw dmaViolation(
    0x0f,
    [3, damage.address],
    'the driver or its device wrote to memory of a map register with which nothing is mapped',
  );
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
    default:
      return dmaViolation(0x0f, [5, start, at(damage)], text('behind'));
  }
}
