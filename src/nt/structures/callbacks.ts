/** wdm.h: what drivers register to be called later. */
import { bytes, pointer, struct, u8, u16, u32, u64 } from '../declare/struct.ts';

export const OB_CALLBACK_REGISTRATION = struct('_OB_CALLBACK_REGISTRATION', {
  Version: u16,
  OperationRegistrationCount: u16,
  Altitude: bytes(16, 8),
  RegistrationContext: pointer,
  OperationRegistration: pointer,
});

export const OB_OPERATION_REGISTRATION = struct('_OB_OPERATION_REGISTRATION', {
  ObjectType: pointer,
  Operations: u32,
  PreOperation: pointer,
  PostOperation: pointer,
});

export const KBUGCHECK_CALLBACK_RECORD = struct('_KBUGCHECK_CALLBACK_RECORD', {
  Entry: bytes(16, 8),
  CallbackRoutine: pointer,
  Buffer: pointer,
  Length: u32,
  Component: pointer,
  Checksum: u64,
  State: u8,
});

export const KBUGCHECK_REASON_CALLBACK_RECORD = struct('_KBUGCHECK_REASON_CALLBACK_RECORD', {
  Entry: bytes(16, 8),
  CallbackRoutine: pointer,
  Component: pointer,
  Checksum: u64,
  Reason: u32,
  State: u8,
});

/** ntddk.h */
export const PS_CREATE_NOTIFY_INFO = struct('_PS_CREATE_NOTIFY_INFO', {
  Size: u64,
  Flags: u32,
  ParentProcessId: pointer,
  CreatingThreadId: bytes(16, 8),
  FileObject: pointer,
  ImageFileName: pointer,
  CommandLine: pointer,
  CreationStatus: u32,
});

/** ntddk.h */
export const IMAGE_INFO = struct('_IMAGE_INFO', {
  Properties: u32,
  ImageBase: pointer,
  ImageSelector: u32,
  ImageSize: u64,
  ImageSectionNumber: u32,
});

/** ntddk.h; FileObject is there if ExtendedInfoPresent is set in the properties. */
export const IMAGE_INFO_EX = struct('_IMAGE_INFO_EX', {
  Size: u64,
  ImageInfo: bytes(IMAGE_INFO.sizeBytes, 8),
  FileObject: pointer,
});
