/** What drivers ask about addresses and about the system's memory. */

import type { Va } from '../../base/va.ts';
import { Access, systemSpaceStart } from '../../engine/memory/layout.ts';
import { AddressMap } from '../address-map.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { PVOID } from '../declare/parameter-types.ts';

const anyAccess = [Access.Read, Access.Execute] as const;
/** MM_SYSTEMSIZE: MmLargeSystem, as every x64 machine of today is. */
const largeSystem = 2;
const highestUserAddress = (AddressMap.userEnd - 1) as Va;

export const mmAddresses = ntExports(
  'ntoskrnl.exe',
  {
    /** Whether reading a byte there now would not fault; says nothing of the next moment. */
    MmIsAddressValid: ntRoutine({
      doc: 'ntddk.h; nf-ntddk-mmisaddressvalid',
      irql: ['PASSIVE', 'DISPATCH'],
      params: { VirtualAddress: PVOID },
      returns: 'BOOLEAN',
      body: (nt, { VirtualAddress }) => anyAccess.some((access) => nt.memory.isAccessible(VirtualAddress, 1, access)),
    }),
    MmIsNonPagedSystemAddressValid: ntRoutine({
      doc: 'ntddk.h; obsolete, undocumented',
      irql: ['PASSIVE', 'DISPATCH'],
      params: { VirtualAddress: PVOID },
      returns: 'BOOLEAN',
      body: (nt, { VirtualAddress }) =>
        VirtualAddress < 0 &&
        VirtualAddress >= systemSpaceStart &&
        !(VirtualAddress >= AddressMap.pagedPool.start && VirtualAddress < AddressMap.kernelHeap.start) &&
        nt.memory.isAccessible(VirtualAddress, 1, Access.Read),
    }),
    MmQuerySystemSize: ntRoutine({
      doc: 'ntddk.h; nf-ntddk-mmquerysystemsize',
      irql: ['PASSIVE', 'HIGH'],
      params: {},
      returns: 'ULONG',
      body: () => largeSystem,
    }),
    /** The played Windows is a workstation. */
    MmIsThisAnNtAsSystem: ntRoutine({
      doc: 'ntddk.h; nf-ntddk-mmisthisanntassystem',
      irql: ['PASSIVE', 'HIGH'],
      params: {},
      returns: 'BOOLEAN',
      body: () => false,
    }),
  },
  {
    MmHighestUserAddress: {
      doc: 'ntddk.h; PVOID',
      sizeBytes: 8,
      initialise: (nt, va) => nt.memory.writeVa(va, highestUserAddress),
    },
    MmUserProbeAddress: {
      doc: 'ntddk.h; ULONG_PTR: the first address that no user buffer may reach',
      sizeBytes: 8,
      initialise: (nt, va) => nt.memory.writeVa(va, AddressMap.userEnd),
    },
    MmSystemRangeStart: {
      doc: 'ntddk.h; PVOID',
      sizeBytes: 8,
      initialise: (nt, va) => nt.memory.writeU64(va, 0xffff_8000_0000_0000n),
    },
  },
);
