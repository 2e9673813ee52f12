/** What is given back: twice, too early, or not before the adapter. */
import type { Va } from '../../base/va.ts';
import type { BugCheck } from '../../nt/declare/bug-check.ts';
import type { Call } from '../../nt/declare/call.ts';
import { PVOID, ULONG } from '../../nt/declare/parameter-types.ts';
import type { Nt } from '../../nt/nt.ts';
import { AllocationAction } from '../../nt/structures/dma.ts';
import type { AdapterAccounts } from './adapter-accounts.ts';
import type { CallChecks, CheckedAdapter } from './call-checks.ts';
import { dmaViolation } from './dma-violation.ts';

export function addReleaseChecks(nt: Nt, calls: CallChecks, accounts: AdapterAccounts): void {
  calls.on('PutDmaAdapter', ({ adapter }) => {
    const left = leftWithAdapter(nt, adapter.adapter, accounts, 'the driver released a DMA adapter');
    if (left !== undefined) throw left;
  });
  calls.on('FreeCommonBuffer', ({ adapter }, call) => {
    const buffer = nt.dma.commonBuffers.get(PVOID.read(call, 3));
    if (buffer?.adapter === adapter.adapter) return;
    throw dmaViolation(0x03, [1], 'the driver freed a common buffer that the adapter does not have (or no longer)');
  });
  const channel = ({ adapter }: CheckedAdapter): void => {
    if (nt.dma.channels.get(adapter.adapter)?.purpose === 'channel') return;
    throw dmaViolation(0x04, [1], 'the driver freed an adapter channel that it does not have (or no longer)');
  };
  calls.on('FreeAdapterChannel', channel);
  calls.on('FreeAdapterObject', (checked, call) => {
    if (ULONG.read(call, 1) !== AllocationAction.KeepObject) channel(checked);
  });
  calls.on('FreeMapRegisters', (checked, call) => checkMapRegisters(nt, checked, call));
  calls.on('PutScatterGatherList', ({ adapter, account }, call) => {
    const list = nt.dma.lists.get(PVOID.read(call, 1));
    if (list?.adapter === adapter.adapter) return;
    const { allocated, freed } = account.scatterGatherLists;
    throw dmaViolation(
      0x06,
      [allocated, freed + 1],
      'the driver freed a scatter/gather list that the adapter does not have (or no longer)',
    );
  });
  nt.events.on('mapRegistersFreed', ({ file }) => {
    if (accounts.of(file.adapter) === undefined) return;
    const transfers = nt.dma.transfersOf(file.base);
    if (transfers.length === 0) return;
    // A page that is mapped in pieces has one register, which the first of them is said to take.
    const mapped = Math.max(
      1,
      transfers.reduce((sum, { registers }) => sum + registers, 0),
    );
    throw dmaViolation(
      0x10,
      [mapped],
      `the driver freed map registers of which ${mapped} are mapped: flush them first`,
    );
  });
}

function checkMapRegisters(nt: Nt, { adapter }: CheckedAdapter, call: Call): void {
  const file = nt.dma.files.get(PVOID.read(call, 1));
  const registers = ULONG.read(call, 2);
  const owned = file?.adapter === adapter.adapter && file.purpose === 'channel' ? file.count : 0;
  if (registers <= owned) return;
  throw dmaViolation(
    0x05,
    [registers - owned],
    owned === 0
      ? 'the driver freed map registers that it does not have (or no longer)'
      : `the driver freed ${registers} map registers where it has ${owned}`,
  );
}

/** The bug check for what is outstanding of an adapter that goes; undefined if nothing is. */
export function leftWithAdapter(nt: Nt, adapter: Va, accounts: AdapterAccounts, what: string): BugCheck | undefined {
  const { commonBuffers, channels, scatterGatherLists, mapRegisterFiles } = nt.dma.outstanding(adapter);
  const registers = mapRegisterFiles.reduce((sum, { count }) => sum + count, 0);
  // Lists before map registers, of which each list has some.
  const left: readonly (readonly [rule: number, count: number, one: string, several: string])[] = [
    [0x07, commonBuffers.length, 'common buffer', 'common buffers'],
    [0x08, channels.filter(({ purpose }) => purpose === 'channel').length, 'adapter channel', 'adapter channels'],
    [0x0a, scatterGatherLists.length, 'scatter/gather list', 'scatter/gather lists'],
    [0x09, registers, 'map register', 'map registers'],
  ];
  const found = left.find(([, count]) => count > 0);
  if (found === undefined) return undefined;
  const [rule, count, one, several] = found;
  const record = accounts.of(adapter)?.record ?? 0;
  return dmaViolation(
    rule,
    [adapter, count, record],
    `${what} without freeing its ${count === 1 ? one : `${count} ${several}`} first`,
  );
}
