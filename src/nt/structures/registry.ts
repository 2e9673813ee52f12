import { pointer, struct, u32 } from '../declare/struct.ts';

/** wdm.h */
export const RTL_QUERY_REGISTRY_TABLE = struct('_RTL_QUERY_REGISTRY_TABLE', {
  QueryRoutine: pointer,
  Flags: u32,
  Name: pointer,
  EntryContext: pointer,
  DefaultType: u32,
  DefaultData: pointer,
  DefaultLength: u32,
});
