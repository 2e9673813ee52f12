/** Security identifiers as drivers make, compare and print them. */
import { vaAdd } from '../../base/va.ts';
import { anyIrql, upToApc } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { BOOLEAN, PVOID, pointerTo, UCHAR, ULONG } from '../declare/parameter-types.ts';
import { STATUS_BUFFER_TOO_SMALL, STATUS_INVALID_PARAMETER, STATUS_INVALID_SID, STATUS_SUCCESS } from '../ntstatus.ts';
import { isValidSid, maximumSubAuthorities, sidBytes, sidLength, sidText, subAuthorityAt } from '../se/sid.ts';
import { GENERIC_MAPPING, SID } from '../structures/security.ts';
import { utf16OfText } from './guest-text.ts';
import { convertString } from './string-conversion.ts';

const psid = pointerTo('SID');

export const rtlSids = ntExports('ntoskrnl.exe', {
  RtlLengthSid: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-rtllengthsid',
    irql: upToApc,
    params: { Sid: psid },
    returns: 'ULONG',
    body: ({ memory }, { Sid }) => sidLength(memory, Sid),
  }),
  RtlLengthRequiredSid: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-rtllengthrequiredsid',
    irql: upToApc,
    params: { SubAuthorityCount: ULONG },
    returns: 'ULONG',
    body: (_nt, { SubAuthorityCount }) => sidBytes(SubAuthorityCount) >>> 0,
  }),
  RtlValidSid: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-rtlvalidsid',
    irql: upToApc,
    params: { Sid: psid },
    returns: 'BOOLEAN',
    body: ({ memory }, { Sid }) => isValidSid(memory, Sid),
  }),
  RtlEqualSid: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-rtlequalsid',
    irql: anyIrql,
    params: { Sid1: psid, Sid2: psid },
    returns: 'BOOLEAN',
    body: ({ memory }, { Sid1, Sid2 }) =>
      memory.readU16(Sid1) === memory.readU16(Sid2) && sidText(memory, Sid1) === sidText(memory, Sid2),
  }),
  RtlCopySid: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-rtlcopysid',
    irql: upToApc,
    params: { DestinationSidLength: ULONG, DestinationSid: psid, SourceSid: psid },
    returns: 'NTSTATUS',
    body: ({ memory }, { DestinationSidLength, DestinationSid, SourceSid }) => {
      const bytes = sidLength(memory, SourceSid);
      if (bytes > DestinationSidLength) return STATUS_BUFFER_TOO_SMALL;
      memory.copy(DestinationSid, SourceSid, bytes);
      return STATUS_SUCCESS;
    },
  }),
  /** The sub-authorities stay as they are. */
  RtlInitializeSid: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-rtlinitializesid',
    irql: upToApc,
    params: { Sid: psid, IdentifierAuthority: PVOID, SubAuthorityCount: UCHAR },
    returns: 'NTSTATUS',
    body: ({ memory }, { Sid, IdentifierAuthority, SubAuthorityCount }) => {
      if (SubAuthorityCount > maximumSubAuthorities) return STATUS_INVALID_PARAMETER;
      SID.Revision.set(memory, Sid, 1);
      SID.SubAuthorityCount.set(memory, Sid, SubAuthorityCount);
      memory.copy(SID.IdentifierAuthority.at(Sid), IdentifierAuthority, 6);
      return STATUS_SUCCESS;
    },
  }),
  RtlSubAuthoritySid: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-rtlsubauthoritysid',
    irql: upToApc,
    params: { Sid: psid, SubAuthority: ULONG },
    returns: 'PVOID',
    body: (_nt, { Sid, SubAuthority }) => subAuthorityAt(Sid, SubAuthority),
  }),
  RtlSubAuthorityCountSid: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-rtlsubauthoritycountsid',
    irql: upToApc,
    params: { Sid: psid },
    returns: 'PVOID',
    body: (_nt, { Sid }) => SID.SubAuthorityCount.at(Sid),
  }),
  RtlIdentifierAuthoritySid: ntRoutine({
    doc: 'ntifs.h; the six bytes of the authority',
    irql: upToApc,
    params: { Sid: psid },
    returns: 'PVOID',
    body: (_nt, { Sid }) => SID.IdentifierAuthority.at(Sid),
  }),
  /** With AllocateDestinationString the driver frees the buffer with RtlFreeUnicodeString. */
  RtlConvertSidToUnicodeString: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-rtlconvertsidtounicodestring',
    irql: upToApc,
    params: { UnicodeString: pointerTo('UNICODE_STRING'), Sid: psid, AllocateDestinationString: BOOLEAN },
    returns: 'NTSTATUS',
    body: (nt, { UnicodeString: destination, Sid, AllocateDestinationString: allocates }, call) => {
      if (!isValidSid(nt.memory, Sid)) return STATUS_INVALID_SID;
      const content = utf16OfText(sidText(nt.memory, Sid));
      return convertString(nt, { destination, content, terminatorBytes: 2, allocates, whenTooSmall: 'nothing' }, call);
    },
  }),
  RtlEqualLuid: ntRoutine({
    doc: 'ntifs.h; compares two LUIDs',
    irql: anyIrql,
    params: { Luid1: pointerTo('LUID'), Luid2: pointerTo('LUID') },
    returns: 'BOOLEAN',
    body: ({ memory }, { Luid1, Luid2 }) => memory.readU64(Luid1) === memory.readU64(Luid2),
  }),
  RtlCopyLuid: ntRoutine({
    doc: 'ntifs.h; copies a LUID',
    irql: upToApc,
    params: { DestinationLuid: pointerTo('LUID'), SourceLuid: pointerTo('LUID') },
    returns: 'VOID',
    body: ({ memory }, { DestinationLuid, SourceLuid }) => {
      memory.copy(DestinationLuid, SourceLuid, 8);
    },
  }),
  RtlMapGenericMask: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtlmapgenericmask',
    irql: upToApc,
    params: { AccessMask: pointerTo('ACCESS_MASK'), GenericMapping: pointerTo('GENERIC_MAPPING') },
    returns: 'VOID',
    body: ({ memory }, { AccessMask, GenericMapping }) => {
      const generic = [0x8000_0000, 0x4000_0000, 0x2000_0000, 0x1000_0000];
      const asked = memory.readU32(AccessMask);
      let mask = asked & 0x0fff_ffff;
      for (const [index, bit] of generic.entries()) {
        if ((asked & bit) !== 0)
          mask |= memory.readU32(vaAdd(GenericMapping, index * GENERIC_MAPPING.GenericWrite.offset));
      }
      memory.writeU32(AccessMask, mask >>> 0);
    },
  }),
});
