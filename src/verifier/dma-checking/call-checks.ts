/**
 * What holds for every call of a DMA routine: the adapter must be one that was not released, and the IRQL one that the
 * routine's page allows. Also IoGetDmaAdapter itself.
 */
import { nullVa, type Va } from '../../base/va.ts';
import type { Call } from '../../nt/declare/call.ts';
import { Irql } from '../../nt/declare/nt-routine.ts';
import { PVOID } from '../../nt/declare/parameter-types.ts';
import type { DmaAdapter } from '../../nt/hal/dma-adapters.ts';
import { proceed, type RoutineEntry } from '../../nt/host-entries.ts';
import type { KernelImage } from '../../nt/mm/kernel-image.ts';
import type { Nt } from '../../nt/nt.ts';
import { DEVICE_DESCRIPTION, type DmaOperation, dmaOperations } from '../../nt/structures/dma.ts';
import type { AdapterAccount, AdapterAccounts } from './adapter-accounts.ts';
import { dmaViolation } from './dma-violation.ts';

/** An adapter of a verified driver that is in use, and what is known of it. */
export interface CheckedAdapter {
  readonly adapter: DmaAdapter;
  readonly account: AdapterAccount;
}

export type CheckOperation = (checked: CheckedAdapter, call: Call) => void;

const newestVersion = 3;

export class CallChecks {
  private readonly nt: Nt;
  private readonly accounts: AdapterAccounts;
  private readonly isVerified: (image: KernelImage) => boolean;

  constructor(nt: Nt, accounts: AdapterAccounts, isVerified: (image: KernelImage) => boolean) {
    this.nt = nt;
    this.accounts = accounts;
    this.isVerified = isVerified;
    for (const operation of dmaOperations) this.on(operation, undefined);
    this.beforeExport('IoGetDmaAdapter', (entry, call) => {
      this.checkIrql(entry);
      const version = DEVICE_DESCRIPTION.Version.get(nt.memory, PVOID.read(call, 1));
      if (version > newestVersion)
        throw dmaViolation(0x25, [], `the driver passed a DEVICE_DESCRIPTION of the unknown version ${version}`);
    });
    this.beforeExport('HalGetAdapter', () => {
      throw dmaViolation(0x1e, [], 'the driver called HalGetAdapter, which is obsolete: IoGetDmaAdapter is to be used');
    });
  }

  /** Adds a check to a routine of DMA_OPERATIONS, after those of its adapter and IRQL. */
  on(operation: DmaOperation, check: CheckOperation | undefined): void {
    const entry = this.nt.entries.routine(`Hal${operation}`);
    if (entry === undefined) return;
    this.nt.entries.hook(entry.name, {
      before: (_nt, call) => {
        if (check === undefined) {
          this.checkAdapter(call);
          if (this.checkedAdapter(call) !== undefined) this.checkIrql(entry);
        } else {
          const checked = this.checkedAdapter(call);
          if (checked !== undefined) check(checked, call);
        }
        return proceed;
      },
    });
  }

  private beforeExport(name: string, check: (entry: RoutineEntry, call: Call) => void): void {
    const entry = this.nt.entries.routine(name);
    if (entry === undefined) return;
    this.nt.entries.hook(name, {
      before: (_nt, call) => {
        if (call.image !== undefined && this.isVerified(call.image)) check(entry, call);
        return proceed;
      },
    });
  }

  private checkedAdapter(call: Call): CheckedAdapter | undefined {
    const va = PVOID.read(call, 0);
    const adapter = this.nt.dma.adapter(va);
    const account = this.accounts.of(va);
    return adapter === undefined || account === undefined ? undefined : { adapter, account };
  }

  private checkAdapter(call: Call): void {
    const va = PVOID.read(call, 0);
    if (va === nullVa) {
      const image = this.nt.images.containing(call.returnAddress);
      if (image === undefined || !this.isVerified(image)) return;
      throw dmaViolation(0x19, [], 'the driver passed NULL as DMA adapter');
    }
    if (this.isReleased(va)) {
      throw dmaViolation(
        0x18,
        [va, this.accounts.of(va)?.record ?? 0],
        'the driver used a DMA adapter that it had released with PutDmaAdapter',
      );
    }
  }

  private isReleased(va: Va): boolean {
    return this.accounts.of(va) !== undefined && (this.nt.dma.adapter(va)?.isPut ?? true);
  }

  private checkIrql({ name, routine }: RoutineEntry): void {
    const { irql } = this.nt.cpu.state;
    const [lowest, highest] = [Irql[routine.irql[0]], Irql[routine.irql[1]]];
    const what = name.replace(/^Hal/, '');
    if (lowest === highest && irql !== lowest) {
      throw dmaViolation(
        0x13,
        [1, lowest, irql],
        `the driver called ${what} at IRQL ${irql}; it must be called at ${routine.irql[0]}_LEVEL`,
      );
    }
    if (irql > highest) {
      throw dmaViolation(
        0x13,
        [2, highest, irql],
        `the driver called ${what} at IRQL ${irql}; it may be called up to ${routine.irql[1]}_LEVEL`,
      );
    }
  }
}
