/** What happens when references to an object go. */
import { hexVa, type Va } from '../../base/va.ts';
import { BugCheck } from '../declare/bug-check.ts';
import { Irql } from '../declare/nt-routine.ts';
import type { Nt } from '../nt.ts';
import type { ObjectType } from './object-manager.ts';

/** What is left after a reference went: a count, or a file object whose driver must hear of it (IopDeleteFile). */
export type Released = { readonly count: number; readonly file?: undefined } | { readonly count: 0; readonly file: Va };

/** Takes a reference; bug check 0x18 for what is no object. */
export function referenceObject(nt: Nt, body: Va): number {
  if (nt.objects.get(body) === undefined) throw noObject(body, 'referenced');
  return nt.objects.reference(body);
}

/**
 * Drops a reference, and the object with the last one. A file object is closed by IopDeleteFile, which the caller must
 * call; above PASSIVE_LEVEL a system thread does it later.
 */
export function releaseObject(nt: Nt, body: Va): Released {
  const record = nt.objects.get(body);
  if (record === undefined) throw noObject(body, 'dereferenced');
  if (record.type === 'File' && record.pointerCount === 1 && nt.cpu.state.irql > Irql.PASSIVE) {
    nt.io.files.dereferenceLater(body);
    return { count: 0 };
  }
  const count = nt.objects.dereference(body);
  if (count > 0) {
    if (record.type === 'Driver') nt.io.drivers.retryUnload(body);
    return { count };
  }
  if (record.type === 'File') return { count: 0, file: body };
  deleteBody(nt, body, record.type);
  return { count: 0 };
}

/** As {@link releaseObject}, where nothing can be called: a file object is always closed later. */
export function releaseObjectLater(nt: Nt, body: Va): number {
  if (nt.objects.get(body)?.type === 'File') {
    const count = (nt.objects.get(body)?.pointerCount ?? 1) - 1;
    nt.io.files.dereferenceLater(body);
    return count;
  }
  return releaseObject(nt, body).count;
}

function deleteBody(nt: Nt, body: Va, type: ObjectType): void {
  if (type === 'Event' || type === 'Callback' || type === 'Directory' || type === 'SymbolicLink')
    nt.pool.freeKernel(body);
  else if (type === 'Thread') nt.scheduler.threads.forget(body);
  else if (type === 'Key') nt.registry.freeBody(body);
  else if (type === 'Device') nt.io.devices.freeBody(body);
  else if (type === 'Section') nt.sections.freeBody(body);
  else if (type === 'Token') nt.tokens.freeBody(body);
  else throw noObject(body, `dereferenced once too often (${type})`);
}

function noObject(body: Va, what: string): BugCheck {
  return new BugCheck(
    0x18,
    [0, body, 2, 0],
    `an address that is no object, or no longer one, was ${what}: ${hexVa(body)}`,
  );
}
