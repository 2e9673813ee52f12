/** NtQuerySystemInformation: the classes that drivers ask for. */
import { type Va, vaAdd, vaToU64 } from '../../base/va.ts';
import { pageSize } from '../../engine/memory/layout.ts';
import { AddressMap } from '../address-map.ts';
import { passiveOnly } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { type Outcome, unsupported } from '../declare/outcome.ts';
import { PVOID, ULONG } from '../declare/parameter-types.ts';
import { firstPfn } from '../mm/frames.ts';
import type { Nt } from '../nt.ts';
import { STATUS_INFO_LENGTH_MISMATCH, STATUS_SUCCESS } from '../ntstatus.ts';

/** SYSTEM_INFORMATION_CLASS */
const SystemClass = { Basic: 0, Module: 11, KernelDebugger: 35 } as const;
/** SYSTEM_BASIC_INFORMATION, RTL_PROCESS_MODULE_INFORMATION (a pointer-aligned array behind its count) */
const basicBytes = 0x40;
const modulesAt = 8;
const moduleBytes = 0x128;
const pathAt = 0x28;
const clockIncrement100ns = 156_250;

function basic(nt: Nt): Uint8Array {
  const view = new DataView(new ArrayBuffer(basicBytes));
  const pages = nt.memory.frameCount;
  const words = [0, clockIncrement100ns, pageSize, pages, firstPfn, firstPfn + pages - 1, 0x1_0000];
  for (const [index, word] of words.entries()) view.setUint32(index * 4, word, true);
  view.setBigUint64(0x20, vaToU64(AddressMap.userStart), true);
  view.setBigUint64(0x28, vaToU64(vaAdd(AddressMap.userEnd, -1)), true);
  view.setBigUint64(0x30, 1n, true);
  view.setUint8(0x38, 1);
  return new Uint8Array(view.buffer);
}

function modules(nt: Nt): Uint8Array {
  const loaded = [...nt.images.all()].filter(({ isLoaded }) => isLoaded);
  const bytes = new Uint8Array(modulesAt + loaded.length * moduleBytes);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, loaded.length, true);
  for (const [index, image] of loaded.entries()) {
    const at = modulesAt + index * moduleBytes;
    const folder = image.isDriver ? '\\SystemRoot\\System32\\drivers\\' : '\\SystemRoot\\system32\\';
    const path = folder + image.fileName;
    view.setBigUint64(at + 0x10, vaToU64(image.base), true);
    view.setUint32(at + 0x18, image.sizeBytes, true);
    view.setUint16(at + 0x20, index, true);
    view.setUint16(at + 0x24, 1, true);
    view.setUint16(at + 0x26, folder.length, true);
    for (let letter = 0; letter < Math.min(path.length, 255); letter++) {
      bytes[at + pathAt + letter] = path.charCodeAt(letter) & 0xff;
    }
  }
  return bytes;
}

/** No debugger: not enabled, and not present. */
const kernelDebugger = Uint8Array.of(0, 1);

function contentOf(nt: Nt, informationClass: number): Uint8Array | undefined {
  if (informationClass === SystemClass.Basic) return basic(nt);
  if (informationClass === SystemClass.Module) return modules(nt);
  return informationClass === SystemClass.KernelDebugger ? kernelDebugger : undefined;
}

function query(nt: Nt, informationClass: number, at: Va, length: number, lengthAt: Va): Outcome {
  const content = contentOf(nt, informationClass);
  if (content === undefined) return unsupported(`NtQuerySystemInformation of class ${informationClass}`);
  if (lengthAt !== 0) nt.memory.writeU32(lengthAt, content.length);
  if (length < content.length) return STATUS_INFO_LENGTH_MISMATCH;
  nt.memory.writeBytes(at, content);
  return STATUS_SUCCESS;
}

const queryRoutine = (doc: string) =>
  ntRoutine({
    doc,
    irql: passiveOnly,
    params: { SystemInformationClass: ULONG, SystemInformation: PVOID, Length: ULONG, ReturnLength: PVOID },
    returns: 'NTSTATUS',
    support: { partial: 'basic information, modules and the debugger' },
    body: (nt, args) => query(nt, args.SystemInformationClass, args.SystemInformation, args.Length, args.ReturnLength),
  });

export const exSystemInformation = ntExports('ntoskrnl.exe', {
  ZwQuerySystemInformation: queryRoutine('ntifs.h; as NtQuerySystemInformation'),
  NtQuerySystemInformation: queryRoutine('winternl.h; nf-winternl-ntquerysysteminformation'),
});
