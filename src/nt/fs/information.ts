/** IRP_MJ_QUERY_INFORMATION, IRP_MJ_SET_INFORMATION, IRP_MJ_QUERY_VOLUME_INFORMATION of the file system. */
import type { Va } from '../../base/va.ts';
import type { Nt } from '../nt.ts';
import {
  STATUS_ACCESS_DENIED,
  STATUS_BUFFER_OVERFLOW,
  STATUS_CANNOT_DELETE,
  STATUS_DIRECTORY_NOT_EMPTY,
  STATUS_DISK_FULL,
  STATUS_INFO_LENGTH_MISMATCH,
  STATUS_INVALID_PARAMETER,
  STATUS_OBJECT_NAME_COLLISION,
  STATUS_OBJECT_NAME_INVALID,
  STATUS_OBJECT_PATH_NOT_FOUND,
  STATUS_SUCCESS,
} from '../ntstatus.ts';
import { textOfUtf16 } from '../rtl/guest-text.ts';
import {
  FILE_BASIC_INFORMATION,
  FILE_NAME_INFORMATION,
  FILE_NETWORK_OPEN_INFORMATION,
  FILE_RENAME_INFORMATION,
  FILE_STANDARD_INFORMATION,
} from '../structures/files.ts';
import { FILE_OBJECT } from '../structures/io.ts';
import type { Open } from './opens.ts';
import { RecordBytes } from './record-bytes.ts';
import { clusterBytes, FileAttribute, type FsNode, rootId, volumeBytes } from './volume.ts';

/** FILE_INFORMATION_CLASS */
export const InformationClass = {
  Basic: 4,
  Standard: 5,
  Internal: 6,
  Ea: 7,
  Name: 9,
  Rename: 10,
  Disposition: 13,
  Position: 14,
  Allocation: 19,
  EndOfFile: 20,
  NetworkOpen: 34,
  AttributeTag: 35,
} as const;

/** FS_INFORMATION_CLASS */
const VolumeClass = { Volume: 1, Size: 3, Device: 4, Attribute: 5, FullSize: 7 } as const;

export interface Told {
  readonly status: number;
  readonly bytes: Uint8Array;
}

const nothing = new Uint8Array(0);
const refuse = (status: number): Told => ({ status, bytes: nothing });
const allocated = (length: number): number => Math.ceil(length / clusterBytes) * clusterBytes;

/** A record as long as it is: too little room is a mismatch, unless only its name (behind `fixed` bytes) is cut off. */
function fitted(record: Uint8Array, room: number, fixed = record.length): Told {
  if (room < fixed) return refuse(STATUS_INFO_LENGTH_MISMATCH);
  if (room < record.length) return { status: STATUS_BUFFER_OVERFLOW, bytes: record.subarray(0, room) };
  return { status: STATUS_SUCCESS, bytes: record };
}

function attributesOf(node: FsNode): number {
  return node.attributes === 0 ? FileAttribute.Normal : node.attributes;
}

function writeTimes(record: RecordBytes, at: number, { times }: FsNode): RecordBytes {
  return record
    .i64(at, times.created)
    .i64(at + 8, times.accessed)
    .i64(at + 16, times.written)
    .i64(at + 24, times.changed);
}

/** The fields of FILE_NETWORK_OPEN_INFORMATION, also for ZwQueryFullAttributesFile. */
export function networkOpen(node: FsNode): Uint8Array {
  const at = FILE_NETWORK_OPEN_INFORMATION;
  return writeTimes(new RecordBytes(at.sizeBytes), 0, node)
    .i64(at.AllocationSize.offset, allocated(node.content.length))
    .i64(at.EndOfFile.offset, node.content.length)
    .u32(at.FileAttributes.offset, attributesOf(node)).bytes;
}

/** Undefined: a class that is not known here. */
export function queryInformation(nt: Nt, open: Open, node: FsNode, queried: number, room: number): Told | undefined {
  const { volume } = nt.fileSystem;
  switch (queried) {
    case InformationClass.Basic: {
      const record = writeTimes(new RecordBytes(FILE_BASIC_INFORMATION.sizeBytes), 0, node);
      return fitted(record.u32(FILE_BASIC_INFORMATION.FileAttributes.offset, attributesOf(node)).bytes, room);
    }
    case InformationClass.Standard: {
      const at = FILE_STANDARD_INFORMATION;
      const record = new RecordBytes(at.sizeBytes)
        .i64(at.AllocationSize.offset, allocated(node.content.length))
        .i64(at.EndOfFile.offset, node.content.length)
        .u32(at.NumberOfLinks.offset, node.isDeletePending ? 0 : 1)
        .u8(at.DeletePending.offset, node.isDeletePending ? 1 : 0)
        .u8(at.Directory.offset, node.isDirectory ? 1 : 0);
      return fitted(record.bytes, room);
    }
    case InformationClass.Internal:
      return fitted(new RecordBytes(8).i64(0, node.id).bytes, room);
    case InformationClass.Ea:
      return fitted(new RecordBytes(4).bytes, room);
    case InformationClass.Name: {
      const path = volume.pathOf(node.id);
      const start = FILE_NAME_INFORMATION.FileName.offset;
      const record = new RecordBytes(start + path.length * 2).u32(0, path.length * 2).text(start, path);
      return fitted(record.bytes, room, start);
    }
    case InformationClass.Position: {
      const position = Number(FILE_OBJECT.CurrentByteOffset.get(nt.memory, open.file));
      return fitted(new RecordBytes(8).i64(0, position).bytes, room);
    }
    case InformationClass.NetworkOpen:
      return fitted(networkOpen(node), room);
    case InformationClass.AttributeTag:
      return fitted(new RecordBytes(8).u32(0, attributesOf(node)).bytes, room);
    default:
      return undefined;
  }
}

// ---- changes

/** A time of 0 stays as it is, -1 stops the file system from changing it. */
function changedTime(view: DataView, at: number, old: number): number {
  const value = Number(view.getBigInt64(at, true));
  return value <= 0 ? old : value;
}

function setBasic(nt: Nt, node: FsNode, view: DataView): number {
  if (view.byteLength < FILE_BASIC_INFORMATION.sizeBytes) return STATUS_INFO_LENGTH_MISMATCH;
  const asked = view.getUint32(FILE_BASIC_INFORMATION.FileAttributes.offset, true);
  const isDirectory = (asked & FileAttribute.Directory) !== 0;
  if (isDirectory && !node.isDirectory) return STATUS_INVALID_PARAMETER;
  const kept = node.attributes & FileAttribute.Directory;
  const attributes = asked === 0 ? node.attributes : (asked & 0x27) | kept;
  const { created, accessed, written, changed } = node.times;
  const times = {
    created: changedTime(view, 0, created),
    accessed: changedTime(view, 8, accessed),
    written: changedTime(view, 16, written),
    changed: changedTime(view, 24, changed),
  };
  nt.fileSystem.volume.update(node.id, { attributes, times });
  return STATUS_SUCCESS;
}

function setDisposition(nt: Nt, node: FsNode, deletes: boolean): number {
  const { volume } = nt.fileSystem;
  if (deletes) {
    if (node.id === rootId || (node.attributes & FileAttribute.ReadOnly) !== 0) return STATUS_CANNOT_DELETE;
    if (volume.children(node.id).length > 0) return STATUS_DIRECTORY_NOT_EMPTY;
  }
  volume.update(node.id, { isDeletePending: deletes });
  return STATUS_SUCCESS;
}

/** The new name: of the same directory, or a path from the root (`\??\C:\…` or `\…`). */
function rename(nt: Nt, node: FsNode, buffer: Uint8Array, view: DataView): number {
  const { volume, opens } = nt.fileSystem;
  const at = FILE_RENAME_INFORMATION;
  if (buffer.length < at.FileName.offset) return STATUS_INFO_LENGTH_MISMATCH;
  const bytes = view.getUint32(at.FileNameLength.offset, true);
  if (bytes === 0 || at.FileName.offset + bytes > buffer.length) return STATUS_INVALID_PARAMETER;
  const name = textOfUtf16(buffer.subarray(at.FileName.offset, at.FileName.offset + bytes));
  const parts = name
    .replace(/^\\(\?\?|DosDevices)\\C:/i, '')
    .split('\\')
    .filter((part) => part !== '');
  const last = parts.at(-1);
  if (last === undefined || /["*/:<>?|]/.test(last)) return STATUS_OBJECT_NAME_INVALID;
  const parent = name.startsWith('\\') ? volume.find(parts.slice(0, -1)) : volume.node(node.parent);
  if (parent === undefined || !parent.isDirectory) return STATUS_OBJECT_PATH_NOT_FOUND;
  if (node.id === rootId || volume.isBelow(parent.id, node.id)) return STATUS_ACCESS_DENIED;
  const existing = volume.child(parent.id, last);
  if (existing !== undefined && existing.id !== node.id) {
    if (view.getUint8(at.ReplaceIfExists.offset) === 0) return STATUS_OBJECT_NAME_COLLISION;
    if (existing.isDirectory || opens.of(existing.id).length > 0) return STATUS_ACCESS_DENIED;
    volume.remove(existing.id);
  }
  volume.update(node.id, { parent: parent.id, name: last });
  return STATUS_SUCCESS;
}

function setLength(nt: Nt, node: FsNode, length: number, isAllocation: boolean): number {
  if (node.isDirectory || length < 0) return STATUS_INVALID_PARAMETER;
  // An allocation beyond the end of the file reserves room and does not make it longer.
  if (isAllocation && length >= node.content.length) return length > volumeBytes ? STATUS_DISK_FULL : STATUS_SUCCESS;
  return nt.fileSystem.volume.resize(node.id, length) ? STATUS_SUCCESS : STATUS_DISK_FULL;
}

/** Undefined: a class that is not known here. */
export function setInformation(nt: Nt, open: Open, node: FsNode, set: number, buffer: Uint8Array): number | undefined {
  const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  const hasNumber = buffer.length >= 8;
  const number = hasNumber ? Number(view.getBigInt64(0, true)) : 0;
  switch (set) {
    case InformationClass.Basic:
      return setBasic(nt, node, view);
    case InformationClass.Disposition:
      return buffer.length < 1 ? STATUS_INFO_LENGTH_MISMATCH : setDisposition(nt, node, buffer[0] !== 0);
    case InformationClass.Rename:
      return rename(nt, node, buffer, view);
    case InformationClass.Position:
      if (!hasNumber) return STATUS_INFO_LENGTH_MISMATCH;
      if (number < 0) return STATUS_INVALID_PARAMETER;
      FILE_OBJECT.CurrentByteOffset.set(nt.memory, open.file, BigInt(number));
      return STATUS_SUCCESS;
    case InformationClass.EndOfFile:
      return hasNumber ? setLength(nt, node, number, false) : STATUS_INFO_LENGTH_MISMATCH;
    case InformationClass.Allocation:
      return hasNumber ? setLength(nt, node, number, true) : STATUS_INFO_LENGTH_MISMATCH;
    default:
      return undefined;
  }
}

// ---- the volume

const serialNumber = 0x5eed_c0de;
const fileSystemName = 'NTFS';
const label = 'Windows';
/** FILE_CASE_PRESERVED_NAMES and FILE_UNICODE_ON_DISK and FILE_PERSISTENT_ACLS */
const fileSystemAttributes = 0xe;
const fileDeviceDisk = 7;

export function queryVolume(nt: Nt, queried: number, room: number, device: Va): Told | undefined {
  const { volume } = nt.fileSystem;
  const total = volumeBytes / clusterBytes;
  const free = total - Math.ceil(volume.usedBytes / clusterBytes);
  switch (queried) {
    case VolumeClass.Volume: {
      const record = new RecordBytes(18 + label.length * 2).i64(0, volume.node(rootId).times.created);
      return fitted(
        record
          .u32(8, serialNumber)
          .u32(12, label.length * 2)
          .u8(16, 1)
          .text(18, label).bytes,
        room,
        24,
      );
    }
    case VolumeClass.Size:
      return fitted(new RecordBytes(24).i64(0, total).i64(8, free).u32(16, 8).u32(20, 512).bytes, room);
    case VolumeClass.FullSize:
      return fitted(new RecordBytes(32).i64(0, total).i64(8, free).i64(16, free).u32(24, 8).u32(28, 512).bytes, room);
    case VolumeClass.Device:
      return fitted(new RecordBytes(8).u32(0, device === 0 ? 0 : fileDeviceDisk).bytes, room);
    case VolumeClass.Attribute: {
      const record = new RecordBytes(12 + fileSystemName.length * 2).u32(0, fileSystemAttributes).u32(4, 255);
      return fitted(record.u32(8, fileSystemName.length * 2).text(12, fileSystemName).bytes, room, 16);
    }
    default:
      return undefined;
  }
}
