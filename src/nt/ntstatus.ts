/** NTSTATUS values (ntstatus.h), as unsigned numbers. */
export const STATUS_SUCCESS = 0x0000_0000;
export const STATUS_WAIT_0 = 0x0000_0000;
export const STATUS_ABANDONED = 0x0000_0080;
export const STATUS_USER_APC = 0x0000_00c0;
export const STATUS_ALERTED = 0x0000_0101;
export const STATUS_TIMEOUT = 0x0000_0102;
export const STATUS_PENDING = 0x0000_0103;
export const STATUS_OBJECT_NAME_EXISTS = 0x4000_0000;
export const STATUS_BUFFER_OVERFLOW = 0x8000_0005;
export const STATUS_BREAKPOINT = 0x8000_0003;
export const STATUS_SINGLE_STEP = 0x8000_0004;
export const STATUS_DATATYPE_MISALIGNMENT = 0x8000_0002;
export const STATUS_UNSUCCESSFUL = 0xc000_0001;
export const STATUS_NOT_IMPLEMENTED = 0xc000_0002;
export const STATUS_INFO_LENGTH_MISMATCH = 0xc000_0004;
export const STATUS_ACCESS_VIOLATION = 0xc000_0005;
export const STATUS_INVALID_HANDLE = 0xc000_0008;
export const STATUS_INVALID_PARAMETER = 0xc000_000d;
export const STATUS_NO_SUCH_DEVICE = 0xc000_000e;
export const STATUS_INVALID_DEVICE_REQUEST = 0xc000_0010;
export const STATUS_MORE_PROCESSING_REQUIRED = 0xc000_0016;
export const STATUS_NO_MEMORY = 0xc000_0017;
export const STATUS_ILLEGAL_INSTRUCTION = 0xc000_001d;
export const STATUS_NONCONTINUABLE_EXCEPTION = 0xc000_0025;
export const STATUS_INVALID_DISPOSITION = 0xc000_0026;
export const STATUS_ACCESS_DENIED = 0xc000_0022;
export const STATUS_BUFFER_TOO_SMALL = 0xc000_0023;
export const STATUS_OBJECT_TYPE_MISMATCH = 0xc000_0024;
export const STATUS_OBJECT_NAME_INVALID = 0xc000_0033;
export const STATUS_OBJECT_NAME_NOT_FOUND = 0xc000_0034;
export const STATUS_OBJECT_NAME_COLLISION = 0xc000_0035;
export const STATUS_OBJECT_PATH_NOT_FOUND = 0xc000_003a;
export const STATUS_OBJECT_PATH_SYNTAX_BAD = 0xc000_003b;
export const STATUS_MUTANT_NOT_OWNED = 0xc000_0046;
export const STATUS_SEMAPHORE_LIMIT_EXCEEDED = 0xc000_0047;
export const STATUS_PRIVILEGED_INSTRUCTION = 0xc000_0096;
export const STATUS_INTEGER_DIVIDE_BY_ZERO = 0xc000_0094;
export const STATUS_INTEGER_OVERFLOW = 0xc000_0095;
export const STATUS_STACK_OVERFLOW = 0xc000_00fd;
export const STATUS_INSUFFICIENT_RESOURCES = 0xc000_009a;
export const STATUS_DEVICE_NOT_READY = 0xc000_00a3;
export const STATUS_NOT_SUPPORTED = 0xc000_00bb;
export const STATUS_FILE_CLOSED = 0xc000_0128;
export const STATUS_CANCELLED = 0xc000_0120;
export const STATUS_MUTANT_LIMIT_EXCEEDED = 0xc000_0191;
export const STATUS_NOT_FOUND = 0xc000_0225;
export const STATUS_UNWIND = 0xc000_0027;
export const STATUS_BAD_STACK = 0xc000_0028;
export const STATUS_INVALID_UNWIND_TARGET = 0xc000_0029;
export const STATUS_DELETE_PENDING = 0xc000_0056;
export const STATUS_NAME_TOO_LONG = 0xc000_0106;
export const STATUS_PROCEDURE_NOT_FOUND = 0xc000_007a;
export const STATUS_SOME_NOT_MAPPED = 0x0000_0107;
export const STATUS_INVALID_PARAMETER_4 = 0xc000_00f2;
export const STATUS_INVALID_PARAMETER_5 = 0xc000_00f3;
export const STATUS_INVALID_PARAMETER_2 = 0xc000_00f0;
export const STATUS_REVISION_MISMATCH = 0xc000_0059;
export const STATUS_LONGJUMP = 0x8000_0026;
export const STATUS_UNWIND_CONSOLIDATE = 0x8000_0029;
export const STATUS_STACK_BUFFER_OVERRUN = 0xc000_0409;
export const STATUS_INVALID_PAGE_PROTECTION = 0xc000_0045;
export const STATUS_NOT_MAPPED_VIEW = 0xc000_0019;
export const STATUS_INVALID_ADDRESS = 0xc000_0141;

/** Whether a status reports success (or information): NT_SUCCESS. */
export function ntSuccess(status: number): boolean {
  return status >>> 31 === 0;
}

/** `0xC0000010` as reports and the debugger print it. */
export function statusText(status: number): string {
  return `0x${(status >>> 0).toString(16).padStart(8, '0').toUpperCase()}`;
}
