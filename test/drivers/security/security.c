/*
 * Security as drivers use it, checked by the driver itself: SIDs, lists, descriptors of both forms, tokens, access
 * checks, what a client may do. DriverEntry fails with the line of the first check that does. Control codes leave one
 * thing behind each.
 */
#include <ntifs.h>

#define CODE(function) CTL_CODE(FILE_DEVICE_UNKNOWN, function, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_CLEAN CODE(0x800)         /* checks what the caller may do, and leaves nothing */
#define IOCTL_TOKEN CODE(0x801)         /* a reference to the caller's token */
#define IOCTL_SUBJECT CODE(0x802)       /* a subject context that is not released */
#define IOCTL_INFORMATION CODE(0x803)   /* what SeQueryInformationToken gave */
#define IOCTL_CAPTURED CODE(0x804)      /* a captured descriptor */
#define IOCTL_HANDLE CODE(0x805)        /* a handle to the System process's token */
#define IOCTL_OBJECT CODE(0x806)        /* what ObGetObjectSecurity gave */
#define IOCTL_SID_TEXT CODE(0x807)      /* the text of a SID */
#define IOCTL_LOGON CODE(0x808)         /* a routine for the end of logon sessions */
#define IOCTL_CLIENT CODE(0x809)        /* a client context */

static ULONG FailedLine;
#define CHECK(condition)                                       \
    do {                                                       \
        if (!(condition) && FailedLine == 0) {                 \
            FailedLine = __LINE__;                             \
            DbgPrint("line %lu: %s\n", FailedLine, #condition); \
        }                                                      \
    } while (0)

NTKERNELAPI BOOLEAN PsIsThreadImpersonating(PETHREAD);
NTKERNELAPI NTSTATUS SeCaptureSecurityDescriptor(PSECURITY_DESCRIPTOR, KPROCESSOR_MODE, POOL_TYPE, BOOLEAN, PSECURITY_DESCRIPTOR *);
NTKERNELAPI NTSTATUS SeReleaseSecurityDescriptor(PSECURITY_DESCRIPTOR, KPROCESSOR_MODE, BOOLEAN);
NTSYSAPI NTSTATUS NTAPI RtlGetAce(PACL, ULONG, PVOID *);
NTSYSAPI NTSTATUS NTAPI RtlGetSaclSecurityDescriptor(PSECURITY_DESCRIPTOR, PBOOLEAN, PACL *, PBOOLEAN);

static PDEVICE_OBJECT Device;
static UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Device\\Security");
static UNICODE_STRING Link = RTL_CONSTANT_STRING(L"\\??\\Security");
static GENERIC_MAPPING Mapping = {FILE_GENERIC_READ, FILE_GENERIC_WRITE, FILE_GENERIC_EXECUTE, FILE_ALL_ACCESS};

static void CheckSids(void)
{
    UCHAR buffer[32], copy[32];
    PSID sid = buffer;
    SID_IDENTIFIER_AUTHORITY authority = {SECURITY_NT_AUTHORITY};
    WCHAR room[40];
    UNICODE_STRING text = {0, sizeof(room), room};
    UNICODE_STRING expected = RTL_CONSTANT_STRING(L"S-1-5-32-544");

    CHECK(RtlInitializeSid(sid, &authority, 16) == STATUS_INVALID_PARAMETER);
    CHECK(RtlInitializeSid(sid, &authority, 2) == STATUS_SUCCESS);
    *RtlSubAuthoritySid(sid, 0) = SECURITY_BUILTIN_DOMAIN_RID;
    *RtlSubAuthoritySid(sid, 1) = DOMAIN_ALIAS_RID_ADMINS;
    CHECK(RtlLengthSid(sid) == 16 && RtlLengthRequiredSid(2) == 16);
    CHECK(RtlValidSid(sid) && RtlEqualSid(sid, SeExports->SeAliasAdminsSid));
    CHECK(!RtlEqualSid(sid, SeExports->SeAliasUsersSid));
    CHECK(RtlCopySid(15, copy, sid) == STATUS_BUFFER_TOO_SMALL);
    CHECK(RtlCopySid(sizeof(copy), copy, sid) == STATUS_SUCCESS && RtlEqualSid(copy, sid));
    CHECK(RtlConvertSidToUnicodeString(&text, sid, FALSE) == STATUS_SUCCESS && RtlEqualUnicodeString(&text, &expected, FALSE));
    text.MaximumLength = 24;
    CHECK(RtlConvertSidToUnicodeString(&text, sid, FALSE) == STATUS_BUFFER_OVERFLOW);
    CHECK(RtlConvertSidToUnicodeString(&text, sid, TRUE) == STATUS_SUCCESS && RtlEqualUnicodeString(&text, &expected, FALSE));
    RtlFreeUnicodeString(&text);
    buffer[0] = 2;
    CHECK(!RtlValidSid(sid) && RtlConvertSidToUnicodeString(&text, sid, TRUE) == STATUS_INVALID_SID);
    CHECK(SeExports->SeDebugPrivilege.LowPart == SE_DEBUG_PRIVILEGE && SeExports->SeDebugPrivilege.HighPart == 0);
    CHECK(*RtlSubAuthoritySid(SeExports->SeLocalSystemSid, 0) == SECURITY_LOCAL_SYSTEM_RID);
}

static ULONG MakeList(PACL list, ULONG bytes)
{
    CHECK(RtlCreateAcl(list, bytes, ACL_REVISION) == STATUS_SUCCESS);
    CHECK(RtlAddAccessAllowedAce(list, ACL_REVISION, GENERIC_ALL, SeExports->SeLocalSystemSid) == STATUS_SUCCESS);
    CHECK(RtlAddAccessAllowedAceEx(list, ACL_REVISION, 0, FILE_GENERIC_READ, SeExports->SeAliasAdminsSid) == STATUS_SUCCESS);
    return list->AceCount;
}

static void CheckDescriptors(void)
{
    UCHAR aclBuffer[128], relative[256], owner[32], group[32], dacl[128], sacl[8];
    PACL list = (PACL)aclBuffer, found = NULL;
    SECURITY_DESCRIPTOR absolute, back;
    ULONG length, sizes[5];
    BOOLEAN present = 7, defaulted = 7;
    PSID sid = NULL;
    PVOID ace = NULL;
    PSECURITY_DESCRIPTOR captured = NULL;

    CHECK(RtlCreateAcl(list, 4, ACL_REVISION) == STATUS_BUFFER_TOO_SMALL);
    CHECK(RtlCreateAcl(list, sizeof(aclBuffer), 9) == STATUS_INVALID_PARAMETER);
    CHECK(RtlCreateAcl(list, 28, ACL_REVISION) == STATUS_SUCCESS);
    CHECK(RtlAddAccessAllowedAce(list, ACL_REVISION, 1, SeExports->SeLocalSystemSid) == STATUS_SUCCESS);
    CHECK(RtlAddAccessAllowedAce(list, ACL_REVISION, 1, SeExports->SeWorldSid) == STATUS_ALLOTTED_SPACE_EXCEEDED);
    CHECK(MakeList(list, sizeof(aclBuffer)) == 2);
    CHECK(RtlGetAce(list, 1, &ace) == STATUS_SUCCESS && ((PACCESS_ALLOWED_ACE)ace)->Mask == FILE_GENERIC_READ);
    CHECK(((PACCESS_ALLOWED_ACE)ace)->Header.AceSize == 24);
    CHECK(RtlGetAce(list, 2, &ace) == STATUS_INVALID_PARAMETER);

    CHECK(RtlCreateSecurityDescriptor(&absolute, 2) == STATUS_UNKNOWN_REVISION);
    CHECK(RtlCreateSecurityDescriptor(&absolute, SECURITY_DESCRIPTOR_REVISION) == STATUS_SUCCESS);
    CHECK(RtlGetDaclSecurityDescriptor(&absolute, &present, &found, &defaulted) == STATUS_SUCCESS && !present && defaulted == 7);
    CHECK(RtlSetDaclSecurityDescriptor(&absolute, TRUE, list, FALSE) == STATUS_SUCCESS);
    CHECK(RtlGetDaclSecurityDescriptor(&absolute, &present, &found, &defaulted) == STATUS_SUCCESS);
    CHECK(present && found == list && !defaulted);
    CHECK(RtlGetSaclSecurityDescriptor(&absolute, &present, &found, &defaulted) == STATUS_SUCCESS && !present);
    CHECK(RtlSetOwnerSecurityDescriptor(&absolute, SeExports->SeAliasAdminsSid, FALSE) == STATUS_SUCCESS);
    CHECK(RtlGetOwnerSecurityDescriptor(&absolute, &sid, &defaulted) == STATUS_SUCCESS && sid == SeExports->SeAliasAdminsSid);
    CHECK(RtlGetGroupSecurityDescriptor(&absolute, &sid, &defaulted) == STATUS_SUCCESS && sid == NULL);
    CHECK(RtlLengthSecurityDescriptor(&absolute) == 40 + 128 + 16 && RtlValidSecurityDescriptor(&absolute));

    length = 10;
    CHECK(RtlAbsoluteToSelfRelativeSD(&absolute, relative, &length) == STATUS_BUFFER_TOO_SMALL && length == 20 + 128 + 16);
    length = sizeof(relative);
    CHECK(RtlAbsoluteToSelfRelativeSD(&absolute, relative, &length) == STATUS_SUCCESS && length == 164);
    CHECK(RtlAbsoluteToSelfRelativeSD(relative, relative, &length) == STATUS_BAD_DESCRIPTOR_FORMAT);
    CHECK(RtlSetDaclSecurityDescriptor(relative, TRUE, list, FALSE) == STATUS_INVALID_SECURITY_DESCR);
    CHECK(RtlValidRelativeSecurityDescriptor(relative, 164, OWNER_SECURITY_INFORMATION));
    CHECK(!RtlValidRelativeSecurityDescriptor(relative, 163, 0));
    CHECK(!RtlValidRelativeSecurityDescriptor(relative, 164, GROUP_SECURITY_INFORMATION));
    CHECK(RtlGetOwnerSecurityDescriptor(relative, &sid, &defaulted) == STATUS_SUCCESS && RtlEqualSid(sid, SeExports->SeAliasAdminsSid));
    sizes[0] = 39;
    sizes[1] = sizeof(dacl);
    sizes[2] = sizeof(sacl);
    sizes[3] = sizeof(owner);
    sizes[4] = sizeof(group);
    CHECK(RtlSelfRelativeToAbsoluteSD(relative, &back, &sizes[0], (PACL)dacl, &sizes[1], (PACL)sacl, &sizes[2], owner, &sizes[3], group, &sizes[4]) == STATUS_BUFFER_TOO_SMALL);
    CHECK(sizes[0] == 40 && sizes[1] == 128 && sizes[2] == 0 && sizes[3] == 16 && sizes[4] == 0);
    CHECK(RtlSelfRelativeToAbsoluteSD(relative, &back, &sizes[0], (PACL)dacl, &sizes[1], (PACL)sacl, &sizes[2], owner, &sizes[3], group, &sizes[4]) == STATUS_SUCCESS);
    CHECK(back.Dacl == (PACL)dacl && back.Owner == owner && RtlValidSecurityDescriptor(&back));

    CHECK(SeCaptureSecurityDescriptor(&absolute, KernelMode, PagedPool, FALSE, &captured) == STATUS_SUCCESS && captured == &absolute);
    CHECK(SeCaptureSecurityDescriptor(&absolute, KernelMode, PagedPool, TRUE, &captured) == STATUS_SUCCESS && captured != &absolute);
    CHECK(RtlValidRelativeSecurityDescriptor(captured, 164, 0));
    SeReleaseSecurityDescriptor(captured, KernelMode, TRUE);
}

/* As wdmsec.lib's IoCreateDeviceSecure does it. */
static void ProtectDevice(PSID sid)
{
    UCHAR buffer[64];
    SECURITY_DESCRIPTOR descriptor;
    HANDLE handle = NULL;
    UCHAR room[256];
    ULONG length = 0;
    PACL list = NULL;
    BOOLEAN present = FALSE, defaulted = FALSE;

    CHECK(RtlCreateAcl((PACL)buffer, sizeof(buffer), ACL_REVISION) == STATUS_SUCCESS);
    CHECK(RtlAddAccessAllowedAce((PACL)buffer, ACL_REVISION, FILE_ALL_ACCESS, sid) == STATUS_SUCCESS);
    CHECK(RtlCreateSecurityDescriptor(&descriptor, SECURITY_DESCRIPTOR_REVISION) == STATUS_SUCCESS);
    CHECK(RtlSetDaclSecurityDescriptor(&descriptor, TRUE, (PACL)buffer, FALSE) == STATUS_SUCCESS);
    CHECK(ObOpenObjectByPointer(Device, OBJ_KERNEL_HANDLE, NULL, WRITE_DAC, NULL, KernelMode, &handle) == STATUS_SUCCESS);
    CHECK(ZwSetSecurityObject(handle, DACL_SECURITY_INFORMATION, NULL) == STATUS_INVALID_SECURITY_DESCR);
    CHECK(ZwSetSecurityObject(handle, DACL_SECURITY_INFORMATION, &descriptor) == STATUS_SUCCESS);
    CHECK(ZwQuerySecurityObject(handle, DACL_SECURITY_INFORMATION, room, 8, &length) == STATUS_BUFFER_TOO_SMALL && length == 84);
    CHECK(ZwQuerySecurityObject(handle, DACL_SECURITY_INFORMATION, room, sizeof(room), &length) == STATUS_SUCCESS);
    CHECK(RtlGetDaclSecurityDescriptor(room, &present, &list, &defaulted) == STATUS_SUCCESS && present && list->AceCount == 1);
    ZwClose(handle);
}

static void CheckTokens(void)
{
    PACCESS_TOKEN token = PsReferencePrimaryToken(PsGetCurrentProcess());
    PTOKEN_USER user = NULL;
    PTOKEN_STATISTICS statistics = NULL;
    ULONG session = 9;
    HANDLE handle = NULL;
    UCHAR room[64];
    ULONG length = 0;
    LUID luid;

    CHECK(SeTokenType(token) == TokenPrimary && SeTokenIsAdmin(token) && !SeTokenIsRestricted(token));
    CHECK(SeQueryInformationToken(token, TokenUser, (PVOID *)&user) == STATUS_SUCCESS);
    CHECK(RtlEqualSid(user->User.Sid, SeExports->SeLocalSystemSid));
    ExFreePool(user);
    CHECK(SeQueryInformationToken(token, TokenStatistics, (PVOID *)&statistics) == STATUS_SUCCESS);
    CHECK(statistics->AuthenticationId.LowPart == 0x3e7 && statistics->GroupCount == 4);
    ExFreePool(statistics);
    CHECK(SeQueryInformationToken(token, TokenSessionId, (PVOID *)&session) == STATUS_SUCCESS && session == 0);
    CHECK(SeQueryAuthenticationIdToken(token, &luid) == STATUS_SUCCESS && luid.LowPart == 0x3e7);
    CHECK(ZwOpenProcessTokenEx(ZwCurrentProcess(), TOKEN_QUERY, OBJ_KERNEL_HANDLE, &handle) == STATUS_SUCCESS);
    CHECK(ZwQueryInformationToken(handle, TokenUser, room, 8, &length) == STATUS_BUFFER_TOO_SMALL && length == 28);
    CHECK(ZwQueryInformationToken(handle, TokenUser, room, sizeof(room), &length) == STATUS_SUCCESS);
    CHECK(RtlEqualSid(((PTOKEN_USER)room)->User.Sid, SeExports->SeLocalSystemSid));
    ZwClose(handle);
    PsDereferencePrimaryToken(token);
    CHECK(SeSinglePrivilegeCheck(SeExports->SeTcbPrivilege, UserMode));
}

/* Asks what the caller, an administrator, may do by a list. */
static NTSTATUS Ask(PSECURITY_SUBJECT_CONTEXT context, PSECURITY_DESCRIPTOR descriptor, ACCESS_MASK access, PACCESS_MASK granted)
{
    NTSTATUS status = STATUS_UNSUCCESSFUL;
    BOOLEAN may = SeAccessCheck(descriptor, context, FALSE, access, 0, NULL, &Mapping, UserMode, granted, &status);
    CHECK(may == NT_SUCCESS(status));
    return status;
}

static void CheckCaller(void)
{
    SECURITY_SUBJECT_CONTEXT context;
    UCHAR buffer[128];
    SECURITY_DESCRIPTOR descriptor;
    ACCESS_MASK granted = 0;
    PSECURITY_DESCRIPTOR assigned = NULL;
    NTSTATUS status;
    SECURITY_QUALITY_OF_SERVICE quality = {sizeof(quality), SecurityImpersonation, SECURITY_STATIC_TRACKING, FALSE};
    SECURITY_CLIENT_CONTEXT client;
    BOOLEAN copies, effective;
    SECURITY_IMPERSONATION_LEVEL level;
    PACCESS_TOKEN token;

    MakeList((PACL)buffer, sizeof(buffer));
    RtlCreateSecurityDescriptor(&descriptor, SECURITY_DESCRIPTOR_REVISION);
    SeCaptureSubjectContext(&context);
    SeLockSubjectContext(&context);
    /* Without a list everybody may do everything. */
    CHECK(Ask(&context, &descriptor, GENERIC_ALL, &granted) == STATUS_SUCCESS && granted == FILE_ALL_ACCESS);
    RtlSetDaclSecurityDescriptor(&descriptor, TRUE, (PACL)buffer, FALSE);
    CHECK(Ask(&context, &descriptor, GENERIC_READ, &granted) == STATUS_SUCCESS && granted == FILE_GENERIC_READ);
    CHECK(Ask(&context, &descriptor, GENERIC_WRITE, &granted) == STATUS_ACCESS_DENIED && granted == 0);
    CHECK(Ask(&context, &descriptor, MAXIMUM_ALLOWED, &granted) == STATUS_SUCCESS && granted == FILE_GENERIC_READ);
    CHECK(Ask(&context, &descriptor, ACCESS_SYSTEM_SECURITY, &granted) == STATUS_PRIVILEGE_NOT_HELD);
    CHECK(Ask(&context, &descriptor, WRITE_DAC, &granted) == STATUS_ACCESS_DENIED);
    RtlSetOwnerSecurityDescriptor(&descriptor, SeExports->SeAliasAdminsSid, FALSE);
    CHECK(Ask(&context, &descriptor, WRITE_DAC | READ_CONTROL, &granted) == STATUS_SUCCESS);
    CHECK(Ask(&context, NULL, FILE_READ_DATA, &granted) == STATUS_ACCESS_DENIED);
    CHECK(SeAccessCheck(&descriptor, &context, TRUE, GENERIC_WRITE, 0, NULL, &Mapping, KernelMode, &granted, &status));
    SeUnlockSubjectContext(&context);
    CHECK(SeAssignSecurity(NULL, &descriptor, &assigned, FALSE, &context, &Mapping, PagedPool) == STATUS_SUCCESS);
    CHECK(RtlValidRelativeSecurityDescriptor(assigned, 0x1000, OWNER_SECURITY_INFORMATION | GROUP_SECURITY_INFORMATION));
    CHECK(SeDeassignSecurity(&assigned) == STATUS_SUCCESS && assigned == NULL);
    SeReleaseSubjectContext(&context);
    CHECK(!SeSinglePrivilegeCheck(SeExports->SeDebugPrivilege, UserMode));
    CHECK(SeSinglePrivilegeCheck(SeExports->SeDebugPrivilege, KernelMode));
    CHECK(SeSinglePrivilegeCheck(SeExports->SeChangeNotifyPrivilege, UserMode));

    CHECK(PsReferenceImpersonationToken(PsGetCurrentThread(), &copies, &effective, &level) == NULL);
    CHECK(SeCreateClientSecurity(PsGetCurrentThread(), &quality, FALSE, &client) == STATUS_SUCCESS);
    CHECK(SeImpersonateClientEx(&client, NULL) == STATUS_SUCCESS && PsIsThreadImpersonating(PsGetCurrentThread()));
    token = PsReferenceImpersonationToken(PsGetCurrentThread(), &copies, &effective, &level);
    CHECK(token == client.ClientToken && level == SecurityImpersonation && SeTokenType(token) == TokenImpersonation);
    PsDereferenceImpersonationToken(token);
    PsRevertToSelf();
    CHECK(!PsIsThreadImpersonating(PsGetCurrentThread()));
    PsDereferenceImpersonationToken(client.ClientToken);
}

static NTSTATUS NTAPI LogonEnds(PLUID id)
{
    UNREFERENCED_PARAMETER(id);
    return STATUS_SUCCESS;
}

static NTSTATUS Leave(ULONG code)
{
    PVOID block = NULL;
    BOOLEAN allocated = FALSE;
    HANDLE handle;
    static SECURITY_SUBJECT_CONTEXT context;
    static SECURITY_CLIENT_CONTEXT client;
    SECURITY_DESCRIPTOR descriptor;
    SECURITY_QUALITY_OF_SERVICE quality = {sizeof(quality), SecurityImpersonation, SECURITY_STATIC_TRACKING, FALSE};
    UNICODE_STRING text;
    PACCESS_TOKEN token;
    NTSTATUS status;

    switch (code) {
    case IOCTL_CLEAN:
        CheckCaller();
        return FailedLine == 0 ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
    case IOCTL_TOKEN:
        PsReferencePrimaryToken(PsGetCurrentProcess());
        return STATUS_SUCCESS;
    case IOCTL_SUBJECT:
        SeCaptureSubjectContext(&context);
        return STATUS_SUCCESS;
    case IOCTL_INFORMATION:
        token = PsReferencePrimaryToken(PsGetCurrentProcess());
        status = SeQueryInformationToken(token, TokenGroups, &block);
        PsDereferencePrimaryToken(token);
        return status;
    case IOCTL_CAPTURED:
        RtlCreateSecurityDescriptor(&descriptor, SECURITY_DESCRIPTOR_REVISION);
        return SeCaptureSecurityDescriptor(&descriptor, KernelMode, PagedPool, TRUE, &block);
    case IOCTL_HANDLE:
        return ZwOpenProcessTokenEx(ZwCurrentProcess(), TOKEN_QUERY, OBJ_KERNEL_HANDLE, &handle);
    case IOCTL_OBJECT:
        return ObGetObjectSecurity(Device, &block, &allocated);
    case IOCTL_SID_TEXT:
        return RtlConvertSidToUnicodeString(&text, SeExports->SeWorldSid, TRUE);
    case IOCTL_LOGON:
        return SeRegisterLogonSessionTerminatedRoutine(LogonEnds);
    case IOCTL_CLIENT:
        return SeCreateClientSecurity(PsGetCurrentThread(), &quality, FALSE, &client);
    default:
        return STATUS_INVALID_DEVICE_REQUEST;
    }
}

static NTSTATUS NTAPI Dispatch(PDEVICE_OBJECT device, PIRP irp)
{
    PIO_STACK_LOCATION location = IoGetCurrentIrpStackLocation(irp);
    NTSTATUS status = STATUS_SUCCESS;
    UNREFERENCED_PARAMETER(device);
    if (location->MajorFunction == IRP_MJ_DEVICE_CONTROL) status = Leave(location->Parameters.DeviceIoControl.IoControlCode);
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

static void NTAPI Unload(PDRIVER_OBJECT driver)
{
    IoDeleteSymbolicLink(&Link);
    IoDeleteDevice(driver->DeviceObject);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    driver->DriverUnload = Unload;
    driver->MajorFunction[IRP_MJ_CREATE] = Dispatch;
    driver->MajorFunction[IRP_MJ_CLOSE] = Dispatch;
    driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Dispatch;
    CheckSids();
    CheckDescriptors();
    CheckTokens();
    CHECK(IoCreateDevice(driver, 0, &Name, FILE_DEVICE_UNKNOWN, FILE_DEVICE_SECURE_OPEN, FALSE, &Device) == STATUS_SUCCESS);
    IoCreateSymbolicLink(&Link, &Name);
    /* The service name says who may open the device. */
    ProtectDevice(path->Buffer[path->Length / 2 - 1] == L'm' ? SeExports->SeLocalSystemSid : SeExports->SeAliasAdminsSid);
    if (FailedLine == 0) return STATUS_SUCCESS;
    Unload(driver);
    return STATUS_UNSUCCESSFUL;
}
