import { StateOffset } from '../../engine/cpu/state.ts';
import { cpuStateOffset, pageTableHighIrqlOffset, pageTableLowIrqlOffset } from '../../engine/memory/layout.ts';
import { Irql } from '../declare/nt-routine.ts';
import type { Nt } from '../nt.ts';

/** Sets CR8 and, with it, the page table in force: pageable pages may be absent from DISPATCH_LEVEL on. */
export function setIrql(nt: Nt, irql: number): void {
  const from = nt.cpu.state.irql;
  if (from === irql) return;
  const { view } = nt.memory;
  view.setInt32(cpuStateOffset + StateOffset.Cr8, irql, true);
  const table = irql >= Irql.DISPATCH ? pageTableHighIrqlOffset : pageTableLowIrqlOffset;
  view.setInt32(cpuStateOffset + StateOffset.PageTable, table, true);
  if (nt.events.has('irqlChanged')) nt.events.emit('irqlChanged', { from, to: irql });
}
