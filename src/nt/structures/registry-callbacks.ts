/** wdm.h: what a RegistryCallback routine is given. */
import { pointer, struct, u8, u32, u64 } from '../declare/struct.ts';

/** Also REG_FLUSH_KEY_INFORMATION and REG_KEY_HANDLE_CLOSE_INFORMATION. */
export const REG_DELETE_KEY_INFORMATION = struct('_REG_DELETE_KEY_INFORMATION', {
  Object: pointer,
  CallContext: pointer,
  ObjectContext: pointer,
  Reserved: pointer,
});

export const REG_SET_VALUE_KEY_INFORMATION = struct('_REG_SET_VALUE_KEY_INFORMATION', {
  Object: pointer,
  ValueName: pointer,
  TitleIndex: u32,
  Type: u32,
  Data: pointer,
  DataSize: u32,
  CallContext: pointer,
  ObjectContext: pointer,
  Reserved: pointer,
});

export const REG_DELETE_VALUE_KEY_INFORMATION = struct('_REG_DELETE_VALUE_KEY_INFORMATION', {
  Object: pointer,
  ValueName: pointer,
  CallContext: pointer,
  ObjectContext: pointer,
  Reserved: pointer,
});

/** Also REG_ENUMERATE_VALUE_KEY_INFORMATION. */
export const REG_ENUMERATE_KEY_INFORMATION = struct('_REG_ENUMERATE_KEY_INFORMATION', {
  Object: pointer,
  Index: u32,
  KeyInformationClass: u32,
  KeyInformation: pointer,
  Length: u32,
  ResultLength: pointer,
  CallContext: pointer,
  ObjectContext: pointer,
  Reserved: pointer,
});

export const REG_QUERY_KEY_INFORMATION = struct('_REG_QUERY_KEY_INFORMATION', {
  Object: pointer,
  KeyInformationClass: u32,
  KeyInformation: pointer,
  Length: u32,
  ResultLength: pointer,
  CallContext: pointer,
  ObjectContext: pointer,
  Reserved: pointer,
});

export const REG_QUERY_VALUE_KEY_INFORMATION = struct('_REG_QUERY_VALUE_KEY_INFORMATION', {
  Object: pointer,
  ValueName: pointer,
  KeyValueInformationClass: u32,
  KeyValueInformation: pointer,
  Length: u32,
  ResultLength: pointer,
  CallContext: pointer,
  ObjectContext: pointer,
  Reserved: pointer,
});

/** Also REG_OPEN_KEY_INFORMATION_V1. */
export const REG_CREATE_KEY_INFORMATION_V1 = struct('_REG_CREATE_KEY_INFORMATION_V1', {
  CompleteName: pointer,
  RootObject: pointer,
  ObjectType: pointer,
  Options: u32,
  Class: pointer,
  SecurityDescriptor: pointer,
  SecurityQualityOfService: pointer,
  DesiredAccess: u32,
  GrantedAccess: u32,
  Disposition: pointer,
  ResultObject: pointer,
  CallContext: pointer,
  RootObjectContext: pointer,
  Transaction: pointer,
  Version: u64,
  RemainingName: pointer,
  Wow64Flags: u32,
  Attributes: u32,
  CheckAccessMode: u8,
});

export const REG_POST_OPERATION_INFORMATION = struct('_REG_POST_OPERATION_INFORMATION', {
  Object: pointer,
  Status: u32,
  PreInformation: pointer,
  ReturnStatus: u32,
  CallContext: pointer,
  ObjectContext: pointer,
  Reserved: pointer,
});

export const REG_CALLBACK_CONTEXT_CLEANUP_INFORMATION = struct('_REG_CALLBACK_CONTEXT_CLEANUP_INFORMATION', {
  Object: pointer,
  ObjectContext: pointer,
  Reserved: pointer,
});
