/** Names what a file is that is not a PE image, so that "wrong file" errors say which wrong file. */
import { latin1 } from './mapped-reader.ts';

const magics: readonly (readonly [string, string])[] = [
  ['\x7fELF', 'an ELF file (Linux)'],
  ['\xfe\xed\xfa\xce', 'a Mach-O file (macOS)'],
  ['\xfe\xed\xfa\xcf', 'a Mach-O file (macOS)'],
  ['\xce\xfa\xed\xfe', 'a Mach-O file (macOS)'],
  ['\xcf\xfa\xed\xfe', 'a Mach-O file (macOS)'],
  ['\xca\xfe\xba\xbe', 'a Mach-O universal binary or Java class file'],
  ['PK\x03\x04', 'a zip archive'],
  ['PK\x05\x06', 'an empty zip archive'],
  ['Microsoft C/C++ MSF 7.00\r\n', 'a PDB file (debug information)'],
  ['Microsoft C/C++ program database 2.00', 'an old PDB file (debug information)'],
  ['!<arch>\n', 'a library (.lib or .a archive)'],
  ['MSCF', 'a cabinet archive'],
  ['\x1f\x8b', 'a gzip archive'],
  ['7z\xbc\xaf\x27\x1c', 'a 7-Zip archive'],
  ['\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1', 'an installer package or other OLE document'],
  ['MDMP', 'a minidump'],
  ['PAGEDU64', 'a kernel memory dump'],
  ['PAGEDUMP', 'a kernel memory dump'],
  ['#!', 'a script'],
  ['\xff\xfe', 'a UTF-16 text file'],
  ['\xfe\xff', 'a UTF-16 text file'],
  ['\x00asm', 'a WebAssembly module'],
];

/** "an ELF file (Linux)", or for what is not known its first bytes. `bytes` is not empty. */
export function describeFile(bytes: Uint8Array): string {
  const start = latin1(bytes.subarray(0, 40));
  for (const [magic, name] of magics) if (start.startsWith(magic)) return name;
  if (bytes.length >= 20 && bytes[0] === 0x64 && bytes[1] === 0x86) return 'a COFF object file (not linked)';
  const head = bytes.subarray(0, 512);
  if (head.every((byte) => byte === 0x9 || byte === 0xa || byte === 0xd || (byte >= 0x20 && byte < 0x7f))) {
    return 'a text file';
  }
  if (head.every((byte) => byte === 0)) return 'a file of zeros';
  const first = [...bytes.subarray(0, 4)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
  return `not a PE image: it starts with bytes ${first} instead of "MZ"`;
}

/** IMAGE_FILE_MACHINE_*, winnt.h. */
const machines: ReadonlyMap<number, string> = new Map([
  [0x14c, '32-bit x86 (I386)'],
  [0x8664, 'x64 (AMD64)'],
  [0xaa64, 'ARM64'],
  [0xa641, 'ARM64EC'],
  [0xa64e, 'ARM64X'],
  [0x1c0, '32-bit ARM'],
  [0x1c2, '32-bit ARM Thumb'],
  [0x1c4, '32-bit ARM (Thumb-2)'],
  [0x200, 'Itanium (IA64)'],
  [0xebc, 'EFI byte code'],
  [0x5032, '32-bit RISC-V'],
  [0x5064, '64-bit RISC-V'],
  [0x184, 'Alpha'],
  [0x166, 'MIPS'],
  [0x1f0, 'PowerPC'],
]);

export function machineName(machine: number): string {
  return machines.get(machine) ?? `unknown machine 0x${machine.toString(16)}`;
}

/** IMAGE_SUBSYSTEM_*, winnt.h. */
const subsystems: readonly (string | undefined)[] = [
  'unknown',
  'native',
  'Windows GUI',
  'Windows console',
  undefined,
  'OS/2 console',
  undefined,
  'POSIX console',
  'native Windows 9x',
  'Windows CE',
  'EFI application',
  'EFI boot service driver',
  'EFI runtime driver',
  'EFI ROM',
  'Xbox',
  undefined,
  'Windows boot application',
];

export function subsystemName(subsystem: number): string {
  return subsystems[subsystem] ?? 'not defined';
}
