/*
 * A parcel service on the three kinds of lookaside lists. A parcel is nonpaged (pool's own routines), its label paged
 * (routines of the driver's own) and its route comes from a list of the open file, whose routines find the file through
 * the list and allow only so many routes.
 *
 * The leaks: a parcel that is sent back is not freed; its label is not when the routes run out; a file that is closed with
 * no parcel on its way takes a shorter path, which forgets the file's list, and with it the routes that the list keeps.
 */
#include "sample.h"

#define TAG_SESSION 'sSkL' /* LkSs */
#define TAG_PARCEL 'cPkL'  /* LkPc */
#define TAG_LABEL 'bLkL'   /* LkLb */
#define TAG_ROUTE 'tRkL'   /* LkRt */

#define MAX_ROUTES 8
#define MAX_HOPS 6

/* Not in the older headers. */
#define POOL_NX_ALLOCATION 512

#define IOCTL_PARCEL_SEND CTL_CODE(FILE_DEVICE_UNKNOWN, 0x8C0, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_PARCEL_DELIVER CTL_CODE(FILE_DEVICE_UNKNOWN, 0x8C1, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_PARCEL_RETURN CTL_CODE(FILE_DEVICE_UNKNOWN, 0x8C2, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_PARCEL_FLUSH CTL_CODE(FILE_DEVICE_UNKNOWN, 0x8C3, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_PARCEL_STATISTICS CTL_CODE(FILE_DEVICE_UNKNOWN, 0x8C4, METHOD_BUFFERED, FILE_ANY_ACCESS)

typedef struct _LABEL {
    ULONG Length;
    WCHAR Text[20];
} LABEL, *PLABEL;
C_ASSERT(sizeof(LABEL) == 44);

typedef struct _ROUTE {
    ULONG Count;
    ULONG Hops[MAX_HOPS];
} ROUTE, *PROUTE;
C_ASSERT(sizeof(ROUTE) == 28);

typedef struct _PARCEL {
    LIST_ENTRY Link;
    PLABEL Label;
    PROUTE Route;
    ULONG Id;
    UCHAR Body[36];
} PARCEL, *PPARCEL;
C_ASSERT(sizeof(PARCEL) == 72);

/* An open file. */
typedef struct _SESSION {
    LOOKASIDE_LIST_EX RouteList;
    LIST_ENTRY Parcels;
    KSPIN_LOCK Lock;
    ULONG NextId;
    LONG Routes;
} SESSION, *PSESSION;

/* What a program is told of one list. */
typedef struct _LIST_STATISTICS {
    ULONG TotalAllocates;
    ULONG AllocateMisses;
    ULONG TotalFrees;
    ULONG FreeMisses;
    ULONG Type;
    ULONG Tag;
    ULONG Size;
    ULONG Held;
} LIST_STATISTICS, *PLIST_STATISTICS;

typedef struct _PARCEL_STATISTICS {
    LIST_STATISTICS Parcels;
    LIST_STATISTICS Labels;
    LIST_STATISTICS Routes;
    LONG LabelBlocks;
    LONG RouteBlocks;
} PARCEL_STATISTICS, *PPARCEL_STATISTICS;

static NPAGED_LOOKASIDE_LIST ParcelList;
static PAGED_LOOKASIDE_LIST LabelList;
static volatile LONG LabelBlocks;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD ParcelUnload;
static DRIVER_DISPATCH ParcelCreate;
static DRIVER_DISPATCH ParcelCleanup;
static DRIVER_DISPATCH ParcelClose;
static DRIVER_DISPATCH ParcelControl;

/* ---- the lists' routines */

static PVOID NTAPI AllocateLabel(POOL_TYPE PoolType, SIZE_T NumberOfBytes, ULONG Tag)
{
    PVOID label = ExAllocatePoolWithTag(PoolType, NumberOfBytes, Tag); // leak[routes-out,all]: tag=LkLb bytes=44 count=1 pool=PagedPool
    if (label != NULL) {
        InterlockedIncrement(&LabelBlocks);
    }
    return label;
}

static VOID NTAPI FreeLabel(PVOID Buffer)
{
    InterlockedDecrement(&LabelBlocks);
    ExFreePoolWithTag(Buffer, TAG_LABEL);
}

static PVOID NTAPI AllocateRoute(POOL_TYPE PoolType, SIZE_T NumberOfBytes, ULONG Tag, PLOOKASIDE_LIST_EX Lookaside)
{
    PSESSION session = CONTAINING_RECORD(Lookaside, SESSION, RouteList);

    if (InterlockedIncrement(&session->Routes) <= MAX_ROUTES) {
        /* The list was made with EX_LOOKASIDE_LIST_EX_FLAGS_FAIL_NO_RAISE. */
        PVOID route = ExAllocatePoolWithQuotaTag(PoolType, NumberOfBytes, Tag); // leak[early-close,all]: tag=LkRt bytes=84 count=3 pool=NonPagedPoolNx
        if (route != NULL) {
            return route;
        }
    }
    InterlockedDecrement(&session->Routes);
    return NULL;
}

static VOID NTAPI FreeRoute(PVOID Buffer, PLOOKASIDE_LIST_EX Lookaside)
{
    InterlockedDecrement(&CONTAINING_RECORD(Lookaside, SESSION, RouteList)->Routes);
    ExFreePoolWithTag(Buffer, TAG_ROUTE);
}

/* ---- parcels */

static NTSTATUS SendParcel(PSESSION Session)
{
    PPARCEL parcel = ExAllocateFromNPagedLookasideList(&ParcelList); // leak[returned,all]: tag=LkPc bytes=144 count=2 pool=NonPagedPoolNx
    if (parcel == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    parcel->Label = ExAllocateFromPagedLookasideList(&LabelList);
    if (parcel->Label == NULL) {
        ExFreeToNPagedLookasideList(&ParcelList, parcel);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    parcel->Route = ExAllocateFromLookasideListEx(&Session->RouteList);
    if (parcel->Route == NULL) {
        ExFreeToNPagedLookasideList(&ParcelList, parcel);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    parcel->Id = Session->NextId++;
    RtlFillMemory(parcel->Body, sizeof(parcel->Body), (UCHAR)parcel->Id);
    parcel->Label->Length = 1 + parcel->Id % 20;
    for (ULONG i = 0; i < parcel->Label->Length; i++) {
        parcel->Label->Text[i] = (WCHAR)(L'A' + (parcel->Id + i) % 26);
    }
    parcel->Route->Count = 1 + parcel->Id % MAX_HOPS;
    for (ULONG i = 0; i < parcel->Route->Count; i++) {
        parcel->Route->Hops[i] = parcel->Id * 100 + i;
    }
    ExInterlockedInsertTailList(&Session->Parcels, &parcel->Link, &Session->Lock);
    return STATUS_SUCCESS;
}

static VOID DropParcel(PSESSION Session, PPARCEL Parcel, BOOLEAN IsReturned)
{
    ExFreeToLookasideListEx(&Session->RouteList, Parcel->Route);
    ExFreeToPagedLookasideList(&LabelList, Parcel->Label);
    if (!IsReturned) {
        ExFreeToNPagedLookasideList(&ParcelList, Parcel);
    }
}

/* Hands the oldest parcel over, or sends it back: its label is crossed out. */
static NTSTATUS TakeParcel(PSESSION Session, BOOLEAN IsReturned)
{
    PLIST_ENTRY link = ExInterlockedRemoveHeadList(&Session->Parcels, &Session->Lock);
    if (link == NULL) {
        return STATUS_NO_MORE_ENTRIES;
    }
    PPARCEL parcel = CONTAINING_RECORD(link, PARCEL, Link);
    for (ULONG i = 0; IsReturned && i < parcel->Label->Length; i++) {
        parcel->Label->Text[i] = L'-';
    }
    BOOLEAN isWhole = parcel->Body[sizeof(parcel->Body) - 1] == (UCHAR)parcel->Id &&
                      parcel->Route->Hops[parcel->Route->Count - 1] == parcel->Id * 100 + parcel->Route->Count - 1;
    DropParcel(Session, parcel, IsReturned);
    return isWhole ? STATUS_SUCCESS : STATUS_DATA_ERROR;
}

/* ---- requests */

#define READ_STATISTICS(Statistics, List)                           \
    do {                                                            \
        (Statistics)->TotalAllocates = (List)->L.TotalAllocates;    \
        (Statistics)->AllocateMisses = (List)->L.AllocateMisses;    \
        (Statistics)->TotalFrees = (List)->L.TotalFrees;            \
        (Statistics)->FreeMisses = (List)->L.FreeMisses;            \
        (Statistics)->Type = (ULONG)(List)->L.Type;                 \
        (Statistics)->Tag = (List)->L.Tag;                          \
        (Statistics)->Size = (List)->L.Size;                        \
        (Statistics)->Held = ExQueryDepthSList(&(List)->L.ListHead); \
    } while (0)

static NTSTATUS NTAPI ParcelControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION location = IoGetCurrentIrpStackLocation(Irp);
    PSESSION session = location->FileObject->FsContext;
    ULONG code = location->Parameters.DeviceIoControl.IoControlCode;
    NTSTATUS status = STATUS_SUCCESS;
    ULONG count = 0;

    UNREFERENCED_PARAMETER(DeviceObject);
    if (location->Parameters.DeviceIoControl.InputBufferLength >= sizeof(ULONG)) {
        count = *(ULONG *)Irp->AssociatedIrp.SystemBuffer;
    }
    switch (code) {
    case IOCTL_PARCEL_SEND:
        while (count-- > 0 && NT_SUCCESS(status)) {
            status = SendParcel(session);
        }
        return SampleComplete(Irp, status, 0);
    case IOCTL_PARCEL_DELIVER:
    case IOCTL_PARCEL_RETURN:
        while (count-- > 0 && NT_SUCCESS(status)) {
            status = TakeParcel(session, code == IOCTL_PARCEL_RETURN);
        }
        return SampleComplete(Irp, status, 0);
    case IOCTL_PARCEL_FLUSH:
        ExFlushLookasideListEx(&session->RouteList);
        return SampleComplete(Irp, STATUS_SUCCESS, 0);
    case IOCTL_PARCEL_STATISTICS: {
        PPARCEL_STATISTICS statistics = Irp->AssociatedIrp.SystemBuffer;
        if (location->Parameters.DeviceIoControl.OutputBufferLength < sizeof(*statistics)) {
            return SampleComplete(Irp, STATUS_BUFFER_TOO_SMALL, 0);
        }
        READ_STATISTICS(&statistics->Parcels, &ParcelList);
        READ_STATISTICS(&statistics->Labels, &LabelList);
        READ_STATISTICS(&statistics->Routes, &session->RouteList);
        statistics->LabelBlocks = LabelBlocks;
        statistics->RouteBlocks = session->Routes;
        return SampleComplete(Irp, STATUS_SUCCESS, sizeof(*statistics));
    }
    default:
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

static NTSTATUS NTAPI ParcelCreate(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PSESSION session = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(*session), TAG_SESSION);

    UNREFERENCED_PARAMETER(DeviceObject);
    if (session == NULL) {
        return SampleComplete(Irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    RtlZeroMemory(session, sizeof(*session));
    NTSTATUS status = ExInitializeLookasideListEx(&session->RouteList, AllocateRoute, FreeRoute, NonPagedPoolNx, EX_LOOKASIDE_LIST_EX_FLAGS_FAIL_NO_RAISE, sizeof(ROUTE), TAG_ROUTE, 0); // leak[early-close,all]: kind=lookaside name=LkRt bytes=0 count=1
    if (!NT_SUCCESS(status)) {
        ExFreePoolWithTag(session, TAG_SESSION);
        return SampleComplete(Irp, status, 0);
    }
    InitializeListHead(&session->Parcels);
    KeInitializeSpinLock(&session->Lock);
    IoGetCurrentIrpStackLocation(Irp)->FileObject->FsContext = session;
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS NTAPI ParcelCleanup(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS NTAPI ParcelClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PSESSION session = IoGetCurrentIrpStackLocation(Irp)->FileObject->FsContext;

    UNREFERENCED_PARAMETER(DeviceObject);
    if (IsListEmpty(&session->Parcels)) {
        ExFreePoolWithTag(session, TAG_SESSION);
        return SampleComplete(Irp, STATUS_SUCCESS, 0);
    }
    while (TakeParcel(session, FALSE) != STATUS_NO_MORE_ENTRIES) {
    }
    /* Has FreeRoute called for every route that the list keeps. */
    ExDeleteLookasideListEx(&session->RouteList);
    ExFreePoolWithTag(session, TAG_SESSION);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static VOID NTAPI ParcelUnload(PDRIVER_OBJECT DriverObject)
{
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\LeakyLookaside");

    IoDeleteSymbolicLink(&link);
    IoDeleteDevice(DriverObject->DeviceObject);
    ExDeletePagedLookasideList(&LabelList);
    ExDeleteNPagedLookasideList(&ParcelList);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\LeakyLookaside");
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\LeakyLookaside");
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
    ExInitializeNPagedLookasideList(&ParcelList, NULL, NULL, POOL_NX_ALLOCATION, sizeof(PARCEL), TAG_PARCEL, 0);
    ExInitializePagedLookasideList(&LabelList, AllocateLabel, FreeLabel, 0, sizeof(LABEL), TAG_LABEL, 0);
    DriverObject->MajorFunction[IRP_MJ_CREATE] = ParcelCreate;
    DriverObject->MajorFunction[IRP_MJ_CLEANUP] = ParcelCleanup;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = ParcelClose;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = ParcelControl;
    DriverObject->DriverUnload = ParcelUnload;
    return STATUS_SUCCESS;
}
