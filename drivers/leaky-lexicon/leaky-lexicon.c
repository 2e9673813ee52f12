/*
 * A lexicon: words and how often they were written, in a generic table of the run-time library, which has the driver
 * allocate and free its elements. Programs write texts, ask for a word's count, list the words from the most frequent one
 * on, forget a word, or start anew.
 *
 * The leak: starting anew initializes the table again, and its elements are still there. Unload takes them out one by one.
 */
#include "sample.h"

#define TAG_WORD 'droW' /* Word */
#define TAG_SORT 'troS' /* Sort */

#define MAX_WORD_CHARACTERS 12
#define MAX_WORDS 200

#define IOCTL_LEXICON_COUNT CTL_CODE(FILE_DEVICE_UNKNOWN, 0x950, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_LEXICON_LIST CTL_CODE(FILE_DEVICE_UNKNOWN, 0x951, METHOD_OUT_DIRECT, FILE_ANY_ACCESS)
#define IOCTL_LEXICON_FORGET CTL_CODE(FILE_DEVICE_UNKNOWN, 0x952, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_LEXICON_RESET CTL_CODE(FILE_DEVICE_UNKNOWN, 0x953, METHOD_BUFFERED, FILE_ANY_ACCESS)

typedef struct _LEXICON_WORD {
    CHAR Text[MAX_WORD_CHARACTERS];
    ULONG Count;
} LEXICON_WORD, *PLEXICON_WORD;

typedef struct _LEXICON_EXTENSION {
    FAST_MUTEX Mutex;
    RTL_GENERIC_TABLE Words;
} LEXICON_EXTENSION, *PLEXICON_EXTENSION;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD LexiconUnload;
static DRIVER_DISPATCH LexiconCreateClose;
static DRIVER_DISPATCH LexiconWrite;
static DRIVER_DISPATCH LexiconControl;

/* ---- the table's routines */

static RTL_GENERIC_COMPARE_RESULTS NTAPI LexiconCompare(PRTL_GENERIC_TABLE Table, PVOID First, PVOID Second)
{
    const CHAR *first = ((PLEXICON_WORD)First)->Text;
    const CHAR *second = ((PLEXICON_WORD)Second)->Text;

    UNREFERENCED_PARAMETER(Table);
    for (ULONG i = 0; i < MAX_WORD_CHARACTERS; i++) {
        if (first[i] != second[i]) {
            return (UCHAR)first[i] < (UCHAR)second[i] ? GenericLessThan : GenericGreaterThan;
        }
    }
    return GenericEqual;
}

static PVOID NTAPI LexiconAllocate(PRTL_GENERIC_TABLE Table, CLONG ByteSize)
{
    UNREFERENCED_PARAMETER(Table);
    return ExAllocatePoolWithTag(PagedPool, ByteSize, TAG_WORD); // leak: tag=Word bytes=280 count=5 pool=PagedPool
}

static VOID NTAPI LexiconFree(PRTL_GENERIC_TABLE Table, PVOID Buffer)
{
    UNREFERENCED_PARAMETER(Table);
    ExFreePoolWithTag(Buffer, TAG_WORD);
}

static VOID LexiconInitialize(PLEXICON_EXTENSION Extension)
{
    RtlInitializeGenericTable(&Extension->Words, LexiconCompare, LexiconAllocate, LexiconFree, NULL);
}

static VOID LexiconEmpty(PLEXICON_EXTENSION Extension)
{
    PVOID word;
    while ((word = RtlGetElementGenericTable(&Extension->Words, 0)) != NULL) {
        RtlDeleteElementGenericTable(&Extension->Words, word);
    }
}

/* ---- requests; the caller has the mutex */

/* The word that begins at `Bytes`: letters, in lower case, cut at the room for a word. The number of bytes it takes. */
static ULONG LexiconParse(const CHAR *Bytes, ULONG Length, PLEXICON_WORD Word)
{
    ULONG at = 0;
    RtlZeroMemory(Word, sizeof(*Word));
    while (at < Length) {
        CHAR letter = Bytes[at] >= 'A' && Bytes[at] <= 'Z' ? (CHAR)(Bytes[at] + 32) : Bytes[at];
        if (letter < 'a' || letter > 'z') {
            break;
        }
        if (at < MAX_WORD_CHARACTERS) {
            Word->Text[at] = letter;
        }
        at++;
    }
    return at;
}

static NTSTATUS LexiconAdd(PLEXICON_EXTENSION Extension, const CHAR *Bytes, ULONG Length)
{
    ULONG at = 0;
    while (at < Length) {
        LEXICON_WORD word;
        BOOLEAN isNew;
        ULONG taken = LexiconParse(Bytes + at, Length - at, &word);
        at += taken + 1;
        if (taken == 0) {
            continue;
        }
        if (RtlNumberGenericTableElements(&Extension->Words) >= MAX_WORDS &&
            RtlLookupElementGenericTable(&Extension->Words, &word) == NULL) {
            return STATUS_DISK_FULL;
        }
        PLEXICON_WORD element = RtlInsertElementGenericTable(&Extension->Words, &word, sizeof(word), &isNew);
        if (element == NULL) {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        element->Count++;
    }
    return STATUS_SUCCESS;
}

/* The words, most frequent first, as many as there is room for. */
static NTSTATUS LexiconList(PLEXICON_EXTENSION Extension, PLEXICON_WORD Words, ULONG Room, PULONG Count)
{
    ULONG count = RtlNumberGenericTableElements(&Extension->Words);
    ULONG listed = 0;
    PVOID restart = NULL;

    if (count == 0) {
        *Count = 0;
        return STATUS_SUCCESS;
    }
    PLEXICON_WORD sorted = ExAllocatePoolWithTag(PagedPool, count * sizeof(*sorted), TAG_SORT);
    if (sorted == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    PLEXICON_WORD word;
    while (listed < count &&
           (word = RtlEnumerateGenericTableWithoutSplaying(&Extension->Words, &restart)) != NULL) {
        ULONG place = listed++;
        while (place > 0 && sorted[place - 1].Count < word->Count) {
            sorted[place] = sorted[place - 1];
            place--;
        }
        sorted[place] = *word;
    }
    *Count = listed < Room ? listed : Room;
    RtlCopyMemory(Words, sorted, *Count * sizeof(*sorted));
    ExFreePoolWithTag(sorted, TAG_SORT);
    return STATUS_SUCCESS;
}

static NTSTATUS LexiconWrite(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PLEXICON_EXTENSION extension = DeviceObject->DeviceExtension;
    ULONG length = IoGetCurrentIrpStackLocation(Irp)->Parameters.Write.Length;

    ExAcquireFastMutex(&extension->Mutex);
    NTSTATUS status = LexiconAdd(extension, Irp->AssociatedIrp.SystemBuffer, length);
    ExReleaseFastMutex(&extension->Mutex);
    return SampleComplete(Irp, status, NT_SUCCESS(status) ? length : 0);
}

/* Input: a word. Output: how often it was written. */
static NTSTATUS LexiconCount(PLEXICON_EXTENSION Extension, PIRP Irp, ULONG InputBytes, ULONG Room)
{
    LEXICON_WORD word;
    if (Room < sizeof(ULONG) || LexiconParse(Irp->AssociatedIrp.SystemBuffer, InputBytes, &word) == 0) {
        return STATUS_INVALID_PARAMETER;
    }
    PLEXICON_WORD element = RtlLookupElementGenericTable(&Extension->Words, &word);
    *(PULONG)Irp->AssociatedIrp.SystemBuffer = element == NULL ? 0 : element->Count;
    Irp->IoStatus.Information = sizeof(ULONG);
    return STATUS_SUCCESS;
}

static NTSTATUS LexiconControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PLEXICON_EXTENSION extension = DeviceObject->DeviceExtension;
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    ULONG inputBytes = stack->Parameters.DeviceIoControl.InputBufferLength;
    ULONG room = stack->Parameters.DeviceIoControl.OutputBufferLength;
    NTSTATUS status = STATUS_SUCCESS;
    LEXICON_WORD word;
    PVOID list = NULL;
    ULONG count = 0;

    Irp->IoStatus.Information = 0;
    if (stack->Parameters.DeviceIoControl.IoControlCode == IOCTL_LEXICON_LIST && Irp->MdlAddress != NULL) {
        list = MmGetSystemAddressForMdlSafe(Irp->MdlAddress, NormalPagePriority);
    }
    ExAcquireFastMutex(&extension->Mutex);
    switch (stack->Parameters.DeviceIoControl.IoControlCode) {
    case IOCTL_LEXICON_COUNT:
        status = LexiconCount(extension, Irp, inputBytes, room);
        break;
    case IOCTL_LEXICON_LIST:
        status = list == NULL ? STATUS_INVALID_PARAMETER : LexiconList(extension, list, room / sizeof(word), &count);
        Irp->IoStatus.Information = count * sizeof(word);
        break;
    case IOCTL_LEXICON_FORGET:
        if (LexiconParse(Irp->AssociatedIrp.SystemBuffer, inputBytes, &word) == 0) {
            status = STATUS_INVALID_PARAMETER;
        } else if (!RtlDeleteElementGenericTable(&extension->Words, &word)) {
            status = STATUS_NOT_FOUND;
        }
        break;
    case IOCTL_LEXICON_RESET:
        LexiconInitialize(extension);
        break;
    default:
        status = STATUS_INVALID_DEVICE_REQUEST;
        break;
    }
    ExReleaseFastMutex(&extension->Mutex);
    return SampleComplete(Irp, status, Irp->IoStatus.Information);
}

static NTSTATUS LexiconCreateClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static VOID LexiconUnload(PDRIVER_OBJECT DriverObject)
{
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\LeakyLexicon");
    IoDeleteSymbolicLink(&link);
    LexiconEmpty(DriverObject->DeviceObject->DeviceExtension);
    IoDeleteDevice(DriverObject->DeviceObject);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\LeakyLexicon");
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\LeakyLexicon");
    PDEVICE_OBJECT device;

    UNREFERENCED_PARAMETER(RegistryPath);
    NTSTATUS status = IoCreateDevice(DriverObject, sizeof(LEXICON_EXTENSION), &name, FILE_DEVICE_UNKNOWN,
                                     FILE_DEVICE_SECURE_OPEN, FALSE, &device);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    PLEXICON_EXTENSION extension = device->DeviceExtension;
    ExInitializeFastMutex(&extension->Mutex);
    LexiconInitialize(extension);
    status = IoCreateSymbolicLink(&link, &name);
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(device);
        return status;
    }
    DriverObject->MajorFunction[IRP_MJ_CREATE] = LexiconCreateClose;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = LexiconCreateClose;
    DriverObject->MajorFunction[IRP_MJ_WRITE] = LexiconWrite;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = LexiconControl;
    DriverObject->DriverUnload = LexiconUnload;
    device->Flags |= DO_BUFFERED_IO;
    device->Flags &= ~DO_DEVICE_INITIALIZING;
    return STATUS_SUCCESS;
}
