/**
 * DMA checking (flag 0x80; "DMA Verification" of the WDK docs): what a verified driver does through the DMA_OPERATIONS of
 * its adapters. A broken rule is bug check 0xE6.
 */
import type { StoreCell } from '../../base/store.ts';
import type { DmaAdapter } from '../../nt/hal/dma-adapters.ts';
import type { Holder } from '../../nt/mm/holder.ts';
import type { KernelImage } from '../../nt/mm/kernel-image.ts';
import type { Nt } from '../../nt/nt.ts';
import { AdapterAccounts } from './adapter-accounts.ts';
import { addAllocationChecks } from './allocation-checks.ts';
import { CallChecks } from './call-checks.ts';
import { addGuardChecks, checkGuardsOf } from './guard-checks.ts';
import { addReleaseChecks, leftWithAdapter } from './release-checks.ts';
import { addTransferChecks } from './transfer-checks.ts';

/** Map registers of a driver that are double-buffered at a time; those beyond go straight through. */
const bufferedRegisters = 64;

export class DmaChecking {
  readonly accounts: AdapterAccounts;
  private readonly nt: Nt;
  private readonly isVerified: (image: KernelImage) => boolean;
  /** Index of the image whose unload was stopped; 0 before. */
  private readonly stopped: StoreCell<number>;

  constructor(nt: Nt, isVerified: (image: KernelImage) => boolean) {
    this.nt = nt;
    this.isVerified = isVerified;
    this.stopped = nt.stores.cell('verifier/dma-stopped-unload', 0);
    this.accounts = new AdapterAccounts(nt, (adapter) => this.isChecked(adapter));
    nt.dma.buffering = {
      guardedRegisters: (_adapter, count, holder) => this.guardedRegisters(count, holder),
      isCommonBufferGuarded: (adapter) => this.isChecked(adapter),
      keepsPutAdapters: (adapter) => this.isChecked(adapter),
    };
    const calls = new CallChecks(nt, this.accounts, isVerified);
    addAllocationChecks(nt, calls);
    addTransferChecks(nt, calls);
    addGuardChecks(nt, calls, this.accounts);
    addReleaseChecks(nt, calls, this.accounts);
    nt.events.on('driverUnloaded', ({ image }) => this.checkUnload(image));
  }

  /** Index of the image whose unload this option stopped. */
  get stoppedUnloadOf(): number | undefined {
    return this.stopped.value === 0 ? undefined : this.stopped.value;
  }

  private isChecked({ imageIndex }: Holder): boolean {
    const image = this.nt.images.byIndex(imageIndex);
    return image !== undefined && this.isVerified(image);
  }

  private guardedRegisters(count: number, holder: Holder): number {
    if (!this.isChecked(holder)) return 0;
    let used = 0;
    for (const { file, buffer } of this.nt.dma.registers.values()) {
      if (buffer?.isGuarded === true && this.nt.dma.files.get(file)?.imageIndex === holder.imageIndex) used++;
    }
    return Math.max(0, Math.min(count, bufferedRegisters - used));
  }

  /** The driver is gone; what it left with an adapter that it did not release is as bad as with one that it did. */
  private checkUnload(image: KernelImage): void {
    if (!this.isVerified(image)) return;
    for (const { adapter } of this.adaptersOf(image)) {
      this.stopped.value = image.index;
      checkGuardsOf(this.nt, adapter);
      const left = leftWithAdapter(this.nt, adapter, this.accounts, `${image.fileName} was unloaded`);
      if (left !== undefined) throw left;
    }
    this.stopped.value = 0;
  }

  private adaptersOf({ index }: KernelImage): readonly DmaAdapter[] {
    return this.nt.dma.outstanding().adapters.filter(({ imageIndex }) => imageIndex === index);
  }
}
