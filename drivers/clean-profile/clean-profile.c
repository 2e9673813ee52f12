/*
 * A driver with a profile in the registry: DriverEntry reads settings from the Parameters key below its service key, or
 * takes defaults; programs list the profiles, add one, choose one, which reads its values, and delete one.
 *
 * The clean twin of leaky-profile: a value of the wrong type is freed, and the key of a profile without a Rate is closed.
 */
#include "sample.h"

/* Newer than the headers. */
#ifndef RTL_QUERY_REGISTRY_TYPECHECK
#define RTL_QUERY_REGISTRY_TYPECHECK 0x00000100
#define RTL_QUERY_REGISTRY_TYPECHECK_SHIFT 24
#endif

#define TAG_VALUE 'laVP' /* PVal */
#define TAG_PATH 'htPP'  /* PPth */

#define MAX_NAME_CHARACTERS 32
#define MAX_VALUE_BYTES 64

#define IOCTL_PROFILE_ADD CTL_CODE(FILE_DEVICE_UNKNOWN, 0x8F0, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_PROFILE_CHOOSE CTL_CODE(FILE_DEVICE_UNKNOWN, 0x8F1, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_PROFILE_LIST CTL_CODE(FILE_DEVICE_UNKNOWN, 0x8F2, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_PROFILE_DELETE CTL_CODE(FILE_DEVICE_UNKNOWN, 0x8F3, METHOD_BUFFERED, FILE_ANY_ACCESS)

/* A profile to add: which values it has, of which types. */
typedef struct _PROFILE_ADD {
    WCHAR Name[8];
    ULONG RateType;
    ULONG Rate;
    ULONG LabelType;
    WCHAR Label[8];
} PROFILE_ADD, *PPROFILE_ADD;

typedef struct _PROFILE_ANSWER {
    ULONG Rate;
    ULONG LabelCharacters;
    WCHAR Label[8];
} PROFILE_ANSWER, *PPROFILE_ANSWER;

typedef struct _PROFILE_EXTENSION {
    UNICODE_STRING Path;
    ULONG DefaultRate;
    ULONG Rate;
} PROFILE_EXTENSION, *PPROFILE_EXTENSION;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD ProfileUnload;
static DRIVER_DISPATCH ProfileCreateClose;
static DRIVER_DISPATCH ProfileControl;

/* Opens the Parameters key, or makes it. */
static NTSTATUS ProfileOpenRoot(PPROFILE_EXTENSION Extension, PHANDLE Root)
{
    OBJECT_ATTRIBUTES attributes;
    InitializeObjectAttributes(&attributes, &Extension->Path, OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE, NULL, NULL);
    return ZwCreateKey(Root, KEY_ALL_ACCESS, &attributes, 0, NULL, REG_OPTION_NON_VOLATILE, NULL);
}

/* Opens one profile's key; with `Disposition` it is made if it is not there. */
static NTSTATUS ProfileOpen(PPROFILE_EXTENSION Extension, PUNICODE_STRING Name, PHANDLE Key, PULONG Disposition)
{
    OBJECT_ATTRIBUTES attributes;
    HANDLE root;
    NTSTATUS status = ProfileOpenRoot(Extension, &root);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    InitializeObjectAttributes(&attributes, Name, OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE, root, NULL);
    if (Disposition != NULL) {
        status = ZwCreateKey(Key, KEY_ALL_ACCESS, &attributes, 0, NULL, REG_OPTION_NON_VOLATILE, Disposition);
    } else {
        status = ZwOpenKey(Key, KEY_ALL_ACCESS, &attributes);
    }
    ZwClose(root);
    return status;
}

/* Reads a value of a type, of no less than `Least` bytes; the buffer is the caller's. */
static NTSTATUS ProfileReadValue(HANDLE Key, PCWSTR Name, ULONG Type, ULONG Least,
                                 PKEY_VALUE_PARTIAL_INFORMATION *Value)
{
    UNICODE_STRING name;
    ULONG length = 0;

    RtlInitUnicodeString(&name, Name);
    NTSTATUS status = ZwQueryValueKey(Key, &name, KeyValuePartialInformation, NULL, 0, &length);
    if (status != STATUS_BUFFER_TOO_SMALL && status != STATUS_BUFFER_OVERFLOW) {
        return NT_SUCCESS(status) ? STATUS_INTERNAL_ERROR : status;
    }
    if (length > FIELD_OFFSET(KEY_VALUE_PARTIAL_INFORMATION, Data) + MAX_VALUE_BYTES) {
        return STATUS_NAME_TOO_LONG;
    }
    PKEY_VALUE_PARTIAL_INFORMATION value = ExAllocatePoolWithTag(PagedPool, length, TAG_VALUE);
    if (value == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    status = ZwQueryValueKey(Key, &name, KeyValuePartialInformation, value, length, &length);
    if (!NT_SUCCESS(status)) {
        ExFreePoolWithTag(value, TAG_VALUE);
        return status;
    }
    if (value->Type != Type || value->DataLength < Least) {
        ExFreePoolWithTag(value, TAG_VALUE);
        return STATUS_OBJECT_TYPE_MISMATCH;
    }
    *Value = value;
    return STATUS_SUCCESS;
}

static NTSTATUS ProfileChoose(PPROFILE_EXTENSION Extension, PUNICODE_STRING Name, PPROFILE_ANSWER Answer)
{
    PKEY_VALUE_PARTIAL_INFORMATION value;
    PROFILE_ANSWER answer;
    HANDLE key;

    RtlZeroMemory(&answer, sizeof(answer));
    NTSTATUS status = ProfileOpen(Extension, Name, &key, NULL);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    status = ProfileReadValue(key, L"Rate", REG_DWORD, sizeof(ULONG), &value);
    if (NT_SUCCESS(status)) {
        RtlCopyMemory(&answer.Rate, value->Data, sizeof(answer.Rate));
        ExFreePoolWithTag(value, TAG_VALUE);
        status = ProfileReadValue(key, L"Label", REG_SZ, 0, &value);
    }
    if (NT_SUCCESS(status)) {
        ULONG bytes = value->DataLength < sizeof(answer.Label) ? value->DataLength : sizeof(answer.Label);
        RtlCopyMemory(answer.Label, value->Data, bytes);
        answer.LabelCharacters = bytes / sizeof(WCHAR);
        ExFreePoolWithTag(value, TAG_VALUE);
        Extension->Rate = answer.Rate;
        *Answer = answer;
    }
    ZwClose(key);
    return status;
}

static NTSTATUS ProfileAdd(PPROFILE_EXTENSION Extension, PUNICODE_STRING Name, const PROFILE_ADD *Add)
{
    UNICODE_STRING value;
    ULONG disposition;
    HANDLE key;

    NTSTATUS status = ProfileOpen(Extension, Name, &key, &disposition);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    if (disposition == REG_OPENED_EXISTING_KEY) {
        ZwClose(key);
        return STATUS_OBJECT_NAME_COLLISION;
    }
    if (Add->RateType != REG_NONE) {
        RtlInitUnicodeString(&value, L"Rate");
        status = ZwSetValueKey(key, &value, 0, Add->RateType, (PVOID)&Add->Rate, sizeof(Add->Rate));
    }
    if (NT_SUCCESS(status)) {
        RtlInitUnicodeString(&value, L"Label");
        status = ZwSetValueKey(key, &value, 0, Add->LabelType, (PVOID)Add->Label, sizeof(Add->Label));
    }
    if (!NT_SUCCESS(status)) {
        ZwDeleteKey(key);
    }
    ZwClose(key);
    return status;
}

static NTSTATUS ProfileDelete(PPROFILE_EXTENSION Extension, PUNICODE_STRING Name)
{
    HANDLE key;
    NTSTATUS status = ProfileOpen(Extension, Name, &key, NULL);
    if (NT_SUCCESS(status)) {
        status = ZwDeleteKey(key);
        ZwClose(key);
    }
    return status;
}

/* The rates of all profiles that have one, in the order of their keys. */
static NTSTATUS ProfileList(PPROFILE_EXTENSION Extension, PULONG Rates, ULONG Room, PULONG Count)
{
    struct {
        KEY_BASIC_INFORMATION Basic;
        WCHAR Rest[MAX_NAME_CHARACTERS];
    } information;
    HANDLE root = NULL;
    ULONG length;

    *Count = 0;
    NTSTATUS status = ProfileOpenRoot(Extension, &root);
    for (ULONG index = 0; NT_SUCCESS(status) && *Count < Room; index++) {
        status = ZwEnumerateKey(root, index, KeyBasicInformation, &information, sizeof(information), &length);
        if (!NT_SUCCESS(status)) {
            break;
        }
        OBJECT_ATTRIBUTES attributes;
        UNICODE_STRING name;
        PKEY_VALUE_PARTIAL_INFORMATION value;
        HANDLE key;
        name.Buffer = information.Basic.Name;
        name.Length = name.MaximumLength = (USHORT)information.Basic.NameLength;
        InitializeObjectAttributes(&attributes, &name, OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE, root, NULL);
        status = ZwOpenKey(&key, KEY_READ, &attributes);
        if (!NT_SUCCESS(status)) {
            break;
        }
        NTSTATUS rate = ProfileReadValue(key, L"Rate", REG_DWORD, sizeof(ULONG), &value);
        if (rate == STATUS_OBJECT_NAME_NOT_FOUND) {
            ZwClose(key);
            continue;
        }
        if (NT_SUCCESS(rate)) {
            RtlCopyMemory(&Rates[(*Count)++], value->Data, sizeof(ULONG));
            ExFreePoolWithTag(value, TAG_VALUE);
        }
        ZwClose(key);
    }
    if (root != NULL) {
        ZwClose(root);
    }
    return status == STATUS_NO_MORE_ENTRIES ? STATUS_SUCCESS : status;
}

static NTSTATUS ProfileControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PPROFILE_EXTENSION extension = DeviceObject->DeviceExtension;
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    ULONG inputBytes = stack->Parameters.DeviceIoControl.InputBufferLength;
    ULONG room = stack->Parameters.DeviceIoControl.OutputBufferLength;
    PVOID buffer = Irp->AssociatedIrp.SystemBuffer;
    UNICODE_STRING name;
    ULONG count = 0;
    NTSTATUS status;

    name.Buffer = buffer;
    name.Length = name.MaximumLength = sizeof(((PPROFILE_ADD)0)->Name);
    switch (stack->Parameters.DeviceIoControl.IoControlCode) {
    case IOCTL_PROFILE_ADD:
        status = inputBytes < sizeof(PROFILE_ADD) ? STATUS_BUFFER_TOO_SMALL : ProfileAdd(extension, &name, buffer);
        return SampleComplete(Irp, status, 0);
    case IOCTL_PROFILE_CHOOSE:
        if (inputBytes < name.Length || room < sizeof(PROFILE_ANSWER)) {
            return SampleComplete(Irp, STATUS_BUFFER_TOO_SMALL, 0);
        }
        status = ProfileChoose(extension, &name, buffer);
        return SampleComplete(Irp, status, NT_SUCCESS(status) ? sizeof(PROFILE_ANSWER) : 0);
    case IOCTL_PROFILE_LIST:
        status = ProfileList(extension, buffer, room / sizeof(ULONG), &count);
        return SampleComplete(Irp, status, NT_SUCCESS(status) ? count * sizeof(ULONG) : 0);
    case IOCTL_PROFILE_DELETE:
        status = inputBytes < name.Length ? STATUS_BUFFER_TOO_SMALL : ProfileDelete(extension, &name);
        return SampleComplete(Irp, status, 0);
    default:
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

static NTSTATUS ProfileCreateClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static VOID ProfileUnload(PDRIVER_OBJECT DriverObject)
{
    PPROFILE_EXTENSION extension = DriverObject->DeviceObject->DeviceExtension;
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\CleanProfile");

    IoDeleteSymbolicLink(&link);
    ExFreePoolWithTag(extension->Path.Buffer, TAG_PATH);
    IoDeleteDevice(DriverObject->DeviceObject);
}

/* The service key's path is only lent to DriverEntry. */
static NTSTATUS ProfileKeepPath(PPROFILE_EXTENSION Extension, PUNICODE_STRING RegistryPath)
{
    USHORT room = RegistryPath->Length + sizeof(L"\\Parameters");
    Extension->Path.Buffer = ExAllocatePoolWithTag(PagedPool, room, TAG_PATH);
    if (Extension->Path.Buffer == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    Extension->Path.Length = 0;
    Extension->Path.MaximumLength = room;
    RtlCopyUnicodeString(&Extension->Path, RegistryPath);
    return RtlAppendUnicodeToString(&Extension->Path, L"\\Parameters");
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\CleanProfile");
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\CleanProfile");
    RTL_QUERY_REGISTRY_TABLE table[2];
    ULONG fallback = 100;
    PDEVICE_OBJECT device;

    NTSTATUS status = IoCreateDevice(DriverObject, sizeof(PROFILE_EXTENSION), &name, FILE_DEVICE_UNKNOWN,
                                     FILE_DEVICE_SECURE_OPEN, FALSE, &device);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    PPROFILE_EXTENSION extension = device->DeviceExtension;
    status = ProfileKeepPath(extension, RegistryPath);
    if (NT_SUCCESS(status)) {
        RtlZeroMemory(table, sizeof(table));
        table[0].Flags = RTL_QUERY_REGISTRY_DIRECT | RTL_QUERY_REGISTRY_TYPECHECK;
        table[0].Name = L"DefaultRate";
        table[0].EntryContext = &extension->DefaultRate;
        table[0].DefaultType = (REG_DWORD << RTL_QUERY_REGISTRY_TYPECHECK_SHIFT) | REG_DWORD;
        table[0].DefaultData = &fallback;
        table[0].DefaultLength = sizeof(fallback);
        status = RtlQueryRegistryValues(RTL_REGISTRY_ABSOLUTE, extension->Path.Buffer, table, NULL, NULL);
        if (status == STATUS_OBJECT_NAME_NOT_FOUND) {
            extension->DefaultRate = fallback;
            status = STATUS_SUCCESS;
        }
    }
    if (NT_SUCCESS(status)) {
        status = IoCreateSymbolicLink(&link, &name);
    }
    if (!NT_SUCCESS(status)) {
        if (extension->Path.Buffer != NULL) {
            ExFreePoolWithTag(extension->Path.Buffer, TAG_PATH);
        }
        IoDeleteDevice(device);
        return status;
    }
    extension->Rate = extension->DefaultRate;
    DriverObject->MajorFunction[IRP_MJ_CREATE] = ProfileCreateClose;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = ProfileCreateClose;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = ProfileControl;
    DriverObject->DriverUnload = ProfileUnload;
    return STATUS_SUCCESS;
}
