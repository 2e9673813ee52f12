/** Names of processes' programs. */
import { type Va, vaAdd } from '../../base/va.ts';
import { anyIrql, passiveOnly } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { unsupported } from '../declare/outcome.ts';
import { PVOID } from '../declare/parameter-types.ts';
import { tagOf } from '../ex/pool.ts';
import { volumeName } from '../fs/file-system.ts';
import type { Nt } from '../nt.ts';
import { STATUS_NO_MEMORY, STATUS_SUCCESS } from '../ntstatus.ts';
import { utf16OfText } from '../rtl/guest-text.ts';
import { PoolType } from '../structures/pool.ts';
import { UNICODE_STRING } from '../structures/strings.ts';
import { pathOfProcess } from './process-life.ts';

/** Where the EPROCESS has its 15 letters, as those do that look for them. */
const imageFileNameAt = 0x5a8;
const letters = 15;

function isProcess(nt: Nt, process: Va): boolean {
  return nt.objects.get(process)?.type === 'Process';
}

/** The first letters of the name of a process's program, as the EPROCESS has them. */
export function processName(nt: Nt, process: Va): string {
  return (pathOfProcess(nt, process) ?? 'System').replace(/.*\\/, '').slice(0, letters);
}

export const psProcessNames = ntExports('ntoskrnl.exe', {
  /** One block: the UNICODE_STRING and behind it what it names. The driver frees it with ExFreePool. */
  SeLocateProcessImageName: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-selocateprocessimagename',
    irql: passiveOnly,
    params: { Process: PVOID, ImageFileName: PVOID },
    returns: 'NTSTATUS',
    body: (nt, { Process, ImageFileName }, call) => {
      if (!isProcess(nt, Process)) return unsupported('the image name of an address that is no process');
      const path = pathOfProcess(nt, Process);
      const text = utf16OfText(path === undefined ? '' : `${volumeName}${path}`);
      const bytes = UNICODE_STRING.sizeBytes + text.length + 2;
      const block = nt.pool.allocate({ poolType: PoolType.NonPagedPoolNx, bytes, tag: tagOf('SePn') }, call);
      if (block === undefined) return STATUS_NO_MEMORY;
      const buffer = vaAdd(block, UNICODE_STRING.sizeBytes);
      nt.memory.writeBytes(buffer, text);
      nt.memory.writeU16(vaAdd(buffer, text.length), 0);
      UNICODE_STRING.Length.set(nt.memory, block, text.length);
      UNICODE_STRING.MaximumLength.set(nt.memory, block, text.length + 2);
      UNICODE_STRING.Buffer.set(nt.memory, block, buffer);
      nt.memory.writeVa(ImageFileName, block);
      return STATUS_SUCCESS;
    },
  }),
  PsGetProcessImageFileName: ntRoutine({
    doc: 'ntoskrnl.exe; the first 15 letters of the name of the program, in the EPROCESS',
    irql: anyIrql,
    params: { Process: PVOID },
    returns: 'PVOID',
    body: (nt, { Process }) => {
      if (!isProcess(nt, Process)) return unsupported('the image name of an address that is no process');
      const name = processName(nt, Process);
      const at = vaAdd(Process, imageFileNameAt);
      nt.memory.writeBytes(at, new TextEncoder().encode(name.padEnd(letters, '\0')));
      return at;
    },
  }),
});
