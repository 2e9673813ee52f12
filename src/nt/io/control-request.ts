/** Device and file system control requests. */
import type { Va } from '../../base/va.ts';
import type { Outcome } from '../declare/outcome.ts';
import { PVOID, ULONG } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { STATUS_SUCCESS } from '../ntstatus.ts';
import { accessOfCode, eventOfHandle, transfer, transferParameters, withFile } from './transfer.ts';

export const controlParameters = {
  ...transferParameters,
  IoControlCode: ULONG,
  InputBuffer: PVOID,
  InputBufferLength: ULONG,
  OutputBuffer: PVOID,
  OutputBufferLength: ULONG,
} as const;

type ControlArguments = {
  readonly [K in 'FileHandle' | 'Event' | 'ApcContext' | 'IoStatusBlock' | 'InputBuffer' | 'OutputBuffer']: Va;
} & { readonly [K in 'IoControlCode' | 'InputBufferLength' | 'OutputBufferLength']: number };

export function control(nt: Nt, major: number, args: ControlArguments, mode: number): Outcome {
  const event = eventOfHandle(nt, args.Event, mode);
  if (event.status !== STATUS_SUCCESS) return event.status;
  const send = (file: Va): Outcome =>
    transfer(nt, {
      major,
      file,
      event: event.event,
      apcContext: args.ApcContext,
      iosb: args.IoStatusBlock,
      code: args.IoControlCode,
      input: args.InputBuffer,
      inputBytes: args.InputBufferLength,
      output: args.OutputBuffer,
      outputBytes: args.OutputBufferLength,
      byteOffset: 0n,
      mode,
    });
  return withFile(nt, args.FileHandle, accessOfCode(args.IoControlCode), send, mode);
}
