import { nullVa } from '../../base/va.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { PVOID, pointerTo } from '../declare/parameter-types.ts';
import { DRIVER_OBJECT } from '../structures/io.ts';
import { holderOf } from './holder.ts';

export const mmDriverPaging = ntExports('ntoskrnl.exe', {
  /** Also what the macro MmLockPagableCodeSection calls. The handle is for the two routines below. */
  MmLockPagableDataSection: ntRoutine({
    doc: 'wdm.h; nf-wdm-mmlockpagabledatasection',
    irql: ['PASSIVE', 'APC'],
    params: { AddressWithinSection: PVOID },
    returns: 'PVOID',
    body: (nt, { AddressWithinSection }, call) =>
      nt.driverPaging.lockContaining(AddressWithinSection, holderOf(nt, call)),
  }),
  MmLockPagableSectionByHandle: ntRoutine({
    doc: 'ntddk.h; nf-ntddk-mmlockpagablesectionbyhandle',
    irql: ['PASSIVE', 'APC'],
    params: { ImageSectionHandle: PVOID },
    returns: 'VOID',
    body: (nt, { ImageSectionHandle }, call) => nt.driverPaging.lockHandle(ImageSectionHandle, holderOf(nt, call)),
  }),
  MmUnlockPagableImageSection: ntRoutine({
    doc: 'wdm.h; nf-wdm-mmunlockpagableimagesection',
    irql: ['PASSIVE', 'APC'],
    params: { ImageSectionHandle: PVOID },
    returns: 'VOID',
    body: (nt, { ImageSectionHandle }) => nt.driverPaging.unlock(ImageSectionHandle),
  }),
  MmPageEntireDriver: ntRoutine({
    doc: 'wdm.h; nf-wdm-mmpageentiredriver',
    irql: ['PASSIVE', 'APC'],
    params: { AddressWithinSection: PVOID },
    returns: 'PVOID',
    body: (nt, { AddressWithinSection }) => nt.driverPaging.pageAll(AddressWithinSection) ?? nullVa,
  }),
  MmResetDriverPaging: ntRoutine({
    doc: 'wdm.h; nf-wdm-mmresetdriverpaging',
    irql: ['PASSIVE', 'APC'],
    params: { AddressWithinSection: PVOID },
    returns: 'VOID',
    body: (nt, { AddressWithinSection }) => {
      nt.driverPaging.reset(AddressWithinSection);
      return undefined;
    },
  }),
  MmIsDriverVerifying: ntRoutine({
    doc: 'wdm.h; nf-wdm-mmisdriververifying',
    irql: ['PASSIVE', 'APC'],
    params: { DriverObject: pointerTo('DRIVER_OBJECT') },
    returns: 'ULONG',
    body: (nt, { DriverObject }) => {
      const image = nt.images.containing(DRIVER_OBJECT.DriverStart.get(nt.memory, DriverObject));
      return image !== undefined && nt.images.isVerified(image);
    },
  }),
  MmIsDriverVerifyingByAddress: ntRoutine({
    doc: 'wdm.h; nf-wdm-mmisdriververifyingbyaddress',
    irql: ['PASSIVE', 'APC'],
    params: { AddressWithinSection: PVOID },
    returns: 'ULONG',
    body: (nt, { AddressWithinSection }) => {
      const image = nt.images.containing(AddressWithinSection);
      return image !== undefined && nt.images.isVerified(image);
    },
  }),
});
