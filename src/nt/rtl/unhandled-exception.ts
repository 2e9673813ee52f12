/** What becomes of an exception that nobody handles. */
import { type Va, vaAdd } from '../../base/va.ts';
import { BugCheck } from '../declare/bug-check.ts';
import type { ResumeEntry } from '../host-entries.ts';
import type { Nt } from '../nt.ts';
import { statusText } from '../ntstatus.ts';
import { EXCEPTION_RECORD } from '../structures/exception.ts';

/** Below which routine of the kernel a stack has nothing more that could handle an exception. */
export type StackEnd = 'thread' | 'interrupt';

/** Routines that begin a stack, or stand between the interrupted stack and what the interrupt runs. */
const stackEnds: Readonly<Record<string, StackEnd>> = { KiThreadStartup: 'thread', KiRetireDpcList: 'interrupt' };

export function stackEndOf(entry: ResumeEntry): StackEnd | undefined {
  return stackEnds[entry.routine.name];
}

/**
 * The bug check of an unhandled exception: 0x7E in a system thread, 0x3B in a system call of the requesting process,
 * 0x1E in an interrupt's routines or when the stack could not be followed. `record` and `context` are addresses.
 */
export function unhandledException(nt: Nt, end: StackEnd | undefined, record: Va, context: Va): BugCheck {
  const { memory } = nt;
  const status = EXCEPTION_RECORD.ExceptionCode.get(memory, record);
  const address = EXCEPTION_RECORD.ExceptionAddress.get(memory, record);
  const what = `exception ${statusText(status)} was raised and nothing handled it`;
  if (end === 'thread' && nt.scheduler.currentThread.isSystem) {
    return new BugCheck(0x7e, [signExtended(status), address, record, context], `${what} in a system thread`);
  }
  if (end === 'thread')
    // Unlike the other two, 0x3B shows the code zero-extended.
    return new BugCheck(0x3b, [status >>> 0, address, context, 0], `${what} in a system call`);
  const information = EXCEPTION_RECORD.ExceptionInformation.at(record);
  const parameters = [memory.readU64(information), memory.readU64(vaAdd(information, 8))] as const;
  return new BugCheck(0x1e, [signExtended(status), address, ...parameters], what);
}

/** A status as it stands in a 64-bit bug check parameter. */
function signExtended(status: number): number {
  return status | 0;
}
