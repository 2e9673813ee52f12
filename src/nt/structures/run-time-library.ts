import { bytes, i16, pointer, struct, u8, u16, u32 } from '../declare/struct.ts';

/** wdm.h */
export const RTL_BITMAP = struct('_RTL_BITMAP', { SizeOfBitMap: u32, Buffer: pointer });

/** wdm.h */
export const TIME_FIELDS = struct('_TIME_FIELDS', {
  Year: i16,
  Month: i16,
  Day: i16,
  Hour: i16,
  Minute: i16,
  Second: i16,
  Milliseconds: i16,
  Weekday: i16,
});

/** wdm.h; `_RTL_OSVERSIONINFOW` ends behind szCSDVersion, at 276 bytes. */
export const RTL_OSVERSIONINFOEXW = struct('_OSVERSIONINFOEXW', {
  dwOSVersionInfoSize: u32,
  dwMajorVersion: u32,
  dwMinorVersion: u32,
  dwBuildNumber: u32,
  dwPlatformId: u32,
  szCSDVersion: bytes(256, 2),
  wServicePackMajor: u16,
  wServicePackMinor: u16,
  wSuiteMask: u16,
  wProductType: u8,
  wReserved: u8,
});
