/** Closing: IRP_MJ_CLEANUP with the last handle, IRP_MJ_CLOSE with the last reference. */
import { nullVa, type Va } from '../../base/va.ts';
import type { ResumedCall } from '../declare/call.ts';
import { callGuest, type Outcome } from '../declare/outcome.ts';
import type { Nt } from '../nt.ts';
import { STATUS_PENDING, STATUS_SUCCESS } from '../ntstatus.ts';
import { releaseObject } from '../ob/references.ts';
import { IrpFlag, MajorFunction } from '../structures/io.ts';

import { eventOf, forward, internalRequest, waitFor } from './internal-request.ts';

/** Closes a handle: IRP_MJ_CLEANUP with the last one, IRP_MJ_CLOSE with the last reference. */
export function close(nt: Nt, handle: Va): Outcome {
  const object = nt.objects.handle(handle)?.body ?? nullVa;
  const type = nt.objects.get(object)?.type;
  if (type === 'Key' && nt.registry.callbacks.isAny) {
    return callGuest(nt.entries.routineVa('CmpCloseKey'), [handle, object], 'keyClosed', []);
  }
  const isFile = type === 'File';
  const closed = nt.objects.closeHandle(handle);
  if (closed.body === undefined) return closed.status;
  if (!isFile) {
    releaseObject(nt, closed.body);
    return STATUS_SUCCESS;
  }
  if (closed.wasLast !== true) return dereferenceFile(nt, closed.body);
  const { irp, device, block } = internalRequest(
    nt,
    closed.body,
    IrpFlag.CloseOperation | IrpFlag.SynchronousApi,
    MajorFunction.Cleanup,
    () => {},
  );
  return forward(nt, device, irp, 'cleanedUp', [closed.body, block]);
}

function cleanedUp(nt: Nt, call: ResumedCall): Outcome {
  if (call.status === STATUS_PENDING) return waitFor(eventOf(call.va(1)), 'cleanupCompleted', call.record);
  return cleanupCompleted(nt, call);
}

function cleanupCompleted(nt: Nt, call: ResumedCall): Outcome {
  nt.pool.freeKernel(call.va(1));
  return dereferenceFile(nt, call.va(0));
}

function dereferenceFile(nt: Nt, file: Va): Outcome {
  if (nt.objects.dereference(file) !== 0) return STATUS_SUCCESS;
  return callGuest(nt.entries.routineVa('IopDeleteFile'), [file], 'deleted', []);
}

function keyClosed(_nt: Nt, call: ResumedCall): Outcome {
  return call.status;
}

export const closeResume = { cleanedUp, cleanupCompleted, deleted: (): Outcome => STATUS_SUCCESS, keyClosed };

export function closed(nt: Nt, call: ResumedCall): Outcome {
  nt.pool.freeKernel(call.va(1));
  nt.io.files.free(call.va(0));
  return STATUS_SUCCESS;
}

export function nextDeferred(nt: Nt): Outcome {
  const file = nt.io.files.takeDeferred();
  return file === undefined ? undefined : callGuest(nt.entries.routineVa('IopDeleteFile'), [file], 'deleted', []);
}
