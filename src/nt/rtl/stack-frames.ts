/** The frames of a stack one by one, with the registers that each has: what a debugger shows. */
import { PoolproofError } from '../../base/errors.ts';
import { type Va, vaFromU64 } from '../../base/va.ts';
import type { UnwindContext, UnwindMemory } from '../../image/unwind/index.ts';
import type { Nt } from '../nt.ts';
import { contextRsp } from './guest-context.ts';
import { stackEndOf } from './unhandled-exception.ts';
import { driverImageAt, type StackStep, stepUp } from './unwind-frame.ts';

export interface StackFrame {
  readonly rip: Va;
  /** RSP while the frame's code runs: the debugger's Child-SP. */
  readonly rsp: Va;
  /** Registers as far as they can be told: what the functions called from here saved. */
  readonly context: UnwindContext;
}

/** Innermost first. The same addresses as `StackWalker` finds, if `limit` is the same. */
export function stackFrames(nt: Nt, start: UnwindContext, limit: number): readonly StackFrame[] {
  const frames: StackFrame[] = [];
  // Such an address may be anything: a call through a bad pointer led to it.
  let isInterrupted = true;
  for (let context = start; frames.length < limit; ) {
    const rip = vaFromU64(context.rip);
    const rsp = contextRsp(context);
    frames.push({ rip, rsp, context });
    const host = nt.entries.at(rip);
    if (host?.kind === 'resume' && stackEndOf(host) !== undefined) break;
    const isCode = host !== undefined || driverImageAt(nt, rip) !== undefined;
    if (!isCode && !isInterrupted) break;
    const step = stepOrEnd(nt, context);
    if (step.kind === 'end' || !(contextRsp(step.context) > rsp)) break;
    isInterrupted = step.kind === 'kernel';
    // A driver's code returns to nothing but code of system space; under an exception's frame anything may be.
    if (!isInterrupted && !(vaFromU64(step.context.rip) < 0)) break;
    context = step.context;
  }
  return frames;
}

/** A debugger may walk anything that it takes for a stack: devices do not notice. */
function peeked(nt: Nt): UnwindMemory {
  return {
    readU64: (va) => {
      const read = nt.memory.peekBytes(va, 8);
      return read && new DataView(read.buffer, read.byteOffset).getBigUint64(0, true);
    },
  };
}

function stepOrEnd(nt: Nt, context: UnwindContext): StackStep {
  try {
    return stepUp(nt, context, 'none', peeked(nt));
  } catch (thrown) {
    // Unwind data that can't be read ends the stack there.
    if (thrown instanceof PoolproofError) return { kind: 'end' };
    throw thrown;
  }
}
