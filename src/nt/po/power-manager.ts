/** What the power manager knows: the system's state, and what drivers registered with it. */
import type { StoreCell, StoreMap } from '../../base/store.ts';
import { nullVa, type Va } from '../../base/va.ts';
import type { Holder } from '../mm/holder.ts';
import type { Nt } from '../nt.ts';
import { SystemPower } from '../structures/power.ts';

export type PowerRegistrationKind = 'power setting' | 'system state' | 'PoFx device';

export interface PowerRegistration extends Holder {
  readonly handle: Va;
  readonly kind: PowerRegistrationKind;
  /** Of a power setting, in braces; empty for others. */
  readonly guid: string;
  readonly routine: Va;
  readonly context: bigint;
}

/** A handle is opaque; a small block gives it an address of its own. */
const handleBytes = 0x40;
const standardTime = 0xffff_ffff;

export class PowerManager {
  private readonly nt: Nt;
  private readonly state: StoreCell<number>;
  private readonly registrations: StoreMap<number, PowerRegistration>;

  private readonly idleCounters: StoreMap<number, Va>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.state = nt.stores.cell('po/system-state', SystemPower.Working as number);
    this.registrations = nt.stores.map('po/registrations');
    this.idleCounters = nt.stores.map('po/idle-counters');
  }

  /** SYSTEM_POWER_STATE */
  get systemState(): number {
    return this.state.value;
  }

  setSystemState(state: number): void {
    this.state.value = state;
  }

  get isAsleep(): boolean {
    return this.state.value !== SystemPower.Working;
  }

  all(): IterableIterator<PowerRegistration> {
    return this.registrations.values();
  }

  get(handle: Va): PowerRegistration | undefined {
    return this.registrations.get(handle);
  }

  register(registration: Omit<PowerRegistration, 'handle'>): Va {
    const handle = this.nt.pool.allocateKernel(handleBytes, 'PoRg');
    this.registrations.set(handle, { ...registration, handle });
    return handle;
  }

  /** False: nothing of that kind has the handle. */
  unregister(handle: Va, kind: PowerRegistrationKind): boolean {
    if (this.registrations.get(handle)?.kind !== kind) return false;
    this.registrations.delete(handle);
    this.nt.pool.freeKernel(handle);
    return true;
  }

  /** PoRegisterDeviceForIdleDetection: the device's counter; null if both times are 0, which ends it. */
  idleCounter(device: Va, conservationSeconds: number, performanceSeconds: number): Va {
    const known = this.idleCounters.get(device);
    if (conservationSeconds === 0 && performanceSeconds === 0) {
      this.forgetDevice(device);
      return nullVa;
    }
    // Times of -1 are for disks only.
    if (conservationSeconds === standardTime || performanceSeconds === standardTime) return nullVa;
    if (known !== undefined) return known;
    const counter = this.nt.pool.allocateKernel(handleBytes, 'PoId');
    this.idleCounters.set(device, counter);
    return counter;
  }

  /** The device object is gone. */
  forgetDevice(device: Va): void {
    const counter = this.idleCounters.get(device);
    if (counter !== undefined) this.nt.pool.freeKernel(counter);
    this.idleCounters.delete(device);
  }

  /** Devices of started stacks, those first that others hang on. */
  get devices(): Va[] {
    const depth = (pdo: Va): number => {
      const parent = this.nt.io.pnp.get(pdo)?.parent;
      return parent === undefined || parent === nullVa ? 0 : 1 + depth(parent);
    };
    return [...this.nt.io.pnp.all()]
      .filter(({ state }) => state === 'started')
      .map(({ pdo }) => pdo)
      .sort((one, other) => depth(one) - depth(other));
  }
}
