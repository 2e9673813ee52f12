/** The data of __C_specific_handler: SCOPE_TABLE_AMD64 (winnt.h), one entry per `__try`. */
import { hex, malformedUnwindData } from '../pe/pe-errors.ts';
import type { PeImage } from '../pe/pe-image.ts';

export type ScopeEntry = {
  readonly beginRva: number;
  readonly endRva: number;
} /** `filterRva` undefined: the filter is the constant EXCEPTION_EXECUTE_HANDLER. */ & (
  | { readonly kind: 'except'; readonly filterRva: number | undefined; readonly targetRva: number }
  | { readonly kind: 'finally'; readonly handlerRva: number }
);

export interface ScopeTable {
  /** Inner scopes stand before outer ones. */
  readonly entries: readonly ScopeEntry[];
  /** What follows belongs to other handlers (`__GSHandlerCheck_SEH` has its cookie's place there). */
  readonly sizeBytes: number;
}

const mostScopes = 65536;

/** `rva` is `handlerDataRva` of a function whose handler is __C_specific_handler. Throws PP1007. */
export function parseScopeTable(pe: PeImage, rva: number): ScopeTable {
  const view = new DataView(pe.mapped.buffer, pe.mapped.byteOffset, pe.mapped.byteLength);
  const fail = (found: string, expected: string): Error => malformedUnwindData(pe.fileName, rva, found, expected);
  if (rva < 0 || rva + 4 > view.byteLength) throw fail('a scope table outside of the image', 'one in the image');
  const count = view.getUint32(rva, true);
  if (count > mostScopes || rva + 4 + count * 16 > view.byteLength) {
    throw fail(`a scope table of ${count} entries`, 'one that ends in the image');
  }
  const entries: ScopeEntry[] = [];
  for (let at = rva + 4; at < rva + 4 + count * 16; at += 16) {
    const beginRva = view.getUint32(at, true);
    const endRva = view.getUint32(at + 4, true);
    const handler = view.getUint32(at + 8, true);
    const targetRva = view.getUint32(at + 12, true);
    if (endRva < beginRva || Math.max(endRva, handler, targetRva) > view.byteLength) {
      throw fail(
        `scope ${hex(beginRva)}..${hex(endRva)} with handler ${hex(handler)} and target ${hex(targetRva)}`,
        'addresses in the image',
      );
    }
    if (targetRva === 0) entries.push({ beginRva, endRva, kind: 'finally', handlerRva: handler });
    else entries.push({ beginRva, endRva, kind: 'except', filterRva: handler === 1 ? undefined : handler, targetRva });
  }
  return { entries, sizeBytes: 4 + count * 16 };
}
