/** wdm.h, ntifs.h: security identifiers, access control lists, security descriptors, tokens. */
import { bytes, pointer, struct, u8, u16, u32, u64 } from '../declare/struct.ts';

/** Sub-authorities follow. */
export const SID = struct('_SID', {
  Revision: u8,
  SubAuthorityCount: u8,
  IdentifierAuthority: bytes(6),
  SubAuthority: u32,
});

export const ACL = struct('_ACL', { AclRevision: u8, Sbz1: u8, AclSize: u16, AceCount: u16, Sbz2: u16 });

export const ACE_HEADER = struct('_ACE_HEADER', { AceType: u8, AceFlags: u8, AceSize: u16 });

/** The form of all ACEs that have a mask and one SID. */
export const ACCESS_ALLOWED_ACE = struct('_ACCESS_ALLOWED_ACE', { Header: bytes(4, 2), Mask: u32, SidStart: u32 });

/** Absolute form: pointers. */
export const SECURITY_DESCRIPTOR = struct('_SECURITY_DESCRIPTOR', {
  Revision: u8,
  Sbz1: u8,
  Control: u16,
  Owner: pointer,
  Group: pointer,
  Sacl: pointer,
  Dacl: pointer,
});

/** Self-relative form: offsets from its start. */
export const SECURITY_DESCRIPTOR_RELATIVE = struct('_SECURITY_DESCRIPTOR_RELATIVE', {
  Revision: u8,
  Sbz1: u8,
  Control: u16,
  Owner: u32,
  Group: u32,
  Sacl: u32,
  Dacl: u32,
});

/** SECURITY_DESCRIPTOR.Control */
export const DescriptorControl = {
  OwnerDefaulted: 0x0001,
  GroupDefaulted: 0x0002,
  DaclPresent: 0x0004,
  DaclDefaulted: 0x0008,
  SaclPresent: 0x0010,
  SaclDefaulted: 0x0020,
  DaclAutoInherited: 0x0400,
  SaclAutoInherited: 0x0800,
  DaclProtected: 0x1000,
  SaclProtected: 0x2000,
  SelfRelative: 0x8000,
} as const;

/** SECURITY_INFORMATION */
export const SecurityInformation = { Owner: 1, Group: 2, Dacl: 4, Sacl: 8, Label: 0x10 } as const;

export const GENERIC_MAPPING = struct('_GENERIC_MAPPING', {
  GenericRead: u32,
  GenericWrite: u32,
  GenericExecute: u32,
  GenericAll: u32,
});

export const LUID_AND_ATTRIBUTES = struct('_LUID_AND_ATTRIBUTES', { Luid: bytes(8, 4), Attributes: u32 });

export const PRIVILEGE_SET = struct('_PRIVILEGE_SET', {
  PrivilegeCount: u32,
  Control: u32,
  Privilege: bytes(LUID_AND_ATTRIBUTES.sizeBytes, 4),
});

export const SECURITY_QUALITY_OF_SERVICE = struct('_SECURITY_QUALITY_OF_SERVICE', {
  Length: u32,
  ImpersonationLevel: u32,
  ContextTrackingMode: u8,
  EffectiveOnly: u8,
});

export const SECURITY_SUBJECT_CONTEXT = struct('_SECURITY_SUBJECT_CONTEXT', {
  ClientToken: pointer,
  ImpersonationLevel: u32,
  PrimaryToken: pointer,
  ProcessAuditId: pointer,
});

export const SECURITY_CLIENT_CONTEXT = struct('_SECURITY_CLIENT_CONTEXT', {
  SecurityQos: bytes(SECURITY_QUALITY_OF_SERVICE.sizeBytes, 4),
  ClientToken: pointer,
  DirectlyAccessClientToken: u8,
  DirectAccessEffectiveOnly: u8,
  ServerIsRemote: u8,
  ClientTokenControl: bytes(40, 4),
});

export const SID_AND_ATTRIBUTES = struct('_SID_AND_ATTRIBUTES', { Sid: pointer, Attributes: u32 });

export const TOKEN_GROUPS = struct('_TOKEN_GROUPS', {
  GroupCount: u32,
  Groups: bytes(SID_AND_ATTRIBUTES.sizeBytes, 8),
});

export const TOKEN_PRIVILEGES = struct('_TOKEN_PRIVILEGES', {
  PrivilegeCount: u32,
  Privileges: bytes(LUID_AND_ATTRIBUTES.sizeBytes, 4),
});

export const TOKEN_SOURCE = struct('_TOKEN_SOURCE', { SourceName: bytes(8), SourceIdentifier: bytes(8, 4) });

export const TOKEN_STATISTICS = struct('_TOKEN_STATISTICS', {
  TokenId: bytes(8, 4),
  AuthenticationId: bytes(8, 4),
  ExpirationTime: u64,
  TokenType: u32,
  ImpersonationLevel: u32,
  DynamicCharged: u32,
  DynamicAvailable: u32,
  GroupCount: u32,
  PrivilegeCount: u32,
  ModifiedId: bytes(8, 4),
});

const luid = bytes(8, 4);

/** What SeExports points to. */
export const SE_EXPORTS = struct('_SE_EXPORTS', {
  SeCreateTokenPrivilege: luid,
  SeAssignPrimaryTokenPrivilege: luid,
  SeLockMemoryPrivilege: luid,
  SeIncreaseQuotaPrivilege: luid,
  SeUnsolicitedInputPrivilege: luid,
  SeTcbPrivilege: luid,
  SeSecurityPrivilege: luid,
  SeTakeOwnershipPrivilege: luid,
  SeLoadDriverPrivilege: luid,
  SeCreatePagefilePrivilege: luid,
  SeIncreaseBasePriorityPrivilege: luid,
  SeSystemProfilePrivilege: luid,
  SeSystemtimePrivilege: luid,
  SeProfileSingleProcessPrivilege: luid,
  SeCreatePermanentPrivilege: luid,
  SeBackupPrivilege: luid,
  SeRestorePrivilege: luid,
  SeShutdownPrivilege: luid,
  SeDebugPrivilege: luid,
  SeAuditPrivilege: luid,
  SeSystemEnvironmentPrivilege: luid,
  SeChangeNotifyPrivilege: luid,
  SeRemoteShutdownPrivilege: luid,
  SeNullSid: pointer,
  SeWorldSid: pointer,
  SeLocalSid: pointer,
  SeCreatorOwnerSid: pointer,
  SeCreatorGroupSid: pointer,
  SeNtAuthoritySid: pointer,
  SeDialupSid: pointer,
  SeNetworkSid: pointer,
  SeBatchSid: pointer,
  SeInteractiveSid: pointer,
  SeLocalSystemSid: pointer,
  SeAliasAdminsSid: pointer,
  SeAliasUsersSid: pointer,
  SeAliasGuestsSid: pointer,
  SeAliasPowerUsersSid: pointer,
  SeAliasAccountOpsSid: pointer,
  SeAliasSystemOpsSid: pointer,
  SeAliasPrintOpsSid: pointer,
  SeAliasBackupOpsSid: pointer,
  SeAuthenticatedUsersSid: pointer,
  SeRestrictedSid: pointer,
  SeAnonymousLogonSid: pointer,
  SeUndockPrivilege: luid,
  SeSyncAgentPrivilege: luid,
  SeEnableDelegationPrivilege: luid,
  SeLocalServiceSid: pointer,
  SeNetworkServiceSid: pointer,
  SeManageVolumePrivilege: luid,
  SeImpersonatePrivilege: luid,
  SeCreateGlobalPrivilege: luid,
  SeTrustedCredManAccessPrivilege: luid,
  SeRelabelPrivilege: luid,
  SeIncreaseWorkingSetPrivilege: luid,
  SeTimeZonePrivilege: luid,
  SeCreateSymbolicLinkPrivilege: luid,
  SeIUserSid: pointer,
  SeUntrustedMandatorySid: pointer,
  SeLowMandatorySid: pointer,
  SeMediumMandatorySid: pointer,
  SeHighMandatorySid: pointer,
  SeSystemMandatorySid: pointer,
  SeOwnerRightsSid: pointer,
});
