/*
 * Keeps names with an identifier each. Programs speak ANSI, the driver keeps Unicode: names are converted, folded to upper
 * case to compare them, identifiers are written out, and answers converted back, each with a string of the run-time
 * library that somebody must free.
 *
 * Four leaks, all behind a comparison: a name with a character that is not allowed (the converted name), a name that is
 * there already (its folded form), an identifier that is another one (its text), an answer that has no room (the answer).
 */
#include "sample.h"

#define TAG_ENTRY 'nErR' /* RrEn */

#define MAX_NAME_CHARACTERS 64

#define IOCTL_REGISTRAR_ADD CTL_CODE(FILE_DEVICE_UNKNOWN, 0x980, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_REGISTRAR_CHECK CTL_CODE(FILE_DEVICE_UNKNOWN, 0x981, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_REGISTRAR_FIND CTL_CODE(FILE_DEVICE_UNKNOWN, 0x982, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_REGISTRAR_ALIAS CTL_CODE(FILE_DEVICE_UNKNOWN, 0x983, METHOD_BUFFERED, FILE_ANY_ACCESS)

/* The input of all; the name follows, up to a NUL or the end. */
typedef struct _REGISTRAR_INPUT {
    GUID Id;
    CHAR Name[ANYSIZE_ARRAY];
} REGISTRAR_INPUT, *PREGISTRAR_INPUT;

typedef struct _REGISTRAR_ENTRY {
    LIST_ENTRY Link;
    UNICODE_STRING Name;
    UNICODE_STRING Key;
    UNICODE_STRING Id;
    UNICODE_STRING Alias;
} REGISTRAR_ENTRY, *PREGISTRAR_ENTRY;

typedef struct _REGISTRAR {
    ERESOURCE Lock;
    LIST_ENTRY Entries;
} REGISTRAR, *PREGISTRAR;

/* <ntifs.h> */
NTSYSAPI NTSTATUS NTAPI RtlDuplicateUnicodeString(ULONG Flags, PCUNICODE_STRING StringIn, PUNICODE_STRING StringOut);

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD RegistrarUnload;
static DRIVER_DISPATCH RegistrarCreateClose;
static DRIVER_DISPATCH RegistrarControl;

static BOOLEAN RegistrarIsName(PCUNICODE_STRING Name)
{
    for (USHORT i = 0; i < Name->Length / sizeof(WCHAR); i++) {
        if (Name->Buffer[i] < L' ' || Name->Buffer[i] == L'\\') {
            return FALSE;
        }
    }
    return Name->Length > 0;
}

/* The name of the input, as Unicode. */
static NTSTATUS RegistrarName(const REGISTRAR_INPUT *Input, ULONG InputBytes, PUNICODE_STRING Name)
{
    ANSI_STRING ansi = {.Buffer = (PCHAR)Input->Name};
    ULONG room = InputBytes - FIELD_OFFSET(REGISTRAR_INPUT, Name);

    while (ansi.Length < room && ansi.Buffer[ansi.Length] != 0) {
        ansi.Length++;
    }
    if (ansi.Length > MAX_NAME_CHARACTERS) {
        return STATUS_NAME_TOO_LONG;
    }
    ansi.MaximumLength = ansi.Length;
    NTSTATUS status = RtlAnsiStringToUnicodeString(Name, &ansi, TRUE); // leak[bad-name]: kind=string bytes=26 count=2 pool=PagedPool
    if (!NT_SUCCESS(status)) {
        return status;
    }
    if (!RegistrarIsName(Name)) {
        return STATUS_OBJECT_NAME_INVALID;
    }
    return STATUS_SUCCESS;
}

static PREGISTRAR_ENTRY RegistrarFindKey(PREGISTRAR Registrar, PCUNICODE_STRING Key)
{
    for (PLIST_ENTRY link = Registrar->Entries.Flink; link != &Registrar->Entries; link = link->Flink) {
        PREGISTRAR_ENTRY entry = CONTAINING_RECORD(link, REGISTRAR_ENTRY, Link);
        if (RtlEqualUnicodeString(&entry->Key, Key, FALSE)) {
            return entry;
        }
    }
    return NULL;
}

/* The entry of that name, however it is written. */
static NTSTATUS RegistrarFind(PREGISTRAR Registrar, PCUNICODE_STRING Name, PREGISTRAR_ENTRY *Entry)
{
    UNICODE_STRING key;

    NTSTATUS status = RtlUpcaseUnicodeString(&key, Name, TRUE);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    *Entry = RegistrarFindKey(Registrar, &key);
    RtlFreeUnicodeString(&key);
    return *Entry == NULL ? STATUS_OBJECT_NAME_NOT_FOUND : STATUS_SUCCESS;
}

static VOID RegistrarFree(PREGISTRAR_ENTRY Entry)
{
    RtlFreeUnicodeString(&Entry->Name);
    RtlFreeUnicodeString(&Entry->Key);
    RtlFreeUnicodeString(&Entry->Id);
    RtlFreeUnicodeString(&Entry->Alias);
    ExFreePoolWithTag(Entry, TAG_ENTRY);
}

/* Name becomes the entry's, if there is one. */
static NTSTATUS RegistrarAdd(PREGISTRAR Registrar, PUNICODE_STRING Name, const GUID *Id)
{
    UNICODE_STRING key;

    NTSTATUS status = RtlUpcaseUnicodeString(&key, Name, TRUE); // leak[twice]: kind=string bytes=16 count=2 pool=PagedPool
    if (!NT_SUCCESS(status)) {
        return status;
    }
    if (RegistrarFindKey(Registrar, &key) != NULL) {
        return STATUS_OBJECT_NAME_COLLISION;
    }
    PREGISTRAR_ENTRY entry = ExAllocatePoolWithTag(PagedPool, sizeof(*entry), TAG_ENTRY);
    if (entry == NULL) {
        RtlFreeUnicodeString(&key);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    RtlZeroMemory(entry, sizeof(*entry));
    status = RtlStringFromGUID(Id, &entry->Id);
    if (!NT_SUCCESS(status)) {
        RtlFreeUnicodeString(&key);
        ExFreePoolWithTag(entry, TAG_ENTRY);
        return status;
    }
    entry->Name = *Name;
    entry->Key = key;
    RtlInitUnicodeString(Name, NULL);
    InsertTailList(&Registrar->Entries, &entry->Link);
    return STATUS_SUCCESS;
}

/* Whether the entry has that identifier. */
static NTSTATUS RegistrarCheck(PREGISTRAR_ENTRY Entry, const GUID *Id)
{
    UNICODE_STRING text;

    NTSTATUS status = RtlStringFromGUID(Id, &text); // leak[other-id]: kind=string bytes=78 count=1 pool=PagedPool
    if (!NT_SUCCESS(status)) {
        return status;
    }
    if (RtlCompareUnicodeString(&text, &Entry->Id, TRUE) != 0) {
        return STATUS_OBJECT_TYPE_MISMATCH;
    }
    RtlFreeUnicodeString(&text);
    return STATUS_SUCCESS;
}

/* Writes the identifier, and the alias where there is one. */
static NTSTATUS RegistrarAnswer(PREGISTRAR_ENTRY Entry, PCHAR Output, ULONG OutputBytes, PULONG_PTR Information)
{
    ANSI_STRING answer;

    PUNICODE_STRING source = Entry->Alias.Buffer == NULL ? &Entry->Id : &Entry->Alias;
    NTSTATUS status = RtlUnicodeStringToAnsiString(&answer, source, TRUE); // leak[no-room]: kind=string bytes=39 count=1 pool=PagedPool
    if (!NT_SUCCESS(status)) {
        return status;
    }
    if (answer.Length > OutputBytes) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    RtlCopyMemory(Output, answer.Buffer, answer.Length);
    *Information = answer.Length;
    RtlFreeAnsiString(&answer);
    return STATUS_SUCCESS;
}

/* From now on the entry answers with its name, in capitals, if it had none such before. */
static NTSTATUS RegistrarAlias(PREGISTRAR_ENTRY Entry)
{
    if (Entry->Alias.Buffer != NULL) {
        return STATUS_OBJECT_NAME_EXISTS;
    }
    return RtlDuplicateUnicodeString(1, &Entry->Key, &Entry->Alias);
}

static NTSTATUS RegistrarDo(PREGISTRAR Registrar, PIO_STACK_LOCATION Stack, PVOID Buffer, PULONG_PTR Information)
{
    ULONG inputBytes = Stack->Parameters.DeviceIoControl.InputBufferLength;
    ULONG code = Stack->Parameters.DeviceIoControl.IoControlCode;
    PREGISTRAR_INPUT input = Buffer;
    PREGISTRAR_ENTRY entry;
    UNICODE_STRING name;

    if (inputBytes <= (ULONG)FIELD_OFFSET(REGISTRAR_INPUT, Name)) {
        return STATUS_INVALID_PARAMETER;
    }
    NTSTATUS status = RegistrarName(input, inputBytes, &name);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    KeEnterCriticalRegion();
    ExAcquireResourceExclusiveLite(&Registrar->Lock, TRUE);
    if (code == IOCTL_REGISTRAR_ADD) {
        status = RegistrarAdd(Registrar, &name, &input->Id);
    } else {
        status = RegistrarFind(Registrar, &name, &entry);
    }
    if (NT_SUCCESS(status) && code == IOCTL_REGISTRAR_CHECK) {
        status = RegistrarCheck(entry, &input->Id);
    } else if (NT_SUCCESS(status) && code == IOCTL_REGISTRAR_FIND) {
        status = RegistrarAnswer(entry, Buffer, Stack->Parameters.DeviceIoControl.OutputBufferLength, Information);
    } else if (NT_SUCCESS(status) && code == IOCTL_REGISTRAR_ALIAS) {
        status = RegistrarAlias(entry);
    }
    ExReleaseResourceLite(&Registrar->Lock);
    KeLeaveCriticalRegion();
    RtlFreeUnicodeString(&name);
    return status;
}

static NTSTATUS RegistrarControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    NTSTATUS status = STATUS_INVALID_DEVICE_REQUEST;
    ULONG_PTR information = 0;

    switch (stack->Parameters.DeviceIoControl.IoControlCode) {
    case IOCTL_REGISTRAR_ADD:
    case IOCTL_REGISTRAR_CHECK:
    case IOCTL_REGISTRAR_FIND:
    case IOCTL_REGISTRAR_ALIAS:
        status = RegistrarDo(DeviceObject->DeviceExtension, stack, Irp->AssociatedIrp.SystemBuffer, &information);
        break;
    }
    return SampleComplete(Irp, status, information);
}

static NTSTATUS RegistrarCreateClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static VOID RegistrarUnload(PDRIVER_OBJECT DriverObject)
{
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\LeakyRegistrar");
    PREGISTRAR registrar = DriverObject->DeviceObject->DeviceExtension;

    IoDeleteSymbolicLink(&link);
    while (!IsListEmpty(&registrar->Entries)) {
        RegistrarFree(CONTAINING_RECORD(RemoveHeadList(&registrar->Entries), REGISTRAR_ENTRY, Link));
    }
    ExDeleteResourceLite(&registrar->Lock);
    IoDeleteDevice(DriverObject->DeviceObject);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\LeakyRegistrar");
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\LeakyRegistrar");
    PDEVICE_OBJECT device;

    UNREFERENCED_PARAMETER(RegistryPath);
    NTSTATUS status = IoCreateDevice(DriverObject, sizeof(REGISTRAR), &name, FILE_DEVICE_UNKNOWN,
                                     FILE_DEVICE_SECURE_OPEN, FALSE, &device);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    PREGISTRAR registrar = device->DeviceExtension;
    InitializeListHead(&registrar->Entries);
    status = ExInitializeResourceLite(&registrar->Lock);
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(device);
        return status;
    }
    status = IoCreateSymbolicLink(&link, &name);
    if (!NT_SUCCESS(status)) {
        ExDeleteResourceLite(&registrar->Lock);
        IoDeleteDevice(device);
        return status;
    }
    DriverObject->MajorFunction[IRP_MJ_CREATE] = RegistrarCreateClose;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = RegistrarCreateClose;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = RegistrarControl;
    DriverObject->DriverUnload = RegistrarUnload;
    return STATUS_SUCCESS;
}
