import { pointer, struct, u16 } from '../declare/struct.ts';

/** Counted UTF-16 string; lengths in bytes (ntdef.h). */
export const UNICODE_STRING = struct('_UNICODE_STRING', { Length: u16, MaximumLength: u16, Buffer: pointer });

/** Counted string of bytes: ANSI_STRING, OEM_STRING, UTF8_STRING (ntdef.h). */
export const STRING = struct('_STRING', { Length: u16, MaximumLength: u16, Buffer: pointer });
