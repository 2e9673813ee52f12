/**
 * The process that makes the requests: its buffers, handles and events, and the system services that it calls. What it
 * starts runs on its one thread when the machine runs.
 */
import { nullVa, type Va, vaAdd } from '../base/va.ts';
import { Access } from '../engine/memory/layout.ts';
import type { Nt } from '../nt/nt.ts';
import { writeWide } from '../nt/rtl/guest-text.ts';
import { IO_STATUS_BLOCK, OBJECT_ATTRIBUTES } from '../nt/structures/io.ts';
import { DispatcherType, KEVENT } from '../nt/structures/ke.ts';
import { UNICODE_STRING } from '../nt/structures/strings.ts';
import type { SentRequest } from './life-state.ts';
import type { InputPart, Step } from './scenario/step.ts';

export type RequestStep = Step & { readonly verb: 'ioctl' | 'read' | 'write' };

/** FILE_GENERIC_READ | FILE_GENERIC_WRITE */
const genericReadWrite = 0x0012_019f;
export const noBytes = new Uint8Array(0);
const majorOf = { ioctl: 'IRP_MJ_DEVICE_CONTROL', read: 'IRP_MJ_READ', write: 'IRP_MJ_WRITE' } as const;

export class Requester {
  private readonly nt: Nt;

  constructor(nt: Nt) {
    this.nt = nt;
  }

  /** Starts NtCreateFile on a thread that is idle; returns where it will store the handle. */
  open(path: string, thread: Va): Va {
    const { memory, userMemory, scheduler } = this.nt;
    const name = path.startsWith('\\\\.\\') ? `\\??\\${path.slice(4)}` : path;
    const block = userMemory.allocate(0x100 + name.length * 2);
    const [attributes, string, iosb, handleAt, buffer] = [0, 0x40, 0x60, 0x80, 0x100].map((offset) =>
      vaAdd(block, offset),
    ) as [Va, Va, Va, Va, Va];
    writeWide(memory, buffer, name);
    UNICODE_STRING.Length.set(memory, string, name.length * 2);
    UNICODE_STRING.MaximumLength.set(memory, string, name.length * 2);
    UNICODE_STRING.Buffer.set(memory, string, buffer);
    memory.fill(attributes, OBJECT_ATTRIBUTES.sizeBytes, 0);
    OBJECT_ATTRIBUTES.Length.set(memory, attributes, OBJECT_ATTRIBUTES.sizeBytes);
    OBJECT_ATTRIBUTES.ObjectName.set(memory, attributes, string);
    // OBJ_CASE_INSENSITIVE
    OBJECT_ATTRIBUTES.Attributes.set(memory, attributes, 0x40);
    memory.writeU64(handleAt, 0n);
    const openIf = 1;
    const args = [handleAt, genericReadWrite, attributes, iosb, 0, 0x80, 3, openIf, 0, 0, 0];
    scheduler.start(thread, this.nt.entries.routineVa('NtCreateFile'), args);
    return handleAt;
  }

  createEvent(): { readonly body: Va; readonly handle: number } {
    const { pool, dispatcher, objects } = this.nt;
    const body = pool.allocateKernel(KEVENT.sizeBytes, 'Even');
    dispatcher.initialise(body, DispatcherType.EventNotification, KEVENT.sizeBytes / 4, 0);
    objects.create(body, 'Event', undefined);
    const handle = objects.createHandle(body, 0x1f_0003, false, undefined, this.nt.processor.requesterProcess);
    objects.dereference(body);
    return { body, handle };
  }

  /** Starts a read, write or device control request of the file on a thread that is idle. */
  send(
    act: RequestStep,
    handle: number,
    thread: Va,
    handleNamed: (name: string) => number,
  ): Omit<SentRequest, 'stepIndex' | 'sentAt'> {
    const { memory, userMemory, objects } = this.nt;
    const input = act.verb === 'read' ? noBytes : dataOf(act.input, handleNamed);
    const outputBytes = act.verb === 'ioctl' ? act.outputBytes : act.verb === 'read' ? act.bytes : 0;
    const inputAt = input.length === 0 ? nullVa : userMemory.allocate(input.length);
    if (input.length > 0) memory.writeBytes(inputAt, input);
    const outputAt = outputBytes === 0 ? nullVa : userMemory.allocate(outputBytes);
    if (act.verb === 'ioctl' && outputBytes > 0) {
      memory.writeBytes(outputAt, dataOf(act.outputContents, handleNamed).subarray(0, outputBytes));
    }
    const iosb = userMemory.allocate(IO_STATUS_BLOCK.sizeBytes);
    memory.fill(iosb, IO_STATUS_BLOCK.sizeBytes, 0);
    const offset = userMemory.allocate(8);
    memory.writeU64(offset, act.verb === 'ioctl' ? 0n : BigInt(act.offset));
    const event = this.createEvent();
    // The life looks at it after the process and its handles are gone.
    objects.reference(event.body);
    const request = {
      handle,
      iosb,
      event: event.body,
      output: outputAt,
      outputBytes,
      thread,
      what: act.verb === 'ioctl' ? `${majorOf.ioctl}, control code 0x${act.code.toString(16)}` : majorOf[act.verb],
      returned: undefined,
    };
    const begin = (routine: string, args: readonly (number | bigint)[]): void =>
      this.nt.scheduler.start(thread, this.nt.entries.routineVa(routine), args);
    const start = [handle, event.handle, 0, 0, iosb];
    if (act.verb === 'ioctl') {
      begin('NtDeviceIoControlFile', [...start, act.code, inputAt, input.length, outputAt, outputBytes]);
    } else {
      const [routine, buffer, bytes] =
        act.verb === 'read' ? ['NtReadFile', outputAt, outputBytes] : ['NtWriteFile', inputAt, input.length];
      begin(routine as string, [...start, buffer as Va, bytes as number, offset, 0]);
    }
    return request;
  }

  isComplete(request: SentRequest): boolean {
    return this.nt.dispatcher.signalState(request.event) > 0;
  }

  /** Whether a driver still has the request, whatever its dispatch routine returned. */
  isOutstanding(request: SentRequest): boolean {
    return [...this.nt.io.irps.outstanding()].some(({ event }) => event === request.event);
  }

  resultOf(request: SentRequest): {
    readonly status: number;
    readonly information: number;
    readonly output: Uint8Array;
  } {
    const { memory } = this.nt;
    const status = IO_STATUS_BLOCK.Status.get(memory, request.iosb);
    const information = Number(IO_STATUS_BLOCK.Information.get(memory, request.iosb));
    const bytes = status >>> 30 === 3 ? 0 : Math.min(information, request.outputBytes);
    const isReadable = bytes > 0 && memory.isAccessible(request.output, bytes, Access.Read);
    return { status, information, output: isReadable ? memory.readBytes(request.output, bytes) : noBytes };
  }
}

function dataOf(parts: readonly InputPart[], handleNamed: (name: string) => number): Uint8Array {
  const pieces = parts.map((part) => ('bytes' in part ? part.bytes : handleBytes(handleNamed(part.handleName))));
  const data = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    data.set(piece, at);
    at += piece.length;
  }
  return data;
}

const handleBytes = (handle: number): Uint8Array =>
  Uint8Array.from({ length: 8 }, (_, index) => Math.floor(handle / 256 ** index) % 256);
