/** IRP_MJ_CREATE of the file system. */
import { nullVa, type Va } from '../../base/va.ts';
import type { Nt } from '../nt.ts';
import {
  STATUS_ACCESS_DENIED,
  STATUS_CANNOT_DELETE,
  STATUS_DELETE_PENDING,
  STATUS_EAS_NOT_SUPPORTED,
  STATUS_FILE_IS_A_DIRECTORY,
  STATUS_INVALID_PARAMETER,
  STATUS_NOT_A_DIRECTORY,
  STATUS_NOT_SUPPORTED,
  STATUS_OBJECT_NAME_COLLISION,
  STATUS_OBJECT_NAME_INVALID,
  STATUS_OBJECT_NAME_NOT_FOUND,
  STATUS_OBJECT_PATH_NOT_FOUND,
  STATUS_SHARING_VIOLATION,
  STATUS_SUCCESS,
} from '../ntstatus.ts';
import { readUnicodeString } from '../rtl/guest-text.ts';
import { mapGeneric } from '../se/access-check.ts';
import { FILE_OBJECT, IO_STACK_LOCATION } from '../structures/io.ts';
import { FileAccess } from './opens.ts';
import { FileAttribute, type FsNode, rootId } from './volume.ts';

/** FILE_OPEN and so on. */
export const Disposition = { Supersede: 0, Open: 1, Create: 2, OpenIf: 3, Overwrite: 4, OverwriteIf: 5 } as const;
export const CreateOption = {
  Directory: 0x1,
  SynchronousAlert: 0x10,
  SynchronousNonAlert: 0x20,
  NonDirectory: 0x40,
  DeleteOnClose: 0x1000,
  OpenByFileId: 0x2000,
} as const;
/** IO_STATUS_BLOCK.Information of a create. */
export const Opened = { Superseded: 0, Opened: 1, Created: 2, Overwritten: 3 } as const;

const illegal = /["*/:<>?|]/;
const longestName = 255;
/** What files are opened with besides: MAXIMUM_ALLOWED becomes everything. */
const fileMapping = { read: 0x12_0089, write: 0x12_0116, execute: 0x12_00a0, all: 0x1f_01ff };
const maximumAllowed = 0x0200_0000;

export interface Answer {
  readonly status: number;
  readonly information: number;
}

const refuse = (status: number): Answer => ({ status, information: 0 });

interface Request {
  readonly file: Va;
  readonly access: number;
  readonly share: number;
  readonly disposition: number;
  readonly options: number;
  readonly attributes: number;
}

/** Takes the request's parameters from the stack location; `access` as the security context has it. */
export function create(nt: Nt, location: Va): Answer {
  const { memory } = nt;
  const file = IO_STACK_LOCATION.FileObject.get(memory, location);
  const security = IO_STACK_LOCATION.CreateSecurityContext.get(memory, location);
  const packed = IO_STACK_LOCATION.CreateOptions.get(memory, location);
  if (IO_STACK_LOCATION.CreateEaLength.get(memory, location) !== 0) return refuse(STATUS_EAS_NOT_SUPPORTED);
  const asked = mapGeneric(memory.readU32((security + 0x10) as Va), fileMapping);
  const request: Request = {
    file,
    access: (asked & maximumAllowed) === 0 ? asked : fileMapping.all,
    share: IO_STACK_LOCATION.CreateShareAccess.get(memory, location),
    disposition: packed >>> 24,
    options: packed & 0xff_ffff,
    attributes: IO_STACK_LOCATION.CreateFileAttributes.get(memory, location),
  };
  const isBoth =
    (request.options & CreateOption.Directory) !== 0 && (request.options & CreateOption.NonDirectory) !== 0;
  if (isBoth || request.disposition > Disposition.OverwriteIf) return refuse(STATUS_INVALID_PARAMETER);
  if ((request.options & CreateOption.OpenByFileId) !== 0) return refuse(STATUS_NOT_SUPPORTED);
  return createByName(nt, request);
}

function createByName(nt: Nt, request: Request): Answer {
  const name = readUnicodeString(nt.memory, FILE_OBJECT.FileName.at(request.file));
  const related = FILE_OBJECT.RelatedFileObject.get(nt.memory, request.file);
  if (related === nullVa && name === '') return openVolume(nt, request);
  if (related !== nullVa && name.startsWith('\\')) return refuse(STATUS_OBJECT_NAME_INVALID);
  const start = related === nullVa ? nt.fileSystem.volume.node(rootId) : startOf(nt, related);
  if (start === undefined) return refuse(STATUS_OBJECT_PATH_NOT_FOUND);
  const endsInSlash = name.endsWith('\\');
  const parts = name.split('\\').filter((part, index, all) => part !== '' || (index > 0 && index < all.length - 1));
  if (parts.some((part) => part === '' || part.length > longestName || illegal.test(part))) {
    return refuse(STATUS_OBJECT_NAME_INVALID);
  }
  return walk(nt, request, start, parts, endsInSlash && parts.length > 0);
}

function startOf(nt: Nt, related: Va): FsNode | undefined {
  const open = nt.fileSystem.opens.get(related);
  return open === undefined || open.isVolume ? undefined : nt.fileSystem.volume.node(open.node);
}

function openVolume(nt: Nt, { file, access, share, disposition, options }: Request): Answer {
  if (disposition !== Disposition.Open && disposition !== Disposition.OpenIf) return refuse(STATUS_ACCESS_DENIED);
  if ((options & CreateOption.Directory) !== 0) return refuse(STATUS_NOT_A_DIRECTORY);
  const rest = { deletesOnClose: false, isCleanedUp: false, listing: undefined };
  nt.fileSystem.opens.add({ file, node: rootId, isVolume: true, access, share, ...rest });
  return { status: STATUS_SUCCESS, information: Opened.Opened };
}

function walk(nt: Nt, request: Request, start: FsNode, parts: readonly string[], wantsDirectory: boolean): Answer {
  const { volume } = nt.fileSystem;
  let node: FsNode | undefined = start;
  for (const part of parts.slice(0, -1)) {
    node = volume.child(node.id, part);
    if (node === undefined || !node.isDirectory) return refuse(STATUS_OBJECT_PATH_NOT_FOUND);
  }
  const last = parts.at(-1);
  const found: FsNode | undefined = last === undefined ? node : volume.child(node.id, last);
  if (found !== undefined) {
    if (wantsDirectory && !found.isDirectory) return refuse(STATUS_OBJECT_NAME_INVALID);
    return openNode(nt, request, found);
  }
  if (!node.isDirectory) return refuse(STATUS_OBJECT_PATH_NOT_FOUND);
  return makeNode(nt, request, node, last ?? '', wantsDirectory);
}

function makeNode(nt: Nt, request: Request, parent: FsNode, name: string, wantsDirectory: boolean): Answer {
  const { disposition, options, attributes } = request;
  if (disposition === Disposition.Open || disposition === Disposition.Overwrite) {
    return refuse(STATUS_OBJECT_NAME_NOT_FOUND);
  }
  const isDirectory = (options & CreateOption.Directory) !== 0;
  if (isDirectory && disposition !== Disposition.Create && disposition !== Disposition.OpenIf) {
    return refuse(STATUS_INVALID_PARAMETER);
  }
  if (wantsDirectory && !isDirectory) return refuse(STATUS_OBJECT_NAME_INVALID);
  if (parent.isDeletePending) return refuse(STATUS_DELETE_PENDING);
  const settable = FileAttribute.ReadOnly | FileAttribute.Hidden | FileAttribute.System | FileAttribute.Archive;
  const kind = isDirectory ? FileAttribute.Directory : FileAttribute.Archive;
  const node = nt.fileSystem.volume.add(parent.id, name, isDirectory, (attributes & settable) | kind);
  addOpen(nt, request, node);
  return { status: STATUS_SUCCESS, information: Opened.Created };
}

const replacing: readonly number[] = [Disposition.Supersede, Disposition.Overwrite, Disposition.OverwriteIf];

function openNode(nt: Nt, request: Request, node: FsNode): Answer {
  const { disposition, options, access, share } = request;
  if (node.isDeletePending) return refuse(STATUS_DELETE_PENDING);
  if (disposition === Disposition.Create) return refuse(STATUS_OBJECT_NAME_COLLISION);
  if (node.isDirectory && (options & CreateOption.NonDirectory) !== 0) return refuse(STATUS_FILE_IS_A_DIRECTORY);
  if (!node.isDirectory && (options & CreateOption.Directory) !== 0) return refuse(STATUS_NOT_A_DIRECTORY);
  const replaces = replacing.includes(disposition);
  if (replaces && node.isDirectory) return refuse(STATUS_OBJECT_NAME_COLLISION);
  const isReadOnly = (node.attributes & FileAttribute.ReadOnly) !== 0 && !node.isDirectory;
  const writes = (access & (FileAccess.WriteData | FileAccess.AppendData)) !== 0;
  if (isReadOnly && (writes || replaces)) return refuse(STATUS_ACCESS_DENIED);
  if (isReadOnly && (options & CreateOption.DeleteOnClose) !== 0) return refuse(STATUS_CANNOT_DELETE);
  if (!nt.fileSystem.opens.mayShare(node.id, access, share)) return refuse(STATUS_SHARING_VIOLATION);
  addOpen(nt, request, node);
  if (!replaces) return { status: STATUS_SUCCESS, information: Opened.Opened };
  nt.fileSystem.volume.resize(node.id, 0);
  const information = disposition === Disposition.Supersede ? Opened.Superseded : Opened.Overwritten;
  return { status: STATUS_SUCCESS, information };
}

function addOpen(nt: Nt, { file, access, share, options }: Request, node: FsNode): void {
  const deletesOnClose = (options & CreateOption.DeleteOnClose) !== 0;
  const rest = { isVolume: false, deletesOnClose, isCleanedUp: false, listing: undefined };
  nt.fileSystem.opens.add({ file, node: node.id, access, share, ...rest });
}

/** IRP_MJ_CLEANUP: the last handle of the file object went. */
export function cleanUp(nt: Nt, file: Va): void {
  const { opens, volume } = nt.fileSystem;
  const open = opens.get(file);
  if (open === undefined || open.isVolume) return;
  opens.update(file, { isCleanedUp: true });
  const isEmpty = volume.children(open.node).length === 0;
  if (open.deletesOnClose && isEmpty && open.node !== rootId) volume.update(open.node, { isDeletePending: true });
  if (volume.node(open.node).isDeletePending && opens.of(open.node).length === 0) volume.remove(open.node);
}
