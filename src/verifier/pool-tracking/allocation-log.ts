/**
 * The log of all that verified drivers allocated and freed: circular, with the stack and thread of each call. A kernel
 * debugger on Windows reads it with `!verifier 0x80` (-verifier.md of the debugger docs).
 */
import type { StoreRing } from '../../base/store-ring.ts';
import { type Va, vaAdd } from '../../base/va.ts';
import { systemSpaceStart } from '../../engine/memory/layout.ts';
import type { Nt } from '../../nt/nt.ts';
import type { InternedStacks } from './interned-stacks.ts';

export interface LogEntry {
  readonly operation: 'allocate' | 'free';
  readonly va: Va;
  /** As requested at the allocation. */
  readonly bytes: number;
  /** KTHREAD of the thread that called; for DPCs of the one that was interrupted. */
  readonly thread: Va;
  /** Innermost first, {@link loggedFrames} at most. */
  readonly stack: readonly Va[];
}

/** Entries that are kept, as on Windows. */
export const logCapacity = 0x1_0000;
/** Return addresses that an entry has, as on Windows. */
export const loggedFrames = 13;
/** Addresses are offsets in system space. `stack`: number of the stack, and 1 in the highest bit for a free. */
const Word = { va: 0, bytes: 1, thread: 2, stack: 3 } as const;
const freeBit = 0x8000_0000;

export class AllocationLog {
  private readonly nt: Nt;
  private readonly stacks: InternedStacks;
  private readonly ring: StoreRing;

  constructor(nt: Nt, stacks: InternedStacks) {
    this.nt = nt;
    this.stacks = stacks;
    this.ring = nt.stores.ring('verifier/allocation-log', logCapacity);
  }

  /** Entries that were written since the start, those that are overwritten included. */
  get written(): number {
    return this.ring.count;
  }

  /** Notes what the running thread does just now. `stack`: its number. */
  add(operation: LogEntry['operation'], va: Va, bytes: number, stack: number): void {
    const thread = this.nt.scheduler.currentThread.kthread;
    this.ring.push(
      va - systemSpaceStart,
      bytes,
      thread - systemSpaceStart,
      operation === 'free' ? stack | freeBit : stack,
    );
  }

  /**
   * What is in the log, newest first. With an address: only calls for blocks that contained it, which may be several
   * blocks that lay there one after the other.
   */
  *entries(address?: Va): Generator<LogEntry> {
    const { ring } = this;
    const length = Math.min(ring.count, ring.capacity);
    for (let age = 0; age < length; age++) {
      const va = vaAdd(systemSpaceStart as Va, ring.get(age, Word.va));
      const bytes = ring.get(age, Word.bytes);
      if (address !== undefined && !(address >= va && address < va + Math.max(bytes, 1))) continue;
      const stack = ring.get(age, Word.stack);
      yield {
        operation: stack >= freeBit ? 'free' : 'allocate',
        va,
        bytes,
        thread: vaAdd(systemSpaceStart as Va, ring.get(age, Word.thread)),
        stack: this.stacks.get(stack % freeBit).slice(0, loggedFrames),
      };
    }
  }
}
