// What the files of runs/ are written with.

/** Little-endian bytes of a value, as hexadecimal digits. */
export function le(value, bytes) {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)));
  return buffer.subarray(0, bytes).toString('hex');
}

/** Digits of a text's bytes: one a character, or as UTF-16. */
export const ascii = (text) => Buffer.from(text, 'latin1').toString('hex');
export const utf16 = (text) => Buffer.from(text, 'utf16le').toString('hex');

export const ACCESS_VIOLATION = '0xC0000005';
export const BUFFER_TOO_SMALL = '0xC0000023';
export const CANCELLED = '0xC0000120';
export const CRC_ERROR = '0xC000003F';
export const DELETE_PENDING = '0xC0000056';
export const DEVICE_CONFIGURATION_ERROR = '0xC0000182';
export const DEVICE_REMOVED = '0xC00002B6';
export const DEVICE_NOT_READY = '0xC00000A3';
export const INSUFFICIENT_RESOURCES = '0xC000009A';
export const INVALID_DEVICE_REQUEST = '0xC0000010';
export const INVALID_PARAMETER = '0xC000000D';
export const NOT_FOUND = '0xC0000225';
export const NOT_SUPPORTED = '0xC00000BB';
export const NO_MORE_ENTRIES = '0x8000001A';
export const OBJECT_NAME_NOT_FOUND = '0xC0000034';
export const PENDING = '0x00000103';
export const QUERY_VETOED = '0x80000028';
export const SOME_NOT_MAPPED = '0x00000107';
export const BUFFER_OVERFLOW = '0x80000005';
export const END_OF_FILE = '0xC0000011';
export const INFO_LENGTH_MISMATCH = '0xC0000004';
export const STACK_OVERFLOW = '0xC00000FD';
export const DEVICE_BUSY = '0x80000011';
export const INVALID_BUFFER_SIZE = '0xC0000206';
export const NO_MEMORY = '0xC0000017';
export const RANGE_NOT_FOUND = '0xC000028C';
export const TOO_MANY_OPENED_FILES = '0xC000011F';
export const END_OF_MEDIA = '0x8000001E';
export const DEVICE_DATA_ERROR = '0xC000009C';
export const DISK_FULL = '0xC000007F';
export const IO_TIMEOUT = '0xC00000B5';
export const NAME_TOO_LONG = '0xC0000106';
export const OBJECT_NAME_COLLISION = '0xC0000035';
export const OBJECT_NAME_EXISTS = '0x40000000';
export const OBJECT_NAME_INVALID = '0xC0000033';
export const OBJECT_TYPE_MISMATCH = '0xC0000024';
export const ACCESS_DENIED = '0xC0000022';
export const SUCCESS = '0x00000000';
export const TIMEOUT = '0x00000102';

/** A step and what it answers; status null: the machine stops before it answers. Output: digits, or `5a*4000,00*96`. */
export const step = (text, status = SUCCESS, information, output) => ({ step: text, status, information, output });

/** A run: `do` empty means that no `--do` is given. */
export const run = (name, verdict, steps = [], more = {}) => ({ name, verdict, steps, ...more });

/** Of a plain run: which leaks there are counts, and not how many of the tour's requests come to them. */
export const some = () => ({ count: null, bytes: null });
