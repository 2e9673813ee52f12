import type { StoreCell, StoreMap } from '../../base/store.ts';
import type { Va } from '../../base/va.ts';
import type { Holder } from '../mm/holder.ts';
import type { Nt } from '../nt.ts';
import { STATUS_FLT_INSTANCE_ALTITUDE_COLLISION, STATUS_INVALID_PARAMETER, STATUS_SUCCESS } from '../ntstatus.ts';

export interface ChangeCallback extends Holder {
  readonly cookie: number;
  readonly routine: Va;
  readonly context: Va;
  /** Undefined for CmRegisterCallback's. */
  readonly altitude: string | undefined;
}

/** Routines that drivers registered to hear of registry operations. They are kept, not called. */
export class ChangeCallbacks {
  private readonly callbacks: StoreMap<number, ChangeCallback>;
  private readonly nextCookie: StoreCell<number>;

  constructor(nt: Nt) {
    this.callbacks = nt.stores.map('cm/callbacks');
    // Windows counts up from the boot's system time.
    this.nextCookie = nt.stores.cell('cm/next-cookie', 0x1db_5c00_0000);
  }

  all(): IterableIterator<ChangeCallback> {
    return this.callbacks.values();
  }

  /** The cookie, or why not: two callbacks must not have one altitude. */
  register(callback: Omit<ChangeCallback, 'cookie'>): { readonly status: number; readonly cookie: number } {
    const isTaken = [...this.callbacks.values()].some((other) => other.altitude === callback.altitude);
    if (isTaken && callback.altitude !== undefined)
      return { status: STATUS_FLT_INSTANCE_ALTITUDE_COLLISION, cookie: 0 };
    const cookie = ++this.nextCookie.value;
    this.callbacks.set(cookie, { ...callback, cookie });
    return { status: STATUS_SUCCESS, cookie };
  }

  unregister(cookie: number): number {
    return this.callbacks.delete(cookie) ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER;
  }
}
