/**
 * Routines that drivers gave to the kernel to be called later: process, image and object callbacks, trace providers and
 * the like. What is left here when its driver goes is a routine that no longer exists.
 */
import type { StoreCell, StoreMap } from '../../base/store.ts';
import type { Va } from '../../base/va.ts';
import type { Holder } from '../mm/holder.ts';
import type { Nt } from '../nt.ts';

export type CallbackKind =
  | 'process'
  | 'process-ex'
  | 'thread'
  | 'image'
  | 'object'
  | 'callback-object'
  | 'bug-check'
  | 'bug-check-reason'
  | 'nmi'
  | 'logon-session'
  | 'file-system'
  | 'etw'
  | 'wmi'
  | 'processor';

export interface RegisteredCallback extends Holder {
  /** Handle that the driver gets, where the kernel makes it up. */
  readonly id: number;
  readonly kind: CallbackKind;
  readonly routine: Va;
  readonly context: Va;
  /** Routine of the kernel that registered it, for reports: `PsSetLoadImageNotifyRoutine`. */
  readonly registrar: string;
  /** What it is registered with: a callback object, the driver's own record. */
  readonly subject: Va;
}

/** In the order of registration. */
export class RegisteredCallbacks {
  private readonly callbacks: StoreMap<number, RegisteredCallback>;
  private readonly nextId: StoreCell<number>;

  constructor(nt: Nt) {
    this.callbacks = nt.stores.map('ex/registered-callbacks');
    this.nextId = nt.stores.cell('ex/next-callback', 1);
  }

  /** @returns its number, unique in the machine. `id`: one that the caller chose. */
  add(callback: Omit<RegisteredCallback, 'id'>, id = this.nextId.value): number {
    this.nextId.value += 1;
    this.callbacks.set(id, { ...callback, id });
    return id;
  }

  get(id: number, kind: CallbackKind): RegisteredCallback | undefined {
    const callback = this.callbacks.get(id);
    return callback?.kind === kind ? callback : undefined;
  }

  all(): IterableIterator<RegisteredCallback> {
    return this.callbacks.values();
  }

  of(kind: CallbackKind): RegisteredCallback[] {
    return [...this.callbacks.values()].filter((callback) => callback.kind === kind);
  }

  find(kind: CallbackKind, matches: (callback: RegisteredCallback) => boolean): RegisteredCallback | undefined {
    return this.of(kind).find(matches);
  }

  remove(id: number): boolean {
    return this.callbacks.delete(id);
  }
}
