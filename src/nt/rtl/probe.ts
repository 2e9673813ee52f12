/** ProbeForRead and ProbeForWrite: the tests that a driver makes of a user buffer, inside `__try`. */
import { type Va, vaAdd, vaLow } from '../../base/va.ts';
import { pageSize } from '../../engine/memory/layout.ts';
import { AddressMap } from '../address-map.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { type Outcome, raise } from '../declare/outcome.ts';
import { PVOID, SIZE_T, ULONG } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { STATUS_ACCESS_VIOLATION, STATUS_DATATYPE_MISALIGNMENT } from '../ntstatus.ts';

/** The status to raise, or undefined if the range lies in user space and is aligned. An empty range always passes. */
export function probeStatus(address: Va, length: number, alignment: number): number | undefined {
  if (length === 0) return undefined;
  // A non-canonical address is compared as aligned: what counts is that it lies outside of user space.
  if (!Number.isNaN(address) && (vaLow(address) & (alignment - 1)) !== 0) return STATUS_DATATYPE_MISALIGNMENT;
  // Kernel addresses are negative: as unsigned numbers they lie above user space.
  const isUser = address >= 0 && address + length <= AddressMap.userEnd;
  return isUser ? undefined : STATUS_ACCESS_VIOLATION;
}

/** Reads and writes one byte of every page of the range, from the first byte on. A fault flies. */
function touchPages(nt: Nt, address: Va, length: number): void {
  const end = address + length;
  for (let at: Va = address; at < end; at = vaAdd(at, pageSize - (vaLow(at) % pageSize))) {
    nt.memory.writeU8(at, nt.memory.readU8(at));
  }
}

function probe(address: Va, length: number, alignment: number): Outcome {
  const status = probeStatus(address, length, alignment);
  return status === undefined ? undefined : raise(status);
}

export const rtlProbes = ntExports('ntoskrnl.exe', {
  ProbeForRead: ntRoutine({
    doc: 'wdm.h; learn: nf-wdm-probeforread',
    irql: ['PASSIVE', 'APC'],
    params: { Address: PVOID, Length: SIZE_T, Alignment: ULONG },
    returns: 'VOID',
    body: (_nt, { Address, Length, Alignment }) => probe(Address, Length, Alignment),
  }),
  ProbeForWrite: ntRoutine({
    doc: 'wdm.h; learn: nf-wdm-probeforwrite',
    irql: ['PASSIVE', 'APC'],
    params: { Address: PVOID, Length: SIZE_T, Alignment: ULONG },
    returns: 'VOID',
    body: (nt, { Address, Length, Alignment }) => {
      const outcome = probe(Address, Length, Alignment);
      if (outcome === undefined && Length !== 0) touchPages(nt, Address, Length);
      return outcome;
    },
  }),
});
