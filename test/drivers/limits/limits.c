/*
 * Small misdeeds, one per service name: loaded as `raise-irql.sys` the driver does what the table below has for
 * "raise-irql". Each is noinline, so that a report can name it.
 */
#include <ntddk.h>

#define NOINLINE __attribute__((noinline))
#define TAG 'tmiL' /* Limt */
#define IOCTL_MISDEED CTL_CODE(FILE_DEVICE_UNKNOWN, 0x800, METHOD_BUFFERED, FILE_ANY_ACCESS)

typedef struct _SHARED { KTIMER Timer; KDPC Dpc; KEVENT Event; WORK_QUEUE_ITEM Item; } SHARED, *PSHARED;

static SHARED Shared;
static volatile LONG Zero;
static volatile ULONG64 Sink;
static PDEVICE_OBJECT Device;
static VOID (*OnControl)(PIRP);
static VOID (*OnUnload)(VOID);

static const UNICODE_STRING DeviceName = RTL_CONSTANT_STRING(L"\\Device\\Limits");
static const UNICODE_STRING LinkName = RTL_CONSTANT_STRING(L"\\??\\Limits");

static VOID NTAPI Unload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    if (OnUnload != NULL) {
        OnUnload();
    }
    if (Device != NULL) {
        IoDeleteSymbolicLink((PUNICODE_STRING)&LinkName);
        IoDeleteDevice(Device);
    }
}

static VOID Complete(PIRP Irp)
{
    Irp->IoStatus.Status = STATUS_SUCCESS;
    Irp->IoStatus.Information = 0;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
}

static NTSTATUS NTAPI Dispatch(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    if (IoGetCurrentIrpStackLocation(Irp)->MajorFunction == IRP_MJ_DEVICE_CONTROL && OnControl != NULL) {
        /* Before it may be completed: then nobody may touch it. */
        IoMarkIrpPending(Irp);
        OnControl(Irp);
        return STATUS_PENDING;
    }
    Complete(Irp);
    return STATUS_SUCCESS;
}

static NTSTATUS WithDevice(PDRIVER_OBJECT DriverObject, VOID (*Routine)(PIRP))
{
    NTSTATUS status = IoCreateDevice(DriverObject, 0, (PUNICODE_STRING)&DeviceName, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
    if (NT_SUCCESS(status)) {
        status = IoCreateSymbolicLink((PUNICODE_STRING)&LinkName, (PUNICODE_STRING)&DeviceName);
    }
    DriverObject->MajorFunction[IRP_MJ_CREATE] = Dispatch;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = Dispatch;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Dispatch;
    OnControl = Routine;
    return status;
}

/* ---- DriverEntry does it */

static NOINLINE NTSTATUS RaiseIrql(PDRIVER_OBJECT DriverObject)
{
    KIRQL old;
    UNREFERENCED_PARAMETER(DriverObject);
    KeRaiseIrql(DISPATCH_LEVEL, &old);
    return STATUS_SUCCESS;
}

static NOINLINE NTSTATUS KeepCriticalRegion(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    KeEnterCriticalRegion();
    return STATUS_SUCCESS;
}

static NOINLINE NTSTATUS FreeGarbage(PDRIVER_OBJECT DriverObject)
{
    PUCHAR block = ExAllocatePoolWithTag(NonPagedPoolNx, 256, TAG);
    UNREFERENCED_PARAMETER(DriverObject);
    ExFreePoolWithTag(block + 64, TAG);
    return STATUS_SUCCESS;
}

static NOINLINE NTSTATUS FreeUserAddress(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    ExFreePoolWithTag((PVOID)(ULONG_PTR)(0x12340 + Zero), TAG);
    return STATUS_SUCCESS;
}

static NOINLINE NTSTATUS FreeNonCanonical(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    ExFreePoolWithTag((PVOID)(0x4141414141414140 + Zero), TAG);
    return STATUS_SUCCESS;
}

static NOINLINE NTSTATUS FreeTwice(PDRIVER_OBJECT DriverObject)
{
    PVOID block = ExAllocatePoolWithTag(PagedPool, 100, TAG);
    UNREFERENCED_PARAMETER(DriverObject);
    ExFreePoolWithTag(block, TAG);
    ExFreePoolWithTag(block, TAG);
    return STATUS_SUCCESS;
}

static NOINLINE NTSTATUS WriteBehindBlock(PDRIVER_OBJECT DriverObject)
{
    PUCHAR block = ExAllocatePoolWithTag(NonPagedPoolNx, 100, TAG);
    PUCHAR next = ExAllocatePoolWithTag(NonPagedPoolNx, 100, TAG);
    UNREFERENCED_PARAMETER(DriverObject);
    for (LONG i = 0; i < 160 + Zero; i++) {
        block[i] = 0x5a;
        next[i] = 0x5a;
    }
    ExFreePoolWithTag(block, TAG);
    ExFreePoolWithTag(next, TAG);
    return STATUS_SUCCESS;
}

/* Its own return address and a little of the caller's frame. */
static NOINLINE NTSTATUS SmashReturn(PDRIVER_OBJECT DriverObject)
{
    UCHAR buffer[16];
    volatile UCHAR *at = buffer;
    UNREFERENCED_PARAMETER(DriverObject);
    for (LONG i = 0; i < 96 + Zero; i++) {
        at[i] = 0x41;
    }
    return STATUS_SUCCESS;
}

/* Past DriverEntry's frame, into what the kernel keeps above it; the way back stays whole. */
static NOINLINE NTSTATUS SmashKernelFrame(PDRIVER_OBJECT DriverObject)
{
    volatile ULONG64 *above = (volatile ULONG64 *)__builtin_frame_address(0);
    ULONG i;
    UNREFERENCED_PARAMETER(DriverObject);
    for (i = 16; i < 40; i++) {
        above[i] = 0x4242424242424242;
    }
    return STATUS_SUCCESS;
}

static NOINLINE NTSTATUS CallNull(PDRIVER_OBJECT DriverObject)
{
    NTSTATUS (*volatile routine)(VOID) = NULL;
    UNREFERENCED_PARAMETER(DriverObject);
    return routine() + 1;
}

static NOINLINE NTSTATUS CallNonCanonical(PDRIVER_OBJECT DriverObject)
{
    NTSTATUS (*volatile routine)(VOID) = (NTSTATUS(*)(VOID))0x4141414141414141;
    UNREFERENCED_PARAMETER(DriverObject);
    return routine() + 1;
}

static NOINLINE NTSTATUS CallPool(PDRIVER_OBJECT DriverObject)
{
    PUCHAR code = ExAllocatePoolWithTag(NonPagedPoolNx, 16, TAG);
    UNREFERENCED_PARAMETER(DriverObject);
    code[0] = 0xc3;
    ((VOID(*)(VOID))code)();
    ExFreePoolWithTag(code, TAG);
    return STATUS_SUCCESS;
}

/* mov eax, 1; ret: in a section that says it is written, and in one that does not. */
__attribute__((section(".wx"), aligned(16))) static UCHAR Patchable[16] = {0xb8, 1, 0, 0, 0, 0xc3};
__asm__(".section .wx,\"wx\"\n.text");

static NOINLINE ULONG RunPatchable(VOID) { return ((ULONG(*)(VOID))Patchable)(); }

static NOINLINE NTSTATUS PatchWritable(PDRIVER_OBJECT DriverObject)
{
    ULONG sum = RunPatchable();
    UNREFERENCED_PARAMETER(DriverObject);
    for (LONG i = 2; i <= 100 + Zero; i++) {
        Patchable[1] = (UCHAR)i;
        sum += RunPatchable();
    }
    return sum == 5050 ? STATUS_SUCCESS : STATUS_DATA_ERROR;
}

static NOINLINE NTSTATUS PatchCode(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    *(volatile UCHAR *)RaiseIrql = 0xc3;
    return STATUS_SUCCESS;
}

/* In pool that may be executed: code that is written again and again. */
static NOINLINE NTSTATUS PatchPool(PDRIVER_OBJECT DriverObject)
{
    volatile UCHAR *code = ExAllocatePoolWithTag(NonPagedPool, 64, TAG);
    ULONG sum = 0;
    UNREFERENCED_PARAMETER(DriverObject);
    for (LONG i = 1; i <= 100 + Zero; i++) {
        code[0] = 0xb8;
        code[1] = (UCHAR)i;
        code[2] = code[3] = code[4] = 0;
        code[5] = 0xc3;
        sum += ((ULONG(*)(VOID))code)();
    }
    ExFreePoolWithTag((PVOID)code, TAG);
    return sum == 5050 ? STATUS_SUCCESS : STATUS_DATA_ERROR;
}

#define SHARED_PAGE 0xFFFFF78000000000ull

static NOINLINE NTSTATUS PollInterruptTime(PDRIVER_OBJECT DriverObject)
{
    volatile ULONG64 *time = (volatile ULONG64 *)(SHARED_PAGE + 8);
    ULONG64 start = *time;
    UNREFERENCED_PARAMETER(DriverObject);
    while (*time - start < 2 * 10000) {
    }
    return STATUS_SUCCESS;
}

static NOINLINE NTSTATUS PollTickCount(PDRIVER_OBJECT DriverObject)
{
    volatile ULONG64 *ticks = (volatile ULONG64 *)(SHARED_PAGE + 0x320);
    ULONG64 start = *ticks;
    UNREFERENCED_PARAMETER(DriverObject);
    while (*ticks == start) {
    }
    return STATUS_SUCCESS;
}

static NOINLINE NTSTATUS PollTimeStamp(PDRIVER_OBJECT DriverObject)
{
    ULONG64 start = __builtin_ia32_rdtsc();
    UNREFERENCED_PARAMETER(DriverObject);
    while (__builtin_ia32_rdtsc() - start < 1000000) {
    }
    return STATUS_SUCCESS;
}

/* Below DISPATCH_LEVEL, other threads and DPCs set what is polled. */
static NOINLINE VOID NTAPI SetFlag(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
    *(volatile LONG *)Context = 1;
}

static NOINLINE NTSTATUS PollTimerFlag(PDRIVER_OBJECT DriverObject)
{
    static volatile LONG flag;
    LARGE_INTEGER due = {.QuadPart = -50000};
    UNREFERENCED_PARAMETER(DriverObject);
    KeInitializeTimer(&Shared.Timer);
    KeInitializeDpc(&Shared.Dpc, SetFlag, (PVOID)&flag);
    KeSetTimer(&Shared.Timer, due, &Shared.Dpc);
    while (flag == 0) {
    }
    return STATUS_SUCCESS;
}

static NOINLINE VOID NTAPI SpinInDpc(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
    while (Zero == 0) {
    }
}

static NOINLINE NTSTATUS DpcSpins(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    KeInitializeDpc(&Shared.Dpc, SpinInDpc, NULL);
    KeInsertQueueDpc(&Shared.Dpc, NULL, NULL);
    return STATUS_SUCCESS;
}

/* Queues itself again for ever: nothing else runs any more. */
static NOINLINE VOID NTAPI RequeueDpc(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
    KeInsertQueueDpc(Dpc, NULL, NULL);
}

static NOINLINE NTSTATUS DpcRequeues(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    KeInitializeDpc(&Shared.Dpc, RequeueDpc, NULL);
    KeInsertQueueDpc(&Shared.Dpc, NULL, NULL);
    return STATUS_SUCCESS;
}

static NOINLINE NTSTATUS WaitForever(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    KeInitializeEvent(&Shared.Event, NotificationEvent, FALSE);
    return KeWaitForSingleObject(&Shared.Event, Executive, KernelMode, FALSE, NULL);
}

static NOINLINE NTSTATUS LockTwice(PDRIVER_OBJECT DriverObject)
{
    static KSPIN_LOCK lock;
    KIRQL old, older;
    UNREFERENCED_PARAMETER(DriverObject);
    KeInitializeSpinLock(&lock);
    KeAcquireSpinLock(&lock, &older);
    KeAcquireSpinLock(&lock, &old);
    KeReleaseSpinLock(&lock, older);
    return STATUS_SUCCESS;
}

static NOINLINE NTSTATUS NoUnload(PDRIVER_OBJECT DriverObject)
{
    DriverObject->DriverUnload = NULL;
    return STATUS_SUCCESS;
}

/* Allocates until nothing is left, and gives it all back. */
static NOINLINE NTSTATUS ExhaustPool(PDRIVER_OBJECT DriverObject)
{
    PVOID *first = NULL;
    PVOID *block;
    UNREFERENCED_PARAMETER(DriverObject);
    while ((block = ExAllocatePoolWithTag(NonPagedPoolNx, 0x100000, TAG)) != NULL) {
        *block = first;
        first = block;
    }
    while (first != NULL) {
        block = *first;
        ExFreePoolWithTag(first, TAG);
        first = block;
    }
    return STATUS_SUCCESS;
}

/* Loses a block of memory after the other. */
static NOINLINE NTSTATUS LeakAll(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    while (ExAllocatePoolWithTag(NonPagedPoolNx, 0x1000, TAG) != NULL) {
    }
    return STATUS_SUCCESS;
}

/* Nothing is left for requests. */
static NOINLINE NTSTATUS Starve(PDRIVER_OBJECT DriverObject)
{
    WithDevice(DriverObject, Complete);
    while (ExAllocatePoolWithTag(NonPagedPoolNx, 0x1000, TAG) != NULL) {
    }
    return STATUS_SUCCESS;
}

/* The kernel's own structures, as far as a driver gets at them. */
static NOINLINE NTSTATUS ChangeDriverObject(PDRIVER_OBJECT DriverObject)
{
    DriverObject->DriverExtension = (PDRIVER_EXTENSION)0x12345678;
    DriverObject->DriverStart = NULL;
    DriverObject->DriverSize = 0;
    return STATUS_SUCCESS;
}

static NOINLINE NTSTATUS LoopDevices(PDRIVER_OBJECT DriverObject)
{
    WithDevice(DriverObject, Complete);
    Device->NextDevice = Device;
    return STATUS_SUCCESS;
}

/* ---- left behind at unload */

static NOINLINE VOID NTAPI Nothing(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
}

static NOINLINE NTSTATUS KeepTimer(PDRIVER_OBJECT DriverObject)
{
    LARGE_INTEGER due = {.QuadPart = -600000000};
    UNREFERENCED_PARAMETER(DriverObject);
    KeInitializeTimer(&Shared.Timer);
    KeSetTimer(&Shared.Timer, due, NULL);
    return STATUS_SUCCESS;
}

static PSHARED Block;

static NOINLINE VOID FreeBlock(VOID) { ExFreePoolWithTag(Block, TAG); }

/* The timer's memory goes while it is queued. */
static NOINLINE NTSTATUS FreeTimer(PDRIVER_OBJECT DriverObject)
{
    LARGE_INTEGER due = {.QuadPart = -600000000};
    UNREFERENCED_PARAMETER(DriverObject);
    Block = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(*Block), TAG);
    KeInitializeTimer(&Block->Timer);
    KeSetTimer(&Block->Timer, due, NULL);
    OnUnload = FreeBlock;
    return STATUS_SUCCESS;
}

static NOINLINE NTSTATUS KeepTimerInPool(PDRIVER_OBJECT DriverObject)
{
    FreeTimer(DriverObject);
    OnUnload = NULL;
    return STATUS_SUCCESS;
}

/* Timer and DPC lie in pool, the routine lies in the image. */
static NOINLINE NTSTATUS KeepTimerDpc(PDRIVER_OBJECT DriverObject)
{
    LARGE_INTEGER due = {.QuadPart = -600000000};
    PSHARED block = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(*block), TAG);
    UNREFERENCED_PARAMETER(DriverObject);
    KeInitializeTimer(&block->Timer);
    KeInitializeDpc(&block->Dpc, Nothing, NULL);
    KeSetTimerEx(&block->Timer, due, 1000, &block->Dpc);
    return STATUS_SUCCESS;
}

static NOINLINE VOID RaiseAtUnload(VOID)
{
    KIRQL old;
    KeRaiseIrql(DISPATCH_LEVEL, &old);
}

static NOINLINE NTSTATUS UnloadRaises(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    OnUnload = RaiseAtUnload;
    return STATUS_SUCCESS;
}

static NOINLINE VOID NTAPI Work(PVOID Context) { UNREFERENCED_PARAMETER(Context); }

static NOINLINE VOID QueueWorkLate(VOID)
{
    ExInitializeWorkItem(&Shared.Item, Work, NULL);
    ExQueueWorkItem(&Shared.Item, DelayedWorkQueue);
}

static NOINLINE NTSTATUS KeepWork(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    OnUnload = QueueWorkLate;
    return STATUS_SUCCESS;
}

static NOINLINE VOID NTAPI ThreadWaits(PVOID Context)
{
    KeWaitForSingleObject(Context, Executive, KernelMode, FALSE, NULL);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

static NOINLINE VOID NTAPI ThreadSpins(PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
    while (Zero == 0) {
    }
}

static NOINLINE VOID NTAPI ThreadSleeps(PVOID Context)
{
    LARGE_INTEGER second = {.QuadPart = -10000000};
    UNREFERENCED_PARAMETER(Context);
    while (Zero == 0) {
        KeDelayExecutionThread(KernelMode, FALSE, &second);
    }
}

static NTSTATUS StartThread(PKSTART_ROUTINE Routine)
{
    HANDLE thread;
    NTSTATUS status;
    KeInitializeEvent(&Shared.Event, NotificationEvent, FALSE);
    status = PsCreateSystemThread(&thread, THREAD_ALL_ACCESS, NULL, NULL, NULL, Routine, &Shared.Event);
    if (NT_SUCCESS(status)) {
        ZwClose(thread);
    }
    return status;
}

static NOINLINE NTSTATUS KeepThread(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    return StartThread(ThreadWaits);
}

static NOINLINE NTSTATUS KeepSleepingThread(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    return StartThread(ThreadSleeps);
}

static NOINLINE NTSTATUS KeepSpinningThread(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    return StartThread(ThreadSpins);
}

/* ---- requests */

static NOINLINE VOID CompleteTwice(PIRP Irp)
{
    Complete(Irp);
    Complete(Irp);
}

static NOINLINE NTSTATUS TwiceCompleted(PDRIVER_OBJECT DriverObject) { return WithDevice(DriverObject, CompleteTwice); }

static NOINLINE VOID Forget(PIRP Irp) { UNREFERENCED_PARAMETER(Irp); }

static NOINLINE NTSTATUS NeverCompleted(PDRIVER_OBJECT DriverObject) { return WithDevice(DriverObject, Forget); }

static NOINLINE VOID CompleteRaised(PIRP Irp)
{
    KIRQL old;
    Complete(Irp);
    KeRaiseIrql(DISPATCH_LEVEL, &old);
}

static NOINLINE NTSTATUS DispatchRaises(PDRIVER_OBJECT DriverObject) { return WithDevice(DriverObject, CompleteRaised); }

static NOINLINE VOID CompleteGarbage(PIRP Irp)
{
    UNREFERENCED_PARAMETER(Irp);
    IoCompleteRequest((PIRP)&Shared, IO_NO_INCREMENT);
}

static NOINLINE NTSTATUS GarbageCompleted(PDRIVER_OBJECT DriverObject) { return WithDevice(DriverObject, CompleteGarbage); }

/* ---- */

static const struct {
    PCWSTR Name;
    NTSTATUS (*Routine)(PDRIVER_OBJECT DriverObject);
} Misdeeds[] = {
    {L"raise-irql", RaiseIrql},
    {L"keep-critical-region", KeepCriticalRegion},
    {L"free-garbage", FreeGarbage},
    {L"free-user-address", FreeUserAddress},
    {L"free-non-canonical", FreeNonCanonical},
    {L"free-twice", FreeTwice},
    {L"write-behind-block", WriteBehindBlock},
    {L"smash-return", SmashReturn},
    {L"smash-kernel-frame", SmashKernelFrame},
    {L"call-null", CallNull},
    {L"call-non-canonical", CallNonCanonical},
    {L"call-pool", CallPool},
    {L"patch-writable", PatchWritable},
    {L"patch-code", PatchCode},
    {L"patch-pool", PatchPool},
    {L"poll-interrupt-time", PollInterruptTime},
    {L"poll-tick-count", PollTickCount},
    {L"poll-time-stamp", PollTimeStamp},
    {L"poll-timer-flag", PollTimerFlag},
    {L"dpc-spins", DpcSpins},
    {L"dpc-requeues", DpcRequeues},
    {L"wait-forever", WaitForever},
    {L"lock-twice", LockTwice},
    {L"no-unload", NoUnload},
    {L"exhaust-pool", ExhaustPool},
    {L"leak-all", LeakAll},
    {L"starve", Starve},
    {L"change-driver-object", ChangeDriverObject},
    {L"change-registry-path", NULL},
    {L"loop-devices", LoopDevices},
    {L"keep-timer", KeepTimer},
    {L"free-timer", FreeTimer},
    {L"keep-timer-in-pool", KeepTimerInPool},
    {L"keep-timer-dpc", KeepTimerDpc},
    {L"unload-raises", UnloadRaises},
    {L"keep-work", KeepWork},
    {L"keep-thread", KeepThread},
    {L"keep-sleeping-thread", KeepSleepingThread},
    {L"keep-spinning-thread", KeepSpinningThread},
    {L"twice-completed", TwiceCompleted},
    {L"never-completed", NeverCompleted},
    {L"dispatch-raises", DispatchRaises},
    {L"garbage-completed", GarbageCompleted},
};

/* Whether the last part of the path is the name. */
static BOOLEAN IsService(PCUNICODE_STRING Path, PCWSTR Name)
{
    ULONG characters = Path->Length / sizeof(WCHAR);
    ULONG length = 0;
    while (Name[length] != 0) {
        length++;
    }
    if (characters <= length || Path->Buffer[characters - length - 1] != L'\\') {
        return FALSE;
    }
    for (ULONG i = 0; i < length; i++) {
        if (Path->Buffer[characters - length + i] != Name[i]) {
            return FALSE;
        }
    }
    return TRUE;
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    DriverObject->DriverUnload = Unload;
    for (ULONG i = 0; i < sizeof(Misdeeds) / sizeof(Misdeeds[0]); i++) {
        if (IsService(RegistryPath, Misdeeds[i].Name)) {
            if (Misdeeds[i].Routine == NULL) {
                RegistryPath->Buffer = NULL;
                return STATUS_SUCCESS;
            }
            return Misdeeds[i].Routine(DriverObject);
        }
    }
    return STATUS_INVALID_PARAMETER;
}
