/** The breakpoints that a user has set. They are the session's own: the machine knows only where to stop. */
import type { Va } from '../base/va.ts';

export interface Breakpoint {
  readonly id: number;
  readonly address: Va;
  readonly isEnabled: boolean;
  /** Goes away when it is hit. */
  readonly isOneShot: boolean;
  /** At which pass it stops, and how many are left until then. */
  readonly passes: number;
  readonly passesLeft: number;
  /** Run when it is hit. */
  readonly commands: string | undefined;
}

export type NewBreakpoint = Pick<Breakpoint, 'address' | 'isOneShot' | 'passes' | 'commands'>;

export class BreakpointList {
  private list: readonly Breakpoint[] = [];

  /** By number. */
  get all(): readonly Breakpoint[] {
    return this.list;
  }

  /** Of the ones that are enabled. */
  get addresses(): readonly Va[] {
    return this.list.filter(({ isEnabled }) => isEnabled).map(({ address }) => address);
  }

  /** One at the same address is replaced and keeps its number; else the lowest free number is taken. */
  add(breakpoint: NewBreakpoint): { readonly id: number; readonly isNew: boolean } {
    const same = this.list.find(({ address }) => address === breakpoint.address);
    let id = same?.id ?? 0;
    while (same === undefined && this.list.some((one) => one.id === id)) id++;
    const added = { ...breakpoint, id, isEnabled: true, passesLeft: breakpoint.passes };
    this.list = [...this.list.filter((one) => one !== same), added].sort((a, b) => a.id - b.id);
    return { id, isNew: same === undefined };
  }

  remove(ids: readonly number[]): void {
    this.list = this.list.filter(({ id }) => !ids.includes(id));
  }

  enable(ids: readonly number[], isEnabled: boolean): void {
    this.list = this.list.map((one) => (ids.includes(one.id) ? { ...one, isEnabled } : one));
  }

  /** Control came to an address: the breakpoint that stops there; undefined if none does, or not yet. */
  hit(address: Va): Breakpoint | undefined {
    const found = this.list.find((one) => one.address === address && one.isEnabled);
    if (found === undefined) return undefined;
    const passesLeft = Math.max(1, found.passesLeft - 1);
    this.list = this.list.map((one) => (one === found ? { ...one, passesLeft } : one));
    if (found.passesLeft > 1) return undefined;
    if (found.isOneShot) this.remove([found.id]);
    return found;
  }
}
