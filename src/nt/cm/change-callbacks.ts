import type { StoreCell, StoreMap } from '../../base/store.ts';
import { nullVa, type Va } from '../../base/va.ts';
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

/** What a driver keeps with a key object. */
export interface ObjectContext {
  readonly cookie: number;
  readonly object: Va;
  readonly context: Va;
}

/** Routines that drivers registered to hear of registry operations. */
export class ChangeCallbacks {
  private readonly callbacks: StoreMap<number, ChangeCallback>;
  private readonly contexts: StoreMap<string, ObjectContext>;
  private readonly nextCookie: StoreCell<number>;

  constructor(nt: Nt) {
    this.callbacks = nt.stores.map('cm/callbacks');
    this.contexts = nt.stores.map('cm/object-contexts');
    // Windows counts up from the boot's system time.
    this.nextCookie = nt.stores.cell('cm/next-cookie', 0x1db_5c00_0000);
  }

  all(): IterableIterator<ChangeCallback> {
    return this.callbacks.values();
  }

  get isAny(): boolean {
    return this.callbacks.size > 0;
  }

  get(cookie: number): ChangeCallback | undefined {
    return this.callbacks.get(cookie);
  }

  /** The highest first; those of CmRegisterCallback, which has no altitude, last. */
  byAltitude(): ChangeCallback[] {
    const height = ({ altitude }: ChangeCallback): number => Number.parseFloat(altitude ?? '') || 0;
    return [...this.callbacks.values()].sort((a, b) => height(b) - height(a) || a.cookie - b.cookie);
  }

  // ---- contexts

  contextOf(cookie: number, object: Va): Va {
    return this.contexts.get(`${cookie} ${object}`)?.context ?? nullVa;
  }

  /** Null takes the context away. */
  setContext(cookie: number, object: Va, context: Va): void {
    if (context === nullVa) this.contexts.delete(`${cookie} ${object}`);
    else this.contexts.set(`${cookie} ${object}`, { cookie, object, context });
  }

  /** Some context that matches. */
  findContext(matches: (context: ObjectContext) => boolean): ObjectContext | undefined {
    return [...this.contexts.values()].find(matches);
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
