/**
 * Where an exception may lead to in the functions of a stack: their `__except` blocks. A call that ends there never comes
 * to its return address, and who steps over it waits for both.
 */
import { PoolproofError } from '../base/errors.ts';
import { type Va, vaAdd } from '../base/va.ts';
import type { PeImage } from '../image/pe/index.ts';
import { lookupFunctionEntry, parseScopeTable, primaryFunction, readUnwindInfo } from '../image/unwind/index.ts';
import type { StackFrame } from '../nt/rtl/stack-frames.ts';
import type { Session } from './session.ts';

/** Frames that are worth a look; more would be a recursion. */
export const mostFrames = 64;

/** The blocks of the scopes that the frames stand in; `isInnermost`: the first one stands at an instruction, not behind a call. */
export function exceptionTargets(session: Session, frames: readonly StackFrame[], isInnermost: boolean): readonly Va[] {
  const targets = frames.flatMap(({ rip }, index) => {
    const image = session.target.nt.images.containing(rip);
    if (image?.pe === undefined) return [];
    const rva = rip - image.base - (index === 0 && isInnermost ? 0 : 1);
    return blocksAround(image.pe, rva).map((block) => vaAdd(image.base, block));
  });
  return [...new Set(targets)];
}

function blocksAround(pe: PeImage, rva: number): readonly number[] {
  try {
    const entry = lookupFunctionEntry(pe, rva);
    if (entry === undefined) return [];
    const info = readUnwindInfo(pe, primaryFunction(pe, entry).unwindInfoRva);
    if (!info.hasExceptionHandler || info.handlerDataRva === undefined) return [];
    return parseScopeTable(pe, info.handlerDataRva).entries.flatMap((scope) =>
      scope.kind === 'except' && rva >= scope.beginRva && rva < scope.endRva ? [scope.targetRva] : [],
    );
  } catch (thrown) {
    // The data of other languages' handlers, or none that can be read.
    if (thrown instanceof PoolproofError) return [];
    throw thrown;
  }
}
