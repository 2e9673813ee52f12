/** Unwind data as llvm-objdump lists them, and the same lines from our own decoder. */
import { execFileSync } from 'node:child_process';
import type { PeImage } from '../../src/image/pe/index.ts';
import { readUnwindInfo, type UnwindInfo, type UnwindOperation } from '../../src/image/unwind/index.ts';

const registers = 'RAX RCX RDX RBX RSP RBP RSI RDI R8 R9 R10 R11 R12 R13 R14 R15'.split(' ');

/** What the tool does not decode further (epilog codes) and what follows from the rest (counts) is left out. */
export function objdumpListing(file: string): string[] {
  return execFileSync('llvm-objdump-16', ['--unwind-info', file], { encoding: 'utf8' })
    .split('\n')
    .map((line) => line.trim())
    .filter(
      (line) => line !== '' && !/file format|^Unwind info:|^Number of Codes|^Unwind Codes:|UOP_Epilog/.test(line),
    );
}

export function ourListing(pe: PeImage): string[] {
  return pe.functions.flatMap(({ beginRva, endRva, unwindInfoRva }) => {
    const info = readUnwindInfo(pe, unwindInfoRva);
    const frame =
      info.frameRegister === undefined
        ? ['No frame pointer used']
        : [`Frame register: ${registers[info.frameRegister]}`, `Frame offset: ${info.frameOffsetBytes}`];
    return [
      'Function Table:',
      `Start Address: ${address(beginRva)}`,
      `End Address: ${address(endRva)}`,
      `Unwind Info Address: ${address(unwindInfoRva)}`,
      `Version: ${info.version}`,
      flagsLine(info),
      `Size of prolog: ${info.prologSizeBytes}`,
      ...frame,
      ...info.operations.map(operationLine),
    ];
  });
}

function flagsLine(info: UnwindInfo): string {
  const flags: [boolean, number, string][] = [
    [info.hasExceptionHandler, 1, ' UNW_ExceptionHandler'],
    [info.hasUnwindHandler, 2, ' UNW_TerminateHandler'],
    [info.chained !== undefined, 4, ' UNW_ChainInfo'],
  ];
  const set = flags.filter(([isSet]) => isSet);
  return `Flags: ${set.reduce((sum, [, bit]) => sum + bit, 0)}${set.map(([, , name]) => name).join('')}`;
}

function operationLine(operation: UnwindOperation): string {
  const at = `0x${operation.codeOffset.toString(16).padStart(2, '0')}: UOP_`;
  const slot = (bytes: number): string => `[${address(bytes)}]`;
  switch (operation.kind) {
    case 'push':
      return `${at}PushNonVol ${registers[operation.register]}`;
    case 'allocate':
      // The tool prints the 16-bit form of the large one as it stands, in units of 8.
      if (operation.sizeBytes <= 128) return `${at}AllocSmall ${operation.sizeBytes}`;
      return `${at}AllocLarge ${operation.sizeBytes < 0x80000 ? operation.sizeBytes / 8 : operation.sizeBytes}`;
    case 'set-frame':
      return `${at}SetFPReg`;
    case 'save':
      return `${at}SaveNonVol ${registers[operation.register]} ${slot(operation.offsetBytes)}`;
    case 'save-xmm':
      return `${at}SaveXMM128 XMM${operation.register} ${slot(operation.offsetBytes)}`;
    case 'machine-frame':
      return `${at}PushMachFrame${operation.hasErrorCode ? ' w/ error code' : ''}`;
  }
}

function address(value: number): string {
  return `0x${value.toString(16).padStart(4, '0')}`;
}
