/** One step up a stack on which drivers and the kernel call each other. */
import { type Va, vaAdd, vaFromU64, vaToU64 } from '../../base/va.ts';
import { Gpr } from '../../engine/cpu/state.ts';
import { GuestFault } from '../../engine/memory/guest-fault.ts';
import type { PeImage, RuntimeFunction } from '../../image/pe/pe-image.ts';
import { lookupFunctionEntry, type UnwindContext, type UnwindMemory, virtualUnwind } from '../../image/unwind/index.ts';
import { resumeFrameHeader } from '../declare/call.ts';
import type { ResumeEntry } from '../host-entries.ts';
import type { KernelImage } from '../mm/kernel-image.ts';
import type { Nt } from '../nt.ts';
import { DISPATCHER_CONTEXT } from '../structures/exception.ts';
import { contextRsp } from './guest-context.ts';

/** An image that has unwind data. */
export interface DriverImage extends KernelImage {
  readonly pe: PeImage;
}

/** A language handler and its data. */
export interface FrameHandler {
  readonly routine: Va;
  readonly data: Va;
}

export interface FunctionFrame {
  readonly image: DriverImage;
  readonly entry: RuntimeFunction;
  readonly establisherFrame: Va;
  /** Set if a handler of the wanted type guards the address. */
  readonly handler: FrameHandler | undefined;
}

/** What stands at one level of a stack; `context` is the caller's. */
export type StackStep =
  | { readonly kind: 'function'; readonly frame: FunctionFrame; readonly context: UnwindContext }
  /** A routine without unwind data, or an address that is no code: the return address lies at RSP. */
  | { readonly kind: 'leaf'; readonly context: UnwindContext }
  /** A routine of the kernel that called the driver. `frame` is its resume frame. */
  | { readonly kind: 'kernel'; readonly entry: ResumeEntry; readonly frame: Va; readonly context: UnwindContext }
  /** The stack can't be read any further. */
  | { readonly kind: 'end' };

/**
 * The step from the frame that `context` stands in to its caller's. Throws PP1007 for unusable unwind data. `memory` is
 * how the stack is read.
 */
export function stepUp(
  nt: Nt,
  context: UnwindContext,
  handlerType: 'none' | 'exception' | 'unwind',
  memory = unwindMemory(nt),
): StackStep {
  const rip = vaFromU64(context.rip);
  const host = nt.entries.at(rip);
  if (host?.kind === 'resume') return stepOverKernelFrame(memory, host, context);
  const image = driverImageAt(nt, rip);
  const entry = image && lookupFunctionEntry(image.pe, rip - image.base);
  if (image === undefined || entry === undefined) {
    const caller = afterReturn(memory, context, contextRsp(context));
    // A leaf that returns to itself leads nowhere.
    return caller === undefined || caller.rip === context.rip ? { kind: 'end' } : { kind: 'leaf', context: caller };
  }
  return stepOverFunction(memory, image, entry, context, handlerType);
}

function stepOverFunction(
  memory: UnwindMemory,
  image: DriverImage,
  entry: RuntimeFunction,
  context: UnwindContext,
  handlerType: 'none' | 'exception' | 'unwind',
): StackStep {
  const result = virtualUnwind({ pe: image.pe, imageBase: image.base, entry, context, memory, handlerType });
  if (result.kind === 'unreadable') return { kind: 'end' };
  const handler = result.handler && {
    routine: vaAdd(image.base, result.handler.rva),
    data: vaAdd(image.base, result.handler.dataRva),
  };
  const establisherFrame = vaFromU64(result.establisherFrame);
  return { kind: 'function', frame: { image, entry, establisherFrame, handler }, context: result.context };
}

export function driverImageAt(nt: Nt, va: Va): DriverImage | undefined {
  const image = Number.isNaN(va) ? undefined : nt.images.containing(va);
  return image?.pe === undefined ? undefined : (image as DriverImage);
}

/** Where the image's function table holds an entry; the null address if the entry came through an indirection. */
export function functionEntryVa(image: DriverImage, entry: RuntimeFunction): Va {
  const index = image.pe.functions.findIndex(({ beginRva }) => beginRva === entry.beginRva);
  return index < 0 ? (0 as Va) : vaAdd(image.base, functionTableRva(image.pe) + index * 12);
}

/** Fills the DISPATCHER_CONTEXT for a frame's language handler, from its first scope on. */
export function writeDispatcher(
  nt: Nt,
  dispatcher: Va,
  controlPc: bigint,
  found: FunctionFrame,
  handler: FrameHandler,
): void {
  const { memory } = nt;
  DISPATCHER_CONTEXT.ControlPc.set(memory, dispatcher, controlPc);
  DISPATCHER_CONTEXT.ImageBase.set(memory, dispatcher, found.image.base);
  DISPATCHER_CONTEXT.FunctionEntry.set(memory, dispatcher, functionEntryVa(found.image, found.entry));
  DISPATCHER_CONTEXT.EstablisherFrame.set(memory, dispatcher, found.establisherFrame);
  DISPATCHER_CONTEXT.LanguageHandler.set(memory, dispatcher, handler.routine);
  DISPATCHER_CONTEXT.HandlerData.set(memory, dispatcher, handler.data);
  DISPATCHER_CONTEXT.ScopeIndex.set(memory, dispatcher, 0);
}

/** The exception directory: the fourth of the optional header's, which stand 0x70 behind its start. */
function functionTableRva(pe: PeImage): number {
  const view = new DataView(pe.mapped.buffer, pe.mapped.byteOffset, pe.mapped.byteLength);
  const optionalHeader = view.getUint32(0x3c, true) + 0x18;
  return view.getUint32(optionalHeader + 0x70 + 3 * 8, true);
}

function stepOverKernelFrame(memory: UnwindMemory, entry: ResumeEntry, context: UnwindContext): StackStep {
  const frame = contextRsp(context);
  const bytes = memory.readU64(vaAdd(frame, resumeFrameHeader));
  const caller = bytes === undefined ? undefined : afterReturn(memory, context, vaAdd(frame, Number(bytes)));
  return caller === undefined ? { kind: 'end' } : { kind: 'kernel', entry, frame, context: caller };
}

/** Control returned through the address at `stack`; all other registers stay. */
function afterReturn(memory: UnwindMemory, context: UnwindContext, stack: Va): UnwindContext | undefined {
  const rip = memory.readU64(stack);
  if (rip === undefined) return undefined;
  const gpr = context.gpr.slice();
  gpr[Gpr.Rsp] = vaToU64(vaAdd(stack, 8));
  return { rip, gpr, xmm: context.xmm };
}

/** As the processor reads it. */
export function unwindMemory(nt: Nt): UnwindMemory {
  return {
    readU64: (va) => {
      try {
        return nt.memory.readU64(va);
      } catch (thrown) {
        if (thrown instanceof GuestFault) return undefined;
        throw thrown;
      }
    },
  };
}
