/*
 * Structured exception handling, checked by the driver itself: DriverEntry returns STATUS_SUCCESS, or 0xE0000000 plus
 * the number of the first check that failed. Whatever faults stands in a function of its own, because clang lets
 * exceptions begin at calls only.
 */
#include <ntddk.h>
#include <excpt.h>

#define NOINLINE __attribute__((noinline))
#define FAILED_CHECK(number) ((NTSTATUS)(0xE0000000u | (number)))
#define CHECK(number, condition) \
    do { if (!(condition)) return FAILED_CHECK(number); } while (0)

/* winnt.h's, which ntddk.h lacks. */
typedef struct _SCOPE_RUNTIME_FUNCTION { ULONG Begin, End, Unwind; } SCOPE_RUNTIME_FUNCTION;
NTSYSAPI VOID NTAPI RtlCaptureContext(PCONTEXT);
NTSYSAPI SCOPE_RUNTIME_FUNCTION *NTAPI RtlLookupFunctionEntry(ULONG64, PULONG64, PVOID);
NTSYSAPI PVOID NTAPI RtlVirtualUnwind(ULONG, ULONG64, ULONG64, SCOPE_RUNTIME_FUNCTION *, PCONTEXT, PVOID *, PULONG64, PVOID);
NTSYSAPI VOID NTAPI RtlRaiseException(PEXCEPTION_RECORD);
NTSYSAPI USHORT NTAPI RtlCaptureStackBackTrace(ULONG, ULONG, PVOID *, PULONG);
NTSYSAPI PVOID NTAPI RtlPcToFileHeader(PVOID, PVOID *);
NTSYSAPI VOID NTAPI ProbeForRead(CONST VOID *, SIZE_T, ULONG);
NTSYSAPI VOID NTAPI ProbeForWrite(PVOID, SIZE_T, ULONG);
NTSYSAPI VOID NTAPI ExRaiseAccessViolation(VOID);

/* asm.S */
ULONG64 AsmPreservesRegisters(PVOID BadAddress);
ULONG64 AsmContinues(PVOID BadAddress);
ULONG64 AsmLeafFault(PVOID BadAddress);
ULONG64 AsmPrologFault(PVOID BadAddress);
ULONG64 AsmLocalUnwind(volatile LONG *Counter);
ULONG64 AsmCheckedHandler(PVOID BadAddress);
ULONG64 AsmFrameRegister(PVOID BadAddress, ULONG64 Size);
VOID AsmDivide(ULONG64 Dividend, ULONG Divisor);
VOID AsmBreak(VOID);
VOID AsmUndefined(VOID);
VOID AsmMisaligned(PVOID Buffer);

#define BAD_USER_ADDRESS ((PVOID)0x123456789000ull)

/*
 * An instruction between two calls in different scopes. Without one the return address of the first is where the second
 * one's scope begins, clang gives the first scope one byte more, and both would cover it.
 */
#define APART() (Counter = Counter)

static volatile LONG Trace;
static volatile LONG Counter;

NOINLINE ULONG ReadAt(volatile ULONG *Address) { return *Address; }
NOINLINE VOID WriteAt(volatile ULONG *Address) { *Address = 1; }
NOINLINE VOID Note(LONG Digit) { Trace = Trace * 10 + Digit; }
NOINLINE VOID RaiseIf(NTSTATUS Status) { if (Status != 0) ExRaiseStatus(Status); Counter--; }
NOINLINE VOID CallAt(VOID (*Routine)(VOID)) { Routine(); Note(0); }

/* ---- filters */

static EXCEPTION_RECORD SeenRecord;
static CONTEXT SeenContext;

static LONG Keep(PEXCEPTION_POINTERS Pointers, LONG Answer)
{
    SeenRecord = *Pointers->ExceptionRecord;
    SeenContext = *Pointers->ContextRecord;
    return Answer;
}

static LONG NoteAnd(LONG Digit, LONG Answer)
{
    Note(Digit);
    return Answer;
}

/* ---- checks */

static NOINLINE NTSTATUS CheckSimple(VOID)
{
    ULONG code = 0;
    __try {
        ReadAt((PULONG)BAD_USER_ADDRESS);
        return FAILED_CHECK(1);
    } __except (Keep(GetExceptionInformation(), EXCEPTION_EXECUTE_HANDLER)) {
        code = GetExceptionCode();
    }
    CHECK(2, code == (ULONG)STATUS_ACCESS_VIOLATION);
    CHECK(3, SeenRecord.ExceptionCode == STATUS_ACCESS_VIOLATION && SeenRecord.ExceptionFlags == 0);
    CHECK(4, SeenRecord.NumberParameters == 2 && SeenRecord.ExceptionInformation[0] == 0);
    CHECK(5, SeenRecord.ExceptionInformation[1] == (ULONG_PTR)BAD_USER_ADDRESS);
    CHECK(6, (ULONG64)SeenRecord.ExceptionAddress == SeenContext.Rip);
    CHECK(7, SeenContext.Rip >= (ULONG64)ReadAt && SeenContext.Rip < (ULONG64)ReadAt + 16);
    CHECK(8, SeenContext.SegCs == 0x10 && SeenContext.SegSs == 0x18);

    __try {
        WriteAt((PULONG)BAD_USER_ADDRESS);
        return FAILED_CHECK(9);
    } __except (Keep(GetExceptionInformation(), EXCEPTION_EXECUTE_HANDLER)) {
    }
    CHECK(10, SeenRecord.ExceptionInformation[0] == 1);

    __try {
        CallAt(NULL);
        return FAILED_CHECK(11);
    } __except (Keep(GetExceptionInformation(), EXCEPTION_EXECUTE_HANDLER)) {
    }
    CHECK(12, SeenRecord.ExceptionInformation[0] == 8 && SeenRecord.ExceptionInformation[1] == 0);

    __try {
        ReadAt((PULONG)0x8000123456789000ull);
        return FAILED_CHECK(13);
    } __except (Keep(GetExceptionInformation(), EXCEPTION_EXECUTE_HANDLER)) {
    }
    CHECK(14, SeenRecord.ExceptionInformation[0] == 0 && SeenRecord.ExceptionInformation[1] == ~(ULONG_PTR)0);

    /* A filter that is the constant 1. */
    code = 0;
    __try {
        ReadAt((PULONG)BAD_USER_ADDRESS);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        code = 1;
    }
    CHECK(15, code == 1);
    return STATUS_SUCCESS;
}

static NOINLINE NTSTATUS CheckProcessorExceptions(VOID)
{
    static UCHAR buffer[64] __attribute__((aligned(16)));
    ULONG code = 0;
    __try { AsmDivide(1, 0); } __except (EXCEPTION_EXECUTE_HANDLER) { code = GetExceptionCode(); }
    CHECK(20, code == (ULONG)STATUS_INTEGER_DIVIDE_BY_ZERO);
    __try { AsmDivide(~0ull, 1); } __except (EXCEPTION_EXECUTE_HANDLER) { code = GetExceptionCode(); }
    CHECK(21, code == (ULONG)STATUS_INTEGER_OVERFLOW);
    code = 0;
    __try { AsmBreak(); } __except (EXCEPTION_EXECUTE_HANDLER) { code = GetExceptionCode(); }
    CHECK(22, code == 0);
    __try { AsmUndefined(); } __except (EXCEPTION_EXECUTE_HANDLER) { code = GetExceptionCode(); }
    CHECK(23, code == (ULONG)STATUS_ILLEGAL_INSTRUCTION);
    code = 0;
    __try { AsmMisaligned(buffer + 1); } __except (Keep(GetExceptionInformation(), EXCEPTION_EXECUTE_HANDLER)) { code = GetExceptionCode(); }
    CHECK(24, code == (ULONG)STATUS_ACCESS_VIOLATION && SeenRecord.ExceptionInformation[1] == ~(ULONG_PTR)0);
    return STATUS_SUCCESS;
}

static NOINLINE VOID InnerSearchesOn(VOID)
{
    __try {
        __try {
            ReadAt((PULONG)BAD_USER_ADDRESS);
        } __except (NoteAnd(1, EXCEPTION_CONTINUE_SEARCH)) {
            Note(9);
        }
    } __finally {
        Note(3);
    }
}

static NOINLINE NTSTATUS CheckNesting(VOID)
{
    Trace = 0;
    __try {
        InnerSearchesOn();
        Note(9);
    } __except (NoteAnd(2, EXCEPTION_EXECUTE_HANDLER)) {
        Note(4);
    }
    CHECK(30, Trace == 1234);

    /* Inner of two in one function. */
    Trace = 0;
    __try {
        __try {
            ReadAt((PULONG)BAD_USER_ADDRESS);
        } __except (NoteAnd(1, EXCEPTION_EXECUTE_HANDLER)) {
            Note(2);
        }
        Note(3);
    } __except (NoteAnd(9, EXCEPTION_EXECUTE_HANDLER)) {
        Note(9);
    }
    CHECK(31, Trace == 123);

    /* An exception in an __except block goes to the outer one. */
    Trace = 0;
    __try {
        __try {
            ReadAt((PULONG)BAD_USER_ADDRESS);
        } __except (NoteAnd(1, EXCEPTION_EXECUTE_HANDLER)) {
            Note(2);
            ExRaiseStatus(STATUS_DATA_ERROR);
        }
    } __except (NoteAnd(3, GetExceptionCode() == (ULONG)STATUS_DATA_ERROR)) {
        Note(4);
    }
    CHECK(32, Trace == 1234);
    return STATUS_SUCCESS;
}

static NOINLINE VOID FinallyBoth(BOOLEAN Fault)
{
    __try {
        if (Fault) ReadAt((PULONG)BAD_USER_ADDRESS);
        Note(1);
    } __finally {
        Note(AbnormalTermination() ? 3 : 2);
    }
}

static NOINLINE LONG ReturnThroughFinally(LONG Value)
{
    __try {
        if (Value > 5) return Value;
        Note(1);
    } __finally {
        Note(2);
    }
    return -1;
}

static NOINLINE VOID GotoThroughFinally(LONG Value)
{
    for (LONG round = 0; round < 3; round++) {
        __try {
            Note(1);
            if (round == Value) goto out;
        } __finally {
            Note(2);
        }
    }
out:
    Note(3);
}

static NOINLINE VOID Recurse(ULONG Depth)
{
    __try {
        if (Depth == 0) ReadAt((PULONG)BAD_USER_ADDRESS);
        Recurse(Depth - 1);
    } __finally {
        Counter++;
    }
}

static NOINLINE NTSTATUS CheckFinally(VOID)
{
    Trace = 0;
    FinallyBoth(FALSE);
    CHECK(40, Trace == 12);
    Trace = 0;
    __try {
        FinallyBoth(TRUE);
    } __except (NoteAnd(1, EXCEPTION_EXECUTE_HANDLER)) {
        Note(4);
    }
    CHECK(41, Trace == 134);
    Trace = 0;
    CHECK(42, ReturnThroughFinally(6) == 6 && Trace == 2);
    CHECK(43, ReturnThroughFinally(1) == -1 && Trace == 212);
    Trace = 0;
    GotoThroughFinally(1);
    CHECK(44, Trace == 12123);
    Counter = 0;
    __try {
        Recurse(9);
    } __except (Counter == 0 ? EXCEPTION_EXECUTE_HANDLER : EXCEPTION_CONTINUE_SEARCH) {
        Note(5);
    }
    CHECK(45, Counter == 10);
    return STATUS_SUCCESS;
}

/* A filter that faults and handles that itself. */
static NOINLINE LONG FilterWithTry(VOID)
{
    __try {
        ReadAt((PULONG)BAD_USER_ADDRESS);
    } __except (NoteAnd(1, EXCEPTION_EXECUTE_HANDLER)) {
        Note(2);
    }
    return EXCEPTION_EXECUTE_HANDLER;
}

/* A filter that faults and does not. */
static NOINLINE LONG FilterThatFaults(VOID)
{
    Note(1);
    if (Counter++ == 0) WriteAt((PULONG)BAD_USER_ADDRESS);
    return EXCEPTION_CONTINUE_SEARCH;
}

static NOINLINE VOID FaultsInFilter(VOID)
{
    __try {
        ReadAt((PULONG)BAD_USER_ADDRESS);
    } __except (FilterThatFaults()) {
        Note(9);
    }
}

static LONG KeepNested(PEXCEPTION_POINTERS Pointers)
{
    Keep(Pointers, 0);
    Note(2);
    return EXCEPTION_EXECUTE_HANDLER;
}

static NOINLINE NTSTATUS CheckFilters(VOID)
{
    Trace = 0;
    __try {
        ReadAt((PULONG)BAD_USER_ADDRESS);
    } __except (FilterWithTry()) {
        Note(3);
    }
    CHECK(50, Trace == 123);

    /* The second exception is asked of the same frame again, then of the outer one: first seen there as a write. */
    Trace = 0;
    Counter = 0;
    __try {
        FaultsInFilter();
    } __except (KeepNested(GetExceptionInformation())) {
        Note(3);
    }
    CHECK(51, Trace == 1123);
    CHECK(52, SeenRecord.ExceptionInformation[0] == 1);
    /* EXCEPTION_NESTED_CALL is gone again outside of the region that the first search had seen. */
    CHECK(53, (SeenRecord.ExceptionFlags & 0x10) == 0);
    return STATUS_SUCCESS;
}

/* The unwind for the first exception is overtaken by the second one, which a __finally raises. */
static NOINLINE VOID CollidesInFinally(VOID)
{
    __try {
        __try {
            __try {
                ReadAt((PULONG)BAD_USER_ADDRESS);
                APART();
            } __finally {
                Note(2);
                /* Not at once: clang forgets the outer scopes of a __finally that does not return. */
                RaiseIf(STATUS_DATA_ERROR);
            }
        } __finally {
            Note(4);
        }
    } __finally {
        Note(5);
    }
}

static LONG ByCode(ULONG Code, LONG First, LONG Second)
{
    Note(Code == (ULONG)STATUS_ACCESS_VIOLATION ? First : Second);
    return EXCEPTION_EXECUTE_HANDLER;
}

static NOINLINE VOID CatchesInTheMiddle(VOID)
{
    __try {
        __try {
            ReadAt((PULONG)BAD_USER_ADDRESS);
            APART();
        } __finally {
            Note(2);
            __try {
                ExRaiseStatus(STATUS_DATA_ERROR);
            } __except (NoteAnd(3, EXCEPTION_EXECUTE_HANDLER)) {
                Note(4);
            }
        }
    } __finally {
        Note(5);
    }
}

static NOINLINE NTSTATUS CheckCollisions(VOID)
{
    Trace = 0;
    Counter = 0;
    __try {
        CollidesInFinally();
    } __except (ByCode(GetExceptionCode(), 1, 3)) {
        Note(GetExceptionCode() == (ULONG)STATUS_DATA_ERROR ? 6 : 9);
    }
    CHECK(60, Trace == 123456);

    Trace = 0;
    __try {
        CatchesInTheMiddle();
    } __except (ByCode(GetExceptionCode(), 1, 9)) {
        Note(GetExceptionCode() == (ULONG)STATUS_ACCESS_VIOLATION ? 6 : 9);
    }
    CHECK(61, Trace == 123456);
    return STATUS_SUCCESS;
}

static LONG ContinueOnce(PEXCEPTION_POINTERS Pointers)
{
    Note(1);
    SeenRecord = *Pointers->ExceptionRecord;
    return EXCEPTION_CONTINUE_EXECUTION;
}

/* Execution can't be continued after ExRaiseStatus: that is an exception itself. */
static LONG ContinueIfFirst(ULONG Code)
{
    Note(Code == (ULONG)STATUS_DATA_ERROR ? 1 : Code == (ULONG)STATUS_NONCONTINUABLE_EXCEPTION ? 2 : 9);
    return Code == (ULONG)STATUS_DATA_ERROR ? EXCEPTION_CONTINUE_EXECUTION : EXCEPTION_EXECUTE_HANDLER;
}

static NOINLINE VOID RaiseWithRecord(VOID)
{
    EXCEPTION_RECORD record;
    RtlZeroMemory(&record, sizeof(record));
    record.ExceptionCode = 0xE0001234;
    record.NumberParameters = 3;
    record.ExceptionInformation[0] = 11;
    record.ExceptionInformation[2] = 0x1122334455667788ull;
    RtlRaiseException(&record);
    Note(2);
}

static NOINLINE NTSTATUS CheckRaising(VOID)
{
    ULONG code = 0;
    Trace = 0;
    __try {
        RaiseWithRecord();
        Note(3);
    } __except (ContinueOnce(GetExceptionInformation())) {
        Note(9);
    }
    CHECK(70, Trace == 123);
    CHECK(71, SeenRecord.ExceptionCode == (NTSTATUS)0xE0001234 && SeenRecord.NumberParameters == 3);
    CHECK(72, SeenRecord.ExceptionInformation[0] == 11 && SeenRecord.ExceptionInformation[2] == 0x1122334455667788ull);
    CHECK(73, (PUCHAR)SeenRecord.ExceptionAddress > (PUCHAR)RaiseWithRecord
        && (PUCHAR)SeenRecord.ExceptionAddress < (PUCHAR)RaiseWithRecord + 0x100);

    Trace = 0;
    __try {
        ExRaiseStatus(STATUS_DATA_ERROR);
    } __except (ContinueIfFirst(GetExceptionCode())) {
        code = GetExceptionCode();
    }
    CHECK(74, Trace == 12 && code == (ULONG)STATUS_NONCONTINUABLE_EXCEPTION);

    __try {
        ExRaiseAccessViolation();
    } __except (Keep(GetExceptionInformation(), EXCEPTION_EXECUTE_HANDLER)) {
        code = GetExceptionCode();
    }
    CHECK(75, code == (ULONG)STATUS_ACCESS_VIOLATION && SeenRecord.ExceptionFlags == EXCEPTION_NONCONTINUABLE);
    return STATUS_SUCCESS;
}

static NOINLINE ULONG ProbeRead(PVOID Address, SIZE_T Length, ULONG Alignment)
{
    __try {
        ProbeForRead(Address, Length, Alignment);
        return 0;
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        return GetExceptionCode();
    }
}

static NOINLINE ULONG ProbeWrite(PVOID Address, SIZE_T Length, ULONG Alignment)
{
    __try {
        ProbeForWrite(Address, Length, Alignment);
        return 0;
    } __except (Keep(GetExceptionInformation(), EXCEPTION_EXECUTE_HANDLER)) {
        return GetExceptionCode();
    }
}

static NOINLINE NTSTATUS CheckProbes(VOID)
{
    ULONG local = 0;
    UNICODE_STRING string;
    ULONG code = 0;
    CHECK(80, ProbeRead(&local, 4, 4) == (ULONG)STATUS_ACCESS_VIOLATION);
    CHECK(81, ProbeRead(&local, 0, 4) == 0);
    CHECK(82, ProbeRead((PVOID)0x10001, 4, 4) == (ULONG)STATUS_DATATYPE_MISALIGNMENT);
    /* Reading is not tried: an address of user space is enough. */
    CHECK(83, ProbeRead(BAD_USER_ADDRESS, 4, 4) == 0);
    CHECK(84, ProbeRead((PVOID)0x7fffffff0000ull, 1, 1) == (ULONG)STATUS_ACCESS_VIOLATION);
    CHECK(85, ProbeRead((PVOID)0x7ffffffefffcull, 4, 4) == 0);
    CHECK(86, ProbeRead((PVOID)0x7ffffffefffcull, 5, 4) == (ULONG)STATUS_ACCESS_VIOLATION);
    CHECK(87, ProbeRead((PVOID)0x10000, ~(SIZE_T)0, 1) == (ULONG)STATUS_ACCESS_VIOLATION);
    CHECK(88, ProbeWrite(BAD_USER_ADDRESS, 4, 4) == (ULONG)STATUS_ACCESS_VIOLATION);
    CHECK(89, SeenRecord.NumberParameters == 2 && SeenRecord.ExceptionInformation[1] == (ULONG_PTR)BAD_USER_ADDRESS);
    CHECK(90, ProbeWrite(&local, 4, 4) == (ULONG)STATUS_ACCESS_VIOLATION);
    CHECK(91, ProbeWrite(&local, 0, 4) == 0);

    /* A routine of the kernel that is given a bad user pointer. */
    __try {
        RtlInitUnicodeString(&string, (PCWSTR)BAD_USER_ADDRESS);
        return FAILED_CHECK(92);
    } __except (Keep(GetExceptionInformation(), EXCEPTION_EXECUTE_HANDLER)) {
        code = GetExceptionCode();
    }
    CHECK(93, code == (ULONG)STATUS_ACCESS_VIOLATION);
    CHECK(94, SeenRecord.ExceptionInformation[0] == 0 && SeenRecord.ExceptionInformation[1] == (ULONG_PTR)BAD_USER_ADDRESS);
    return STATUS_SUCCESS;
}

/* What asm.S's functions name as filters. */
LONG FilterSkipsInstruction(PEXCEPTION_POINTERS Pointers)
{
    Pointers->ContextRecord->Rip += 3;
    Pointers->ContextRecord->Rax = 0x1234;
    return EXCEPTION_CONTINUE_EXECUTION;
}

VOID CountTermination(BOOLEAN Abnormal, volatile LONG **Frame)
{
    UNREFERENCED_PARAMETER(Frame);
    Counter += Abnormal ? 1 : 100;
}

/* Stands for __GSHandlerCheck_SEH: a handler in the driver that looks at the frame and passes the call on. */
EXCEPTION_DISPOSITION CheckedHandler(PEXCEPTION_RECORD Record, PVOID Frame, PCONTEXT Context, PVOID Dispatcher)
{
    Counter++;
    if (*(PULONG64)((PUCHAR)Frame + 0x20) != 0xC00C1E) return ExceptionContinueSearch;
    return __C_specific_handler(Record, Frame, Context, (struct _DISPATCHER_CONTEXT *)Dispatcher);
}

static NOINLINE NTSTATUS CheckAssembly(VOID)
{
    CHECK(100, AsmPreservesRegisters(BAD_USER_ADDRESS) == 0);
    CHECK(101, AsmContinues(BAD_USER_ADDRESS) == 0x1234);
    CHECK(102, AsmLeafFault(BAD_USER_ADDRESS) == 0xC0000005);
    CHECK(103, AsmPrologFault(BAD_USER_ADDRESS) == 0xC0000005);
    Counter = 0;
    CHECK(104, AsmLocalUnwind(&Counter) == 7 && Counter == 2);
    Counter = 0;
    CHECK(105, AsmCheckedHandler(BAD_USER_ADDRESS) == 0xC0000005 && Counter == 2);
    CHECK(106, AsmFrameRegister(BAD_USER_ADDRESS, 0x100) == 0xC0000005);
    CHECK(107, AsmFrameRegister(BAD_USER_ADDRESS, 0x1340) == 0xC0000005);
    return STATUS_SUCCESS;
}

static NOINLINE ULONG CaptureDeep(ULONG Depth, PVOID *Frames, PULONG Hash)
{
    volatile ULONG count;
    if (Depth != 0) count = CaptureDeep(Depth - 1, Frames, Hash);
    else count = RtlCaptureStackBackTrace(0, 32, Frames, Hash);
    return count;
}

static NOINLINE NTSTATUS CheckWalks(PVOID ImageBase)
{
    PVOID frames[32];
    PVOID skipped[32];
    PVOID base = NULL;
    ULONG hash = 0, count, sum = 0;
    CONTEXT context;
    ULONG64 imageBase, establisher;
    PVOID data;

    count = CaptureDeep(4, frames, &hash);
    CHECK(110, count >= 7);
    for (ULONG i = 0; i < count; i++) sum += (ULONG)(ULONG_PTR)frames[i];
    CHECK(111, sum == hash);
    for (ULONG i = 0; i < 5; i++) {
        CHECK(112, (PUCHAR)frames[i] > (PUCHAR)CaptureDeep && (PUCHAR)frames[i] < (PUCHAR)CaptureDeep + 0x100);
    }
    CHECK(113, RtlCaptureStackBackTrace(1, 32, skipped, NULL) == count - 6 && skipped[0] == frames[6]);
    CHECK(114, RtlPcToFileHeader(frames[0], &base) == ImageBase && base == ImageBase);
    CHECK(115, RtlPcToFileHeader((PVOID)0x1000, &base) == NULL && base == NULL);

    RtlCaptureContext(&context);
    CHECK(116, context.Rip > (ULONG64)CheckWalks && context.Rip < (ULONG64)CheckWalks + 0x800);
    SCOPE_RUNTIME_FUNCTION *entry = RtlLookupFunctionEntry(context.Rip, &imageBase, NULL);
    CHECK(117, entry != NULL && imageBase == (ULONG64)ImageBase);
    CHECK(118, imageBase + entry->Begin == (ULONG64)CheckWalks);
    RtlVirtualUnwind(0, imageBase, context.Rip, entry, &context, &data, &establisher, NULL);
    CHECK(119, context.Rip == (ULONG64)frames[6]);
    return STATUS_SUCCESS;
}

/* ---- through the kernel: the driver calls itself with a request, and the dispatch routine faults. */

static NOINLINE NTSTATUS NTAPI SehDispatch(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(Irp);
    __try {
        Note(1);
        ReadAt((PULONG)BAD_USER_ADDRESS);
        APART();
    } __finally {
        Note(3);
    }
    return STATUS_SUCCESS;
}

static NOINLINE NTSTATUS CheckThroughKernel(PDRIVER_OBJECT DriverObject)
{
    /* A request in memory of the driver's own, as IoInitializeIrp makes it. */
    static struct {
        IRP Irp;
        IO_STACK_LOCATION Locations[1];
    } request;
    PDEVICE_OBJECT device;
    PIRP irp = &request.Irp;
    NTSTATUS status = IoCreateDevice(DriverObject, 0, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &device);
    CHECK(120, NT_SUCCESS(status));
    CHECK(121, device->StackSize == 1);
    irp->Type = IO_TYPE_IRP;
    irp->Size = sizeof(request);
    irp->StackCount = 1;
    irp->CurrentLocation = 2;
    irp->Tail.Overlay.CurrentStackLocation = &request.Locations[1];
    DriverObject->MajorFunction[IRP_MJ_FLUSH_BUFFERS] = SehDispatch;
    IoGetNextIrpStackLocation(irp)->MajorFunction = IRP_MJ_FLUSH_BUFFERS;
    Trace = 0;
    __try {
        IoCallDriver(device, irp);
        Note(9);
    } __except (NoteAnd(2, EXCEPTION_EXECUTE_HANDLER)) {
        Note(4);
    }
    IoDeleteDevice(device);
    CHECK(122, Trace == 1234);
    return STATUS_SUCCESS;
}

static VOID SehUnload(PDRIVER_OBJECT DriverObject) { UNREFERENCED_PARAMETER(DriverObject); }

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);
    DriverObject->DriverUnload = SehUnload;
    status = CheckSimple();
    if (NT_SUCCESS(status)) status = CheckProcessorExceptions();
    if (NT_SUCCESS(status)) status = CheckNesting();
    if (NT_SUCCESS(status)) status = CheckFinally();
    if (NT_SUCCESS(status)) status = CheckFilters();
    if (NT_SUCCESS(status)) status = CheckCollisions();
    if (NT_SUCCESS(status)) status = CheckRaising();
    if (NT_SUCCESS(status)) status = CheckProbes();
    if (NT_SUCCESS(status)) status = CheckAssembly();
    if (NT_SUCCESS(status)) status = CheckWalks(DriverObject->DriverStart);
    if (NT_SUCCESS(status)) status = CheckThroughKernel(DriverObject);
    return status;
}
