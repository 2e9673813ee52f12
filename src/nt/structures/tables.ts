/** ntddk.h, ntifs.h: trees and tables of the run-time library. */
import { bytes, i8, i16, pointer, struct, u32 } from '../declare/struct.ts';

export const RTL_SPLAY_LINKS = struct('_RTL_SPLAY_LINKS', { Parent: pointer, LeftChild: pointer, RightChild: pointer });

export const RTL_BALANCED_LINKS = struct('_RTL_BALANCED_LINKS', {
  Parent: pointer,
  LeftChild: pointer,
  RightChild: pointer,
  Balance: i8,
  Reserved: bytes(3),
});

export const RTL_GENERIC_TABLE = struct('_RTL_GENERIC_TABLE', {
  TableRoot: pointer,
  InsertOrderList: bytes(16, 8),
  OrderedPointer: pointer,
  WhichOrderedElement: u32,
  NumberGenericTableElements: u32,
  CompareRoutine: pointer,
  AllocateRoutine: pointer,
  FreeRoutine: pointer,
  TableContext: pointer,
});

export const RTL_AVL_TABLE = struct('_RTL_AVL_TABLE', {
  BalancedRoot: bytes(RTL_BALANCED_LINKS.sizeBytes, 8),
  OrderedPointer: pointer,
  WhichOrderedElement: u32,
  NumberGenericTableElements: u32,
  DepthOfTree: u32,
  RestartKey: pointer,
  DeleteCount: u32,
  CompareRoutine: pointer,
  AllocateRoutine: pointer,
  FreeRoutine: pointer,
  TableContext: pointer,
});

export const UNICODE_PREFIX_TABLE = struct('_UNICODE_PREFIX_TABLE', {
  NodeTypeCode: i16,
  NameLength: i16,
  NextPrefixTree: pointer,
  LastNextEntry: pointer,
});

export const UNICODE_PREFIX_TABLE_ENTRY = struct('_UNICODE_PREFIX_TABLE_ENTRY', {
  NodeTypeCode: i16,
  NameLength: i16,
  NextPrefixTree: pointer,
  CaseMatch: pointer,
  Links: bytes(RTL_SPLAY_LINKS.sizeBytes, 8),
  Prefix: pointer,
});

/** wdm.h */
export const SHARE_ACCESS = struct('_SHARE_ACCESS', {
  OpenCount: u32,
  Readers: u32,
  Writers: u32,
  Deleters: u32,
  SharedRead: u32,
  SharedWrite: u32,
  SharedDelete: u32,
});
