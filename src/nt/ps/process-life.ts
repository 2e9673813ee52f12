/** Creation and exit of processes, and the loading of images, as those hear of them who registered for it. */
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import type { ResumedCall } from '../declare/call.ts';
import { passiveOnly } from '../declare/irql-ranges.ts';
import { ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest, type Outcome } from '../declare/outcome.ts';
import { PVOID, ULONG } from '../declare/parameter-types.ts';
import { volumeName } from '../fs/file-system.ts';
import type { Nt } from '../nt.ts';
import { ntSuccess, STATUS_INVALID_PARAMETER, STATUS_SUCCESS } from '../ntstatus.ts';
import { IMAGE_INFO, IMAGE_INFO_EX, PS_CREATE_NOTIFY_INFO } from '../structures/callbacks.ts';
import { CLIENT_ID } from '../structures/ke.ts';
import { UNICODE_STRING } from '../structures/strings.ts';
import { headersOfImage } from './image-headers.ts';
import { tellOfImage, tellOfProcess, tellOfThread } from './notifications.ts';

/** Paths on the volume. */
const programPath = '\\Windows\\System32\\poolproof.exe';
const bystanderPath = '\\Windows\\System32\\services.exe';
const programImages = [programPath, '\\Windows\\System32\\ntdll.dll'] as const;
/** IMAGE_INFO: IMAGE_ADDRESSING_MODE_32BIT, SystemModeImage, ExtendedInfoPresent. */
const property = { addressingMode: 3, systemMode: 0x100, extended: 0x400 } as const;
/** PS_CREATE_NOTIFY_INFO.Flags */
const fileOpenNameAvailable = 1;

// ---- processes

/** Path of a process's program on the volume; the System process has none. */
export function pathOfProcess({ processor }: Nt, process: Va): string | undefined {
  if (process === processor.systemProcess) return undefined;
  return process === processor.requesterProcess ? programPath : bystanderPath;
}

const strings = { imageFileName: PS_CREATE_NOTIFY_INFO.sizeBytes, commandLine: PS_CREATE_NOTIFY_INFO.sizeBytes + 0x10 };

function makeCreateInfo(nt: Nt, process: Va): Va {
  const { memory, pool, io, scheduler, processor } = nt;
  const path = pathOfProcess(nt, process) ?? '';
  const info = pool.allocateKernel(PS_CREATE_NOTIFY_INFO.sizeBytes + 2 * UNICODE_STRING.sizeBytes, 'PsCr');
  const [imageFileName, commandLine] = [vaAdd(info, strings.imageFileName), vaAdd(info, strings.commandLine)];
  io.drivers.writeString(imageFileName, `\\??\\C:${path}`);
  io.drivers.writeString(commandLine, `C:${path}`);
  const { id, process: creator } = scheduler.currentThread;
  const thread = PS_CREATE_NOTIFY_INFO.CreatingThreadId.at(info);
  CLIENT_ID.UniqueProcess.set(memory, thread, processor.processId(creator) as Va);
  CLIENT_ID.UniqueThread.set(memory, thread, id as Va);
  PS_CREATE_NOTIFY_INFO.Size.set(memory, info, BigInt(PS_CREATE_NOTIFY_INFO.sizeBytes));
  PS_CREATE_NOTIFY_INFO.Flags.set(memory, info, fileOpenNameAvailable);
  PS_CREATE_NOTIFY_INFO.ParentProcessId.set(memory, info, processor.processId(processor.systemProcess) as Va);
  PS_CREATE_NOTIFY_INFO.FileObject.set(memory, info, nt.fileSystem.imageFile(path));
  PS_CREATE_NOTIFY_INFO.ImageFileName.set(memory, info, imageFileName);
  PS_CREATE_NOTIFY_INFO.CommandLine.set(memory, info, commandLine);
  PS_CREATE_NOTIFY_INFO.CreationStatus.set(memory, info, STATUS_SUCCESS);
  return info;
}

function freeString(nt: Nt, at: Va): void {
  nt.pool.freeAny(UNICODE_STRING.Buffer.get(nt.memory, at));
}

/** Record: [the first thread, PS_CREATE_NOTIFY_INFO]. What a routine refused does not begin. */
function processTold(nt: Nt, call: ResumedCall): Outcome {
  const info = call.va(1);
  const status = PS_CREATE_NOTIFY_INFO.CreationStatus.get(nt.memory, info);
  freeString(nt, vaAdd(info, strings.imageFileName));
  freeString(nt, vaAdd(info, strings.commandLine));
  nt.pool.freeKernel(info);
  if (!ntSuccess(status)) return status;
  return tellOfThread(nt, nt.scheduler.thread(call.va(0)), true, 'threadTold', []);
}

// ---- images

interface MappedImage {
  readonly name: string;
  readonly path: string;
  readonly base: Va;
  readonly sizeBytes: number;
  readonly properties: number;
  readonly processId: number;
}

/** Tells of an image, then goes on at `announced` with the record; {@link takeBack} first. */
function announce(nt: Nt, image: MappedImage, record: readonly number[]): Outcome {
  const { memory, pool, io } = nt;
  const info = pool.allocateKernel(IMAGE_INFO_EX.sizeBytes + UNICODE_STRING.sizeBytes, 'PsIm');
  memory.fill(info, IMAGE_INFO_EX.sizeBytes, 0);
  const name = vaAdd(info, IMAGE_INFO_EX.sizeBytes);
  io.drivers.writeString(name, image.name);
  IMAGE_INFO_EX.Size.set(memory, info, BigInt(IMAGE_INFO_EX.sizeBytes));
  IMAGE_INFO_EX.FileObject.set(memory, info, nt.fileSystem.imageFile(image.path));
  const inner = IMAGE_INFO_EX.ImageInfo.at(info);
  IMAGE_INFO.Properties.set(memory, inner, property.addressingMode | property.extended | image.properties);
  IMAGE_INFO.ImageBase.set(memory, inner, image.base);
  IMAGE_INFO.ImageSize.set(memory, inner, BigInt(image.sizeBytes));
  return tellOfImage(nt, { name, processId: image.processId, info: inner }, 'announced', [info, ...record]);
}

function takeBack(nt: Nt, info: Va): void {
  freeString(nt, vaAdd(info, IMAGE_INFO_EX.sizeBytes));
  nt.pool.freeKernel(info);
}

function announceOfProgram(nt: Nt, index: number): Outcome {
  const path = programImages[index];
  if (path === undefined) return STATUS_SUCCESS;
  const headers = headersOfImage(path.endsWith('.dll'));
  const base = nt.userMemory.allocate(headers.length);
  nt.memory.writeBytes(base, headers);
  const processId = nt.processor.processId(nt.scheduler.currentThread.process);
  const image = { name: `${volumeName}${path}`, path, base, sizeBytes: headers.length, properties: 0, processId };
  return announce(nt, image, [index]);
}

/** Those who registered for it hear of a driver's image; then the caller goes on at `announced` with the index. */
export function announceDriver(nt: Nt, index: number): Outcome | undefined {
  if (nt.callbacks.of('image').length === 0) return undefined;
  return callGuest(nt.entries.routineVa('PspNotifyOfDriver'), [index], 'announced', [index]);
}

export const psProcessLife = ntInternals({
  PspNotifyOfDriver: ntRoutine({
    doc: 'tells of the image of a driver before it is called',
    irql: passiveOnly,
    params: { ImageIndex: ULONG },
    returns: 'NTSTATUS',
    body: (nt, { ImageIndex }) => {
      const image = nt.images.byIndex(ImageIndex);
      if (image === undefined) return STATUS_INVALID_PARAMETER;
      const { base, sizeBytes, fileName } = image;
      const name = `\\SystemRoot\\System32\\drivers\\${fileName}`;
      const path = `\\Windows\\System32\\drivers\\${fileName}`;
      return announce(nt, { name, path, base, sizeBytes, properties: property.systemMode, processId: 0 }, []);
    },
    resume: {
      announced: (nt, call) => {
        takeBack(nt, call.va(0));
        return STATUS_SUCCESS;
      },
    },
  }),
  /** In the thread that creates it; the status is what the routines made of its creation. */
  PspInsertProcess: ntRoutine({
    doc: 'tells of a process and of its first thread',
    irql: passiveOnly,
    params: { Process: PVOID, Thread: PVOID },
    returns: 'NTSTATUS',
    body: (nt, { Process, Thread }) => {
      const info = makeCreateInfo(nt, Process);
      return tellOfProcess(nt, Process, info, 'processTold', [Thread, info]);
    },
    resume: { processTold, threadTold: () => STATUS_SUCCESS },
  }),
  /** In the first thread of the requesting process. */
  PspMapInitialImages: ntRoutine({
    doc: 'tells of the images that a process starts with',
    irql: passiveOnly,
    params: {},
    returns: 'NTSTATUS',
    body: (nt) => (nt.callbacks.of('image').length === 0 ? STATUS_SUCCESS : announceOfProgram(nt, 0)),
    resume: {
      announced: (nt, call) => {
        takeBack(nt, call.va(0));
        return announceOfProgram(nt, call.word(1) + 1);
      },
    },
  }),
  /** In the last thread of the process, before its handles are closed. */
  PspExitProcess: ntRoutine({
    doc: 'tells of the end of a thread and of its process',
    irql: passiveOnly,
    params: {},
    returns: 'NTSTATUS',
    body: (nt) => tellOfThread(nt, nt.scheduler.currentThread, false, 'threadTold', []),
    resume: {
      threadTold: (nt) => tellOfProcess(nt, nt.scheduler.currentThread.process, nullVa, 'processTold', []),
      processTold: () => STATUS_SUCCESS,
    },
  }),
});
