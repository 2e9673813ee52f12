/** Access control lists as drivers build and read them. */
import { nullVa } from '../../base/va.ts';
import { upToApc } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { ACCESS_MASK, PVOID, pointerTo, ULONG } from '../declare/parameter-types.ts';
import { STATUS_INVALID_PARAMETER, STATUS_SUCCESS } from '../ntstatus.ts';
import { AceType, aceAt, addAce, addAces, createAcl, deleteAce, isValidAcl } from '../se/acl.ts';

const pacl = pointerTo('ACL');
const psid = pointerTo('SID');

export const rtlAcls = ntExports('ntoskrnl.exe', {
  RtlCreateAcl: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-rtlcreateacl',
    irql: upToApc,
    params: { Acl: pacl, AclLength: ULONG, AclRevision: ULONG },
    returns: 'NTSTATUS',
    body: ({ memory }, { Acl, AclLength, AclRevision }) => createAcl(memory, Acl, AclLength, AclRevision),
  }),
  RtlAddAccessAllowedAce: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-rtladdaccessallowedace',
    irql: upToApc,
    params: { Acl: pacl, AceRevision: ULONG, AccessMask: ACCESS_MASK, Sid: psid },
    returns: 'NTSTATUS',
    body: ({ memory }, { Acl, AceRevision: revision, AccessMask: mask, Sid: sid }) =>
      addAce(memory, Acl, { revision, type: AceType.Allowed, flags: 0, mask, sid }),
  }),
  RtlAddAccessAllowedAceEx: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-rtladdaccessallowedaceex',
    irql: upToApc,
    params: { Acl: pacl, AceRevision: ULONG, AceFlags: ULONG, AccessMask: ACCESS_MASK, Sid: psid },
    returns: 'NTSTATUS',
    body: ({ memory }, { Acl, AceRevision: revision, AceFlags: flags, AccessMask: mask, Sid: sid }) =>
      addAce(memory, Acl, { revision, type: AceType.Allowed, flags, mask, sid }),
  }),
  RtlAddAce: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-rtladdace',
    irql: upToApc,
    params: { Acl: pacl, AceRevision: ULONG, StartingAceIndex: ULONG, AceList: PVOID, AceListLength: ULONG },
    returns: 'NTSTATUS',
    body: ({ memory }, args) =>
      addAces(memory, args.Acl, args.AceRevision, args.StartingAceIndex, args.AceList, args.AceListLength),
  }),
  RtlDeleteAce: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-rtldeleteace',
    irql: upToApc,
    params: { Acl: pacl, AceIndex: ULONG },
    returns: 'NTSTATUS',
    body: ({ memory }, { Acl, AceIndex }) => deleteAce(memory, Acl, AceIndex),
  }),
  RtlGetAce: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-rtlgetace',
    irql: upToApc,
    params: { Acl: pacl, AceIndex: ULONG, Ace: PVOID },
    returns: 'NTSTATUS',
    body: ({ memory }, { Acl, AceIndex, Ace }) => {
      const at = isValidAcl(memory, Acl) ? aceAt(memory, Acl, AceIndex) : nullVa;
      if (at === nullVa) return STATUS_INVALID_PARAMETER;
      memory.writeVa(Ace, at);
      return STATUS_SUCCESS;
    },
  }),
});
