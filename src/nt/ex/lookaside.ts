/**
 * Lookaside lists: blocks of one size that a driver keeps to use again. What is cached, the counters and the routines
 * that allocate and free stand in the guest's structure, which inlined code of the driver works on; the store holds
 * which lists there are, and who made them. The system's chain through ListEntry is not kept, as nothing here adapts
 * the depth by use: a list's entry links to itself.
 */
import { assert } from '../../base/errors.ts';
import type { StoreCell, StoreMap } from '../../base/store.ts';
import { nullVa, type Va, vaLow } from '../../base/va.ts';
import { BugCheck } from '../declare/bug-check.ts';
import type { Call } from '../declare/call.ts';
import { type Outcome, raise, unsupported } from '../declare/outcome.ts';
import { type Holder, holderOf } from '../mm/holder.ts';
import type { Nt } from '../nt.ts';
import { STATUS_DATATYPE_MISALIGNMENT } from '../ntstatus.ts';
import { LIST_ENTRY } from '../structures/ke.ts';
import { GENERAL_LOOKASIDE } from '../structures/lookaside.ts';

/** A list that was initialised and not deleted. */
export interface LookasideList extends Holder {
  readonly list: Va;
  readonly tag: number;
}

export interface LookasideRequest {
  /** POOL_TYPE with its modifiers, as the allocating routine is given it. */
  readonly poolType: number;
  readonly bytes: number;
  readonly tag: number;
  /** The driver's own routines; NULL for the pool's. */
  readonly allocate: Va;
  readonly free: Va;
}

/** Blocks that a list keeps, and what Windows may raise that to. */
const depth = 4;
const maximumDepth = 256;

export class Lookasides {
  private readonly nt: Nt;
  /** By a number of their own: the same memory may be initialised twice. */
  private readonly lists: StoreMap<number, LookasideList>;
  private readonly nextNumber: StoreCell<number>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.lists = nt.stores.map('ex/lookaside-lists');
    this.nextNumber = nt.stores.cell('ex/next-lookaside-list', 1);
  }

  /** Lists that were initialised and not deleted, oldest first. */
  all(): IterableIterator<LookasideList> {
    return this.lists.values();
  }

  /** Undefined when that is done. */
  initialise(list: Va, request: LookasideRequest, call: Call): Outcome {
    if ((vaLow(list) & 15) !== 0) return raise(STATUS_DATATYPE_MISALIGNMENT);
    const allocate = request.allocate || this.poolRoutine('ExAllocatePoolWithTag', call);
    const free = request.free || this.poolRoutine('ExFreePool', call);
    if (allocate === undefined || free === undefined) {
      return unsupported(`${call.name}: no room for another routine of the driver's`);
    }
    this.write(list, { ...request, allocate, free });
    const number = this.nextNumber.value;
    this.nextNumber.value = number + 1;
    this.lists.set(number, { list, tag: request.tag, ...holderOf(this.nt, call) });
    return undefined;
  }

  /** The list is one no more; what it holds still has to be freed. */
  remove(list: Va): void {
    const number = [...this.lists.entries()].findLast(([, made]) => made.list === list)?.[0];
    if (number === undefined) throw this.notInitialised(list);
    this.lists.delete(number);
    GENERAL_LOOKASIDE.Allocate.set(this.nt.memory, list, this.nt.entries.routineVa('ExpDummyAllocate'));
  }

  private write(list: Va, { poolType, bytes, tag, allocate, free }: LookasideRequest): void {
    const { memory } = this.nt;
    memory.fill(list, GENERAL_LOOKASIDE.sizeBytes, 0);
    GENERAL_LOOKASIDE.Depth.set(memory, list, depth);
    GENERAL_LOOKASIDE.MaximumDepth.set(memory, list, maximumDepth);
    GENERAL_LOOKASIDE.Type.set(memory, list, poolType);
    GENERAL_LOOKASIDE.Tag.set(memory, list, tag);
    GENERAL_LOOKASIDE.Size.set(memory, list, bytes >>> 0);
    GENERAL_LOOKASIDE.Allocate.set(memory, list, allocate);
    GENERAL_LOOKASIDE.Free.set(memory, list, free);
    const entry = GENERAL_LOOKASIDE.ListEntry.at(list);
    LIST_ENTRY.Flink.set(memory, entry, entry);
    LIST_ENTRY.Blink.set(memory, entry, entry);
  }

  /** A thunk of the calling driver, so that what its list allocates is known as its own. */
  private poolRoutine(name: string, { image }: Call): Va | undefined {
    if (image !== undefined) return this.nt.images.dynamicThunk(image, 'ntoskrnl.exe', name);
    const routine = this.nt.images.kernelExport('ntoskrnl.exe', name);
    assert(routine !== undefined, `the kernel exports ${name}`);
    return routine;
  }

  /** Windows takes the list off its chain: bad links fault, or do not point back. */
  private notInitialised(list: Va): BugCheck {
    const { memory } = this.nt;
    const entry = GENERAL_LOOKASIDE.ListEntry.at(list);
    LIST_ENTRY.Blink.get(memory, LIST_ENTRY.Flink.get(memory, entry));
    LIST_ENTRY.Flink.get(memory, LIST_ENTRY.Blink.get(memory, entry));
    return new BugCheck(
      0x139,
      [3, nullVa, nullVa, 0],
      'a lookaside list was deleted that was not initialised, or is deleted already',
    );
  }
}
