/*
 * Sessions: each file that is opened on the device is a session of its own, kept in FsContext; the name after the device's
 * says of which kind ("\plain", "\sealed\NUMBER"). A session has variables, name and value, which programs set and read;
 * the ones of sealed sessions are only set once. The device lets in four sessions at a time.
 *
 * The leak: the session is made before its name is looked at. When the name is wrong, or the device full, the open fails;
 * a failed open has no close, so that the session has to be freed there, and is not.
 */
#include "sample.h"

#define TAG_SESSION 'sseS'  /* Sess */
#define TAG_VARIABLE 'raVS' /* SVar */

#define MAX_SESSIONS 4
#define MAX_VALUE_CHARACTERS 64

#define IOCTL_SESSION_SET CTL_CODE(FILE_DEVICE_UNKNOWN, 0x920, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_SESSION_GET CTL_CODE(FILE_DEVICE_UNKNOWN, 0x921, METHOD_BUFFERED, FILE_ANY_ACCESS)

typedef enum _SESSION_KIND { SessionPlain, SessionSealed } SESSION_KIND;

typedef struct _SESSION {
    LIST_ENTRY Variables;
    ERESOURCE Lock;
    SESSION_KIND Kind;
    ULONG Seal;
} SESSION, *PSESSION;

typedef struct _SESSION_VARIABLE {
    LIST_ENTRY Link;
    ULONG Name;
    ULONG Characters;
    WCHAR Value[ANYSIZE_ARRAY];
} SESSION_VARIABLE, *PSESSION_VARIABLE;

/* Input of set: the name, then the value's characters. */
typedef struct _SESSION_SET {
    ULONG Name;
    WCHAR Value[ANYSIZE_ARRAY];
} SESSION_SET, *PSESSION_SET;

typedef struct _SESSION_EXTENSION {
    LONG Sessions;
} SESSION_EXTENSION, *PSESSION_EXTENSION;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD SessionUnload;
static DRIVER_DISPATCH SessionCreate;
static DRIVER_DISPATCH SessionCleanup;
static DRIVER_DISPATCH SessionClose;
static DRIVER_DISPATCH SessionControl;

static PSESSION SessionMake(VOID)
{
    PSESSION session = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(*session), TAG_SESSION); // leak: tag=Sess bytes=256 count=2 pool=NonPagedPoolNx
    if (session != NULL) {
        RtlZeroMemory(session, sizeof(*session));
        InitializeListHead(&session->Variables);
        ExInitializeResourceLite(&session->Lock);
    }
    return session;
}

static VOID SessionForget(PSESSION Session)
{
    while (!IsListEmpty(&Session->Variables)) {
        PLIST_ENTRY link = RemoveHeadList(&Session->Variables);
        ExFreePoolWithTag(CONTAINING_RECORD(link, SESSION_VARIABLE, Link), TAG_VARIABLE);
    }
}

static VOID SessionFree(PSESSION Session)
{
    SessionForget(Session);
    ExDeleteResourceLite(&Session->Lock);
    ExFreePoolWithTag(Session, TAG_SESSION);
}

/* Reads the kind of session off a name. */
static NTSTATUS SessionParse(PUNICODE_STRING Name, PSESSION Session)
{
    UNICODE_STRING plain = RTL_CONSTANT_STRING(L"\\plain");
    UNICODE_STRING sealed = RTL_CONSTANT_STRING(L"\\sealed\\");
    UNICODE_STRING number;

    if (Name->Length == 0 || RtlEqualUnicodeString(Name, &plain, TRUE)) {
        Session->Kind = SessionPlain;
        return STATUS_SUCCESS;
    }
    if (Name->Length <= sealed.Length || !RtlPrefixUnicodeString(&sealed, Name, TRUE)) {
        return STATUS_OBJECT_NAME_INVALID;
    }
    Session->Kind = SessionSealed;
    number.Buffer = Name->Buffer + sealed.Length / sizeof(WCHAR);
    number.Length = number.MaximumLength = Name->Length - sealed.Length;
    return RtlUnicodeStringToInteger(&number, 10, &Session->Seal);
}

static NTSTATUS SessionCreate(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PSESSION_EXTENSION extension = DeviceObject->DeviceExtension;
    PFILE_OBJECT file = IoGetCurrentIrpStackLocation(Irp)->FileObject;

    PSESSION session = SessionMake();
    if (session == NULL) {
        return SampleComplete(Irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    NTSTATUS status = SessionParse(&file->FileName, session);
    if (NT_SUCCESS(status) && InterlockedIncrement(&extension->Sessions) > MAX_SESSIONS) {
        InterlockedDecrement(&extension->Sessions);
        status = STATUS_TOO_MANY_SESSIONS;
    }
    if (!NT_SUCCESS(status)) {
        ExDeleteResourceLite(&session->Lock);
        return SampleComplete(Irp, status, 0);
    }
    file->FsContext = session;
    return SampleComplete(Irp, STATUS_SUCCESS, FILE_OPENED);
}

/* The last handle is gone: what the program has set is forgotten, but requests may still hold the session. */
static NTSTATUS SessionCleanup(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PSESSION session = IoGetCurrentIrpStackLocation(Irp)->FileObject->FsContext;

    UNREFERENCED_PARAMETER(DeviceObject);
    KeEnterCriticalRegion();
    ExAcquireResourceExclusiveLite(&session->Lock, TRUE);
    SessionForget(session);
    ExReleaseResourceLite(&session->Lock);
    KeLeaveCriticalRegion();
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS SessionClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PSESSION_EXTENSION extension = DeviceObject->DeviceExtension;
    PFILE_OBJECT file = IoGetCurrentIrpStackLocation(Irp)->FileObject;

    SessionFree(file->FsContext);
    file->FsContext = NULL;
    InterlockedDecrement(&extension->Sessions);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

/* The caller holds the session's lock. */
static PSESSION_VARIABLE SessionFind(PSESSION Session, ULONG Name)
{
    for (PLIST_ENTRY link = Session->Variables.Flink; link != &Session->Variables; link = link->Flink) {
        PSESSION_VARIABLE variable = CONTAINING_RECORD(link, SESSION_VARIABLE, Link);
        if (variable->Name == Name) {
            return variable;
        }
    }
    return NULL;
}

static NTSTATUS SessionSet(PSESSION Session, const SESSION_SET *Set, ULONG Bytes)
{
    NTSTATUS status = STATUS_SUCCESS;
    ULONG characters = (Bytes - FIELD_OFFSET(SESSION_SET, Value)) / sizeof(WCHAR);
    if (characters > MAX_VALUE_CHARACTERS) {
        return STATUS_INVALID_PARAMETER;
    }
    PSESSION_VARIABLE variable = ExAllocatePoolWithTag(
        PagedPool, FIELD_OFFSET(SESSION_VARIABLE, Value) + characters * sizeof(WCHAR), TAG_VARIABLE);
    if (variable == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    variable->Name = Set->Name;
    variable->Characters = characters;
    RtlCopyMemory(variable->Value, Set->Value, characters * sizeof(WCHAR));

    KeEnterCriticalRegion();
    ExAcquireResourceExclusiveLite(&Session->Lock, TRUE);
    PSESSION_VARIABLE old = SessionFind(Session, Set->Name);
    if (old != NULL && Session->Kind == SessionSealed) {
        status = STATUS_ALREADY_COMMITTED;
        old = variable;
    } else {
        if (old != NULL) {
            RemoveEntryList(&old->Link);
        }
        InsertTailList(&Session->Variables, &variable->Link);
    }
    ExReleaseResourceLite(&Session->Lock);
    KeLeaveCriticalRegion();
    if (old != NULL) {
        ExFreePoolWithTag(old, TAG_VARIABLE);
    }
    return status;
}

static NTSTATUS SessionGet(PSESSION Session, ULONG Name, PVOID Buffer, ULONG Room, PULONG Bytes)
{
    NTSTATUS status = STATUS_NOT_FOUND;

    KeEnterCriticalRegion();
    ExAcquireResourceSharedLite(&Session->Lock, TRUE);
    PSESSION_VARIABLE variable = SessionFind(Session, Name);
    if (variable != NULL) {
        ULONG bytes = variable->Characters * sizeof(WCHAR);
        status = bytes > Room ? STATUS_BUFFER_TOO_SMALL : STATUS_SUCCESS;
        if (NT_SUCCESS(status)) {
            RtlCopyMemory(Buffer, variable->Value, bytes);
            *Bytes = bytes;
        }
    }
    ExReleaseResourceLite(&Session->Lock);
    KeLeaveCriticalRegion();
    return status;
}

static NTSTATUS SessionControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    PSESSION session = stack->FileObject->FsContext;
    ULONG inputBytes = stack->Parameters.DeviceIoControl.InputBufferLength;
    PVOID buffer = Irp->AssociatedIrp.SystemBuffer;
    ULONG bytes = 0;
    NTSTATUS status;

    UNREFERENCED_PARAMETER(DeviceObject);
    if (inputBytes < sizeof(ULONG)) {
        return SampleComplete(Irp, STATUS_BUFFER_TOO_SMALL, 0);
    }
    switch (stack->Parameters.DeviceIoControl.IoControlCode) {
    case IOCTL_SESSION_SET:
        return SampleComplete(Irp, SessionSet(session, buffer, inputBytes), 0);
    case IOCTL_SESSION_GET:
        status = SessionGet(session, *(PULONG)buffer, buffer, stack->Parameters.DeviceIoControl.OutputBufferLength, &bytes);
        return SampleComplete(Irp, status, bytes);
    default:
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

static VOID SessionUnload(PDRIVER_OBJECT DriverObject)
{
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\LeakySession");
    IoDeleteSymbolicLink(&link);
    IoDeleteDevice(DriverObject->DeviceObject);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\LeakySession");
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\LeakySession");
    PDEVICE_OBJECT device;

    UNREFERENCED_PARAMETER(RegistryPath);
    NTSTATUS status = IoCreateDevice(DriverObject, sizeof(SESSION_EXTENSION), &name, FILE_DEVICE_UNKNOWN,
                                     FILE_DEVICE_SECURE_OPEN, FALSE, &device);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    status = IoCreateSymbolicLink(&link, &name);
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(device);
        return status;
    }
    DriverObject->MajorFunction[IRP_MJ_CREATE] = SessionCreate;
    DriverObject->MajorFunction[IRP_MJ_CLEANUP] = SessionCleanup;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = SessionClose;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = SessionControl;
    DriverObject->DriverUnload = SessionUnload;
    return STATUS_SUCCESS;
}
