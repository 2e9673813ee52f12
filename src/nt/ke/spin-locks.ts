/**
 * Spin locks on one processor: a lock that is held when it is asked for at DISPATCH_LEVEL stays held, as nobody else can
 * run. Windows hangs there until its watchdog stops the machine; here the watchdog comes at once.
 */
import { formatVa, nullVa, type Va } from '../../base/va.ts';
import { BugCheck } from '../declare/bug-check.ts';
import { Irql } from '../declare/nt-routine.ts';
import { type Outcome, unsupported } from '../declare/outcome.ts';
import type { Nt } from '../nt.ts';
import { KLOCK_QUEUE_HANDLE } from '../structures/ke.ts';
import { setIrql } from './irql.ts';

/** Ticks that the watchdog grants: one DPC; all the time at DISPATCH_LEVEL or above. */
const dpcTicks = 0x500;
const dispatchTicks = 0x1e00;

/** The processor spins on a lock that nobody will release. */
export function spinForever(nt: Nt, lock: Va): Outcome {
  if (nt.cpu.state.irql < Irql.DISPATCH) {
    return unsupported(`a spin lock taken below DISPATCH_LEVEL that another thread holds (${formatVa(lock)})`);
  }
  throw spinning(nt, `the spin lock at ${formatVa(lock)}`);
}

/** The watchdog's bug check: `lock` names what the processor spins on. */
export function spinning(nt: Nt, lock: string): BugCheck {
  const summary = `the processor spins on ${lock}, which is held already: a deadlock`;
  return nt.interrupts.isDpcActive
    ? new BugCheck(0x133, [0, dpcTicks + 1, dpcTicks, 0], summary)
    : new BugCheck(0x133, [1, dispatchTicks, 0, 0], summary);
}

/** Raises the IRQL to DISPATCH_LEVEL; the IRQL before. Never lowers it. */
export function raiseToDispatch(nt: Nt): number {
  const { irql } = nt.cpu.state;
  if (irql < Irql.DISPATCH) setIrql(nt, Irql.DISPATCH);
  return irql;
}

/** False if the lock is held. Bit 0 of a KSPIN_LOCK is the lock. */
export function tryAcquire(nt: Nt, lock: Va): boolean {
  const value = nt.memory.readU64(lock);
  if ((value & 1n) !== 0n) return false;
  nt.memory.writeU64(lock, value | 1n);
  return true;
}

export function release(nt: Nt, lock: Va): void {
  nt.memory.writeU64(lock, 0n);
}

/** In-stack queued locks: the KSPIN_LOCK points to the last handle of the queue. */
export function acquireQueued(nt: Nt, lock: Va, handle: Va): boolean {
  if (nt.memory.readU64(lock) !== 0n) return false;
  KLOCK_QUEUE_HANDLE.Next.set(nt.memory, handle, nullVa);
  KLOCK_QUEUE_HANDLE.Lock.set(nt.memory, handle, lock);
  nt.memory.writeVa(lock, handle);
  return true;
}

export function releaseQueued(nt: Nt, handle: Va): void {
  nt.memory.writeU64(KLOCK_QUEUE_HANDLE.Lock.get(nt.memory, handle), 0n);
}

/** EX_SPIN_LOCK: bit 31 held exclusively, below it the number of shared holders. */
const exclusiveBit = 0x8000_0000;

export function tryAcquireExclusive(nt: Nt, lock: Va): boolean {
  if (nt.memory.readU32(lock) !== 0) return false;
  nt.memory.writeU32(lock, exclusiveBit);
  return true;
}

export function tryAcquireShared(nt: Nt, lock: Va): boolean {
  const value = nt.memory.readU32(lock);
  if ((value & exclusiveBit) !== 0) return false;
  nt.memory.writeU32(lock, value + 1);
  return true;
}

export function releaseExclusive(nt: Nt, lock: Va): void {
  nt.memory.writeU32(lock, 0);
}

export function releaseShared(nt: Nt, lock: Va): void {
  nt.memory.writeU32(lock, (nt.memory.readU32(lock) - 1) >>> 0);
}

/** One shared holder becomes the exclusive one; false if there are others. */
export function tryConvertToExclusive(nt: Nt, lock: Va): boolean {
  if (nt.memory.readU32(lock) !== 1) return false;
  nt.memory.writeU32(lock, exclusiveBit);
  return true;
}

/** For lists that routines guard with a KSPIN_LOCK of the caller's, at any IRQL and with interrupts off. */
export function withLock(nt: Nt, lock: Va, body: () => Outcome): Outcome {
  if ((nt.memory.readU64(lock) & 1n) !== 0n) return spinForever(nt, lock);
  // The write shows that the lock's memory can be written, as the real one would find out.
  nt.memory.writeU8(lock, nt.memory.readU8(lock));
  return body();
}
