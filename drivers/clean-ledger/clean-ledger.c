/*
 * A ledger for each handle. Batches of entries are posted and statements are drawn through METHOD_NEITHER control codes,
 * so the driver reads and writes the caller's memory inside __try. What a caller makes the driver keep is charged to the
 * caller's quota, in the three ways there are: raising, failing, and ExAllocatePool2 with POOL_FLAG_USE_QUOTA.
 *
 * The handler frees the batch when the entries cannot be read; __finally frees the statement and releases the mutex.
 */
#include "newer.h"

#define TAG_ACCOUNT 'cAgL'   /* LgAc */
#define TAG_BATCH 'aBgL'     /* LgBa */
#define TAG_STATEMENT 'tSgL' /* LgSt */
#define TAG_MEMO 'eMgL'      /* LgMe */

#define CATEGORIES 8
#define MAX_BATCH_ENTRIES 256
#define MAX_MEMO_BYTES 512

#define IOCTL_LEDGER_POST CTL_CODE(FILE_DEVICE_UNKNOWN, 0x900, METHOD_NEITHER, FILE_ANY_ACCESS)
#define IOCTL_LEDGER_STATEMENT CTL_CODE(FILE_DEVICE_UNKNOWN, 0x901, METHOD_NEITHER, FILE_ANY_ACCESS)
#define IOCTL_LEDGER_BALANCE CTL_CODE(FILE_DEVICE_UNKNOWN, 0x902, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_LEDGER_MEMO CTL_CODE(FILE_DEVICE_UNKNOWN, 0x903, METHOD_BUFFERED, FILE_ANY_ACCESS)

typedef struct _LEDGER_ENTRY {
    LONG64 Amount;
    ULONG Category;
    ULONG Day;
} LEDGER_ENTRY, *PLEDGER_ENTRY;
C_ASSERT(sizeof(LEDGER_ENTRY) == 16);

/* The input of a post. Entries 0 means that they follow this header. */
typedef struct _LEDGER_POST {
    ULONG Count;
    ULONG Reserved;
    ULONG64 Entries;
} LEDGER_POST, *PLEDGER_POST;
C_ASSERT(sizeof(LEDGER_POST) == 16);

/* The input of a statement. Destination 0 means the output buffer. */
typedef struct _LEDGER_DRAW {
    ULONG64 Destination;
    ULONG Bytes;
    ULONG Reserved;
} LEDGER_DRAW, *PLEDGER_DRAW;
C_ASSERT(sizeof(LEDGER_DRAW) == 16);

typedef struct _LEDGER_BALANCE {
    LONG64 Total;
    ULONG Batches;
    ULONG Entries;
} LEDGER_BALANCE, *PLEDGER_BALANCE;
C_ASSERT(sizeof(LEDGER_BALANCE) == 16);

typedef struct _LEDGER_STATEMENT {
    LEDGER_BALANCE Balance;
    struct {
        LONG64 Sum;
        ULONG Count;
        ULONG LastDay;
    } Category[CATEGORIES];
} LEDGER_STATEMENT, *PLEDGER_STATEMENT;
C_ASSERT(sizeof(LEDGER_STATEMENT) == 144);

typedef struct _LEDGER_BATCH {
    LIST_ENTRY Link;
    ULONG Count;
    ULONG Rejected;
    LONG64 Total;
    LEDGER_ENTRY Entries[ANYSIZE_ARRAY];
} LEDGER_BATCH, *PLEDGER_BATCH;
C_ASSERT(FIELD_OFFSET(LEDGER_BATCH, Entries) == 32);

typedef struct _LEDGER_ACCOUNT {
    FAST_MUTEX Mutex;
    LIST_ENTRY Batches;
    LEDGER_BALANCE Balance;
    PUCHAR Memo;
    ULONG MemoBytes;
} LEDGER_ACCOUNT, *PLEDGER_ACCOUNT;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD LedgerUnload;
static DRIVER_DISPATCH LedgerCreate;
static DRIVER_DISPATCH LedgerClose;
static DRIVER_DISPATCH LedgerControl;

/* Adds up a batch; entries of categories that do not exist are left out. */
static VOID LedgerSettle(PLEDGER_BATCH Batch)
{
    ULONG kept = 0;
    for (ULONG i = 0; i < Batch->Count; i++) {
        if (Batch->Entries[i].Category >= CATEGORIES) {
            Batch->Rejected++;
            continue;
        }
        Batch->Total += Batch->Entries[i].Amount;
        Batch->Entries[kept++] = Batch->Entries[i];
    }
    Batch->Count = kept;
}

/* Not inlined: inside __try, clang's scope tables cover calls and nothing between them. */
static DECLSPEC_NOINLINE PLEDGER_BATCH LedgerAllocateBatch(ULONG Count)
{
    SIZE_T bytes = FIELD_OFFSET(LEDGER_BATCH, Entries) + Count * sizeof(LEDGER_ENTRY);
    PLEDGER_BATCH batch = ExAllocatePoolWithQuotaTag(PagedPool, bytes, TAG_BATCH);
    RtlZeroMemory(batch, FIELD_OFFSET(LEDGER_BATCH, Entries));
    batch->Count = Count;
    return batch;
}

static NTSTATUS LedgerPost(PLEDGER_ACCOUNT Account, PIO_STACK_LOCATION Stack)
{
    PLEDGER_POST user = Stack->Parameters.DeviceIoControl.Type3InputBuffer;
    ULONG inputBytes = Stack->Parameters.DeviceIoControl.InputBufferLength;
    PLEDGER_BATCH batch = NULL;
    LEDGER_POST request;

    if (inputBytes < sizeof(request)) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    __try {
        ProbeForRead(user, inputBytes, 1);
        RtlCopyMemory(&request, user, sizeof(request));
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        return GetExceptionCode();
    }
    if (request.Count == 0 || request.Count > MAX_BATCH_ENTRIES) {
        return STATUS_INVALID_PARAMETER;
    }
    ULONG bytes = request.Count * sizeof(LEDGER_ENTRY);
    if (request.Entries == 0 && bytes > inputBytes - sizeof(request)) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    PVOID source = request.Entries == 0 ? (PVOID)(user + 1) : (PVOID)(ULONG_PTR)request.Entries;

    __try {
        /* Raises STATUS_QUOTA_EXCEEDED when the caller has no quota left. */
        batch = LedgerAllocateBatch(request.Count);
        ProbeForRead(source, bytes, 1);
        RtlCopyMemory(batch->Entries, source, bytes);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        if (batch != NULL) {
            ExFreePoolWithTag(batch, TAG_BATCH);
        }
        return GetExceptionCode();
    }
    LedgerSettle(batch);

    ExAcquireFastMutex(&Account->Mutex);
    InsertTailList(&Account->Batches, &batch->Link);
    Account->Balance.Total += batch->Total;
    Account->Balance.Batches++;
    Account->Balance.Entries += batch->Count;
    ExReleaseFastMutex(&Account->Mutex);
    return batch->Rejected == 0 ? STATUS_SUCCESS : STATUS_SOME_NOT_MAPPED;
}

static VOID LedgerSum(PLEDGER_ACCOUNT Account, PLEDGER_STATEMENT Statement)
{
    Statement->Balance = Account->Balance;
    for (PLIST_ENTRY link = Account->Batches.Flink; link != &Account->Batches; link = link->Flink) {
        PLEDGER_BATCH batch = CONTAINING_RECORD(link, LEDGER_BATCH, Link);
        for (ULONG i = 0; i < batch->Count; i++) {
            PLEDGER_ENTRY entry = &batch->Entries[i];
            Statement->Category[entry->Category].Sum += entry->Amount;
            Statement->Category[entry->Category].Count++;
            if (entry->Day > Statement->Category[entry->Category].LastDay) {
                Statement->Category[entry->Category].LastDay = entry->Day;
            }
        }
    }
}

static NTSTATUS LedgerDraw(PLEDGER_ACCOUNT Account, PIRP Irp, PIO_STACK_LOCATION Stack, PULONG_PTR Information)
{
    PLEDGER_DRAW user = Stack->Parameters.DeviceIoControl.Type3InputBuffer;
    LEDGER_DRAW request;

    if (Stack->Parameters.DeviceIoControl.InputBufferLength < sizeof(request)) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    __try {
        ProbeForRead(user, sizeof(request), 1);
        RtlCopyMemory(&request, user, sizeof(request));
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        return GetExceptionCode();
    }
    PVOID destination = (PVOID)(ULONG_PTR)request.Destination;
    ULONG bytes = min(request.Bytes, sizeof(LEDGER_STATEMENT));
    if (destination == NULL) {
        destination = Irp->UserBuffer;
        bytes = min(bytes, Stack->Parameters.DeviceIoControl.OutputBufferLength);
    }
    if (bytes == 0) {
        return STATUS_INVALID_PARAMETER;
    }

    ULONG64 flags = POOL_FLAG_PAGED | POOL_FLAG_USE_QUOTA;
    PLEDGER_STATEMENT statement = ExAllocatePool2(flags, sizeof(LEDGER_STATEMENT), TAG_STATEMENT);
    if (statement == NULL) {
        return STATUS_QUOTA_EXCEEDED;
    }
    ExAcquireFastMutex(&Account->Mutex);
    __try {
        __try {
            LedgerSum(Account, statement);
            ProbeForWrite(destination, bytes, 1);
            RtlCopyMemory(destination, statement, bytes);
        } __finally {
            ExFreePoolWithTag(statement, TAG_STATEMENT);
            ExReleaseFastMutex(&Account->Mutex);
        }
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        return GetExceptionCode();
    }
    *Information = bytes;
    return STATUS_SUCCESS;
}

static NTSTATUS LedgerMemo(PLEDGER_ACCOUNT Account, PVOID Buffer, ULONG Bytes)
{
    if (Bytes == 0 || Bytes > MAX_MEMO_BYTES) {
        return STATUS_INVALID_PARAMETER;
    }
    PUCHAR memo = ExAllocatePoolWithQuotaTag((POOL_TYPE)(PagedPool | POOL_QUOTA_FAIL_INSTEAD_OF_RAISE), Bytes, TAG_MEMO);
    if (memo == NULL) {
        return STATUS_QUOTA_EXCEEDED;
    }
    RtlCopyMemory(memo, Buffer, Bytes);
    ExAcquireFastMutex(&Account->Mutex);
    PUCHAR previous = Account->Memo;
    Account->Memo = memo;
    Account->MemoBytes = Bytes;
    ExReleaseFastMutex(&Account->Mutex);
    if (previous != NULL) {
        ExFreePoolWithTag(previous, TAG_MEMO);
    }
    return STATUS_SUCCESS;
}

static NTSTATUS LedgerControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    PLEDGER_ACCOUNT account = stack->FileObject->FsContext;
    ULONG_PTR information = 0;
    NTSTATUS status;

    UNREFERENCED_PARAMETER(DeviceObject);
    switch (stack->Parameters.DeviceIoControl.IoControlCode) {
    case IOCTL_LEDGER_POST:
        status = LedgerPost(account, stack);
        break;
    case IOCTL_LEDGER_STATEMENT:
        status = LedgerDraw(account, Irp, stack, &information);
        break;
    case IOCTL_LEDGER_BALANCE:
        status = STATUS_BUFFER_TOO_SMALL;
        if (stack->Parameters.DeviceIoControl.OutputBufferLength >= sizeof(LEDGER_BALANCE)) {
            ExAcquireFastMutex(&account->Mutex);
            *(PLEDGER_BALANCE)Irp->AssociatedIrp.SystemBuffer = account->Balance;
            ExReleaseFastMutex(&account->Mutex);
            information = sizeof(LEDGER_BALANCE);
            status = STATUS_SUCCESS;
        }
        break;
    case IOCTL_LEDGER_MEMO:
        status = LedgerMemo(account, Irp->AssociatedIrp.SystemBuffer,
                            stack->Parameters.DeviceIoControl.InputBufferLength);
        break;
    default:
        status = STATUS_INVALID_DEVICE_REQUEST;
        break;
    }
    return SampleComplete(Irp, status, information);
}

static NTSTATUS LedgerCreate(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    PLEDGER_ACCOUNT account = ExAllocatePoolWithQuotaTag((POOL_TYPE)(NonPagedPoolNx | POOL_QUOTA_FAIL_INSTEAD_OF_RAISE),
                                                         sizeof(LEDGER_ACCOUNT), TAG_ACCOUNT);
    if (account == NULL) {
        return SampleComplete(Irp, STATUS_QUOTA_EXCEEDED, 0);
    }
    RtlZeroMemory(account, sizeof(*account));
    ExInitializeFastMutex(&account->Mutex);
    InitializeListHead(&account->Batches);
    IoGetCurrentIrpStackLocation(Irp)->FileObject->FsContext = account;
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS LedgerClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PLEDGER_ACCOUNT account = IoGetCurrentIrpStackLocation(Irp)->FileObject->FsContext;

    UNREFERENCED_PARAMETER(DeviceObject);
    while (!IsListEmpty(&account->Batches)) {
        PLIST_ENTRY link = RemoveHeadList(&account->Batches);
        ExFreePoolWithTag(CONTAINING_RECORD(link, LEDGER_BATCH, Link), TAG_BATCH);
    }
    if (account->Memo != NULL) {
        ExFreePoolWithTag(account->Memo, TAG_MEMO);
    }
    ExFreePoolWithTag(account, TAG_ACCOUNT);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static VOID LedgerUnload(PDRIVER_OBJECT DriverObject)
{
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\CleanLedger");
    IoDeleteSymbolicLink(&link);
    IoDeleteDevice(DriverObject->DeviceObject);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\CleanLedger");
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\CleanLedger");
    PDEVICE_OBJECT device;

    UNREFERENCED_PARAMETER(RegistryPath);
    NTSTATUS status =
        IoCreateDevice(DriverObject, 0, &name, FILE_DEVICE_UNKNOWN, FILE_DEVICE_SECURE_OPEN, FALSE, &device);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    status = IoCreateSymbolicLink(&link, &name);
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(device);
        return status;
    }
    DriverObject->MajorFunction[IRP_MJ_CREATE] = LedgerCreate;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = LedgerClose;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = LedgerControl;
    DriverObject->DriverUnload = LedgerUnload;
    return STATUS_SUCCESS;
}
