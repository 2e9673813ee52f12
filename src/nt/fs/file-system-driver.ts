/** The file system's dispatch routine: every request is answered at once. */
import { nullVa, type Va } from '../../base/va.ts';
import { Access } from '../../engine/memory/layout.ts';
import { passiveOnly } from '../declare/irql-ranges.ts';
import { ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest, type Outcome, unsupported } from '../declare/outcome.ts';
import { pointerTo } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import {
  STATUS_DISK_FULL,
  STATUS_END_OF_FILE,
  STATUS_FILE_CLOSED,
  STATUS_INVALID_DEVICE_REQUEST,
  STATUS_INVALID_PARAMETER,
  STATUS_INVALID_USER_BUFFER,
  STATUS_SUCCESS,
} from '../ntstatus.ts';
import { readUnicodeString } from '../rtl/guest-text.ts';
import { FILE_OBJECT, FileFlag, IO_STACK_LOCATION, IRP, MajorFunction } from '../structures/io.ts';
import { cleanUp, create } from './create.ts';
import { queryDirectory } from './directory.ts';
import { queryInformation, queryVolume, setInformation, type Told } from './information.ts';
import type { Open } from './opens.ts';
import type { FsNode } from './volume.ts';

interface Answer {
  readonly status: number;
  readonly information: number;
}

const plain = (status: number): Answer => ({ status, information: 0 });
const toEndOfFile = -1n;
const usePosition = -2n;
/** IO_STACK_LOCATION.Flags of a directory query. */
const SearchFlag = { RestartScan: 1, ReturnSingleEntry: 2 } as const;

/** The caller's buffer: the system buffer, or his own as he gave it. */
function bufferOf(nt: Nt, irp: Va): Va {
  const system = IRP.SystemBuffer.get(nt.memory, irp);
  return system === nullVa ? IRP.UserBuffer.get(nt.memory, irp) : system;
}

function read(nt: Nt, irp: Va, location: Va, file: Va, node: FsNode): Answer {
  const { memory } = nt;
  const length = IO_STACK_LOCATION.ReadWriteLength.get(memory, location);
  if (node.isDirectory) return plain(STATUS_INVALID_DEVICE_REQUEST);
  const offset = Number(positionOf(nt, file, location));
  if (offset < 0) return plain(STATUS_INVALID_PARAMETER);
  if (length === 0) return plain(STATUS_SUCCESS);
  if (offset >= node.content.length) return plain(STATUS_END_OF_FILE);
  const part = node.content.subarray(offset, offset + length);
  const buffer = bufferOf(nt, irp);
  const isUser = IRP.RequestorMode.get(memory, irp) !== 0;
  if (isUser && !memory.isAccessible(buffer, part.length, Access.Write)) return plain(STATUS_INVALID_USER_BUFFER);
  memory.writeBytes(buffer, part);
  movePosition(nt, file, offset + part.length);
  return { status: STATUS_SUCCESS, information: part.length };
}

function write(nt: Nt, irp: Va, location: Va, file: Va, node: FsNode): Answer {
  const { memory } = nt;
  const length = IO_STACK_LOCATION.ReadWriteLength.get(memory, location);
  if (node.isDirectory) return plain(STATUS_INVALID_DEVICE_REQUEST);
  const asked = positionOf(nt, file, location);
  const offset = asked === toEndOfFile ? node.content.length : Number(asked);
  if (offset < 0) return plain(STATUS_INVALID_PARAMETER);
  if (length === 0) return plain(STATUS_SUCCESS);
  const buffer = bufferOf(nt, irp);
  const isUser = IRP.RequestorMode.get(memory, irp) !== 0;
  if (isUser && !memory.isAccessible(buffer, length, Access.Read)) return plain(STATUS_INVALID_USER_BUFFER);
  if (!nt.fileSystem.volume.write(node.id, offset, memory.readBytes(buffer, length))) return plain(STATUS_DISK_FULL);
  movePosition(nt, file, offset + length);
  return { status: STATUS_SUCCESS, information: length };
}

function positionOf(nt: Nt, file: Va, location: Va): bigint {
  const asked = BigInt.asIntN(64, IO_STACK_LOCATION.ReadWriteByteOffset.get(nt.memory, location));
  return asked === usePosition ? BigInt.asIntN(64, FILE_OBJECT.CurrentByteOffset.get(nt.memory, file)) : asked;
}

/** Only files that are open for synchronous I/O have a position. */
function movePosition(nt: Nt, file: Va, to: number): void {
  if ((FILE_OBJECT.Flags.get(nt.memory, file) & FileFlag.SynchronousIo) === 0) return;
  FILE_OBJECT.CurrentByteOffset.set(nt.memory, file, BigInt(to));
}

function tell(nt: Nt, irp: Va, told: Told): Answer {
  if (told.bytes.length > 0) nt.memory.writeBytes(bufferOf(nt, irp), told.bytes);
  return { status: told.status, information: told.bytes.length };
}

function listDirectory(nt: Nt, irp: Va, location: Va, open: Open, node: FsNode): Answer | string {
  const { memory } = nt;
  const informationClass = IO_STACK_LOCATION.DirectoryInformationClass.get(memory, location);
  const name = IO_STACK_LOCATION.DirectoryFileName.get(memory, location);
  const flags = IO_STACK_LOCATION.Flags.get(memory, location);
  const told = queryDirectory(nt, open, node, {
    informationClass,
    room: IO_STACK_LOCATION.DirectoryLength.get(memory, location),
    pattern: name === nullVa ? undefined : readUnicodeString(memory, name),
    restarts: (flags & SearchFlag.RestartScan) !== 0,
    isSingle: (flags & SearchFlag.ReturnSingleEntry) !== 0,
  });
  return told === undefined ? `a directory listing of class ${informationClass}` : tell(nt, irp, told);
}

/** A text says what is not supported. */
function answer(nt: Nt, device: Va, irp: Va, location: Va): Answer | string {
  const { memory, fileSystem } = nt;
  const major = IO_STACK_LOCATION.MajorFunction.get(memory, location);
  const file = IO_STACK_LOCATION.FileObject.get(memory, location);
  if (major === MajorFunction.Create) return create(nt, location);
  if (major === MajorFunction.Cleanup) {
    cleanUp(nt, file);
    return plain(STATUS_SUCCESS);
  }
  if (major === MajorFunction.Close) {
    fileSystem.opens.remove(file);
    return plain(STATUS_SUCCESS);
  }
  const [length, informationClass] = [
    IO_STACK_LOCATION.QueryLength.get(memory, location),
    IO_STACK_LOCATION.QueryInformationClass.get(memory, location),
  ];
  if (major === MajorFunction.QueryVolumeInformation) {
    const told = queryVolume(nt, informationClass, length, device);
    return told === undefined ? `volume information of class ${informationClass}` : tell(nt, irp, told);
  }
  const open = fileSystem.opens.get(file);
  const node = open === undefined ? undefined : fileSystem.volume.existing(open.node);
  if (open === undefined || node === undefined) return plain(STATUS_FILE_CLOSED);
  if (open.isVolume && major !== MajorFunction.FlushBuffers) return plain(STATUS_INVALID_DEVICE_REQUEST);
  switch (major) {
    case MajorFunction.Read:
      return read(nt, irp, location, file, node);
    case MajorFunction.Write:
      return write(nt, irp, location, file, node);
    case MajorFunction.FlushBuffers:
      return plain(STATUS_SUCCESS);
    case MajorFunction.QueryInformation: {
      const told = queryInformation(nt, open, node, informationClass, length);
      return told === undefined ? `file information of class ${informationClass}` : tell(nt, irp, told);
    }
    case MajorFunction.SetInformation: {
      const status = setInformation(nt, open, node, informationClass, memory.readBytes(bufferOf(nt, irp), length));
      return status === undefined ? `a change of file information of class ${informationClass}` : plain(status);
    }
    case MajorFunction.DirectoryControl:
      return listDirectory(nt, irp, location, open, node);
    default:
      return plain(STATUS_INVALID_DEVICE_REQUEST);
  }
}

export const fileSystemDriver = ntInternals({
  IopFileSystemDispatch: ntRoutine({
    doc: 'dispatch routine of the file system',
    irql: passiveOnly,
    params: { DeviceObject: pointerTo('DEVICE_OBJECT'), Irp: pointerTo('IRP') },
    returns: 'NTSTATUS',
    body: (nt, { DeviceObject, Irp }): Outcome => {
      const result = answer(nt, DeviceObject, Irp, nt.io.irps.currentLocation(Irp));
      if (typeof result === 'string') return unsupported(result);
      IRP.Status.set(nt.memory, Irp, result.status);
      IRP.Information.set(nt.memory, Irp, BigInt(result.information));
      return callGuest(nt.entries.routineVa('IofCompleteRequest'), [Irp, 0], 'completed', [result.status]);
    },
    resume: { completed: (_nt, call) => call.word(0) },
  }),
});
