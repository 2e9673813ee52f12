/** wdm.h, ntifs.h: what is asked and told of files, directories and volumes. Names follow behind the structures. */
import { i64, struct, u8, u16, u32, u64 } from '../declare/struct.ts';

const times = { CreationTime: i64, LastAccessTime: i64, LastWriteTime: i64, ChangeTime: i64 } as const;

export const FILE_BASIC_INFORMATION = struct('_FILE_BASIC_INFORMATION', { ...times, FileAttributes: u32 });

export const FILE_STANDARD_INFORMATION = struct('_FILE_STANDARD_INFORMATION', {
  AllocationSize: i64,
  EndOfFile: i64,
  NumberOfLinks: u32,
  DeletePending: u8,
  Directory: u8,
});

export const FILE_NAME_INFORMATION = struct('_FILE_NAME_INFORMATION', { FileNameLength: u32, FileName: u16 });

export const FILE_NETWORK_OPEN_INFORMATION = struct('_FILE_NETWORK_OPEN_INFORMATION', {
  ...times,
  AllocationSize: i64,
  EndOfFile: i64,
  FileAttributes: u32,
});

export const FILE_RENAME_INFORMATION = struct('_FILE_RENAME_INFORMATION', {
  ReplaceIfExists: u8,
  RootDirectory: u64,
  FileNameLength: u32,
  FileName: u16,
});

const entry = {
  NextEntryOffset: u32,
  FileIndex: u32,
  ...times,
  EndOfFile: i64,
  AllocationSize: i64,
  FileAttributes: u32,
  FileNameLength: u32,
} as const;

export const FILE_DIRECTORY_INFORMATION = struct('_FILE_DIRECTORY_INFORMATION', { ...entry, FileName: u16 });

export const FILE_FULL_DIR_INFORMATION = struct('_FILE_FULL_DIR_INFORMATION', {
  ...entry,
  EaSize: u32,
  FileName: u16,
});
