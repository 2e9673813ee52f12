/** Channels and map registers: how many a driver may have. */

import type { Va } from '../../base/va.ts';
import { PVOID, ULONG } from '../../nt/declare/parameter-types.ts';
import type { Nt } from '../../nt/nt.ts';
import type { CallChecks, CheckedAdapter } from './call-checks.ts';
import { dmaViolation } from './dma-violation.ts';

export function addAllocationChecks(nt: Nt, calls: CallChecks): void {
  calls.on('AllocateAdapterChannel', (checked, call) => {
    checkChannel(nt, checked, PVOID.read(call, 1));
    checkRegisters(checked, ULONG.read(call, 2));
  });
  // Its requests may wait side by side, each with a transfer context of its own, and be cancelled.
  calls.on('AllocateAdapterChannelEx', (checked, call) => checkRegisters(checked, ULONG.read(call, 3)));
}

function checkChannel(nt: Nt, { adapter }: CheckedAdapter, device: Va): void {
  const held = nt.dma.channels.get(adapter.adapter)?.purpose === 'channel' ? 1 : 0;
  const asked = nt.dma.waiting.value.filter(
    (request) => request.kind === 'channel' && request.adapter === adapter.adapter && request.device === device,
  ).length;
  if (held + asked > 0) {
    throw dmaViolation(
      0x0b,
      [held + asked + 1],
      'the driver asked for an adapter channel while it had one of the same adapter, or waited for one',
    );
  }
}

function checkRegisters({ adapter }: CheckedAdapter, registers: number): void {
  if (registers > adapter.mapRegisters) {
    throw dmaViolation(
      0x0c,
      [registers, adapter.mapRegisters],
      `the driver asked for ${registers} map registers; IoGetDmaAdapter had said that it may have ${adapter.mapRegisters}`,
    );
  }
}
