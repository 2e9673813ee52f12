/** The close of a key's handle, and the end of what registry callbacks keep with keys. */
import { nullVa, type Va } from '../../base/va.ts';
import type { ResumedCall } from '../declare/call.ts';
import { passiveOnly } from '../declare/irql-ranges.ts';
import { ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import type { Outcome } from '../declare/outcome.ts';
import { HANDLE, PVOID, ULONG } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { STATUS_SUCCESS } from '../ntstatus.ts';
import { releaseObject } from '../ob/references.ts';
import { callAfter, callBefore, callForCleanup, makeBlock } from './callback-calls.ts';
import type { ObjectContext } from './change-callbacks.ts';

/** Contexts that match end, one after the other; then `last`. The resume point is `cleaned`: [information, …record]. */
function endContexts(
  nt: Nt,
  matches: (context: ObjectContext) => boolean,
  record: readonly number[],
  last: () => Outcome,
): Outcome {
  for (;;) {
    const ended = nt.registry.callbacks.findContext(matches);
    if (ended === undefined) return last();
    const call = callForCleanup(nt, ended, 'cleaned', record);
    if (call !== undefined) return call;
  }
}

/** The handle is closed: with the last reference the contexts go, then the object. Record: [body]. */
function release(nt: Nt, body: Va): Outcome {
  const drop = (): Outcome => {
    releaseObject(nt, body);
    return STATUS_SUCCESS;
  };
  if (nt.objects.get(body)?.pointerCount !== 1) return drop();
  return endContexts(nt, ({ object }) => object === body, [body], drop);
}

function cleaned(nt: Nt, call: ResumedCall): void {
  nt.pool.freeKernel(call.va(0));
}

/** Contexts of one registration end; then it does. */
function endRegistration(nt: Nt, cookie: number): Outcome {
  return endContexts(
    nt,
    (context) => context.cookie === cookie,
    [cookie],
    () => nt.registry.callbacks.unregister(cookie),
  );
}

export const cmKeyClosing = ntInternals({
  CmpCloseKey: ntRoutine({
    doc: "closes a key's handle where RegistryCallback routines hear of it",
    irql: passiveOnly,
    params: { Handle: HANDLE, Object: PVOID },
    returns: 'NTSTATUS',
    body: (nt, { Handle, Object: object }) => {
      const block = makeBlock(nt);
      nt.memory.writeVa(block, object);
      return callBefore(nt, 'KeyHandleClose', block, 'mayPass', [block, Handle]);
    },
    resume: {
      // A close cannot be refused.
      mayPass: (nt, call) => {
        const { status, body = nullVa } = nt.objects.closeHandle(call.word(1));
        const told = { block: call.va(0), object: nt.memory.readVa(call.va(0)), status };
        return callAfter(nt, 'KeyHandleClose', told, 'isOver', [call.va(0), body, status]);
      },
      isOver: (nt, call) => {
        nt.pool.freeKernel(call.va(0));
        return call.va(1) === nullVa ? call.word(2) : release(nt, call.va(1));
      },
      cleaned: (nt, call) => {
        cleaned(nt, call);
        return release(nt, call.va(1));
      },
    },
  }),
  CmpEndRegistration: ntRoutine({
    doc: 'what CmUnRegisterCallback does: contexts of the registration end, then it does',
    irql: passiveOnly,
    params: { Low: ULONG, High: ULONG },
    returns: 'NTSTATUS',
    body: (nt, { Low, High }) => endRegistration(nt, High * 0x1_0000_0000 + Low),
    resume: {
      cleaned: (nt, call) => {
        cleaned(nt, call);
        return endRegistration(nt, call.word(1));
      },
    },
  }),
});
