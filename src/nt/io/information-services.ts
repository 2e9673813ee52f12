/** NtQueryInformationFile and its relatives: requests that the I/O manager waits for. */
import { nullVa, type Va } from '../../base/va.ts';
import { Access } from '../../engine/memory/layout.ts';
import type { ResumedCall } from '../declare/call.ts';
import { passiveOnly } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { type Outcome, unsupported } from '../declare/outcome.ts';
import { BOOLEAN, HANDLE, PVOID, ULONG } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { STATUS_ACCESS_VIOLATION, STATUS_PENDING } from '../ntstatus.ts';
import {
  DEVICE_OBJECT,
  DeviceFlag,
  IO_STACK_LOCATION,
  IO_STATUS_BLOCK,
  IRP,
  IrpFlag,
  MajorFunction,
} from '../structures/io.ts';
import { eventOf, forward, internalRequest, waitFor } from './internal-request.ts';
import { isAccessible, withFile } from './transfer.ts';

interface InformationRequest {
  readonly handle: Va;
  readonly iosb: Va;
  readonly buffer: Va;
  readonly bytes: number;
  readonly major: number;
  /** Access that the handle needs; 0 for none. */
  readonly access: number;
  readonly mode: number;
  /** Whether the buffer is for the answer. */
  readonly isOutput: boolean;
  readonly fill: (location: Va) => void;
}

const writeAttributes = 0x100;
const readAttributes = 0x80;
const listDirectory = 0x1;
const deleteAccess = 0x1_0000;
const writeData = 0x2;

/** Query and set requests are buffered whatever the device; a directory listing is as the device asks for it. */
function send(nt: Nt, request: InformationRequest): Outcome {
  const { memory } = nt;
  const access = request.isOutput ? Access.Write : Access.Read;
  if (request.mode !== 0 && !isAccessible(nt, request.mode, request.buffer, request.bytes, access)) {
    return STATUS_ACCESS_VIOLATION;
  }
  const go = (file: Va): Outcome => {
    const top = nt.io.devices.top(nt.io.files.device(file));
    const wantsBuffer = (DEVICE_OBJECT.Flags.get(memory, top) & DeviceFlag.BufferedIo) !== 0;
    const fill = (location: Va, packet: Va): void => {
      request.fill(location);
      if (request.major === MajorFunction.DirectoryControl && !wantsBuffer) {
        IRP.UserBuffer.set(memory, packet, request.buffer);
      } else if (request.bytes > 0) attachBuffer(nt, packet, request);
    };
    const flags = IrpFlag.SynchronousApi | IrpFlag.DeferIoCompletion;
    const { irp, device, block } = internalRequest(nt, file, flags, request.major, fill, request.bytes);
    IRP.RequestorMode.set(memory, irp, request.mode);
    return forward(nt, device, irp, 'dispatched', [block, request.iosb, irp]);
  };
  return withFile(nt, request.handle, request.access, go, request.mode);
}

function attachBuffer(nt: Nt, irp: Va, { buffer, bytes, isOutput }: InformationRequest): void {
  const { memory } = nt;
  const system = nt.pool.allocateKernel(bytes, 'IoSb', 'system-buffer');
  if (!isOutput) memory.copy(system, buffer, bytes);
  IRP.SystemBuffer.set(memory, irp, system);
  IRP.UserBuffer.set(memory, irp, buffer);
  const flags = IRP.Flags.get(memory, irp) | IrpFlag.BufferedIo | IrpFlag.DeallocateBuffer;
  IRP.Flags.set(memory, irp, isOutput ? flags | IrpFlag.InputOperation : flags);
}

/** Record: [block, status block of the caller, IRP]. */
function finish(nt: Nt, call: ResumedCall, status: number): Outcome {
  const [block, iosb] = [call.va(0), call.va(1)];
  const information = status >>> 30 === 3 ? 0n : IO_STATUS_BLOCK.Information.get(nt.memory, block);
  nt.pool.freeKernel(block);
  if (iosb === nullVa) return status;
  IO_STATUS_BLOCK.Status.set(nt.memory, iosb, status);
  IO_STATUS_BLOCK.Information.set(nt.memory, iosb, information);
  return status;
}

const resume = {
  dispatched: (nt: Nt, call: ResumedCall): Outcome => {
    const { status } = call;
    if (status === STATUS_PENDING) return waitFor(eventOf(call.va(0)), 'completed', call.record);
    nt.io.irps.dispatched(call.va(2), status);
    return finish(nt, call, status);
  },
  completed: (nt: Nt, call: ResumedCall): Outcome =>
    finish(nt, call, IO_STATUS_BLOCK.Status.get(nt.memory, call.va(0))),
};

type Mode = (nt: Nt) => number;
const kernel: Mode = () => 0;
const previous: Mode = (nt) => nt.previousMode;

const informationParameters = {
  FileHandle: HANDLE,
  IoStatusBlock: PVOID,
  Buffer: PVOID,
  Length: ULONG,
  InformationClass: ULONG,
} as const;

/** Access that a change of that class needs: deletion and names, lengths, the position, else attributes. */
function accessToSet(informationClass: number): number {
  if (informationClass === 13 || informationClass === 10) return deleteAccess;
  if (informationClass === 19 || informationClass === 20) return writeData;
  return informationClass === 14 ? 0 : writeAttributes;
}

function accessToQuery(informationClass: number): number {
  return informationClass === 4 || informationClass === 34 || informationClass === 35 ? readAttributes : 0;
}

const informationRoutine = (doc: string, mode: Mode, major: number) =>
  ntRoutine({
    doc,
    irql: passiveOnly,
    params: informationParameters,
    returns: 'NTSTATUS',
    support: { partial: 'information classes that the file system here knows; drivers see all of them' },
    body: (nt, args) => {
      const isSet = major === MajorFunction.SetInformation;
      const access = isSet ? accessToSet(args.InformationClass) : accessToQuery(args.InformationClass);
      return send(nt, {
        handle: args.FileHandle,
        iosb: args.IoStatusBlock,
        buffer: args.Buffer,
        bytes: args.Length,
        major,
        access: major === MajorFunction.QueryVolumeInformation ? 0 : access,
        mode: mode(nt),
        isOutput: !isSet,
        fill: (location) => {
          IO_STACK_LOCATION.QueryLength.set(nt.memory, location, args.Length);
          IO_STACK_LOCATION.QueryInformationClass.set(nt.memory, location, args.InformationClass);
        },
      });
    },
    resume,
  });

const directoryRoutine = (doc: string, mode: Mode) =>
  ntRoutine({
    doc,
    irql: passiveOnly,
    params: {
      FileHandle: HANDLE,
      Event: HANDLE,
      ApcRoutine: PVOID,
      ApcContext: PVOID,
      IoStatusBlock: PVOID,
      FileInformation: PVOID,
      Length: ULONG,
      FileInformationClass: ULONG,
      ReturnSingleEntry: BOOLEAN,
      FileName: PVOID,
      RestartScan: BOOLEAN,
    },
    returns: 'NTSTATUS',
    support: { partial: 'no event and no APC routine' },
    body: (nt, args) => {
      if (args.ApcRoutine !== nullVa || args.Event !== nullVa) {
        return unsupported('a directory listing with an event or an APC routine');
      }
      return send(nt, {
        handle: args.FileHandle,
        iosb: args.IoStatusBlock,
        buffer: args.FileInformation,
        bytes: args.Length,
        major: MajorFunction.DirectoryControl,
        access: listDirectory,
        mode: mode(nt),
        isOutput: true,
        fill: (location) => {
          const { memory } = nt;
          IO_STACK_LOCATION.MinorFunction.set(memory, location, 1);
          IO_STACK_LOCATION.Flags.set(memory, location, (args.RestartScan ? 1 : 0) | (args.ReturnSingleEntry ? 2 : 0));
          IO_STACK_LOCATION.DirectoryLength.set(memory, location, args.Length);
          IO_STACK_LOCATION.DirectoryFileName.set(memory, location, args.FileName);
          IO_STACK_LOCATION.DirectoryInformationClass.set(memory, location, args.FileInformationClass);
        },
      });
    },
    resume,
  });

const query = (doc: string, mode: Mode) => informationRoutine(doc, mode, MajorFunction.QueryInformation);
const set = (doc: string, mode: Mode) => informationRoutine(doc, mode, MajorFunction.SetInformation);
const volume = (doc: string, mode: Mode) => informationRoutine(doc, mode, MajorFunction.QueryVolumeInformation);

export const ioInformationServices = ntExports('ntoskrnl.exe', {
  ZwQueryInformationFile: query('wdm.h; nf-wdm-zwqueryinformationfile', kernel),
  NtQueryInformationFile: query('ntifs.h; nf-ntifs-ntqueryinformationfile', previous),
  ZwSetInformationFile: set('wdm.h; nf-wdm-zwsetinformationfile', kernel),
  NtSetInformationFile: set('ntifs.h; nf-ntifs-ntsetinformationfile', previous),
  ZwQueryVolumeInformationFile: volume('ntifs.h; nf-ntifs-zwqueryvolumeinformationfile', kernel),
  NtQueryVolumeInformationFile: volume('ntifs.h; nf-ntifs-ntqueryvolumeinformationfile', previous),
  ZwQueryDirectoryFile: directoryRoutine('ntifs.h; nf-ntifs-zwquerydirectoryfile', kernel),
  NtQueryDirectoryFile: directoryRoutine('ntifs.h; nf-ntifs-ntquerydirectoryfile', previous),
  ZwFlushBuffersFile: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-zwflushbuffersfile',
    irql: passiveOnly,
    params: { FileHandle: HANDLE, IoStatusBlock: PVOID },
    returns: 'NTSTATUS',
    body: (nt, { FileHandle, IoStatusBlock }) =>
      send(nt, {
        handle: FileHandle,
        iosb: IoStatusBlock,
        buffer: nullVa,
        bytes: 0,
        major: MajorFunction.FlushBuffers,
        access: 0,
        mode: 0,
        isOutput: true,
        fill: () => {},
      }),
    resume,
  }),
});
