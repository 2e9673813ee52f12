/**
 * Exceptions: from the processor's faults and from bad pointers that the driver gave to a routine of the kernel, to
 * `__try` blocks of the driver or to a bug check.
 */
import { type Va, vaAdd, vaInRange, vaToU64 } from '../../base/va.ts';
import type { CpuExit } from '../../engine/cpu/cpu.ts';
import { Gpr } from '../../engine/cpu/state.ts';
import type { GuestFault } from '../../engine/memory/guest-fault.ts';
import { Access, pageSize } from '../../engine/memory/layout.ts';
import type { UnwindContext } from '../../image/unwind/index.ts';
import { BugCheck } from '../declare/bug-check.ts';
import { passBreakpoint } from '../kd/breakpoints.ts';
import type { Nt } from '../nt.ts';
import {
  STATUS_ACCESS_VIOLATION,
  STATUS_ASSERTION_FAILURE,
  STATUS_ILLEGAL_INSTRUCTION,
  STATUS_SINGLE_STEP,
  STATUS_STACK_BUFFER_OVERRUN,
} from '../ntstatus.ts';
import { EXCEPTION_RECORD, ExceptionFlag, KTRAP_FRAME } from '../structures/exception.ts';
import { raiseException, writeRecord } from './dispatch-exception.ts';
import { divideErrorStatus } from './divide-error.ts';
import {
  type AccessViolation,
  decidePageFault,
  doubleFault,
  type PageFault,
  protectionViolation,
} from './fault-decision.ts';
import { contextRsp, processorContext, processorRip, writeTrapFrame } from './guest-context.ts';
import { type StackFrame, stackFrames } from './stack-frames.ts';
import { StackWalker } from './stack-walk.ts';

export type ProcessorFault = Extract<CpuExit, { kind: 'fault' }>;

/** May say that a fault is something more particular: an option that places guard pages knows what they guard. */
export type FaultPolicy = (fault: PageFault) => BugCheck | undefined;

const largePageBytes = 0x20_0000;

export class Exceptions {
  /** Asked in order for every page fault; the first answer counts. */
  readonly faultPolicies: FaultPolicy[] = [];
  private readonly nt: Nt;
  private readonly walker: StackWalker;

  constructor(nt: Nt) {
    this.nt = nt;
    this.walker = new StackWalker(nt);
  }

  /** An instruction of the driver faulted. Throws BugCheck where Windows stops. */
  fromProcessor(fault: ProcessorFault): void {
    const context = processorContext(this.nt);
    if (!this.hasRoomForTrapFrame(context)) throw doubleFault(contextRsp(context), fault.rip);
    switch (fault.vector) {
      case 0x00:
        this.raise(divideErrorStatus(this.nt, fault.rip), [], context);
        return;
      case 0x01:
        this.raise(STATUS_SINGLE_STEP, [], context);
        return;
      case 0x03:
        passBreakpoint(this.nt, fault.rip);
        return;
      case 0x06:
        this.raise(STATUS_ILLEGAL_INSTRUCTION, [], context);
        return;
      case 0x0d:
        this.raise(STATUS_ACCESS_VIOLATION, protectionViolation.information, context);
        return;
      case 0x0e:
        this.pageFault(fault.va, fault.access, fault.rip, context, false);
        return;
      case 0x2c:
        this.raise(STATUS_ASSERTION_FAILURE, [], context);
        return;
      case 0x29:
        throw this.fastFail(this.nt.cpu.state.gprLow(Gpr.Rcx), context);
      default:
        throw new BugCheck(0x7f, [fault.vector, 0, 0, 0], `the processor raised trap ${fault.vector}`);
    }
  }

  /** A routine of the kernel met a bad pointer that the driver gave it. Throws BugCheck where Windows stops. */
  fromKernel(fault: GuestFault): void {
    const context = this.contextOfKernel();
    this.pageFault(fault.va, fault.access, this.nt.cpu.state.rip, context, true);
  }

  /** RtlRaiseStatus in a routine of the kernel whose return address lies at `stack`. */
  raiseAtCall(status: number, information: readonly number[], stack: Va): void {
    const context = this.contextOfKernel(stack);
    const words = information.map((word) => vaToU64(word as Va));
    raiseException(
      this.nt,
      { status, flags: ExceptionFlag.NonContinuable, address: context.rip, information: words },
      context,
    );
  }

  /** Return addresses of the running thread, innermost first, starting with the instruction pointer. Never throws. */
  walkStack(limit?: number): readonly Va[] {
    return this.walker.walk(limit);
  }

  /** As {@link walkStack}, from other registers: a thread that waits, a CONTEXT. */
  walkStackFrom(context: UnwindContext, limit?: number): readonly Va[] {
    return this.walker.walkContext(context, limit);
  }

  /** The running thread's frames, innermost first, or those from other registers on; as {@link walkStack} never throws. */
  frames(limit: number, context: UnwindContext = processorContext(this.nt)): readonly StackFrame[] {
    return stackFrames(this.nt, context, limit);
  }

  private raise(status: number, information: readonly bigint[], context: UnwindContext): void {
    raiseException(this.nt, { status, flags: 0, address: context.rip, information }, context);
  }

  private pageFault(va: Va, access: Access, rip: Va, context: UnwindContext, isByKernel: boolean): void {
    if (this.isImportAccess(va, rip)) return;
    const decision = Number.isNaN(va) ? protectionViolation : this.decide(va, access, rip, context, isByKernel);
    if (decision instanceof BugCheck) throw decision;
    this.raise(STATUS_ACCESS_VIOLATION, decision.information, context);
  }

  /**
   * The driver took an import slot for data: an exported variable that this kernel lacks, or the code of a routine.
   * Either is ours to lack, and no fault of the driver.
   */
  private isImportAccess(va: Va, rip: Va): boolean {
    const { nt } = this;
    const thunk = nt.entries.containingEver(va);
    if (thunk?.kind !== 'thunk' || !thunk.image.isLoaded) return false;
    const name = thunk.target === undefined ? thunk.importName : `the code of ${thunk.importName}`;
    nt.finish({ kind: 'unsupported', what: 'export', name, site: rip, stack: nt.currentStack() });
    return true;
  }

  private decide(
    va: Va,
    access: Access,
    rip: Va,
    context: UnwindContext,
    isByKernel: boolean,
  ): AccessViolation | BugCheck {
    const { nt } = this;
    const loaded = nt.images.containing(va);
    const fault: PageFault = {
      va,
      access,
      rip,
      rsp: contextRsp(context),
      irql: nt.cpu.state.irql,
      mapping: nt.memory.mappingAt(va),
      isByKernel,
      isStackGuard: this.isStackGuard(va),
      isInImage: loaded !== undefined,
      isInUnloadedImage: va < 0 && loaded === undefined && nt.images.containingEver(va) !== undefined,
      hasPageTable: va < 0 && this.hasPageTable(va),
    };
    for (const policy of this.faultPolicies) {
      const answer = policy(fault);
      if (answer !== undefined) return answer;
    }
    return decidePageFault(fault);
  }

  private isStackGuard(va: Va): boolean {
    const { scheduler } = this.nt;
    if (!scheduler.hasRunningThread) return false;
    const { stackLimit } = scheduler.currentThread;
    return vaInRange(va, vaAdd(stackLimit, -pageSize), pageSize);
  }

  private hasPageTable(va: Va): boolean {
    const first = Math.floor(va / largePageBytes) * largePageBytes;
    for (let page = first; page < first + largePageBytes; page += pageSize) {
      if (this.nt.memory.mappingAt(page as Va) !== undefined) return true;
    }
    return false;
  }

  /** The processor pushes its frame on the stack that it finds; if it can't, that is a double fault. */
  private hasRoomForTrapFrame(context: UnwindContext): boolean {
    const rsp = contextRsp(context);
    return this.nt.memory.isAccessible(vaAdd(rsp, -KTRAP_FRAME.sizeBytes), KTRAP_FRAME.sizeBytes, Access.Write);
  }

  /** `int 29h`: the code says what is broken, and nothing may run any more. */
  private fastFail(code: number, context: UnwindContext): BugCheck {
    const { nt } = this;
    const record = align16(contextRsp(context) - EXCEPTION_RECORD.sizeBytes);
    const trapFrame = align16(record - KTRAP_FRAME.sizeBytes);
    writeTrapFrame(nt, trapFrame);
    nt.memory.fill(record, EXCEPTION_RECORD.sizeBytes, 0);
    writeRecord(nt, record, {
      status: STATUS_STACK_BUFFER_OVERRUN,
      flags: ExceptionFlag.NonContinuable,
      address: context.rip,
      information: [BigInt(code)],
    });
    const what = fastFailNames[code] ?? `code ${code}`;
    return new BugCheck(0x139, [code, trapFrame, record, 0], `the driver found its state corrupted: ${what}`);
  }

  /** The processor as a routine of the kernel has it: at the routine, its return address on top of the stack. */
  private contextOfKernel(stack?: Va): UnwindContext {
    const { nt } = this;
    const entry = nt.entries.at(nt.cpu.state.rip);
    // A routine that goes on after a call stands at its own address again, no longer behind the call.
    const rip = entry?.kind === 'resume' && stack !== undefined ? vaToU64(entry.routine.va) : processorRip(nt);
    return processorContext(nt, rip, stack);
  }
}

function align16(value: number): Va {
  return (Math.floor(value / 16) * 16) as Va;
}

/** FAST_FAIL_* (winnt.h). */
const fastFailNames: Readonly<Record<number, string>> = {
  0: 'a stack buffer was overrun',
  1: 'a virtual function table is wrong',
  2: 'a stack cookie was overwritten',
  3: 'a LIST_ENTRY is corrupt',
  5: 'an argument is invalid',
  6: 'the stack cookie was never initialised',
  7: 'a fatal exit was asked for',
  8: 'an array index is out of bounds',
  10: 'an indirect call went to an invalid target',
  14: 'a reference count is invalid',
  29: 'a red-black tree is corrupt',
};
