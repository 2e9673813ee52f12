/*
 * A legacy driver that keeps an inventory of parts: a hash table of entries, each with a label of its own, filled from
 * a catalogue when the driver loads. An entry that a newer revision replaces moves to a list of retired entries.
 *
 * The leak: Unload walks the table and forgets the list of retired entries, so each of them and each label stays.
 * It shows with a plain load and unload.
 */
#include "sample.h"

#define TAG_ENTRY 'EvnI' /* InvE */
#define TAG_LABEL 'LvnI' /* InvL */
#define TAG_TABLE 'TvnI' /* InvT */

#define BUCKET_COUNT 8
#define SAMPLE_COUNT 12

#define IOCTL_INVENTORY_QUERY CTL_CODE(FILE_DEVICE_UNKNOWN, 0x810, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_INVENTORY_RETIRE CTL_CODE(FILE_DEVICE_UNKNOWN, 0x811, METHOD_BUFFERED, FILE_ANY_ACCESS)

typedef struct _INVENTORY_ENTRY {
    LIST_ENTRY Link;
    ULONG PartId;
    ULONG Revision;
    ULONG64 Checksum;
    UNICODE_STRING Label;
    ULONG Samples[SAMPLE_COUNT];
} INVENTORY_ENTRY, *PINVENTORY_ENTRY;
C_ASSERT(sizeof(INVENTORY_ENTRY) == 96);

typedef struct _INVENTORY_EXTENSION {
    FAST_MUTEX Lock;
    PLIST_ENTRY Buckets;
    LIST_ENTRY Retired;
    ULONG EntryCount;
    ULONG RetiredCount;
} INVENTORY_EXTENSION, *PINVENTORY_EXTENSION;

/* What a query answers and what a read lists. */
typedef struct _INVENTORY_RECORD {
    ULONG PartId;
    ULONG Revision;
    ULONG64 Checksum;
} INVENTORY_RECORD, *PINVENTORY_RECORD;

typedef struct _CATALOGUE_ROW {
    ULONG PartId;
    ULONG Revision;
    PCWSTR Label;
} CATALOGUE_ROW;

static const CATALOGUE_ROW Catalogue[] = {
    {1001, 1, L"intake valve"},  {1002, 1, L"exhaust valve"},   {1003, 1, L"heat shield"},
    {1004, 1, L"pressure cell"}, {1001, 2, L"intake valve II"}, {1005, 1, L"servo"},
    {1006, 1, L"gasket"},        {1004, 2, L"pressure cell B"}, {1007, 1, L"bearing"},
    {1008, 1, L"coupling"},      {1003, 2, L"heat shield Mo"},  {1009, 1, L"flange"},
    {1004, 3, L"pressure cell C"},
};

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD InventoryUnload;
static DRIVER_DISPATCH InventoryCreateClose;
static DRIVER_DISPATCH InventoryRead;
static DRIVER_DISPATCH InventoryControl;

static ULONG64 InventoryChecksum(PCUNICODE_STRING Label, ULONG Seed)
{
    ULONG64 hash = 0xCBF29CE484222325ULL ^ Seed;
    const UCHAR *bytes = (const UCHAR *)Label->Buffer;
    for (USHORT i = 0; i < Label->Length; i++) {
        hash = (hash ^ bytes[i]) * 0x100000001B3ULL;
    }
    return hash;
}

static PLIST_ENTRY InventoryBucket(PINVENTORY_EXTENSION Extension, ULONG PartId)
{
    return &Extension->Buckets[(PartId * 2654435761U) >> 29];
}

static PINVENTORY_ENTRY InventoryFind(PINVENTORY_EXTENSION Extension, ULONG PartId)
{
    PLIST_ENTRY head = InventoryBucket(Extension, PartId);
    for (PLIST_ENTRY link = head->Flink; link != head; link = link->Flink) {
        PINVENTORY_ENTRY entry = CONTAINING_RECORD(link, INVENTORY_ENTRY, Link);
        if (entry->PartId == PartId) {
            return entry;
        }
    }
    return NULL;
}

static PINVENTORY_ENTRY InventoryAllocateEntry(PCUNICODE_STRING Label)
{
    PINVENTORY_ENTRY entry;
    entry = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(INVENTORY_ENTRY), TAG_ENTRY); // leak: tag=InvE bytes=384 count=4 pool=NonPagedPoolNx outer=DriverEntry
    if (entry == NULL) {
        return NULL;
    }
    RtlZeroMemory(entry, sizeof(*entry));
    entry->Label.Buffer = ExAllocatePoolWithTag(PagedPool, Label->Length, TAG_LABEL); // leak: tag=InvL bytes=102 count=4 pool=PagedPool outer=DriverEntry
    if (entry->Label.Buffer == NULL) {
        ExFreePoolWithTag(entry, TAG_ENTRY);
        return NULL;
    }
    entry->Label.MaximumLength = Label->Length;
    RtlCopyUnicodeString(&entry->Label, Label);
    return entry;
}

static VOID InventoryFreeEntry(PINVENTORY_ENTRY Entry)
{
    ExFreePoolWithTag(Entry->Label.Buffer, TAG_LABEL);
    ExFreePoolWithTag(Entry, TAG_ENTRY);
}

static VOID InventoryFreeList(PLIST_ENTRY Head)
{
    while (!IsListEmpty(Head)) {
        InventoryFreeEntry(CONTAINING_RECORD(RemoveHeadList(Head), INVENTORY_ENTRY, Link));
    }
}

static VOID InventoryRetire(PINVENTORY_EXTENSION Extension, PINVENTORY_ENTRY Entry)
{
    RemoveEntryList(&Entry->Link);
    InsertTailList(&Extension->Retired, &Entry->Link);
    Extension->EntryCount--;
    Extension->RetiredCount++;
}

static NTSTATUS InventoryAdd(PINVENTORY_EXTENSION Extension, const CATALOGUE_ROW *Row)
{
    UNICODE_STRING label;
    RtlInitUnicodeString(&label, Row->Label);
    PINVENTORY_ENTRY entry = InventoryAllocateEntry(&label);
    if (entry == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    entry->PartId = Row->PartId;
    entry->Revision = Row->Revision;
    entry->Checksum = InventoryChecksum(&label, Row->Revision);
    for (ULONG i = 0; i < SAMPLE_COUNT; i++) {
        entry->Samples[i] = (ULONG)(entry->Checksum >> (i * 4)) & 0xFFFF;
    }
    PINVENTORY_ENTRY replaced = InventoryFind(Extension, Row->PartId);
    if (replaced != NULL) {
        InventoryRetire(Extension, replaced);
    }
    InsertTailList(InventoryBucket(Extension, Row->PartId), &entry->Link);
    Extension->EntryCount++;
    return STATUS_SUCCESS;
}

static VOID InventoryFreeTable(PINVENTORY_EXTENSION Extension)
{
    for (ULONG i = 0; i < BUCKET_COUNT; i++) {
        InventoryFreeList(&Extension->Buckets[i]);
    }
    ExFreePoolWithTag(Extension->Buckets, TAG_TABLE);
    Extension->Buckets = NULL;
}

static NTSTATUS InventoryFill(PINVENTORY_EXTENSION Extension)
{
    Extension->Buckets = ExAllocatePoolWithTag(NonPagedPoolNx, BUCKET_COUNT * sizeof(LIST_ENTRY), TAG_TABLE);
    if (Extension->Buckets == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    for (ULONG i = 0; i < BUCKET_COUNT; i++) {
        InitializeListHead(&Extension->Buckets[i]);
    }
    for (ULONG i = 0; i < RTL_NUMBER_OF(Catalogue); i++) {
        NTSTATUS status = InventoryAdd(Extension, &Catalogue[i]);
        if (!NT_SUCCESS(status)) {
            InventoryFreeTable(Extension);
            InventoryFreeList(&Extension->Retired);
            return status;
        }
    }
    return STATUS_SUCCESS;
}

static NTSTATUS InventoryCreateClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS InventoryRead(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PINVENTORY_EXTENSION extension = DeviceObject->DeviceExtension;
    ULONG room = IoGetCurrentIrpStackLocation(Irp)->Parameters.Read.Length / sizeof(INVENTORY_RECORD);
    PINVENTORY_RECORD record = Irp->AssociatedIrp.SystemBuffer;
    ULONG written = 0;

    ExAcquireFastMutex(&extension->Lock);
    for (ULONG i = 0; i < BUCKET_COUNT && written < room; i++) {
        PLIST_ENTRY head = &extension->Buckets[i];
        for (PLIST_ENTRY link = head->Flink; link != head && written < room; link = link->Flink) {
            PINVENTORY_ENTRY entry = CONTAINING_RECORD(link, INVENTORY_ENTRY, Link);
            record[written].PartId = entry->PartId;
            record[written].Revision = entry->Revision;
            record[written].Checksum = entry->Checksum;
            written++;
        }
    }
    ExReleaseFastMutex(&extension->Lock);
    return SampleComplete(Irp, STATUS_SUCCESS, written * sizeof(INVENTORY_RECORD));
}

static NTSTATUS InventoryControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PINVENTORY_EXTENSION extension = DeviceObject->DeviceExtension;
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    ULONG inputBytes = stack->Parameters.DeviceIoControl.InputBufferLength;
    ULONG outputBytes = stack->Parameters.DeviceIoControl.OutputBufferLength;
    ULONG code = stack->Parameters.DeviceIoControl.IoControlCode;
    NTSTATUS status = STATUS_SUCCESS;
    ULONG_PTR information = 0;

    if (code != IOCTL_INVENTORY_QUERY && code != IOCTL_INVENTORY_RETIRE) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    if (inputBytes < sizeof(ULONG)) {
        return SampleComplete(Irp, STATUS_INVALID_PARAMETER, 0);
    }

    ExAcquireFastMutex(&extension->Lock);
    PINVENTORY_ENTRY entry = InventoryFind(extension, *(PULONG)Irp->AssociatedIrp.SystemBuffer);
    if (entry == NULL) {
        status = STATUS_NOT_FOUND;
    } else if (code == IOCTL_INVENTORY_RETIRE) {
        InventoryRetire(extension, entry);
    } else if (outputBytes < sizeof(INVENTORY_RECORD)) {
        status = STATUS_BUFFER_TOO_SMALL;
    } else {
        PINVENTORY_RECORD record = Irp->AssociatedIrp.SystemBuffer;
        record->PartId = entry->PartId;
        record->Revision = entry->Revision;
        record->Checksum = entry->Checksum;
        information = sizeof(*record);
    }
    ExReleaseFastMutex(&extension->Lock);
    return SampleComplete(Irp, status, information);
}

static VOID InventoryUnload(PDRIVER_OBJECT DriverObject)
{
    PDEVICE_OBJECT device = DriverObject->DeviceObject;
    PINVENTORY_EXTENSION extension = device->DeviceExtension;
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\LeakyInventory");

    DbgPrint("inventory: %u parts, %u retired\n", extension->EntryCount, extension->RetiredCount);
    InventoryFreeTable(extension);
    IoDeleteSymbolicLink(&link);
    IoDeleteDevice(device);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\LeakyInventory");
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\LeakyInventory");
    PDEVICE_OBJECT device;

    UNREFERENCED_PARAMETER(RegistryPath);
    NTSTATUS status = IoCreateDevice(DriverObject, sizeof(INVENTORY_EXTENSION), &name, FILE_DEVICE_UNKNOWN,
                                     FILE_DEVICE_SECURE_OPEN, FALSE, &device);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    PINVENTORY_EXTENSION extension = device->DeviceExtension;
    ExInitializeFastMutex(&extension->Lock);
    InitializeListHead(&extension->Retired);

    status = InventoryFill(extension);
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(device);
        return status;
    }
    status = IoCreateSymbolicLink(&link, &name);
    if (!NT_SUCCESS(status)) {
        InventoryFreeTable(extension);
        InventoryFreeList(&extension->Retired);
        IoDeleteDevice(device);
        return status;
    }

    DriverObject->MajorFunction[IRP_MJ_CREATE] = InventoryCreateClose;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = InventoryCreateClose;
    DriverObject->MajorFunction[IRP_MJ_READ] = InventoryRead;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = InventoryControl;
    DriverObject->DriverUnload = InventoryUnload;
    device->Flags |= DO_BUFFERED_IO;
    device->Flags &= ~DO_DEVICE_INITIALIZING;
    return STATUS_SUCCESS;
}
