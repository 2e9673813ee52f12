/*
 * Surfaces for a display adapter, in pages that have no address: MmAllocatePagesForMdlEx gets them, anywhere or in one of
 * the banks that the adapter sees, and they are mapped as long as somebody draws or reads.
 *
 * Three leaks. Destroying a surface frees its pages and not their MDL. When a bank has fewer pages than the surface
 * needs, the MDL is freed without the pages. And a rectangle that does not lie in the surface is refused between mapping
 * and unmapping.
 */
#include "sample.h"

#define TAG_CANVAS 'nCvC' /* CvCn */

#define SURFACES 4
#define MAX_EDGE 1024
#define BANK_SHIFT 24

#define SURFACE_IN_BANK 1

#define IOCTL_CANVAS_CREATE CTL_CODE(FILE_DEVICE_UNKNOWN, 0x930, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_CANVAS_DRAW CTL_CODE(FILE_DEVICE_UNKNOWN, 0x931, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_CANVAS_READ_LINE CTL_CODE(FILE_DEVICE_UNKNOWN, 0x932, METHOD_OUT_DIRECT, FILE_ANY_ACCESS)
#define IOCTL_CANVAS_DESTROY CTL_CODE(FILE_DEVICE_UNKNOWN, 0x933, METHOD_BUFFERED, FILE_ANY_ACCESS)

typedef struct _CANVAS_CREATE {
    ULONG Width;
    ULONG Height;
    ULONG Flags;
    ULONG Bank;
} CANVAS_CREATE, *PCANVAS_CREATE;

typedef struct _CANVAS_DRAW {
    ULONG Surface;
    ULONG X;
    ULONG Y;
    ULONG Width;
    ULONG Height;
    ULONG Color;
} CANVAS_DRAW, *PCANVAS_DRAW;

typedef struct _CANVAS_LINE {
    ULONG Surface;
    ULONG Y;
} CANVAS_LINE, *PCANVAS_LINE;

typedef struct _CANVAS_SURFACE {
    ULONG Width;
    ULONG Height;
    ULONG Drawn;
    PMDL Pages;
} CANVAS_SURFACE, *PCANVAS_SURFACE;

typedef struct _CANVAS {
    FAST_MUTEX Mutex;
    CANVAS_SURFACE Surfaces[SURFACES];
} CANVAS, *PCANVAS;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD CanvasUnload;
static DRIVER_DISPATCH CanvasCreate;
static DRIVER_DISPATCH CanvasClose;
static DRIVER_DISPATCH CanvasControl;

/* The surface of that number, counted from 1; NULL if there is none. */
static PCANVAS_SURFACE CanvasFind(PCANVAS Canvas, ULONG Number)
{
    if (Number == 0 || Number > SURFACES || Canvas->Surfaces[Number - 1].Pages == NULL) {
        return NULL;
    }
    return &Canvas->Surfaces[Number - 1];
}

static PULONG CanvasMap(PCANVAS_SURFACE Surface)
{
    return MmMapLockedPagesSpecifyCache(Surface->Pages, KernelMode, MmCached, NULL, FALSE,
                                        NormalPagePriority | MDL_MAPPING_NO_EXECUTE);
}

static NTSTATUS CanvasAllocate(const CANVAS_CREATE *Request, PMDL *Pages)
{
    PHYSICAL_ADDRESS lowest = {.QuadPart = 0};
    PHYSICAL_ADDRESS highest = {.QuadPart = MAXLONGLONG};
    PHYSICAL_ADDRESS skip = {.QuadPart = 0};
    SIZE_T bytes = (SIZE_T)Request->Width * Request->Height * sizeof(ULONG);

    if (Request->Flags & SURFACE_IN_BANK) {
        lowest.QuadPart = (LONGLONG)Request->Bank << BANK_SHIFT;
        highest.QuadPart = lowest.QuadPart + (1LL << BANK_SHIFT) - 1;
    }
    PMDL mdl = MmAllocatePagesForMdlEx(lowest, highest, skip, bytes, MmCached, 0); // leak[destroyed]: tag=Mmdl bytes=144 count=2 pool=NonPagedPoolNx // leak[bank-full]: kind=locked-pages bytes=16777216 count=1
    if (mdl == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    if (MmGetMdlByteCount(mdl) < bytes) {
        /* A part of them is of no use. */
        ExFreePool(mdl);
        return STATUS_NO_MEMORY;
    }
    *Pages = mdl;
    return STATUS_SUCCESS;
}

static NTSTATUS CanvasCreateSurface(PCANVAS Canvas, const CANVAS_CREATE *Request, PULONG Number)
{
    if (Request->Width == 0 || Request->Width > MAX_EDGE || Request->Height == 0 || Request->Height > 8 * MAX_EDGE) {
        return STATUS_INVALID_PARAMETER;
    }
    for (ULONG i = 0; i < SURFACES; i++) {
        PCANVAS_SURFACE surface = &Canvas->Surfaces[i];
        if (surface->Pages == NULL) {
            NTSTATUS status = CanvasAllocate(Request, &surface->Pages);
            if (NT_SUCCESS(status)) {
                surface->Width = Request->Width;
                surface->Height = Request->Height;
                surface->Drawn = 0;
                *Number = i + 1;
            }
            return status;
        }
    }
    return STATUS_TOO_MANY_OPENED_FILES;
}

static VOID CanvasDestroySurface(PCANVAS_SURFACE Surface)
{
    MmFreePagesFromMdl(Surface->Pages);
    RtlZeroMemory(Surface, sizeof(*Surface));
}

/* Fills a rectangle. */
static NTSTATUS CanvasDraw(PCANVAS Canvas, const CANVAS_DRAW *Request)
{
    PCANVAS_SURFACE surface = CanvasFind(Canvas, Request->Surface);
    if (surface == NULL) {
        return STATUS_NOT_FOUND;
    }
    PULONG pixels = MmMapLockedPagesSpecifyCache(surface->Pages, KernelMode, MmCached, NULL, FALSE, NormalPagePriority | MDL_MAPPING_NO_EXECUTE); // leak[clipped]: kind=mapping bytes=8192 count=1
    if (pixels == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    if (Request->X >= surface->Width || Request->Width > surface->Width - Request->X || Request->Y >= surface->Height ||
        Request->Height > surface->Height - Request->Y) {
        return STATUS_RANGE_NOT_FOUND;
    }
    for (ULONG y = 0; y < Request->Height; y++) {
        PULONG line = pixels + (SIZE_T)(Request->Y + y) * surface->Width + Request->X;
        for (ULONG x = 0; x < Request->Width; x++) {
            line[x] = Request->Color;
        }
    }
    surface->Drawn++;
    KeFlushIoBuffers(surface->Pages, FALSE, TRUE);
    MmUnmapLockedPages(pixels, surface->Pages);
    return STATUS_SUCCESS;
}

static NTSTATUS CanvasReadLine(PCANVAS Canvas, const CANVAS_LINE *Request, PMDL Target, PULONG_PTR Information)
{
    PCANVAS_SURFACE surface = CanvasFind(Canvas, Request->Surface);
    if (surface == NULL) {
        return STATUS_NOT_FOUND;
    }
    if (Request->Y >= surface->Height) {
        return STATUS_RANGE_NOT_FOUND;
    }
    ULONG bytes = surface->Width * sizeof(ULONG);
    if (Target == NULL || MmGetMdlByteCount(Target) < bytes) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    PULONG target = MmGetSystemAddressForMdlSafe(Target, NormalPagePriority | MDL_MAPPING_NO_EXECUTE);
    PULONG pixels = target == NULL ? NULL : CanvasMap(surface);
    if (pixels == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    RtlCopyMemory(target, pixels + (SIZE_T)Request->Y * surface->Width, bytes);
    MmUnmapLockedPages(pixels, surface->Pages);
    *Information = bytes;
    return STATUS_SUCCESS;
}

static NTSTATUS CanvasDestroy(PCANVAS Canvas, ULONG Number)
{
    PCANVAS_SURFACE surface = CanvasFind(Canvas, Number);
    if (surface == NULL) {
        return STATUS_NOT_FOUND;
    }
    CanvasDestroySurface(surface);
    return STATUS_SUCCESS;
}

static NTSTATUS CanvasControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    PCANVAS canvas = stack->FileObject->FsContext;
    ULONG inputBytes = stack->Parameters.DeviceIoControl.InputBufferLength;
    PVOID buffer = Irp->AssociatedIrp.SystemBuffer;
    ULONG_PTR information = 0;
    NTSTATUS status = STATUS_BUFFER_TOO_SMALL;

    UNREFERENCED_PARAMETER(DeviceObject);
    ExAcquireFastMutex(&canvas->Mutex);
    switch (stack->Parameters.DeviceIoControl.IoControlCode) {
    case IOCTL_CANVAS_CREATE:
        if (inputBytes >= sizeof(CANVAS_CREATE) &&
            stack->Parameters.DeviceIoControl.OutputBufferLength >= sizeof(ULONG)) {
            status = CanvasCreateSurface(canvas, buffer, buffer);
            information = NT_SUCCESS(status) ? sizeof(ULONG) : 0;
        }
        break;
    case IOCTL_CANVAS_DRAW:
        if (inputBytes >= sizeof(CANVAS_DRAW)) {
            status = CanvasDraw(canvas, buffer);
        }
        break;
    case IOCTL_CANVAS_READ_LINE:
        if (inputBytes >= sizeof(CANVAS_LINE)) {
            status = CanvasReadLine(canvas, buffer, Irp->MdlAddress, &information);
        }
        break;
    case IOCTL_CANVAS_DESTROY:
        if (inputBytes >= sizeof(ULONG)) {
            status = CanvasDestroy(canvas, *(PULONG)buffer);
        }
        break;
    default:
        status = STATUS_INVALID_DEVICE_REQUEST;
        break;
    }
    ExReleaseFastMutex(&canvas->Mutex);
    return SampleComplete(Irp, status, information);
}

static NTSTATUS CanvasCreate(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    PCANVAS canvas = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(CANVAS), TAG_CANVAS);
    if (canvas == NULL) {
        return SampleComplete(Irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    RtlZeroMemory(canvas, sizeof(*canvas));
    ExInitializeFastMutex(&canvas->Mutex);
    IoGetCurrentIrpStackLocation(Irp)->FileObject->FsContext = canvas;
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS CanvasClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PCANVAS canvas = IoGetCurrentIrpStackLocation(Irp)->FileObject->FsContext;

    UNREFERENCED_PARAMETER(DeviceObject);
    for (ULONG i = 0; i < SURFACES; i++) {
        if (canvas->Surfaces[i].Pages != NULL) {
            CanvasDestroySurface(&canvas->Surfaces[i]);
        }
    }
    ExFreePoolWithTag(canvas, TAG_CANVAS);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static VOID CanvasUnload(PDRIVER_OBJECT DriverObject)
{
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\LeakyCanvas");
    IoDeleteSymbolicLink(&link);
    IoDeleteDevice(DriverObject->DeviceObject);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\LeakyCanvas");
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\LeakyCanvas");
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
    DriverObject->MajorFunction[IRP_MJ_CREATE] = CanvasCreate;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = CanvasClose;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = CanvasControl;
    DriverObject->DriverUnload = CanvasUnload;
    return STATUS_SUCCESS;
}
