/*
 * A tape with direct I/O. Its hardware moves at most a chunk at a time, so a transfer describes chunk after chunk of the
 * caller's pages by a partial MDL, which is used again. Verifying runs over a chain of three MDLs: label, data, end mark.
 *
 * Two leaks. For a last chunk that is short the transfer takes a smaller MDL and loses the one that it had. And when the
 * checksum is wrong, the head of the chain is freed and the rest of it is not.
 */
#include "sample.h"

#define TAG_MEDIUM 'eMpT' /* TpMe */

#define CHUNK_BYTES 1024
#define MEDIUM_BYTES 16384

#define IOCTL_TAPE_REWIND CTL_CODE(FILE_DEVICE_UNKNOWN, 0x940, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_TAPE_VERIFY CTL_CODE(FILE_DEVICE_UNKNOWN, 0x941, METHOD_BUFFERED, FILE_ANY_ACCESS)

typedef struct _TAPE_LABEL {
    CHAR Signature[4];
    ULONG Version;
    ULONG Written;
    ULONG Chunks;
} TAPE_LABEL, *PTAPE_LABEL;
C_ASSERT(sizeof(TAPE_LABEL) == 16);

/* The input of a verification. */
typedef struct _TAPE_VERIFY {
    ULONG Offset;
    ULONG Length;
    ULONG Checksum;
} TAPE_VERIFY, *PTAPE_VERIFY;

typedef struct _TAPE {
    FAST_MUTEX Mutex;
    TAPE_LABEL Label;
    CHAR EndMark[8];
    ULONG Position;
    PUCHAR Medium;
} TAPE, *PTAPE;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD TapeUnload;
static DRIVER_DISPATCH TapeCreateClose;
static DRIVER_DISPATCH TapeReadWrite;
static DRIVER_DISPATCH TapeControl;

/* Moves a chunk between the caller's pages and the medium, as the hardware would. */
static NTSTATUS TapeMoveChunk(PMDL Partial, PUCHAR Medium, BOOLEAN Write)
{
    PUCHAR bytes = MmGetSystemAddressForMdlSafe(Partial, NormalPagePriority | MDL_MAPPING_NO_EXECUTE);
    if (bytes == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    if (Write) {
        RtlCopyMemory(Medium, bytes, MmGetMdlByteCount(Partial));
    } else {
        RtlCopyMemory(bytes, Medium, MmGetMdlByteCount(Partial));
    }
    return STATUS_SUCCESS;
}

static NTSTATUS TapeTransfer(PTAPE Tape, PMDL Mdl, ULONG Length, BOOLEAN Write)
{
    PUCHAR address = MmGetMdlVirtualAddress(Mdl);
    NTSTATUS status = STATUS_SUCCESS;
    ULONG done = 0;

    /* A chunk may begin at the end of a page. */
    PMDL partial = IoAllocateMdl(address, CHUNK_BYTES + PAGE_SIZE - 1, FALSE, FALSE, NULL); // leak[short]: kind=mdl bytes=464 count=2 pool=NonPagedPoolNx
    if (partial == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    while (NT_SUCCESS(status) && done < Length) {
        ULONG bytes = min(CHUNK_BYTES, Length - done);
        if (bytes < CHUNK_BYTES) {
            /* What is left is less than a page, and needs no more than its own pages. */
            partial = IoAllocateMdl(address + done, bytes, FALSE, FALSE, NULL);
            if (partial == NULL) {
                return STATUS_INSUFFICIENT_RESOURCES;
            }
        }
        IoBuildPartialMdl(Mdl, partial, address + done, bytes);
        status = TapeMoveChunk(partial, Tape->Medium + Tape->Position, Write);
        MmPrepareMdlForReuse(partial);
        if (NT_SUCCESS(status)) {
            Tape->Position += bytes;
            done += bytes;
            Tape->Label.Chunks++;
        }
    }
    IoFreeMdl(partial);
    return status;
}

static NTSTATUS TapeReadWrite(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    PTAPE tape = DeviceObject->DeviceExtension;
    BOOLEAN write = stack->MajorFunction == IRP_MJ_WRITE;
    ULONG length = write ? stack->Parameters.Write.Length : stack->Parameters.Read.Length;
    NTSTATUS status = STATUS_SUCCESS;

    if (length == 0) {
        return SampleComplete(Irp, STATUS_SUCCESS, 0);
    }
    ExAcquireFastMutex(&tape->Mutex);
    if (write && length > MEDIUM_BYTES - tape->Position) {
        status = STATUS_END_OF_MEDIA;
    } else if (!write && tape->Position == tape->Label.Written) {
        status = STATUS_END_OF_FILE;
    } else {
        if (!write) {
            length = min(length, tape->Label.Written - tape->Position);
        }
        status = TapeTransfer(tape, Irp->MdlAddress, length, write);
        if (write && NT_SUCCESS(status)) {
            /* What was behind it is gone, as on any tape. */
            tape->Label.Written = tape->Position;
        }
    }
    ExReleaseFastMutex(&tape->Mutex);
    return SampleComplete(Irp, status, NT_SUCCESS(status) ? length : 0);
}

static PMDL TapeDescribe(PVOID Address, ULONG Length, PMDL Next)
{
    PMDL mdl = IoAllocateMdl(Address, Length, FALSE, FALSE, NULL); // leak[mismatch]: kind=mdl bytes=928 count=4 pool=NonPagedPoolNx
    if (mdl != NULL) {
        MmBuildMdlForNonPagedPool(mdl);
        mdl->Next = Next;
    }
    return mdl;
}

static VOID TapeFreeChain(PMDL Chain)
{
    while (Chain != NULL) {
        PMDL next = Chain->Next;
        IoFreeMdl(Chain);
        Chain = next;
    }
}

static ULONG TapeChecksum(PMDL Chain)
{
    ULONG checksum = 0;
    for (PMDL mdl = Chain; mdl != NULL; mdl = mdl->Next) {
        PUCHAR bytes = MmGetSystemAddressForMdlSafe(mdl, NormalPagePriority | MDL_MAPPING_NO_EXECUTE);
        for (ULONG i = 0; i < MmGetMdlByteCount(mdl); i++) {
            checksum = checksum * 31 + bytes[i];
        }
    }
    return checksum;
}

static NTSTATUS TapeVerify(PTAPE Tape, const TAPE_VERIFY *Request)
{
    if (Request->Length == 0 || Request->Offset > Tape->Label.Written ||
        Request->Length > Tape->Label.Written - Request->Offset) {
        return STATUS_INVALID_PARAMETER;
    }
    PMDL chain = TapeDescribe(Tape->EndMark, sizeof(Tape->EndMark), NULL);
    if (chain == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    PMDL data = TapeDescribe(Tape->Medium + Request->Offset, Request->Length, chain);
    PMDL label = data == NULL ? NULL : TapeDescribe(&Tape->Label, sizeof(Tape->Label), data);
    if (label == NULL) {
        TapeFreeChain(data == NULL ? chain : data);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    if (TapeChecksum(label) != Request->Checksum) {
        IoFreeMdl(label);
        return STATUS_CRC_ERROR;
    }
    TapeFreeChain(label);
    return STATUS_SUCCESS;
}

static NTSTATUS TapeControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    PTAPE tape = DeviceObject->DeviceExtension;
    NTSTATUS status = STATUS_SUCCESS;

    ExAcquireFastMutex(&tape->Mutex);
    switch (stack->Parameters.DeviceIoControl.IoControlCode) {
    case IOCTL_TAPE_REWIND:
        tape->Position = 0;
        break;
    case IOCTL_TAPE_VERIFY:
        status = stack->Parameters.DeviceIoControl.InputBufferLength < sizeof(TAPE_VERIFY)
                     ? STATUS_BUFFER_TOO_SMALL
                     : TapeVerify(tape, Irp->AssociatedIrp.SystemBuffer);
        break;
    default:
        status = STATUS_INVALID_DEVICE_REQUEST;
        break;
    }
    ExReleaseFastMutex(&tape->Mutex);
    return SampleComplete(Irp, status, 0);
}

static NTSTATUS TapeCreateClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static VOID TapeUnload(PDRIVER_OBJECT DriverObject)
{
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\LeakyTape");
    PTAPE tape = DriverObject->DeviceObject->DeviceExtension;

    IoDeleteSymbolicLink(&link);
    ExFreePoolWithTag(tape->Medium, TAG_MEDIUM);
    IoDeleteDevice(DriverObject->DeviceObject);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\LeakyTape");
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\LeakyTape");
    PDEVICE_OBJECT device;

    UNREFERENCED_PARAMETER(RegistryPath);
    NTSTATUS status =
        IoCreateDevice(DriverObject, sizeof(TAPE), &name, FILE_DEVICE_TAPE, FILE_DEVICE_SECURE_OPEN, FALSE, &device);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    PTAPE tape = device->DeviceExtension;
    ExInitializeFastMutex(&tape->Mutex);
    RtlCopyMemory(tape->Label.Signature, "TAPE", 4);
    RtlCopyMemory(tape->EndMark, "THE END.", 8);
    tape->Label.Version = 1;
    tape->Medium = ExAllocatePoolWithTag(NonPagedPoolNx, MEDIUM_BYTES, TAG_MEDIUM);
    if (tape->Medium == NULL) {
        IoDeleteDevice(device);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    status = IoCreateSymbolicLink(&link, &name);
    if (!NT_SUCCESS(status)) {
        ExFreePoolWithTag(tape->Medium, TAG_MEDIUM);
        IoDeleteDevice(device);
        return status;
    }
    DriverObject->MajorFunction[IRP_MJ_CREATE] = TapeCreateClose;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = TapeCreateClose;
    DriverObject->MajorFunction[IRP_MJ_READ] = TapeReadWrite;
    DriverObject->MajorFunction[IRP_MJ_WRITE] = TapeReadWrite;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = TapeControl;
    DriverObject->DriverUnload = TapeUnload;
    device->Flags |= DO_DIRECT_IO;
    device->Flags &= ~DO_DEVICE_INITIALIZING;
    return STATUS_SUCCESS;
}
