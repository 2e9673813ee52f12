/** Routines that a driver has called after its DriverEntry: IoRegisterDriverReinitialization. */
import type { StoreCell } from '../../base/store.ts';
import type { Va } from '../../base/va.ts';
import { passiveOnly } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { PVOID, pointerTo, ULONG64 } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { DriverFlag } from '../structures/io.ts';

interface Reinitialization {
  readonly driverObject: Va;
  readonly routine: Va;
  readonly context: bigint;
  readonly isBoot: boolean;
}

/** Registered and not called yet. Those for the end of booting come first. */
export class Reinitializations {
  private readonly registered: StoreCell<readonly Reinitialization[]>;

  constructor(nt: Nt) {
    this.registered = nt.stores.cell<readonly Reinitialization[]>('io/reinitializations', []);
  }

  add(reinitialization: Reinitialization): void {
    this.registered.value = [...this.registered.value, reinitialization];
  }

  /** The next of the driver's. */
  take(driverObject: Va): Reinitialization | undefined {
    const own = this.registered.value.filter((entry) => entry.driverObject === driverObject);
    const next = own.find(({ isBoot }) => isBoot) ?? own[0];
    this.registered.value = this.registered.value.filter((entry) => entry !== next);
    return next;
  }
}

const register = (doc: string, isBoot: boolean) =>
  ntRoutine({
    doc,
    irql: passiveOnly,
    params: {
      DriverObject: pointerTo('DRIVER_OBJECT'),
      DriverReinitializationRoutine: PVOID,
      Context: ULONG64,
    },
    returns: 'VOID',
    body: (nt, { DriverObject: driverObject, DriverReinitializationRoutine: routine, Context: context }) => {
      nt.io.drivers.addFlags(driverObject, isBoot ? DriverFlag.BootReinitRegistered : DriverFlag.ReinitRegistered);
      nt.io.reinitializations.add({ driverObject, routine, context, isBoot });
      return undefined;
    },
  });

export const ioReinitializations = ntExports('ntoskrnl.exe', {
  IoRegisterDriverReinitialization: register('ntddk.h; nf-ntddk-ioregisterdriverreinitialization', false),
  /** The driver is taken for one that starts with the system. */
  IoRegisterBootDriverReinitialization: register('ntddk.h; nf-ntddk-ioregisterbootdriverreinitialization', true),
});
