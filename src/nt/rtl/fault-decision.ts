/**
 * What Windows makes of a page fault in kernel mode: an exception that `__try` can catch, for addresses of user space
 * only, or a bug check. (KiPageFault, MmAccessFault; the documentation of each bug check for its parameters.)
 */
import type { Va } from '../../base/va.ts';
import { formatVa } from '../../base/va.ts';
import type { PageMapping } from '../../engine/memory/guest-memory.ts';
import { Access, PageFlag, pageShift } from '../../engine/memory/layout.ts';
import { BugCheck } from '../declare/bug-check.ts';
import { Irql } from '../declare/nt-routine.ts';

export interface PageFault {
  readonly va: Va;
  readonly access: Access;
  /** The instruction, or the kernel's routine that made the access. */
  readonly rip: Va;
  readonly rsp: Va;
  readonly irql: number;
  readonly mapping: PageMapping | undefined;
  /** A routine of the kernel made the access, not the driver's own code. */
  readonly isByKernel: boolean;
  /** Below the running thread's stack. */
  readonly isStackGuard: boolean;
  /** In an image that is loaded. */
  readonly isInImage: boolean;
  /** Where a driver's image was until it was unloaded. */
  readonly isInUnloadedImage: boolean;
  /** Some page of the same 2 MB is mapped, so that a page table exists. */
  readonly hasPageTable: boolean;
}

/** ExceptionInformation of STATUS_ACCESS_VIOLATION. */
export interface AccessViolation {
  readonly information: readonly [bigint, bigint];
}

const freedPte = 0;
const notPresentPageTable = 2;
const doubleFaultTrap = 8;

/** The access violation to raise, or the bug check. `va` is canonical. */
export function decidePageFault(fault: PageFault): AccessViolation | BugCheck {
  const { va, access, mapping } = fault;
  const isUser = va >= 0;
  const isAllowed = mapping !== undefined && (mapping.flags & access) !== 0;
  // A mapping that allows nothing is a guard page, which to the processor is no mapping.
  const isPresent = mapping !== undefined && (mapping.flags & (Access.Read | Access.Write | Access.Execute)) !== 0;
  if (fault.isStackGuard) return doubleFault(fault.rsp, fault.rip);
  if (isPresent && !isAllowed) {
    // Supervisor mode execution prevention: user pages never execute in kernel mode.
    if (access === Access.Execute) return executeOfNoExecute(fault, mapping);
    if (!isUser && access === Access.Write) return writeToReadOnly(fault, mapping);
  }
  if (isPresent && isUser && access === Access.Execute) return executeOfNoExecute(fault, mapping);
  if (fault.irql >= Irql.DISPATCH) return atRaisedIrql(fault);
  return isUser ? accessViolation(va, access) : invalidSystemAddress(fault);
}

/** A general protection fault in kernel mode: a non-canonical address, or a misaligned SSE operand. */
export const protectionViolation: AccessViolation = { information: [0n, 0xffff_ffff_ffff_ffffn] };

function accessViolation(va: Va, access: Access): AccessViolation {
  return { information: [BigInt(exceptionAccess(access)), BigInt(va)] };
}

/** 0 read, 1 write, 8 execute: as ExceptionInformation, and as bug checks 0xA and 0xD1 have it. */
function exceptionAccess(access: Access): number {
  return access === Access.Read ? 0 : access === Access.Write ? 1 : 8;
}

function verb(access: Access): string {
  return access === Access.Read ? 'read' : access === Access.Write ? 'wrote' : 'executed';
}

/** The stack can't take what must be put on it. */
export function doubleFault(rsp: Va, rip: Va): BugCheck {
  return new BugCheck(
    0x7f,
    [doubleFaultTrap, 0, canonical(rsp), canonical(rip)],
    `the kernel stack is used up or lost: RSP is ${formatVa(rsp)}`,
  );
}

const canonical = (va: Va): number => (Number.isNaN(va) ? 0 : va);

function atRaisedIrql(fault: PageFault): BugCheck {
  const { va, access, rip, irql, isByKernel } = fault;
  const what = `${verb(access)} ${formatVa(va)}, which is not resident, at IRQL ${irql}`;
  const parameters = [va, irql, exceptionAccess(access), rip] as const;
  if (!isByKernel) return new BugCheck(0xd1, parameters, `the driver ${what}`);
  if (fault.isInImage) {
    return new BugCheck(0xd3, parameters, `the kernel ${what}: this part of the driver must be nonpaged`);
  }
  if (fault.isInUnloadedImage) {
    return new BugCheck(0xd4, parameters, `the kernel ${what}: a driver was unloaded and left something behind`);
  }
  return new BugCheck(0x0a, parameters, `the kernel ${what}`);
}

function invalidSystemAddress({ va, access, rip, isInUnloadedImage, hasPageTable }: PageFault): BugCheck {
  if (isInUnloadedImage) {
    return new BugCheck(
      0xce,
      [va, exceptionAccess(access), rip, 0],
      `${formatVa(va)} lies in a driver that was unloaded and left something behind`,
    );
  }
  const kind = access === Access.Read ? 0 : access === Access.Write ? 2 : 0x10;
  return new BugCheck(
    0x50,
    [va, kind, rip, hasPageTable ? freedPte : notPresentPageTable],
    `invalid system memory was ${access === Access.Read ? 'read' : access === Access.Write ? 'written' : 'executed'} at ${formatVa(va)}`,
  );
}

function writeToReadOnly({ va }: PageFault, mapping: PageMapping): BugCheck {
  return new BugCheck(0xbe, [va, pageTableEntry(mapping), 0, 0], `read-only memory was written at ${formatVa(va)}`);
}

function executeOfNoExecute({ va }: PageFault, mapping: PageMapping): BugCheck {
  return new BugCheck(
    0xfc,
    [va, pageTableEntry(mapping), 0, 0],
    `control went to ${formatVa(va)}, which is not executable`,
  );
}

/** The mapping as the processor's page-table entry would show it. */
function pageTableEntry({ frame, flags }: PageMapping): bigint {
  const present = 1n | 0x20n;
  const write = (flags & Access.Write) !== 0 ? 2n | 0x40n : 0n;
  const user = (flags & PageFlag.User) !== 0 ? 4n : 0n;
  const noExecute = (flags & Access.Execute) === 0 ? 1n << 63n : 0n;
  return noExecute | (BigInt(frame) << BigInt(pageShift)) | user | write | present;
}
