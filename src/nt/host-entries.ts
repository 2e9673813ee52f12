/**
 * The addresses at which the host takes over: routine entries and resume points in the kernel's own modules, and the
 * import thunks of each driver. Derived from the images; only the images are state.
 */
import { assert } from '../base/errors.ts';
import type { Va } from '../base/va.ts';
import { AddressMap, hostSlotBytes } from './address-map.ts';
import type { Call, ResumedCall } from './declare/call.ts';
import type { KernelModuleName, Routine } from './declare/nt-routine.ts';
import type { Outcome } from './declare/outcome.ts';
import type { KernelImage } from './mm/kernel-image.ts';
import type { Nt } from './nt.ts';

export interface RoutineEntry {
  readonly kind: 'routine';
  readonly name: string;
  readonly module: KernelModuleName;
  readonly routine: Routine;
  /** The routine's parameters, listed once for all calls. */
  readonly parameters: readonly (readonly [string, Routine['params'][string]])[];
  readonly va: Va;
  /** Added to with {@link HostEntries.hook}. */
  readonly hooks: readonly RoutineHooks[];
}

export interface ResumeEntry {
  readonly kind: 'resume';
  readonly routine: RoutineEntry;
  readonly point: string;
  readonly go: (nt: Nt, call: ResumedCall) => Outcome;
  readonly va: Va;
}

export interface ThunkEntry {
  readonly kind: 'thunk';
  readonly image: KernelImage;
  /** `ntoskrnl.exe!IoCreateDevice`, `ntoskrnl.exe!#12` */
  readonly importName: string;
  /** Undefined if no module has it. */
  readonly target: RoutineEntry | undefined;
  readonly va: Va;
}

export type HostEntry = RoutineEntry | ResumeEntry | ThunkEntry;

/** What a verifier option does around a routine of the kernel. `before` may answer in the routine's place. */
export interface RoutineHooks {
  readonly before?: (nt: Nt, call: Call) => Outcome | typeof proceed;
  /**
   * After the routine returned a value; not after it raised or met what is not supported. Only for routines that answer
   * at once: one that has called the guest or waited no longer has its arguments, and gives an event instead.
   */
  readonly after?: (nt: Nt, call: Call, result: Outcome) => void;
}

/** Returned by `before` to let the routine itself run. */
export const proceed = Symbol('proceed');

const firstThunkSlot = (AddressMap.thunks - AddressMap.host.start) / hostSlotBytes;

export class HostEntries {
  private readonly slots: (HostEntry | undefined)[] = [];
  /** Thunks of images that went: call stacks of before still lead through them. */
  private readonly goneThunks: (ThunkEntry | undefined)[] = [];
  private readonly routinesByName = new Map<string, RoutineEntry>();
  private readonly resumeByName = new Map<string, ResumeEntry>();

  at(va: Va): HostEntry | undefined {
    const { start, sizeBytes } = AddressMap.host;
    const offset = va - start;
    if (!(offset >= 0 && offset < sizeBytes)) return undefined;
    // Small from here on, so no arithmetic of fractions: this is asked at each call of the kernel.
    return (offset & (hostSlotBytes - 1)) === 0 ? this.slots[(offset | 0) / hostSlotBytes] : undefined;
  }

  /** The entry whose slot contains the address, now or before its image went (for symbols). */
  containingEver(va: Va): HostEntry | undefined {
    const offset = va - AddressMap.host.start;
    const slot = Math.floor(offset / hostSlotBytes);
    return offset >= 0 ? (this.slots[slot] ?? this.goneThunks[slot]) : undefined;
  }

  add(entry: HostEntry): void {
    const slot = (entry.va - AddressMap.host.start) / hostSlotBytes;
    assert(Number.isInteger(slot) && this.slots[slot] === undefined, `host slot ${slot} is taken`);
    this.slots[slot] = entry;
    if (entry.kind === 'routine') this.routinesByName.set(entry.name, entry);
    if (entry.kind === 'resume') this.resumeByName.set(`${entry.routine.name}:${entry.point}`, entry);
  }

  removeThunks(image: KernelImage): void {
    this.dropThunks((thunk) => thunk.image.index === image.index);
  }

  removeAllThunks(): void {
    this.dropThunks(() => true);
  }

  private dropThunks(isDropped: (thunk: ThunkEntry) => boolean): void {
    for (let slot = firstThunkSlot; slot < this.slots.length; slot++) {
      const entry = this.slots[slot];
      if (entry?.kind !== 'thunk' || !isDropped(entry)) continue;
      this.slots[slot] = undefined;
      this.goneThunks[slot] = entry;
    }
  }

  /** A routine of the kernel by name, exported or not. */
  routine(name: string): RoutineEntry | undefined {
    return this.routinesByName.get(name);
  }

  /** Puts hooks around a routine. `after` is refused for routines that go on at resume points. */
  hook(name: string, hooks: RoutineHooks): void {
    const entry = this.routinesByName.get(name);
    assert(entry, `the kernel has no routine ${name}`);
    assert(
      hooks.after === undefined || entry.routine.resume === undefined,
      `${name} takes steps before it answers: a hook behind it would not see the result`,
    );
    (entry.hooks as RoutineHooks[]).push(hooks);
  }

  routineVa(name: string): Va {
    const entry = this.routinesByName.get(name);
    assert(entry, `the kernel has no routine ${name}`);
    return entry.va;
  }

  resumeVa(routineName: string, point: string): Va {
    const entry = this.resumeByName.get(`${routineName}:${point}`);
    assert(entry, `${routineName} has no resume point '${point}'`);
    return entry.va;
  }

  routines(): IterableIterator<RoutineEntry> {
    return this.routinesByName.values();
  }
}
