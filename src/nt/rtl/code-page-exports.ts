/** Uncounted conversions between UTF-16 and the code pages: RtlMultiByteToUnicodeN and its relatives. */
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import type { GuestMemory } from '../../engine/memory/guest-memory.ts';
import { type DataDeclaration, ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { PVOID, ULONG } from '../declare/parameter-types.ts';
import { STATUS_SUCCESS } from '../ntstatus.ts';
import { ansiCodePage, type CodePage, oemCodePage } from './code-page.ts';
import { readWide, utf16OfText } from './guest-text.ts';
import { upcaseText } from './letter-case.ts';

const noLookAlikes = { partial: "characters that the code page lacks become '?', never a look-alike" };

/** Cuts silently, as documented; the count is optional. */
function put(memory: GuestMemory, destination: Va, content: Uint8Array, count: Va): number {
  memory.writeBytes(destination, content);
  if (count !== nullVa) memory.writeU32(count, content.length);
  return STATUS_SUCCESS;
}

function toUnicodeN(page: CodePage, doc: string) {
  return ntRoutine({
    doc,
    irql: ['PASSIVE', 'APC'],
    params: {
      UnicodeString: PVOID,
      MaxBytesInUnicodeString: ULONG,
      BytesInUnicodeString: PVOID,
      MultiByteString: PVOID,
      BytesInMultiByteString: ULONG,
    },
    returns: 'NTSTATUS',
    body: ({ memory }, args) => {
      const units = Math.min(args.BytesInMultiByteString, args.MaxBytesInUnicodeString >>> 1);
      const content = utf16OfText(page.decode(memory.readBytes(args.MultiByteString, units)));
      return put(memory, args.UnicodeString, content, args.BytesInUnicodeString);
    },
  });
}

function fromUnicodeN(page: CodePage, doc: string, map: (text: string) => string) {
  return ntRoutine({
    doc,
    irql: ['PASSIVE', 'APC'],
    params: {
      MultiByteString: PVOID,
      MaxBytesInMultiByteString: ULONG,
      BytesInMultiByteString: PVOID,
      UnicodeString: PVOID,
      BytesInUnicodeString: ULONG,
    },
    returns: 'NTSTATUS',
    support: noLookAlikes,
    body: ({ memory }, args) => {
      const units = Math.min(args.BytesInUnicodeString >>> 1, args.MaxBytesInMultiByteString);
      const content = page.encode(map(readWide(memory, args.UnicodeString, units)));
      return put(memory, args.MultiByteString, content, args.BytesInMultiByteString);
    },
  });
}

const sameCase = (text: string): string => text;

/** A pointer to 256 USHORTs, all zero: no byte of a single-byte page leads a longer character. */
function leadByteTable(doc: string): DataDeclaration {
  return {
    doc,
    sizeBytes: 8,
    initialise: (nt, va) => nt.memory.writeVa(va, nt.pool.allocateKernel(512, 'Nls ')),
  };
}

function isMultiByte(doc: string): DataDeclaration {
  return { doc, sizeBytes: 1, initialise: (nt, va) => nt.memory.writeU8(va, 0) };
}

function pageNumber(doc: string, page: CodePage): DataDeclaration {
  return { doc, sizeBytes: 2, initialise: (nt, va) => nt.memory.writeU16(va, page.number) };
}

const routines = {
  RtlMultiByteToUnicodeN: toUnicodeN(ansiCodePage, 'ntifs.h; nf-ntifs-rtlmultibytetounicoden'),
  RtlOemToUnicodeN: toUnicodeN(oemCodePage, 'ntifs.h; nf-ntifs-rtloemtounicoden'),
  RtlUnicodeToMultiByteN: fromUnicodeN(ansiCodePage, 'ntifs.h; nf-ntifs-rtlunicodetomultibyten', sameCase),
  RtlUnicodeToOemN: fromUnicodeN(oemCodePage, 'ntifs.h; nf-ntifs-rtlunicodetooemn', sameCase),
  RtlUpcaseUnicodeToMultiByteN: fromUnicodeN(
    ansiCodePage,
    'ntifs.h; nf-ntifs-rtlupcaseunicodetomultibyten',
    upcaseText,
  ),
  RtlUpcaseUnicodeToOemN: fromUnicodeN(oemCodePage, 'ntifs.h; nf-ntifs-rtlupcaseunicodetooemn', upcaseText),
  RtlMultiByteToUnicodeSize: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-rtlmultibytetounicodesize',
    irql: ['PASSIVE', 'APC'],
    params: { BytesInUnicodeString: PVOID, MultiByteString: PVOID, BytesInMultiByteString: ULONG },
    returns: 'NTSTATUS',
    body: ({ memory }, { BytesInUnicodeString, BytesInMultiByteString }) => {
      memory.writeU32(BytesInUnicodeString, BytesInMultiByteString * 2);
      return STATUS_SUCCESS;
    },
  }),
  RtlUnicodeToMultiByteSize: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-rtlunicodetomultibytesize',
    irql: ['PASSIVE', 'APC'],
    params: { BytesInMultiByteString: PVOID, UnicodeString: PVOID, BytesInUnicodeString: ULONG },
    returns: 'NTSTATUS',
    body: ({ memory }, { BytesInMultiByteString, BytesInUnicodeString }) => {
      memory.writeU32(BytesInMultiByteString, BytesInUnicodeString >>> 1);
      return STATUS_SUCCESS;
    },
  }),
  /** Moves the caller's pointer on by one. */
  RtlAnsiCharToUnicodeChar: ntRoutine({
    doc: 'no header; described at nf-wdm-rtlansistringtounicodestring',
    irql: ['PASSIVE', 'PASSIVE'],
    params: { SourceCharacter: PVOID },
    returns: 'ULONG',
    body: ({ memory }, { SourceCharacter }) => {
      const at = memory.readVa(SourceCharacter);
      const byte = memory.readU8(at);
      memory.writeVa(SourceCharacter, vaAdd(at, 1));
      return ansiCodePage.decode(Uint8Array.of(byte)).charCodeAt(0);
    },
  }),
};

export const rtlCodePages = ntExports('ntoskrnl.exe', routines, {
  NlsMbCodePageTag: isMultiByte('ntifs.h; FALSE: the ANSI code page has one byte for each character'),
  NlsMbOemCodePageTag: isMultiByte('ntifs.h; FALSE: the OEM code page has one byte for each character'),
  NlsAnsiCodePage: pageNumber('ntifs.h', ansiCodePage),
  NlsOemCodePage: pageNumber('ntifs.h', oemCodePage),
  NlsLeadByteInfo: leadByteTable('ntifs.h'),
  NlsOemLeadByteInfo: leadByteTable('ntifs.h'),
});
