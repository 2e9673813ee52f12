/*
 * Sections, callback objects, notify routines, trace providers, names and tables, checked by the driver itself.
 * DriverEntry fails with the line of the first check that does. Control codes leave one thing behind each.
 */
#include <ntifs.h>

#define CODE(function) CTL_CODE(FILE_DEVICE_UNKNOWN, function, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_CLEAN CODE(0x800)
#define IOCTL_VIEW CODE(0x801)          /* a view in system space */
#define IOCTL_MEMORY CODE(0x802)        /* virtual memory of the caller: goes with its process */
#define IOCTL_CALLBACK CODE(0x803)      /* a registration with a callback object */
#define IOCTL_CALLBACK_OBJECT CODE(0x804) /* a reference to a callback object */
#define IOCTL_IMAGE CODE(0x805)         /* a routine for loaded images */
#define IOCTL_PROCESS CODE(0x806)       /* a routine for processes */
#define IOCTL_ETW CODE(0x807)           /* a trace provider */
#define IOCTL_NMI CODE(0x808)           /* a routine for NMIs */
#define IOCTL_BUG_CHECK CODE(0x809)     /* a bug check callback */
#define IOCTL_ELEMENT CODE(0x80a)       /* an element of a table */
#define IOCTL_DIRECTORY CODE(0x80b)     /* a handle to a directory */
#define IOCTL_BY_NAME CODE(0x80c)       /* a reference by name */
#define IOCTL_SECTION CODE(0x80d)       /* a handle to a section */
#define TAG 0x626c7454

static ULONG FailedLine;
#define CHECK(condition)                                       \
    do {                                                       \
        if (!(condition) && FailedLine == 0) {                 \
            FailedLine = __LINE__;                             \
            DbgPrint("line %lu: %s\n", FailedLine, #condition); \
        }                                                      \
    } while (0)

NTSYSAPI NTSTATUS NTAPI ZwQuerySystemInformation(ULONG, PVOID, ULONG, PULONG);
NTSYSAPI BOOLEAN NTAPI FsRtlIsNameInExpression(PUNICODE_STRING, PUNICODE_STRING, BOOLEAN, PWCH);
extern POBJECT_TYPE *IoDriverObjectType;

static UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Device\\Objects");
static UNICODE_STRING Link = RTL_CONSTANT_STRING(L"\\??\\Objects");
static KBUGCHECK_CALLBACK_RECORD Record;

static void CheckSections(void)
{
    OBJECT_ATTRIBUTES attributes;
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\BaseNamedObjects\\Shared"), physical = RTL_CONSTANT_STRING(L"\\Device\\PhysicalMemory");
    HANDLE section = NULL, again = NULL;
    LARGE_INTEGER size, offset;
    PVOID view = NULL, other = NULL, system = NULL, object = NULL;
    SIZE_T viewSize = 0, otherSize = 0, systemSize = 0;

    size.QuadPart = 0x18000;
    InitializeObjectAttributes(&attributes, &name, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK(ZwCreateSection(&section, SECTION_ALL_ACCESS, &attributes, NULL, PAGE_READWRITE, SEC_COMMIT, NULL) == STATUS_INVALID_PARAMETER_4);
    CHECK(ZwCreateSection(&section, SECTION_ALL_ACCESS, &attributes, &size, 0x99, SEC_COMMIT, NULL) == STATUS_INVALID_PAGE_PROTECTION);
    CHECK(ZwCreateSection(&section, SECTION_ALL_ACCESS, &attributes, &size, PAGE_READWRITE, SEC_COMMIT, NULL) == STATUS_SUCCESS);
    CHECK(ZwCreateSection(&again, SECTION_ALL_ACCESS, &attributes, &size, PAGE_READWRITE, SEC_COMMIT, NULL) == STATUS_OBJECT_NAME_COLLISION);
    CHECK(ZwOpenSection(&again, SECTION_MAP_READ, &attributes) == STATUS_SUCCESS);
    CHECK(ZwMapViewOfSection(section, ZwCurrentProcess(), &view, 0, 0, NULL, &viewSize, ViewUnmap, 0, PAGE_READWRITE) == STATUS_SUCCESS);
    CHECK(viewSize == 0x18000 && (ULONG_PTR)view < 0x800000000000 && *(PULONG)view == 0);
    ((PULONG)view)[0x4000] = 0x600d;
    offset.QuadPart = 0x1000;
    CHECK(ZwMapViewOfSection(again, ZwCurrentProcess(), &other, 0, 0, &offset, &otherSize, ViewUnmap, 0, PAGE_READONLY) == STATUS_MAPPED_ALIGNMENT);
    offset.QuadPart = 0x10000;
    otherSize = 0x9000;
    CHECK(ZwMapViewOfSection(again, ZwCurrentProcess(), &other, 0, 0, &offset, &otherSize, ViewUnmap, 0, PAGE_READONLY) == STATUS_INVALID_VIEW_SIZE);
    otherSize = 0x1000;
    CHECK(ZwMapViewOfSection(again, ZwCurrentProcess(), &other, 0, 0, &offset, &otherSize, ViewUnmap, 0, PAGE_READONLY) == STATUS_SUCCESS);
    CHECK(other != view && *(PULONG)other == 0x600d);
    CHECK(ObReferenceObjectByHandle(section, SECTION_ALL_ACCESS, NULL, KernelMode, &object, NULL) == STATUS_SUCCESS);
    CHECK(MmMapViewInSystemSpace(object, &system, &systemSize) == STATUS_SUCCESS && systemSize == 0x18000);
    CHECK(((PULONG)system)[0x4000] == 0x600d && (LONG_PTR)system < 0);
    CHECK(ZwUnmapViewOfSection(ZwCurrentProcess(), view) == STATUS_SUCCESS);
    CHECK(ZwUnmapViewOfSection(ZwCurrentProcess(), view) == STATUS_NOT_MAPPED_VIEW);
    ZwClose(section);
    ZwClose(again);
    ObDereferenceObject(object);
    /* What is mapped lives on. */
    CHECK(*(PULONG)other == 0x600d && ((PULONG)system)[0x4000] == 0x600d);
    CHECK(ZwUnmapViewOfSection(ZwCurrentProcess(), other) == STATUS_SUCCESS);
    CHECK(MmUnmapViewInSystemSpace(system) == STATUS_SUCCESS);
    CHECK(ZwOpenSection(&again, SECTION_MAP_READ, &attributes) == STATUS_OBJECT_NAME_NOT_FOUND);
    InitializeObjectAttributes(&attributes, &physical, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK(ZwOpenSection(&section, SECTION_MAP_READ, &attributes) == STATUS_SUCCESS);
    offset.QuadPart = MmGetPhysicalAddress(&Record).QuadPart & ~0xfffLL;
    view = NULL;
    viewSize = 0x1000;
    CHECK(ZwMapViewOfSection(section, ZwCurrentProcess(), &view, 0, 0, &offset, &viewSize, ViewUnmap, 0, PAGE_READONLY) == STATUS_SUCCESS);
    Record.Length = 0x1234;
    CHECK(((PKBUGCHECK_CALLBACK_RECORD)((PUCHAR)view + ((ULONG_PTR)&Record & 0xfff)))->Length == 0x1234);
    CHECK(ZwUnmapViewOfSection(ZwCurrentProcess(), view) == STATUS_SUCCESS);
    ZwClose(section);

    view = NULL;
    viewSize = 100;
    CHECK(ZwAllocateVirtualMemory(ZwCurrentProcess(), &view, 0, &viewSize, MEM_COMMIT | MEM_RESERVE, PAGE_READWRITE) == STATUS_SUCCESS && viewSize == 0x1000);
    *(PULONG)view = 5;
    viewSize = 0;
    CHECK(ZwFreeVirtualMemory(ZwCurrentProcess(), &view, &viewSize, MEM_RELEASE) == STATUS_SUCCESS);
    CHECK(ZwFreeVirtualMemory(ZwCurrentProcess(), &view, &viewSize, MEM_RELEASE) == STATUS_MEMORY_NOT_ALLOCATED);
}

static ULONG Sum;

static void NTAPI Notified(PVOID context, PVOID one, PVOID two)
{
    Sum = Sum * 10 + (ULONG)(ULONG_PTR)context + (ULONG)(ULONG_PTR)one + (ULONG)(ULONG_PTR)two;
}

static PCALLBACK_OBJECT MakeCallback(void)
{
    OBJECT_ATTRIBUTES attributes;
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Callback\\Mine");
    PCALLBACK_OBJECT callback = NULL;
    InitializeObjectAttributes(&attributes, &name, OBJ_CASE_INSENSITIVE, NULL, NULL);
    CHECK(ExCreateCallback(&callback, &attributes, TRUE, TRUE) == STATUS_SUCCESS);
    return callback;
}

static void CheckCallbacks(void)
{
    OBJECT_ATTRIBUTES attributes;
    UNICODE_STRING power = RTL_CONSTANT_STRING(L"\\Callback\\PowerState"), missing = RTL_CONSTANT_STRING(L"\\Callback\\Missing");
    PCALLBACK_OBJECT callback, other = NULL;
    PVOID first, second;

    InitializeObjectAttributes(&attributes, &missing, OBJ_CASE_INSENSITIVE, NULL, NULL);
    CHECK(ExCreateCallback(&other, &attributes, FALSE, TRUE) == STATUS_OBJECT_NAME_NOT_FOUND);
    InitializeObjectAttributes(&attributes, &power, OBJ_CASE_INSENSITIVE, NULL, NULL);
    CHECK(ExCreateCallback(&other, &attributes, FALSE, TRUE) == STATUS_SUCCESS);
    ObDereferenceObject(other);
    callback = MakeCallback();
    first = ExRegisterCallback(callback, Notified, (PVOID)1);
    second = ExRegisterCallback(callback, Notified, (PVOID)2);
    CHECK(first != NULL && second != NULL);
    ExNotifyCallback(callback, (PVOID)3, (PVOID)1);
    CHECK(Sum == 56);
    ExUnregisterCallback(first);
    ExNotifyCallback(callback, NULL, NULL);
    CHECK(Sum == 562);
    ExUnregisterCallback(second);
    ObDereferenceObject(callback);
    CHECK(ExCreateCallback(&other, NULL, TRUE, FALSE) == STATUS_SUCCESS);
    first = ExRegisterCallback(other, Notified, NULL);
    CHECK(first != NULL && ExRegisterCallback(other, Notified, NULL) == NULL);
    ExUnregisterCallback(first);
    ObDereferenceObject(other);
}

static void NTAPI ImageLoaded(PUNICODE_STRING name, HANDLE process, PIMAGE_INFO info)
{
    UNREFERENCED_PARAMETER(name);
    UNREFERENCED_PARAMETER(process);
    UNREFERENCED_PARAMETER(info);
}

static void NTAPI ProcessChanged(HANDLE parent, HANDLE process, BOOLEAN created)
{
    UNREFERENCED_PARAMETER(parent);
    UNREFERENCED_PARAMETER(process);
    UNREFERENCED_PARAMETER(created);
}

static void NTAPI ProcessChangedEx(PEPROCESS process, HANDLE id, PPS_CREATE_NOTIFY_INFO info)
{
    UNREFERENCED_PARAMETER(process);
    UNREFERENCED_PARAMETER(id);
    UNREFERENCED_PARAMETER(info);
}

static BOOLEAN NTAPI Nmi(PVOID context, BOOLEAN handled)
{
    UNREFERENCED_PARAMETER(context);
    return handled;
}

static void NTAPI BugCheck(PVOID buffer, ULONG length)
{
    UNREFERENCED_PARAMETER(buffer);
    UNREFERENCED_PARAMETER(length);
}

static const GUID Provider = {0x1b4e28ba, 0x2fa1, 0x11d2, {0x88, 0x3f, 0xb9, 0xa7, 0x61, 0xbd, 0xe3, 0xfb}};

static void CheckNotifications(void)
{
    REGHANDLE provider = 0;
    EVENT_DESCRIPTOR event = {1, 0, 0, 4, 0, 0, 0};
    PVOID nmi;

    CHECK(PsSetLoadImageNotifyRoutine(ImageLoaded) == STATUS_SUCCESS);
    CHECK(PsRemoveLoadImageNotifyRoutine(ImageLoaded) == STATUS_SUCCESS);
    CHECK(PsRemoveLoadImageNotifyRoutine(ImageLoaded) == STATUS_PROCEDURE_NOT_FOUND);
    CHECK(PsSetCreateProcessNotifyRoutine(ProcessChanged, FALSE) == STATUS_SUCCESS);
    CHECK(PsSetCreateProcessNotifyRoutine(ProcessChanged, FALSE) == STATUS_INVALID_PARAMETER);
    CHECK(PsSetCreateProcessNotifyRoutine(ProcessChanged, TRUE) == STATUS_SUCCESS);
    CHECK(PsSetCreateProcessNotifyRoutine(ProcessChanged, TRUE) == STATUS_PROCEDURE_NOT_FOUND);
    /* Not linked with /INTEGRITYCHECK. */
    CHECK(PsSetCreateProcessNotifyRoutineEx(ProcessChangedEx, FALSE) == STATUS_ACCESS_DENIED);
    CHECK(EtwRegister(&Provider, NULL, NULL, &provider) == STATUS_SUCCESS && provider != 0);
    CHECK(!EtwProviderEnabled(provider, 0, 0) && !EtwEventEnabled(provider, &event));
    CHECK(EtwWrite(provider, &event, NULL, 0, NULL) == STATUS_SUCCESS);
    CHECK(EtwUnregister(provider) == STATUS_SUCCESS && EtwUnregister(provider) == STATUS_INVALID_HANDLE);
    nmi = KeRegisterNmiCallback(Nmi, NULL);
    CHECK(nmi != NULL && KeDeregisterNmiCallback(nmi) == STATUS_SUCCESS && KeDeregisterNmiCallback(nmi) == STATUS_INVALID_HANDLE);
    Record.State = 0;
    CHECK(KeRegisterBugCheckCallback(&Record, BugCheck, NULL, 0, (PUCHAR)"mine"));
    CHECK(!KeRegisterBugCheckCallback(&Record, BugCheck, NULL, 0, (PUCHAR)"mine"));
    CHECK(KeDeregisterBugCheckCallback(&Record) && !KeDeregisterBugCheckCallback(&Record));
}

static void CheckNames(PDRIVER_OBJECT driver)
{
    OBJECT_ATTRIBUTES attributes;
    UNICODE_STRING directory = RTL_CONSTANT_STRING(L"\\Mine"), below = RTL_CONSTANT_STRING(L"\\Mine\\Event"), own = RTL_CONSTANT_STRING(L"\\Driver\\objects");
    UNICODE_STRING expression = RTL_CONSTANT_STRING(L"*.TX?"), file = RTL_CONSTANT_STRING(L"Notes.txt");
    WCHAR buffer[32];
    UNICODE_STRING target = {0, sizeof(buffer), buffer}, device = RTL_CONSTANT_STRING(L"\\Device\\Objects");
    HANDLE handle = NULL, event = NULL;
    ULONG length = 0;
    PVOID object = NULL;
    struct { OBJECT_NAME_INFORMATION info; WCHAR rest[32]; } name;
    CLIENT_ID id = {(HANDLE)4, NULL};
    ULONG modules = 0;

    InitializeObjectAttributes(&attributes, &below, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK(ZwCreateEvent(&event, EVENT_ALL_ACCESS, &attributes, NotificationEvent, FALSE) == STATUS_OBJECT_PATH_NOT_FOUND);
    InitializeObjectAttributes(&attributes, &directory, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK(ZwCreateDirectoryObject(&handle, DIRECTORY_ALL_ACCESS, &attributes) == STATUS_SUCCESS);
    InitializeObjectAttributes(&attributes, &below, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK(ZwOpenEvent(&event, EVENT_ALL_ACCESS, &attributes) == STATUS_OBJECT_NAME_NOT_FOUND);
    CHECK(ZwCreateEvent(&event, EVENT_ALL_ACCESS, &attributes, NotificationEvent, FALSE) == STATUS_SUCCESS);
    ZwClose(event);
    ZwClose(handle);
    InitializeObjectAttributes(&attributes, &Link, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK(ZwOpenSymbolicLinkObject(&handle, GENERIC_READ, &attributes) == STATUS_SUCCESS);
    CHECK(ZwQuerySymbolicLinkObject(handle, &target, &length) == STATUS_SUCCESS && RtlEqualUnicodeString(&target, &device, FALSE) && length == 32);
    ZwClose(handle);
    CHECK(ObReferenceObjectByName(&own, 0, NULL, 0, *IoDriverObjectType, KernelMode, NULL, &object) == STATUS_SUCCESS && object == driver);
    CHECK(ObQueryNameString(object, &name.info, sizeof(name), &length) == STATUS_SUCCESS && RtlEqualUnicodeString(&name.info.Name, &own, FALSE));
    CHECK(ObQueryNameString(object, &name.info, 20, &length) == STATUS_INFO_LENGTH_MISMATCH && length == 18u + own.Length);
    ObDereferenceObject(object);
    InitializeObjectAttributes(&attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK(ZwOpenProcess(&handle, PROCESS_ALL_ACCESS, &attributes, &id) == STATUS_SUCCESS);
    ZwClose(handle);
    id.UniqueProcess = (HANDLE)0x31337;
    CHECK(ZwOpenProcess(&handle, PROCESS_ALL_ACCESS, &attributes, &id) == STATUS_INVALID_CID);
    CHECK(ZwQuerySystemInformation(11, &modules, sizeof(modules), &length) == STATUS_INFO_LENGTH_MISMATCH && length == 8 + 3 * 0x128);
    CHECK(FsRtlIsNameInExpression(&expression, &file, TRUE, NULL) && !FsRtlIsNameInExpression(&expression, &file, FALSE, NULL));
}

typedef struct { ULONG Key; ULONG Value; } ELEMENT;
static ULONG Allocated;

static RTL_GENERIC_COMPARE_RESULTS NTAPI Compare(PRTL_GENERIC_TABLE table, PVOID first, PVOID second)
{
    ULONG a = ((ELEMENT *)first)->Key, b = ((ELEMENT *)second)->Key;
    UNREFERENCED_PARAMETER(table);
    return a < b ? GenericLessThan : a > b ? GenericGreaterThan : GenericEqual;
}

static PVOID NTAPI Allocate(PRTL_GENERIC_TABLE table, CLONG bytes)
{
    UNREFERENCED_PARAMETER(table);
    Allocated++;
    return ExAllocatePoolWithTag(NonPagedPoolNx, bytes, TAG);
}

static void NTAPI Free(PRTL_GENERIC_TABLE table, PVOID buffer)
{
    UNREFERENCED_PARAMETER(table);
    Allocated--;
    ExFreePoolWithTag(buffer, TAG);
}

static RTL_GENERIC_TABLE Table;
static RTL_AVL_TABLE Avl;

static void CheckTables(void)
{
    ELEMENT element = {0, 0};
    ELEMENT *found;
    BOOLEAN isNew = FALSE;
    ULONG index, last;
    PVOID key = NULL;

    RtlInitializeGenericTable(&Table, Compare, Allocate, Free, NULL);
    RtlInitializeGenericTableAvl(&Avl, (PRTL_AVL_COMPARE_ROUTINE)Compare, (PRTL_AVL_ALLOCATE_ROUTINE)Allocate, (PRTL_AVL_FREE_ROUTINE)Free, NULL);
    CHECK(RtlIsGenericTableEmpty(&Table) && RtlIsGenericTableEmptyAvl(&Avl));
    CHECK(RtlLookupElementGenericTable(&Table, &element) == NULL && !RtlDeleteElementGenericTable(&Table, &element));
    for (index = 0; index < 40; index++) {
        element.Key = index * 17 % 41;
        element.Value = index;
        found = RtlInsertElementGenericTable(&Table, &element, sizeof(element), &isNew);
        CHECK(found != NULL && isNew && found->Key == element.Key);
        found = RtlInsertElementGenericTableAvl(&Avl, &element, sizeof(element), &isNew);
        CHECK(found != NULL && isNew && found->Value == index);
    }
    CHECK(Allocated == 80 && RtlNumberGenericTableElements(&Table) == 40 && RtlNumberGenericTableElementsAvl(&Avl) == 40);
    element.Key = 17;
    element.Value = 99;
    found = RtlInsertElementGenericTable(&Table, &element, sizeof(element), &isNew);
    CHECK(!isNew && found->Value == 1);
    CHECK(((ELEMENT *)RtlGetElementGenericTable(&Table, 2))->Key == 34);
    CHECK(((ELEMENT *)RtlGetElementGenericTableAvl(&Avl, 2))->Key == 2 && RtlGetElementGenericTable(&Table, 40) == NULL);
    for (index = 0, last = 0, found = RtlEnumerateGenericTable(&Table, TRUE); found != NULL; found = RtlEnumerateGenericTable(&Table, FALSE), index++) {
        CHECK(index == 0 || found->Key > last);
        last = found->Key;
    }
    CHECK(index == 40);
    for (index = 0, found = RtlEnumerateGenericTableWithoutSplayingAvl(&Avl, &key); found != NULL; found = RtlEnumerateGenericTableWithoutSplayingAvl(&Avl, &key), index++) {
        CHECK(index == 0 || found->Key > last);
        last = found->Key;
    }
    CHECK(index == 40);
    for (index = 0, found = RtlEnumerateGenericTableAvl(&Avl, TRUE); found != NULL; found = RtlEnumerateGenericTableAvl(&Avl, FALSE)) index++;
    CHECK(index == 40);
    for (index = 0; index < 40; index++) {
        element.Key = index * 13 % 41;
        if (element.Key * 29 % 41 >= 40) continue;
        CHECK(RtlLookupElementGenericTable(&Table, &element) != NULL);
        CHECK(RtlDeleteElementGenericTable(&Table, &element) && RtlDeleteElementGenericTableAvl(&Avl, &element));
        CHECK(RtlLookupElementGenericTableAvl(&Avl, &element) == NULL && !RtlDeleteElementGenericTable(&Table, &element));
    }
    while ((found = RtlGetElementGenericTable(&Table, 0)) != NULL) CHECK(RtlDeleteElementGenericTable(&Table, found));
    while ((found = RtlGetElementGenericTableAvl(&Avl, 0)) != NULL) CHECK(RtlDeleteElementGenericTableAvl(&Avl, found));
    CHECK(Allocated == 0 && RtlIsGenericTableEmpty(&Table) && RtlIsGenericTableEmptyAvl(&Avl));
}

static NTSTATUS Leave(PDRIVER_OBJECT driver, ULONG code)
{
    LARGE_INTEGER size;
    HANDLE handle = NULL;
    PVOID object = NULL, base = NULL;
    SIZE_T bytes = 0;
    REGHANDLE provider;
    ELEMENT element = {1, 1};
    OBJECT_ATTRIBUTES attributes;
    UNICODE_STRING directory = RTL_CONSTANT_STRING(L"\\Left"), null = RTL_CONSTANT_STRING(L"\\FileSystem\\Ntfs");
    UNICODE_STRING root = RTL_CONSTANT_STRING(L"\\SystemRoot");

    UNREFERENCED_PARAMETER(driver);
    size.QuadPart = 0x2000;
    switch (code) {
    case IOCTL_CLEAN:
        CheckTables();
        return FailedLine == 0 ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
    case IOCTL_VIEW:
        ZwCreateSection(&handle, SECTION_ALL_ACCESS, NULL, &size, PAGE_READWRITE, SEC_COMMIT, NULL);
        ObReferenceObjectByHandle(handle, 0, NULL, KernelMode, &object, NULL);
        ZwClose(handle);
        MmMapViewInSystemSpace(object, &base, &bytes);
        ObDereferenceObject(object);
        return STATUS_SUCCESS;
    case IOCTL_MEMORY:
        bytes = 0x1000;
        return ZwAllocateVirtualMemory(ZwCurrentProcess(), &base, 0, &bytes, MEM_COMMIT, PAGE_READWRITE);
    case IOCTL_CALLBACK:
        object = MakeCallback();
        ExRegisterCallback(object, Notified, NULL);
        ObDereferenceObject(object);
        return STATUS_SUCCESS;
    case IOCTL_CALLBACK_OBJECT:
        MakeCallback();
        return STATUS_SUCCESS;
    case IOCTL_IMAGE:
        return PsSetLoadImageNotifyRoutine(ImageLoaded);
    case IOCTL_PROCESS:
        return PsSetCreateProcessNotifyRoutine(ProcessChanged, FALSE);
    case IOCTL_ETW:
        return EtwRegister(&Provider, NULL, NULL, &provider);
    case IOCTL_NMI:
        KeRegisterNmiCallback(Nmi, NULL);
        return STATUS_SUCCESS;
    case IOCTL_BUG_CHECK:
        KeRegisterBugCheckCallback(&Record, BugCheck, NULL, 0, (PUCHAR)"mine");
        return STATUS_SUCCESS;
    case IOCTL_ELEMENT:
        RtlInsertElementGenericTable(&Table, &element, sizeof(element), NULL);
        return STATUS_SUCCESS;
    case IOCTL_DIRECTORY:
        InitializeObjectAttributes(&attributes, &directory, OBJ_KERNEL_HANDLE, NULL, NULL);
        return ZwCreateDirectoryObject(&handle, DIRECTORY_ALL_ACCESS, &attributes);
    case IOCTL_BY_NAME:
        InitializeObjectAttributes(&attributes, &root, OBJ_KERNEL_HANDLE, NULL, NULL);
        if (NT_SUCCESS(ZwOpenSymbolicLinkObject(&handle, GENERIC_READ, &attributes))) ZwClose(handle);
        return ObReferenceObjectByName(&null, 0, NULL, 0, *IoDriverObjectType, KernelMode, NULL, &object);
    case IOCTL_SECTION:
        InitializeObjectAttributes(&attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
        return ZwCreateSection(&handle, SECTION_ALL_ACCESS, &attributes, &size, PAGE_READWRITE, SEC_COMMIT, NULL);
    default:
        return STATUS_INVALID_DEVICE_REQUEST;
    }
}

static NTSTATUS NTAPI Dispatch(PDEVICE_OBJECT device, PIRP irp)
{
    PIO_STACK_LOCATION location = IoGetCurrentIrpStackLocation(irp);
    NTSTATUS status = STATUS_SUCCESS;
    irp->IoStatus.Information = 0;
    if (location->MajorFunction == IRP_MJ_DEVICE_CONTROL)
        status = Leave(device->DriverObject, location->Parameters.DeviceIoControl.IoControlCode);
    irp->IoStatus.Status = status;
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
    PDEVICE_OBJECT device;
    UNREFERENCED_PARAMETER(path);
    driver->DriverUnload = Unload;
    driver->MajorFunction[IRP_MJ_CREATE] = Dispatch;
    driver->MajorFunction[IRP_MJ_CLEANUP] = Dispatch;
    driver->MajorFunction[IRP_MJ_CLOSE] = Dispatch;
    driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Dispatch;
    CHECK(IoCreateDevice(driver, 0, &Name, FILE_DEVICE_UNKNOWN, 0, FALSE, &device) == STATUS_SUCCESS);
    CHECK(IoCreateSymbolicLink(&Link, &Name) == STATUS_SUCCESS);
    CheckSections();
    CheckCallbacks();
    CheckNotifications();
    CheckNames(driver);
    CheckTables();
    if (FailedLine == 0) return STATUS_SUCCESS;
    Unload(driver);
    return STATUS_UNSUCCESSFUL;
}
