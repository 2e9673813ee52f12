/*
 * Small deeds of drivers that are easy to judge wrongly. A request's input names the deed: those whose names begin with
 * "leak-" leave something behind, those with "clean-" look as if they did. What begins with "entry-" is done by
 * DriverEntry of the service that has the name. A second device completes what it is sent: reads and writes at once,
 * others in a DPC, or with an error.
 */
#include <ntifs.h>

#define TAG 'drVe' /* eVrd */
#define NOINLINE __attribute__((noinline))
#define CONTROL CTL_CODE(FILE_DEVICE_UNKNOWN, 0x800, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define COMPLETE_LATER CTL_CODE(FILE_DEVICE_UNKNOWN, 0x900, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define COMPLETE_BADLY CTL_CODE(FILE_DEVICE_UNKNOWN, 0x901, METHOD_BUFFERED, FILE_ANY_ACCESS)

typedef struct _DEED { PCSTR Name; NTSTATUS (*Do)(PIRP); } DEED;

static PDRIVER_OBJECT Driver;
static PDEVICE_OBJECT Device, Target;
static UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Device\\Verdicts");
static UNICODE_STRING Link = RTL_CONSTANT_STRING(L"\\??\\Verdicts");
static UNICODE_STRING TargetName = RTL_CONSTANT_STRING(L"\\Device\\VerdictsTarget");
static VOID (*OnUnload)(VOID);
static VOID (*OnCleanup)(VOID);
static PIRP LatePending;
static KTIMER LateTimer;
static KDPC LateDpc;
static KSPIN_LOCK Lock;

static NTSTATUS Complete(PIRP irp, NTSTATUS status)
{
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

static VOID NTAPI CompleteLate(PKDPC dpc, PVOID context, PVOID one, PVOID two)
{
    PIRP irp = LatePending;
    (void)dpc, (void)context, (void)one, (void)two;
    LatePending = NULL;
    Complete(irp, STATUS_SUCCESS);
}

static VOID Sleep(LONG milliseconds)
{
    LARGE_INTEGER time = {.QuadPart = -10000LL * milliseconds};
    KeDelayExecutionThread(KernelMode, FALSE, &time);
}

static NOINLINE PVOID Block(POOL_TYPE type, SIZE_T bytes)
{
    PVOID block = ExAllocatePoolWithTag(type, bytes, TAG);
    if (block) *(volatile UCHAR *)block = 1;
    return block;
}

/* ---- who allocates, and how */

static NOINLINE PVOID TailJump(SIZE_T bytes) { return ExAllocatePoolWithTag(NonPagedPoolNx, bytes, TAG); }

static NTSTATUS LeakTailJump(PIRP irp) { (void)irp; TailJump(40); return STATUS_SUCCESS; }

static NTSTATUS LeakByAddress(PIRP irp)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"ExAllocatePoolWithTag");
    PVOID(NTAPI *allocate)(POOL_TYPE, SIZE_T, ULONG) = MmGetSystemRoutineAddress(&name);
    (void)irp;
    allocate(PagedPool, 50, TAG);
    return STATUS_SUCCESS;
}

static NTSTATUS CleanByAddress(PIRP irp)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"ExAllocatePoolWithTag"), other = RTL_CONSTANT_STRING(L"ExFreePoolWithTag");
    PVOID(NTAPI *allocate)(POOL_TYPE, SIZE_T, ULONG) = MmGetSystemRoutineAddress(&name);
    VOID(NTAPI *release)(PVOID, ULONG) = MmGetSystemRoutineAddress(&other);
    (void)irp;
    ExFreePoolWithTag(allocate(PagedPool, 50, TAG), TAG);
    release(Block(PagedPool, 50), TAG);
    return STATUS_SUCCESS;
}

static NTSTATUS LeakLarge(PIRP irp) { (void)irp; Block(PagedPool, 0x12345); return STATUS_SUCCESS; }

static NTSTATUS LeakPage(PIRP irp) { (void)irp; Block(NonPagedPoolNx, PAGE_SIZE); return STATUS_SUCCESS; }

extern PVOID NTAPI ExAllocatePool2(ULONG64 Flags, SIZE_T Bytes, ULONG Tag);

static NTSTATUS LeakQuota(PIRP irp) { (void)irp; ExAllocatePool2(0x101, 64, TAG); return STATUS_SUCCESS; }

static VOID NTAPI FreeInDpc(PKDPC dpc, PVOID context, PVOID one, PVOID two)
{
    (void)one, (void)two;
    ExFreePoolWithTag(context, TAG);
    ExFreePoolWithTag(dpc, TAG);
}

/* Charged to this process, freed in a DPC, with the DPC itself. */
static NTSTATUS CleanQuotaFreedInDpc(PIRP irp)
{
    PKDPC dpc = Block(NonPagedPoolNx, sizeof *dpc);
    (void)irp;
    KeInitializeDpc(dpc, FreeInDpc, ExAllocatePoolWithQuotaTag(NonPagedPoolNx, 64, TAG));
    KeInsertQueueDpc(dpc, NULL, NULL);
    KeFlushQueuedDpcs();
    return STATUS_SUCCESS;
}

static NTSTATUS LeakInHandler(PIRP irp)
{
    (void)irp;
    __try {
        PVOID block = Block(PagedPool, 70);
        ExRaiseStatus(STATUS_ACCESS_VIOLATION);
        ExFreePoolWithTag(block, TAG);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        return STATUS_SUCCESS;
    }
    return STATUS_SUCCESS;
}

static NTSTATUS CleanInHandler(PIRP irp)
{
    PVOID volatile block = NULL;
    (void)irp;
    __try {
        block = Block(PagedPool, 70);
        ExRaiseStatus(STATUS_ACCESS_VIOLATION);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        ExFreePoolWithTag(block, TAG);
    }
    return STATUS_SUCCESS;
}

/* A list whose head is taken off without its tail. */
static NTSTATUS LeakListTail(PIRP irp)
{
    PSINGLE_LIST_ENTRY list = NULL;
    (void)irp;
    for (int i = 0; i < 3; i++) {
        PSINGLE_LIST_ENTRY entry = Block(NonPagedPoolNx, 32);
        entry->Next = list;
        list = entry;
    }
    ExFreePoolWithTag(list, TAG);
    return STATUS_SUCCESS;
}

/* Blocks that only another block points to. */
static NTSTATUS LeakDriverExtension(PIRP irp)
{
    PVOID *extension;
    (void)irp;
    IoAllocateDriverObjectExtension(Driver, (PVOID)(ULONG_PTR)1, 32, (PVOID *)&extension);
    *extension = Block(PagedPool, 90);
    return STATUS_SUCCESS;
}

static VOID FreeDriverExtension(VOID)
{
    ExFreePoolWithTag(*(PVOID *)IoGetDriverObjectExtension(Driver, (PVOID)(ULONG_PTR)1), TAG);
}

static NTSTATUS CleanDriverExtension(PIRP irp)
{
    OnUnload = FreeDriverExtension;
    return LeakDriverExtension(irp);
}

/* ---- strings that the kernel hands over */

static NTSTATUS QueryString(PUNICODE_STRING value)
{
    RTL_QUERY_REGISTRY_TABLE table[2];
    RtlZeroMemory(table, sizeof table);
    table[0].Flags = RTL_QUERY_REGISTRY_DIRECT;
    table[0].Name = L"Some";
    table[0].EntryContext = value;
    RtlWriteRegistryValue(RTL_REGISTRY_SERVICES, L"Verdicts", L"Some", REG_SZ, L"thing", 12);
    return RtlQueryRegistryValues(RTL_REGISTRY_SERVICES, L"Verdicts", table, NULL, NULL);
}

static NTSTATUS LeakRegistryString(PIRP irp)
{
    UNICODE_STRING value = {0};
    (void)irp;
    return QueryString(&value);
}

static NTSTATUS CleanRegistryString(PIRP irp)
{
    UNICODE_STRING value = {0};
    NTSTATUS status = QueryString(&value);
    (void)irp;
    RtlFreeUnicodeString(&value);
    return status;
}

static NTSTATUS LeakMemoryRanges(PIRP irp) { (void)irp; MmGetPhysicalMemoryRanges(); return STATUS_SUCCESS; }

static NTSTATUS CleanMemoryRanges(PIRP irp) { (void)irp; ExFreePool(MmGetPhysicalMemoryRanges()); return STATUS_SUCCESS; }

static NTSTATUS QueryToken(PVOID *user)
{
    PACCESS_TOKEN token = PsReferencePrimaryToken(PsGetCurrentProcess());
    NTSTATUS status = SeQueryInformationToken(token, TokenUser, user);
    PsDereferencePrimaryToken(token);
    return status;
}

static NTSTATUS LeakTokenUser(PIRP irp) { PVOID user; (void)irp; return QueryToken(&user); }

static NTSTATUS CleanTokenUser(PIRP irp)
{
    PVOID user;
    NTSTATUS status = QueryToken(&user);
    (void)irp;
    ExFreePool(user);
    return status;
}

static NTSTATUS LeakToken(PIRP irp) { (void)irp; PsReferencePrimaryToken(PsGetCurrentProcess()); return STATUS_SUCCESS; }

static NTSTATUS LeakSecurity(PIRP irp)
{
    PSECURITY_DESCRIPTOR descriptor;
    BOOLEAN isAllocated;
    (void)irp;
    return ObGetObjectSecurity(Device, &descriptor, &isAllocated);
}

static NTSTATUS CleanSecurity(PIRP irp)
{
    PSECURITY_DESCRIPTOR descriptor;
    BOOLEAN isAllocated;
    NTSTATUS status = ObGetObjectSecurity(Device, &descriptor, &isAllocated);
    (void)irp;
    ObReleaseObjectSecurity(descriptor, isAllocated);
    return status;
}

static NTSTATUS LeakSubject(PIRP irp)
{
    static SECURITY_SUBJECT_CONTEXT subject;
    (void)irp;
    SeCaptureSubjectContext(&subject);
    return STATUS_SUCCESS;
}

/* ---- requests to the other device */

static NTSTATUS NTAPI Keep(PDEVICE_OBJECT device, PIRP irp, PVOID context)
{
    (void)device;
    if (irp->PendingReturned) KeSetEvent(context, IO_NO_INCREMENT, FALSE);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static PIRP MakeIrp(ULONG code)
{
    PIRP irp = IoAllocateIrp(Target->StackSize, FALSE);
    PIO_STACK_LOCATION next = IoGetNextIrpStackLocation(irp);
    next->MajorFunction = IRP_MJ_DEVICE_CONTROL;
    next->Parameters.DeviceIoControl.IoControlCode = code;
    return irp;
}

static VOID SendAndWait(PIRP irp)
{
    KEVENT event;
    KeInitializeEvent(&event, NotificationEvent, FALSE);
    IoSetCompletionRoutine(irp, Keep, &event, TRUE, TRUE, TRUE);
    if (IoCallDriver(Target, irp) == STATUS_PENDING) KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, NULL);
}

/* A block that is made at DISPATCH_LEVEL, where the request ends. */
static NTSTATUS NTAPI AllocateAtEnd(PDEVICE_OBJECT device, PIRP irp, PVOID context)
{
    NTSTATUS status = Keep(device, irp, context);
    Block(NonPagedPoolNx, 48);
    return status;
}

static NTSTATUS LeakAtCompletion(PIRP irp)
{
    PIRP own = MakeIrp(COMPLETE_LATER);
    KEVENT event;
    (void)irp;
    KeInitializeEvent(&event, NotificationEvent, FALSE);
    IoSetCompletionRoutine(own, AllocateAtEnd, &event, TRUE, TRUE, TRUE);
    IoCallDriver(Target, own);
    KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, NULL);
    IoFreeIrp(own);
    return STATUS_SUCCESS;
}

/* Called for success alone: the request fails, and nobody frees its context. */
static NTSTATUS NTAPI FreeAtEnd(PDEVICE_OBJECT device, PIRP irp, PVOID context)
{
    (void)device, (void)irp;
    ExFreePoolWithTag(context, TAG);
    return STATUS_CONTINUE_COMPLETION;
}

static NTSTATUS ForwardBadly(PIRP irp, BOOLEAN onError)
{
    PIRP own = IoAllocateIrp(Target->StackSize + 1, FALSE);
    PIO_STACK_LOCATION next;
    (void)irp;
    IoSetNextIrpStackLocation(own);
    next = IoGetNextIrpStackLocation(own);
    next->MajorFunction = IRP_MJ_DEVICE_CONTROL;
    next->Parameters.DeviceIoControl.IoControlCode = COMPLETE_BADLY;
    IoSetCompletionRoutine(own, FreeAtEnd, Block(NonPagedPoolNx, 44), TRUE, onError, TRUE);
    /* Goes back to nobody: the first location is the driver's own. */
    own->CurrentLocation++, own->Tail.Overlay.CurrentStackLocation++;
    IoSetNextIrpStackLocation(own);
    {
        KEVENT event;
        KeInitializeEvent(&event, NotificationEvent, FALSE);
        own->Tail.Overlay.CurrentStackLocation->CompletionRoutine = Keep;
        own->Tail.Overlay.CurrentStackLocation->Context = &event;
        own->Tail.Overlay.CurrentStackLocation->Control = SL_INVOKE_ON_SUCCESS | SL_INVOKE_ON_ERROR;
        IoCallDriver(Target, own);
    }
    IoFreeIrp(own);
    return STATUS_SUCCESS;
}

static NTSTATUS LeakOnError(PIRP irp) { return ForwardBadly(irp, FALSE); }

static NTSTATUS CleanOnError(PIRP irp) { return ForwardBadly(irp, TRUE); }

/* The MDL of a request of one's own stays when the request is freed. */
static NTSTATUS OwnMdl(BOOLEAN isFreed)
{
    static UCHAR buffer[64];
    PIRP own = MakeIrp(COMPLETE_LATER);
    PMDL mdl = IoAllocateMdl(buffer, sizeof buffer, FALSE, FALSE, own);
    MmBuildMdlForNonPagedPool(mdl);
    SendAndWait(own);
    IoFreeIrp(own);
    if (isFreed) IoFreeMdl(mdl);
    return STATUS_SUCCESS;
}

static NTSTATUS LeakMdlOfIrp(PIRP irp) { (void)irp; return OwnMdl(FALSE); }

static NTSTATUS CleanMdlOfIrp(PIRP irp) { (void)irp; return OwnMdl(TRUE); }

/* Of a chain only the head is freed. */
static NTSTATUS LeakMdlChain(PIRP irp)
{
    static UCHAR buffer[64];
    PIRP own = MakeIrp(COMPLETE_LATER);
    (void)irp;
    IoAllocateMdl(buffer, 32, FALSE, FALSE, own);
    IoAllocateMdl(buffer + 32, 32, TRUE, FALSE, own);
    IoFreeMdl(own->MdlAddress);
    IoFreeIrp(own);
    return STATUS_SUCCESS;
}

/* The request goes round twice, then away. */
static NTSTATUS CleanReuse(PIRP irp)
{
    PIRP own = MakeIrp(COMPLETE_LATER);
    (void)irp;
    SendAndWait(own);
    IoReuseIrp(own, STATUS_SUCCESS);
    IoGetNextIrpStackLocation(own)->MajorFunction = IRP_MJ_DEVICE_CONTROL;
    IoGetNextIrpStackLocation(own)->Parameters.DeviceIoControl.IoControlCode = COMPLETE_BADLY;
    SendAndWait(own);
    IoFreeIrp(own);
    return STATUS_SUCCESS;
}

/* Frees itself at its end, at DISPATCH_LEVEL. */
static NTSTATUS NTAPI FreeIrpAtEnd(PDEVICE_OBJECT device, PIRP irp, PVOID context)
{
    (void)device;
    IoFreeMdl(irp->MdlAddress);
    IoFreeIrp(irp);
    KeSetEvent(context, IO_NO_INCREMENT, FALSE);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static NTSTATUS CleanIrpFreesItself(PIRP irp)
{
    static UCHAR buffer[64];
    PIRP own = MakeIrp(COMPLETE_LATER);
    KEVENT event;
    (void)irp;
    IoAllocateMdl(buffer, 32, FALSE, FALSE, own);
    KeInitializeEvent(&event, NotificationEvent, FALSE);
    IoSetCompletionRoutine(own, FreeIrpAtEnd, &event, TRUE, TRUE, TRUE);
    IoCallDriver(Target, own);
    KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, NULL);
    return STATUS_SUCCESS;
}

/* The buffer that an asynchronous request was given by the kernel is its sender's to free. */
static NTSTATUS Asynchronous(BOOLEAN isFreed)
{
    UCHAR bytes[24] = {0};
    LARGE_INTEGER offset = {.QuadPart = 0};
    PIRP own = IoBuildAsynchronousFsdRequest(IRP_MJ_WRITE, Target, bytes, sizeof bytes, &offset, NULL);
    SendAndWait(own);
    if (isFreed) ExFreePool(own->AssociatedIrp.SystemBuffer);
    IoFreeIrp(own);
    return STATUS_SUCCESS;
}

static NTSTATUS LeakAsynchronousBuffer(PIRP irp) { (void)irp; return Asynchronous(FALSE); }

static NTSTATUS CleanAsynchronousBuffer(PIRP irp) { (void)irp; return Asynchronous(TRUE); }

/* Never sent, never freed: the event's owner waits for a status that is there already. */
static NTSTATUS LeakUnsent(PIRP irp)
{
    KEVENT event;
    IO_STATUS_BLOCK status;
    (void)irp;
    KeInitializeEvent(&event, NotificationEvent, FALSE);
    return IoBuildDeviceIoControlRequest(COMPLETE_LATER, Target, NULL, 0, NULL, 0, FALSE, &event, &status) ? STATUS_SUCCESS : STATUS_NO_MEMORY;
}

static NTSTATUS CleanSynchronous(PIRP irp)
{
    KEVENT event;
    IO_STATUS_BLOCK status;
    UCHAR bytes[20] = {0};
    (void)irp;
    KeInitializeEvent(&event, NotificationEvent, FALSE);
    PIRP own = IoBuildDeviceIoControlRequest(COMPLETE_LATER, Target, bytes, 20, bytes, 20, FALSE, &event, &status);
    if (IoCallDriver(Target, own) == STATUS_PENDING) KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, NULL);
    return STATUS_SUCCESS;
}

/* The kernel frees what stands in a buffered request when it completes: a block that the driver put there is gone, too. */
static NTSTATUS CleanBufferMoves(PIRP irp)
{
    PVOID block = Block(NonPagedPoolNx, 512);
    ExFreePool(irp->AssociatedIrp.SystemBuffer);
    irp->AssociatedIrp.SystemBuffer = block;
    return STATUS_SUCCESS;
}

/* MDLs that hang on the caller's request go with it, and what they lock. */
static NTSTATUS CleanMdlsMove(PIRP irp)
{
    PUCHAR block = Block(NonPagedPoolNx, 2 * PAGE_SIZE);
    for (int i = 0; i < 2; i++) {
        PMDL mdl = IoAllocateMdl(block + i * PAGE_SIZE, PAGE_SIZE, i > 0, FALSE, irp);
        MmProbeAndLockPages(mdl, KernelMode, IoWriteAccess);
        MmGetSystemAddressForMdlSafe(mdl, NormalPagePriority);
    }
    Complete(irp, STATUS_SUCCESS);
    ExFreePoolWithTag(block, TAG);
    return STATUS_PENDING + 0x40000000;
}

/* ---- pending requests */

static VOID NTAPI CancelPending(PDEVICE_OBJECT device, PIRP irp)
{
    (void)device;
    IoReleaseCancelSpinLock(irp->CancelIrql);
    if (irp->Tail.Overlay.DriverContext[0]) ExFreePoolWithTag(irp->Tail.Overlay.DriverContext[0], TAG);
    Complete(irp, STATUS_CANCELLED);
}

static PIRP Inverted;

static VOID CompleteInverted(VOID)
{
    PIRP irp = (PIRP)InterlockedExchangePointer((PVOID *)&Inverted, NULL);
    if (irp && IoSetCancelRoutine(irp, NULL)) {
        ExFreePoolWithTag(irp->Tail.Overlay.DriverContext[0], TAG);
        Complete(irp, STATUS_CANCELLED);
    }
}

static NTSTATUS Pend(PIRP irp, PVOID kept)
{
    irp->Tail.Overlay.DriverContext[0] = kept;
    IoMarkIrpPending(irp);
    IoSetCancelRoutine(irp, CancelPending);
    return STATUS_PENDING;
}

/* The canceller does not know of the second block. */
static NTSTATUS LeakInCancel(PIRP irp) { Block(PagedPool, 60); return Pend(irp, Block(NonPagedPoolNx, 30)); }

static NTSTATUS CleanInCancel(PIRP irp) { return Pend(irp, Block(NonPagedPoolNx, 30)); }

static NTSTATUS CleanInverted(PIRP irp)
{
    Inverted = irp;
    OnCleanup = CompleteInverted;
    return Pend(irp, Block(NonPagedPoolNx, 30));
}

/* ---- work that others do */

typedef struct _JOB {
    WORK_QUEUE_ITEM Item;
    KTIMER Timer;
    KDPC Dpc;
    KAPC Apc;
    KEVENT *Done;
    PIO_WORKITEM WorkItem;
    LONG References;
    PVOID Data;
} JOB;

static KEVENT Done;
static JOB *Kept;

static JOB *MakeJob(VOID)
{
    JOB *job = Block(NonPagedPoolNx, sizeof *job);
    RtlZeroMemory(job, sizeof *job);
    job->References = 2;
    job->Data = Block(PagedPool, 77);
    KeInitializeEvent(&Done, NotificationEvent, FALSE);
    job->Done = &Done;
    return job;
}

static VOID Release(JOB *job)
{
    if (InterlockedDecrement(&job->References) > 0) return;
    ExFreePoolWithTag(job->Data, TAG);
    ExFreePoolWithTag(job, TAG);
}

static VOID AwaitDone(VOID) { KeWaitForSingleObject(&Done, Executive, KernelMode, FALSE, NULL); }

static VOID NTAPI ReleaseInWork(PVOID context)
{
    JOB *job = context;
    Release(job);
    KeSetEvent(&Done, 0, FALSE);
}

static NTSTATUS CleanCountedWork(PIRP irp)
{
    JOB *job = MakeJob();
    (void)irp;
    OnUnload = AwaitDone;
    ExInitializeWorkItem(&job->Item, ReleaseInWork, job);
    ExQueueWorkItem(&job->Item, CriticalWorkQueue);
    Release(job);
    return STATUS_SUCCESS;
}

/* One reference too many. */
static NTSTATUS LeakCountedWork(PIRP irp)
{
    JOB *job = MakeJob();
    (void)irp;
    OnUnload = AwaitDone;
    job->References = 3;
    ExInitializeWorkItem(&job->Item, ReleaseInWork, job);
    ExQueueWorkItem(&job->Item, DelayedWorkQueue);
    Release(job);
    return STATUS_SUCCESS;
}

static VOID NTAPI DeviceWork(PDEVICE_OBJECT device, PVOID context)
{
    JOB *job = context;
    (void)device;
    if (job->WorkItem) IoFreeWorkItem(job->WorkItem);
    job->References = 1;
    Release(job);
}

/* The kernel keeps the device as long as the item is at work, and so the driver: nobody has to wait. */
static NTSTATUS CleanWorkItemFreesItself(PIRP irp)
{
    JOB *job = MakeJob();
    (void)irp;
    job->WorkItem = IoAllocateWorkItem(Device);
    IoQueueWorkItem(job->WorkItem, DeviceWork, DelayedWorkQueue, job);
    return STATUS_SUCCESS;
}

static NTSTATUS LeakWorkItem(PIRP irp)
{
    JOB *job = MakeJob();
    (void)irp;
    IoQueueWorkItem(IoAllocateWorkItem(Device), DeviceWork, DelayedWorkQueue, job);
    return STATUS_SUCCESS;
}

static VOID NTAPI ReleaseInTimer(PKDPC dpc, PVOID context, PVOID one, PVOID two)
{
    JOB *job = context;
    (void)dpc, (void)one, (void)two;
    /* The timer is out of its queue, the DPC out of its own: their memory is free to go. */
    ExFreePoolWithTag(job->Data, TAG);
    ExFreePoolWithTag(job, TAG);
    KeSetEvent(&Done, 0, FALSE);
}

static VOID AwaitTimer(VOID)
{
    AwaitDone();
    KeFlushQueuedDpcs();
}

static JOB *StartTimer(LONG milliseconds)
{
    JOB *job = MakeJob();
    LARGE_INTEGER due = {.QuadPart = -10000LL * milliseconds};
    ExFreePoolWithTag(job->Data, TAG);
    job->Data = Block(NonPagedPoolNx, 10);
    KeInitializeTimer(&job->Timer);
    KeInitializeDpc(&job->Dpc, ReleaseInTimer, job);
    KeSetTimer(&job->Timer, due, &job->Dpc);
    return job;
}

static NTSTATUS CleanTimerFreesItself(PIRP irp)
{
    (void)irp;
    OnUnload = AwaitTimer;
    StartTimer(30);
    return STATUS_SUCCESS;
}

static VOID CancelKept(VOID)
{
    /* In time: its DPC will not come, and nobody frees what it would have freed. */
    if (!KeCancelTimer(&Kept->Timer)) AwaitTimer();
}

static NTSTATUS LeakCancelledTimer(PIRP irp)
{
    (void)irp;
    OnUnload = CancelKept;
    Kept = StartTimer(3600000);
    return STATUS_SUCCESS;
}

static VOID FreeKept(VOID)
{
    if (KeCancelTimer(&Kept->Timer)) ReleaseInTimer(NULL, Kept, NULL, NULL);
    else AwaitTimer();
}

static NTSTATUS CleanCancelledTimer(PIRP irp)
{
    (void)irp;
    OnUnload = FreeKept;
    Kept = StartTimer(3600000);
    return STATUS_SUCCESS;
}

static PETHREAD Thread;
static BOOLEAN IsForgetful;

static VOID NTAPI ThreadRoutine(PVOID context)
{
    PVOID block = Block(PagedPool, 88);
    KeWaitForSingleObject(context, Executive, KernelMode, FALSE, NULL);
    if (!IsForgetful) ExFreePoolWithTag(block, TAG);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

static VOID Join(VOID)
{
    KeSetEvent(&Done, 0, FALSE);
    KeWaitForSingleObject(Thread, Executive, KernelMode, FALSE, NULL);
    ObDereferenceObject(Thread);
}

static NTSTATUS StartThread(VOID)
{
    HANDLE handle;
    KeInitializeEvent(&Done, NotificationEvent, FALSE);
    PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, NULL, NULL, NULL, ThreadRoutine, &Done);
    ObReferenceObjectByHandle(handle, THREAD_ALL_ACCESS, *PsThreadType, KernelMode, (PVOID *)&Thread, NULL);
    ZwClose(handle);
    OnUnload = Join;
    return STATUS_SUCCESS;
}

static NTSTATUS CleanThread(PIRP irp) { (void)irp; return StartThread(); }

static NTSTATUS LeakInThread(PIRP irp) { (void)irp; IsForgetful = TRUE; return StartThread(); }

static VOID JoinWithReference(VOID)
{
    KeSetEvent(&Done, 0, FALSE);
    KeWaitForSingleObject(Thread, Executive, KernelMode, FALSE, NULL);
}

static NTSTATUS LeakThreadReference(PIRP irp)
{
    NTSTATUS status = StartThread();
    (void)irp;
    OnUnload = JoinWithReference;
    return status;
}

/* After unload began. */
static VOID AllocateInUnload(VOID) { Block(PagedPool, 33); }

static NTSTATUS LeakInUnload(PIRP irp) { (void)irp; OnUnload = AllocateInUnload; return STATUS_SUCCESS; }

static VOID NTAPI LateWork(PVOID context)
{
    (void)context;
    Block(PagedPool, 35);
    KeSetEvent(&Done, 0, FALSE);
}

static VOID QueueInUnload(VOID)
{
    static WORK_QUEUE_ITEM item;
    KeInitializeEvent(&Done, NotificationEvent, FALSE);
    ExInitializeWorkItem(&item, LateWork, NULL);
    ExQueueWorkItem(&item, DelayedWorkQueue);
    AwaitDone();
    Sleep(1);
}

static NTSTATUS LeakInLateWork(PIRP irp) { (void)irp; OnUnload = QueueInUnload; return STATUS_SUCCESS; }

extern VOID NTAPI KeInitializeApc(PKAPC, PKTHREAD, int, PVOID, PVOID, PVOID, KPROCESSOR_MODE, PVOID);
extern BOOLEAN NTAPI KeInsertQueueApc(PKAPC, PVOID, PVOID, KPRIORITY);

static VOID NTAPI ApcKernel(PKAPC apc, PVOID *routine, PVOID *context, PVOID *one, PVOID *two)
{
    (void)routine, (void)context, (void)two;
    ExFreePoolWithTag(*one, TAG);
    ExFreePoolWithTag(apc, TAG);
}

static VOID NTAPI ApcRundown(PKAPC apc) { ExFreePoolWithTag(apc, TAG); }

static NTSTATUS CleanApc(PIRP irp)
{
    PKAPC apc = Block(NonPagedPoolNx, sizeof *apc);
    (void)irp;
    KeInitializeApc(apc, KeGetCurrentThread(), 0, ApcKernel, ApcRundown, NULL, KernelMode, NULL);
    KeInsertQueueApc(apc, Block(PagedPool, 20), NULL, 0);
    return STATUS_SUCCESS;
}

static VOID NTAPI ApcForgets(PKAPC apc, PVOID *routine, PVOID *context, PVOID *one, PVOID *two)
{
    (void)apc, (void)routine, (void)context, (void)two;
    ExFreePoolWithTag(*one, TAG);
}

static NTSTATUS LeakApc(PIRP irp)
{
    PKAPC apc = Block(NonPagedPoolNx, sizeof *apc);
    (void)irp;
    KeInitializeApc(apc, KeGetCurrentThread(), 0, ApcForgets, ApcRundown, NULL, KernelMode, NULL);
    KeInsertQueueApc(apc, Block(PagedPool, 20), NULL, 0);
    return STATUS_SUCCESS;
}

/* ---- lookaside lists */

static NPAGED_LOOKASIDE_LIST Near;
static PAGED_LOOKASIDE_LIST Far;
static PVOID Entry;

static VOID DeleteNear(VOID) { ExDeleteNPagedLookasideList(&Near); }

static NTSTATUS Lists(BOOLEAN keeps)
{
    PVOID entries[8];
    ExInitializeNPagedLookasideList(&Near, NULL, NULL, 512, 100, TAG, 0);
    for (int i = 0; i < 8; i++) entries[i] = ExAllocateFromNPagedLookasideList(&Near);
    for (int i = keeps; i < 8; i++) ExFreeToNPagedLookasideList(&Near, entries[i]);
    OnUnload = DeleteNear;
    return STATUS_SUCCESS;
}

static NTSTATUS CleanLookaside(PIRP irp) { (void)irp; return Lists(FALSE); }

static NTSTATUS LeakLookasideEntry(PIRP irp) { (void)irp; return Lists(TRUE); }

static NTSTATUS LeakLookasideList(PIRP irp)
{
    NTSTATUS status = Lists(FALSE);
    (void)irp;
    OnUnload = NULL;
    return status;
}

/* Freed as pool, which it is. */
static NTSTATUS CleanLookasideEntryAsPool(PIRP irp)
{
    (void)irp;
    ExInitializePagedLookasideList(&Far, NULL, NULL, 0, 200, TAG, 0);
    ExFreePoolWithTag(ExAllocateFromPagedLookasideList(&Far), TAG);
    Entry = Block(PagedPool, 200);
    ExFreeToPagedLookasideList(&Far, Entry);
    ExDeletePagedLookasideList(&Far);
    return STATUS_SUCCESS;
}

/* ---- memory */

static NTSTATUS LeakMapping(PIRP irp)
{
    static UCHAR buffer[PAGE_SIZE];
    PMDL mdl = IoAllocateMdl(buffer, PAGE_SIZE, FALSE, FALSE, NULL), part;
    (void)irp;
    MmProbeAndLockPages(mdl, KernelMode, IoWriteAccess);
    part = IoAllocateMdl(buffer, PAGE_SIZE, FALSE, FALSE, NULL);
    IoBuildPartialMdl(mdl, part, buffer, 100);
    MmMapLockedPagesSpecifyCache(part, KernelMode, MmCached, NULL, FALSE, NormalPagePriority);
    /* Neither unmapped nor made ready for reuse. */
    ExFreePool(part);
    MmUnlockPages(mdl);
    IoFreeMdl(mdl);
    return STATUS_SUCCESS;
}

static NTSTATUS CleanPartialMdl(PIRP irp)
{
    static UCHAR buffer[PAGE_SIZE];
    PMDL mdl = IoAllocateMdl(buffer, PAGE_SIZE, FALSE, FALSE, NULL), part;
    (void)irp;
    MmProbeAndLockPages(mdl, KernelMode, IoWriteAccess);
    MmGetSystemAddressForMdlSafe(mdl, NormalPagePriority);
    part = IoAllocateMdl(buffer, PAGE_SIZE, FALSE, FALSE, NULL);
    for (int i = 0; i < 3; i++) {
        IoBuildPartialMdl(mdl, part, buffer + 100 * i, 100);
        MmMapLockedPagesSpecifyCache(part, KernelMode, MmCached, NULL, FALSE, NormalPagePriority);
        MmPrepareMdlForReuse(part);
    }
    IoFreeMdl(part);
    MmUnlockPages(mdl);
    IoFreeMdl(mdl);
    return STATUS_SUCCESS;
}

static NTSTATUS LeakIoSpace(PIRP irp)
{
    PHYSICAL_ADDRESS at = {.QuadPart = 0xfed00000};
    (void)irp;
    return MmMapIoSpace(at, 0x1000, MmNonCached) ? STATUS_SUCCESS : STATUS_NO_MEMORY;
}

static NTSTATUS LeakMappingAddress(PIRP irp) { (void)irp; return MmAllocateMappingAddress(0x4000, TAG) ? STATUS_SUCCESS : STATUS_NO_MEMORY; }

static NTSTATUS LeakContiguous(PIRP irp)
{
    PHYSICAL_ADDRESS highest = {.QuadPart = -1};
    (void)irp;
    return MmAllocateContiguousMemory(0x3000, highest) ? STATUS_SUCCESS : STATUS_NO_MEMORY;
}

/* ---- objects, and what is registered */

static NTSTATUS LeakKey(PIRP irp)
{
    UNICODE_STRING path = RTL_CONSTANT_STRING(L"\\Registry\\Machine\\System");
    OBJECT_ATTRIBUTES attributes;
    HANDLE key;
    (void)irp;
    InitializeObjectAttributes(&attributes, &path, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, NULL);
    return ZwOpenKey(&key, KEY_READ, &attributes);
}

static NTSTATUS LeakProcess(PIRP irp) { PEPROCESS process; (void)irp; return PsLookupProcessByProcessId(PsGetCurrentProcessId(), &process); }

static NTSTATUS LeakEventHandle(PIRP irp)
{
    HANDLE handle;
    OBJECT_ATTRIBUTES attributes;
    (void)irp;
    InitializeObjectAttributes(&attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    return ZwCreateEvent(&handle, EVENT_ALL_ACCESS, &attributes, NotificationEvent, FALSE);
}

/* The view is the process's, and goes with it. */
static NTSTATUS CleanSection(PIRP irp)
{
    HANDLE section;
    LARGE_INTEGER size = {.QuadPart = 0x10000};
    OBJECT_ATTRIBUTES attributes;
    PVOID base = NULL;
    SIZE_T bytes = 0;
    NTSTATUS status;
    (void)irp;
    InitializeObjectAttributes(&attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    status = ZwCreateSection(&section, SECTION_ALL_ACCESS, &attributes, &size, PAGE_READWRITE, SEC_COMMIT, NULL);
    if (NT_SUCCESS(status)) status = ZwMapViewOfSection(section, ZwCurrentProcess(), &base, 0, 0, NULL, &bytes, ViewUnmap, 0, PAGE_READWRITE);
    ZwClose(section);
    return status;
}

static VOID NTAPI OnImage(PUNICODE_STRING name, HANDLE process, PIMAGE_INFO info) { (void)name, (void)process, (void)info; }

static NTSTATUS LeakImageCallback(PIRP irp) { (void)irp; return PsSetLoadImageNotifyRoutine(OnImage); }

/* IoDeleteDevice takes it back. */
static NTSTATUS CleanShutdown(PIRP irp) { (void)irp; return IoRegisterShutdownNotification(Device); }

static NTSTATUS LeakResource(PIRP irp)
{
    static ERESOURCE resource;
    (void)irp;
    return ExInitializeResourceLite(&resource);
}

static KBUGCHECK_CALLBACK_RECORD Record;
static UCHAR CheckBuffer[16];

static VOID NTAPI OnBugCheck(PVOID buffer, ULONG bytes) { (void)buffer, (void)bytes; }

static NTSTATUS LeakBugCheckCallback(PIRP irp)
{
    (void)irp;
    Record.State = BufferEmpty;
    return KeRegisterBugCheckCallback(&Record, OnBugCheck, CheckBuffer, 16, (PUCHAR)"verdicts") ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
}

static NTSTATUS NTAPI OnPnp(PVOID structure, PVOID context) { (void)structure, (void)context; return STATUS_SUCCESS; }

static NTSTATUS LeakPnpNotification(PIRP irp)
{
    static const GUID guid = {0x1234, 0x56, 0x78, {1, 2, 3, 4, 5, 6, 7, 8}};
    PVOID entry;
    (void)irp;
    return IoRegisterPlugPlayNotification(EventCategoryDeviceInterfaceChange, 0, (PVOID)&guid, Driver, OnPnp, NULL, &entry);
}

static VOID NTAPI OnTimer(PEX_TIMER timer, PVOID context) { (void)timer, (void)context; }

static VOID NTAPI OnTimerDeleted(PVOID context)
{
    ExFreePoolWithTag(context, TAG);
    KeSetEvent(&Done, 0, FALSE);
}

static NTSTATUS LeakTimer(PIRP irp) { (void)irp; return ExAllocateTimer(OnTimer, NULL, 0) ? STATUS_SUCCESS : STATUS_NO_MEMORY; }

static NTSTATUS CleanTimerDeletes(PIRP irp)
{
    PVOID block = Block(NonPagedPoolNx, 21);
    PEX_TIMER timer = ExAllocateTimer(OnTimer, block, 8);
    EXT_DELETE_PARAMETERS parameters = {0, 0, OnTimerDeleted, block};
    (void)irp;
    KeInitializeEvent(&Done, NotificationEvent, FALSE);
    OnUnload = AwaitDone;
    ExSetTimer(timer, -100000, 0, NULL);
    ExDeleteTimer(timer, TRUE, FALSE, &parameters);
    return STATUS_SUCCESS;
}

static NTSTATUS CleanRemoveLock(PIRP irp)
{
    static IO_REMOVE_LOCK lock;
    (void)irp;
    IoInitializeRemoveLock(&lock, TAG, 1, 10);
    IoAcquireRemoveLock(&lock, irp);
    IoReleaseRemoveLock(&lock, irp);
    IoAcquireRemoveLock(&lock, NULL);
    IoReleaseRemoveLockAndWait(&lock, NULL);
    return STATUS_SUCCESS;
}

static KQUEUE Queue;

static NTSTATUS Queues(BOOLEAN isEmptied)
{
    PLIST_ENTRY rest;
    KeInitializeQueue(&Queue, 0);
    for (int i = 0; i < 3; i++) KeInsertQueue(&Queue, Block(NonPagedPoolNx, 32));
    rest = KeRundownQueue(&Queue);
    if (isEmptied && rest) {
        PLIST_ENTRY at = rest;
        do {
            PLIST_ENTRY next = at->Flink;
            ExFreePoolWithTag(at, TAG);
            at = next;
        } while (at != rest);
    }
    return STATUS_SUCCESS;
}

static NTSTATUS LeakQueue(PIRP irp) { (void)irp; return Queues(FALSE); }

static NTSTATUS CleanQueue(PIRP irp) { (void)irp; return Queues(TRUE); }

/* ---- whose handle it is */

static NTSTATUS MakeEvent(ULONG flags)
{
    HANDLE handle;
    OBJECT_ATTRIBUTES attributes;
    InitializeObjectAttributes(&attributes, NULL, flags, NULL, NULL);
    return ZwCreateEvent(&handle, EVENT_ALL_ACCESS, &attributes, NotificationEvent, FALSE);
}

/* A handle of the process that made the request goes with it. */
static NTSTATUS CleanUserHandle(PIRP irp) { (void)irp; return MakeEvent(0); }

static VOID NTAPI HandleInSystem(PVOID context)
{
    MakeEvent(0);
    KeSetEvent(context, 0, FALSE);
}

/* The process of a worker does not end. */
static NTSTATUS LeakHandleInSystem(PIRP irp)
{
    static WORK_QUEUE_ITEM item;
    (void)irp;
    KeInitializeEvent(&Done, NotificationEvent, FALSE);
    OnUnload = AwaitDone;
    ExInitializeWorkItem(&item, HandleInSystem, &Done);
    ExQueueWorkItem(&item, DelayedWorkQueue);
    return STATUS_SUCCESS;
}

/* Keeps the device, and so the driver. */
static NTSTATUS LeakDeviceReference(PIRP irp) { (void)irp; ObReferenceObject(Device); return STATUS_SUCCESS; }

static NTSTATUS CleanCountedDevice(PIRP irp)
{
    PFILE_OBJECT file;
    PDEVICE_OBJECT device;
    NTSTATUS status = IoGetDeviceObjectPointer(&TargetName, FILE_READ_DATA, &file, &device);
    (void)irp;
    if (!NT_SUCCESS(status)) return status;
    ObReferenceObject(device);
    ObDereferenceObject(file);
    device = IoGetAttachedDeviceReference(device);
    ObDereferenceObject(device);
    ObDereferenceObject(device);
    return STATUS_SUCCESS;
}

static NTSTATUS LeakFileReference(PIRP irp)
{
    PFILE_OBJECT file;
    PDEVICE_OBJECT device;
    (void)irp;
    return IoGetDeviceObjectPointer(&TargetName, FILE_READ_DATA, &file, &device);
}

/* ---- termination handlers */

static NOINLINE VOID Unwound(BOOLEAN frees)
{
    PVOID volatile block = Block(NonPagedPoolNx, 61);
    __try {
        ExRaiseStatus(STATUS_INVALID_PARAMETER);
    } __finally {
        if (frees) ExFreePoolWithTag(block, TAG);
    }
}

static NTSTATUS Unwinding(BOOLEAN frees)
{
    __try {
        Unwound(frees);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        return STATUS_SUCCESS;
    }
    return STATUS_UNSUCCESSFUL;
}

static NTSTATUS LeakUnwinding(PIRP irp) { (void)irp; return Unwinding(FALSE); }

static NTSTATUS CleanUnwinding(PIRP irp) { (void)irp; return Unwinding(TRUE); }

/* ---- cancel-safe queues */

static IO_CSQ Csq;
static LIST_ENTRY CsqList = {&CsqList, &CsqList};
static BOOLEAN CsqForgets;

static VOID NTAPI CsqInsert(PIO_CSQ csq, PIRP irp) { (void)csq; InsertTailList(&CsqList, &irp->Tail.Overlay.ListEntry); }

static VOID NTAPI CsqRemove(PIO_CSQ csq, PIRP irp) { (void)csq; RemoveEntryList(&irp->Tail.Overlay.ListEntry); }

static PIRP NTAPI CsqPeek(PIO_CSQ csq, PIRP irp, PVOID context)
{
    PLIST_ENTRY next = irp ? irp->Tail.Overlay.ListEntry.Flink : CsqList.Flink;
    (void)csq, (void)context;
    return next == &CsqList ? NULL : CONTAINING_RECORD(next, IRP, Tail.Overlay.ListEntry);
}

static VOID NTAPI CsqLock(PIO_CSQ csq, PKIRQL irql) { (void)csq; KeAcquireSpinLock(&Lock, irql); }

static VOID NTAPI CsqUnlock(PIO_CSQ csq, KIRQL irql) { (void)csq; KeReleaseSpinLock(&Lock, irql); }

static VOID NTAPI CsqCancelled(PIO_CSQ csq, PIRP irp)
{
    (void)csq;
    if (!CsqForgets) ExFreePoolWithTag(irp->Tail.Overlay.DriverContext[0], TAG);
    Complete(irp, STATUS_CANCELLED);
}

static VOID CsqFlush(VOID)
{
    PIRP irp;
    while ((irp = IoCsqRemoveNextIrp(&Csq, NULL)) != NULL) CsqCancelled(&Csq, irp);
}

static NTSTATUS CsqPend(PIRP irp)
{
    IoCsqInitialize(&Csq, CsqInsert, CsqRemove, CsqPeek, CsqLock, CsqUnlock, CsqCancelled);
    OnCleanup = CsqFlush;
    irp->Tail.Overlay.DriverContext[0] = Block(NonPagedPoolNx, 24);
    IoCsqInsertIrp(&Csq, irp, NULL);
    return STATUS_PENDING;
}

static NTSTATUS CleanQueueCancelled(PIRP irp) { return CsqPend(irp); }

static NTSTATUS CleanQueueFlushed(PIRP irp) { return CsqPend(irp); }

static NTSTATUS LeakQueueCancelled(PIRP irp) { CsqForgets = TRUE; return CsqPend(irp); }

/* ---- resources in pool */

static NTSTATUS LeakResourceInPool(PIRP irp)
{
    PERESOURCE resource = Block(NonPagedPoolNx, sizeof *resource);
    (void)irp;
    ExInitializeResourceLite(resource);
    ExDeleteResourceLite(resource);
    return STATUS_SUCCESS;
}

static NTSTATUS CleanResourceInPool(PIRP irp)
{
    PERESOURCE resource = Block(NonPagedPoolNx, sizeof *resource);
    (void)irp;
    ExInitializeResourceLite(resource);
    KeEnterCriticalRegion();
    ExAcquireResourceExclusiveLite(resource, TRUE);
    ExReleaseResourceLite(resource);
    KeLeaveCriticalRegion();
    ExDeleteResourceLite(resource);
    ExFreePoolWithTag(resource, TAG);
    return STATUS_SUCCESS;
}

/* ---- DriverEntry fails, having made much; `entry-fails-clean` takes it back */

static NTSTATUS EntryFailsLeaky(PIRP irp)
{
    (void)irp;
    Block(PagedPool, 66);
    return STATUS_DEVICE_CONFIGURATION_ERROR;
}

static NTSTATUS EntryFailsClean(PIRP irp)
{
    JOB *job = MakeJob();
    (void)irp;
    job->References = 1;
    Release(job);
    return STATUS_DEVICE_CONFIGURATION_ERROR;
}

static const DEED Deeds[] = {
    {"leak-tail-jump", LeakTailJump},
    {"leak-by-address", LeakByAddress},
    {"clean-by-address", CleanByAddress},
    {"leak-large", LeakLarge},
    {"leak-page", LeakPage},
    {"leak-quota", LeakQuota},
    {"clean-quota-freed-in-dpc", CleanQuotaFreedInDpc},
    {"leak-in-handler", LeakInHandler},
    {"clean-in-handler", CleanInHandler},
    {"leak-list-tail", LeakListTail},
    {"leak-driver-extension", LeakDriverExtension},
    {"clean-driver-extension", CleanDriverExtension},
    {"leak-registry-string", LeakRegistryString},
    {"clean-registry-string", CleanRegistryString},
    {"leak-memory-ranges", LeakMemoryRanges},
    {"clean-memory-ranges", CleanMemoryRanges},
    {"leak-token-user", LeakTokenUser},
    {"clean-token-user", CleanTokenUser},
    {"leak-token", LeakToken},
    {"leak-security", LeakSecurity},
    {"clean-security", CleanSecurity},
    {"leak-subject", LeakSubject},
    {"leak-at-completion", LeakAtCompletion},
    {"leak-on-error", LeakOnError},
    {"clean-on-error", CleanOnError},
    {"leak-mdl-of-irp", LeakMdlOfIrp},
    {"clean-mdl-of-irp", CleanMdlOfIrp},
    {"leak-mdl-chain", LeakMdlChain},
    {"clean-reuse", CleanReuse},
    {"clean-irp-frees-itself", CleanIrpFreesItself},
    {"leak-asynchronous-buffer", LeakAsynchronousBuffer},
    {"clean-asynchronous-buffer", CleanAsynchronousBuffer},
    {"leak-unsent", LeakUnsent},
    {"clean-synchronous", CleanSynchronous},
    {"clean-buffer-moves", CleanBufferMoves},
    {"clean-mdls-move", CleanMdlsMove},
    {"leak-in-cancel", LeakInCancel},
    {"clean-in-cancel", CleanInCancel},
    {"clean-inverted", CleanInverted},
    {"clean-counted-work", CleanCountedWork},
    {"leak-counted-work", LeakCountedWork},
    {"clean-work-item-frees-itself", CleanWorkItemFreesItself},
    {"leak-work-item", LeakWorkItem},
    {"clean-timer-frees-itself", CleanTimerFreesItself},
    {"leak-cancelled-timer", LeakCancelledTimer},
    {"clean-cancelled-timer", CleanCancelledTimer},
    {"clean-thread", CleanThread},
    {"leak-in-thread", LeakInThread},
    {"leak-thread-reference", LeakThreadReference},
    {"leak-in-unload", LeakInUnload},
    {"leak-in-late-work", LeakInLateWork},
    {"clean-apc", CleanApc},
    {"leak-apc", LeakApc},
    {"clean-lookaside", CleanLookaside},
    {"leak-lookaside-entry", LeakLookasideEntry},
    {"leak-lookaside-list", LeakLookasideList},
    {"clean-lookaside-entry-as-pool", CleanLookasideEntryAsPool},
    {"leak-mapping", LeakMapping},
    {"clean-partial-mdl", CleanPartialMdl},
    {"leak-io-space", LeakIoSpace},
    {"leak-mapping-address", LeakMappingAddress},
    {"leak-contiguous", LeakContiguous},
    {"leak-key", LeakKey},
    {"leak-process", LeakProcess},
    {"leak-event-handle", LeakEventHandle},
    {"clean-section", CleanSection},
    {"leak-image-callback", LeakImageCallback},
    {"clean-shutdown", CleanShutdown},
    {"leak-resource", LeakResource},
    {"leak-bug-check-callback", LeakBugCheckCallback},
    {"leak-pnp-notification", LeakPnpNotification},
    {"leak-timer", LeakTimer},
    {"clean-timer-deletes", CleanTimerDeletes},
    {"clean-remove-lock", CleanRemoveLock},
    {"leak-queue", LeakQueue},
    {"clean-queue", CleanQueue},
    {"clean-user-handle", CleanUserHandle},
    {"leak-handle-in-system", LeakHandleInSystem},
    {"leak-device-reference", LeakDeviceReference},
    {"clean-counted-device", CleanCountedDevice},
    {"leak-file-reference", LeakFileReference},
    {"leak-unwinding", LeakUnwinding},
    {"clean-unwinding", CleanUnwinding},
    {"clean-queue-cancelled", CleanQueueCancelled},
    {"clean-queue-flushed", CleanQueueFlushed},
    {"leak-queue-cancelled", LeakQueueCancelled},
    {"leak-resource-in-pool", LeakResourceInPool},
    {"clean-resource-in-pool", CleanResourceInPool},
    {"entry-fails-leaky", EntryFailsLeaky},
    {"entry-fails-clean", EntryFailsClean},
};

static NTSTATUS ToTarget(PIRP irp)
{
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(irp);
    LARGE_INTEGER soon = {.QuadPart = -10000};
    if (at->MajorFunction != IRP_MJ_DEVICE_CONTROL) return Complete(irp, STATUS_SUCCESS);
    if (at->Parameters.DeviceIoControl.IoControlCode == COMPLETE_BADLY) return Complete(irp, STATUS_IO_DEVICE_ERROR);
    IoMarkIrpPending(irp);
    LatePending = irp;
    KeSetTimer(&LateTimer, soon, &LateDpc);
    return STATUS_PENDING;
}

static const DEED *Find(PCSTR name, ULONG bytes)
{
    for (ULONG i = 0; i < RTL_NUMBER_OF(Deeds); i++) {
        ULONG at = 0;
        while (at < bytes && Deeds[i].Name[at] == name[at] && name[at]) at++;
        if (at == bytes && Deeds[i].Name[at] == 0) return &Deeds[i];
    }
    return NULL;
}

static NTSTATUS NTAPI Dispatch(PDEVICE_OBJECT device, PIRP irp)
{
    PIO_STACK_LOCATION at = IoGetCurrentIrpStackLocation(irp);
    const DEED *deed;
    NTSTATUS status;
    if (device == Target) return ToTarget(irp);
    if (at->MajorFunction == IRP_MJ_CLEANUP && OnCleanup) OnCleanup();
    if (at->MajorFunction != IRP_MJ_DEVICE_CONTROL) return Complete(irp, STATUS_SUCCESS);
    deed = Find(irp->AssociatedIrp.SystemBuffer, at->Parameters.DeviceIoControl.InputBufferLength);
    if (!deed) return Complete(irp, STATUS_NOT_FOUND);
    status = deed->Do(irp);
    if (status == STATUS_PENDING + 0x40000000) return STATUS_SUCCESS;
    return status == STATUS_PENDING ? status : Complete(irp, status);
}

static VOID NTAPI Unload(PDRIVER_OBJECT driver)
{
    (void)driver;
    if (OnUnload) OnUnload();
    IoDeleteSymbolicLink(&Link);
    IoDeleteDevice(Target);
    IoDeleteDevice(Device);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    CHAR name[64];
    ULONG bytes = 0;
    PWCHAR end = path->Buffer + path->Length / 2, start = end;
    const DEED *deed;
    Driver = driver;
    while (start > path->Buffer && start[-1] != '\\') start--;
    while (start < end && bytes < sizeof name) name[bytes++] = (CHAR)*start++;
    deed = Find(name, bytes);
    KeInitializeSpinLock(&Lock);
    KeInitializeTimer(&LateTimer);
    KeInitializeDpc(&LateDpc, CompleteLate, NULL);
    IoCreateDevice(driver, 0, &Name, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
    IoCreateDevice(driver, 0, &TargetName, FILE_DEVICE_UNKNOWN, 0, FALSE, &Target);
    Target->Flags |= DO_BUFFERED_IO;
    Target->Flags &= ~DO_DEVICE_INITIALIZING;
    IoCreateSymbolicLink(&Link, &Name);
    if (deed) {
        NTSTATUS status = deed->Do(NULL);
        if (!NT_SUCCESS(status)) {
            Unload(driver);
            return status;
        }
    }
    for (ULONG i = 0; i <= IRP_MJ_MAXIMUM_FUNCTION; i++) driver->MajorFunction[i] = Dispatch;
    driver->DriverUnload = Unload;
    return STATUS_SUCCESS;
}
