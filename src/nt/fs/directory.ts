/** IRP_MN_QUERY_DIRECTORY: listing a directory entry by entry. */
import type { Nt } from '../nt.ts';
import {
  STATUS_BUFFER_OVERFLOW,
  STATUS_INFO_LENGTH_MISMATCH,
  STATUS_INVALID_PARAMETER,
  STATUS_NO_MORE_FILES,
  STATUS_NO_SUCH_FILE,
  STATUS_SUCCESS,
} from '../ntstatus.ts';
import { upcaseText } from '../rtl/letter-case.ts';
import { isNameInExpression } from '../rtl/name-expression.ts';
import type { Told } from './information.ts';
import type { Open } from './opens.ts';
import { RecordBytes } from './record-bytes.ts';
import { clusterBytes, type FsNode, rootId } from './volume.ts';

/** FILE_INFORMATION_CLASS to where the name stands, and whether a file number stands right before it. */
const layouts: Readonly<Record<number, { readonly name: number; readonly fileId?: number }>> = {
  1: { name: 0x40 },
  2: { name: 0x44 },
  3: { name: 0x5e },
  12: { name: 0x0c },
  37: { name: 0x68, fileId: 0x60 },
  38: { name: 0x50, fileId: 0x48 },
};
const namesClass = 12;

export interface DirectoryQuery {
  readonly informationClass: number;
  readonly room: number;
  /** Undefined: as the listing was begun. */
  readonly pattern: string | undefined;
  readonly restarts: boolean;
  readonly isSingle: boolean;
}

interface Listed {
  readonly name: string;
  readonly node: FsNode;
}

/** Undefined: a class that is not known here. */
export function queryDirectory(nt: Nt, open: Open, node: FsNode, query: DirectoryQuery): Told | undefined {
  const { volume, opens } = nt.fileSystem;
  const refuse = (status: number): Told => ({ status, bytes: new Uint8Array(0) });
  const layout = layouts[query.informationClass];
  if (layout === undefined) return undefined;
  if (!node.isDirectory) return refuse(STATUS_INVALID_PARAMETER);
  if (query.room < layout.name) return refuse(STATUS_INFO_LENGTH_MISMATCH);
  const isFirst = open.listing === undefined;
  const pattern = open.listing?.pattern ?? upcaseText(query.pattern ?? '*');
  const dots: Listed[] =
    node.id === rootId
      ? []
      : [
          { name: '.', node },
          { name: '..', node: volume.node(node.parent) },
        ];
  const children = volume.children(node.id).map((child) => ({ name: child.name, node: child }));
  const all = [...dots, ...children].filter(({ name }) => isNameInExpression(pattern, upcaseText(name)));
  let next = query.restarts ? 0 : (open.listing?.next ?? 0);
  if (next >= all.length) {
    opens.update(open.file, { listing: { pattern, next } });
    return refuse(isFirst ? STATUS_NO_SUCH_FILE : STATUS_NO_MORE_FILES);
  }
  const output = new RecordBytes(query.room);
  let [at, last, end] = [0, -1, 0];
  for (; next < all.length && (last < 0 || !query.isSingle); next++) {
    const entry = all[next] as Listed;
    const length = layout.name + entry.name.length * 2;
    if (at + length > query.room) break;
    writeEntry(output, at, entry, query.informationClass, layout);
    if (last >= 0) output.u32(last, at - last);
    [last, end] = [at, at + length];
    at = Math.ceil(end / 8) * 8;
  }
  if (last >= 0) {
    opens.update(open.file, { listing: { pattern, next } });
    return { status: STATUS_SUCCESS, bytes: output.bytes.subarray(0, end) };
  }
  // Not even one name fits: what does is given, with the name's full length.
  writeEntry(output, 0, all[next] as Listed, query.informationClass, layout);
  opens.update(open.file, { listing: { pattern, next: next + 1 } });
  return { status: STATUS_BUFFER_OVERFLOW, bytes: output.bytes };
}

function writeEntry(
  output: RecordBytes,
  at: number,
  { name, node }: Listed,
  informationClass: number,
  layout: { readonly name: number; readonly fileId?: number },
): void {
  output.text(at + layout.name, name);
  if (informationClass === namesClass) {
    output.u32(at + 8, name.length * 2);
    return;
  }
  const { times, content } = node;
  output
    .i64(at + 0x08, times.created)
    .i64(at + 0x10, times.accessed)
    .i64(at + 0x18, times.written)
    .i64(at + 0x20, times.changed)
    .i64(at + 0x28, content.length)
    .i64(at + 0x30, Math.ceil(content.length / clusterBytes) * clusterBytes)
    .u32(at + 0x38, node.attributes)
    .u32(at + 0x3c, name.length * 2);
  if (layout.fileId !== undefined) output.i64(at + layout.fileId, node.id);
}
