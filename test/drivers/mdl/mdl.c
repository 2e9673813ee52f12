/*
 * MDLs and memory, checked by the driver itself with the header's inline routines. DriverEntry gets a user buffer of
 * 0x2800 bytes in the place of the registry path and returns STATUS_SUCCESS, or 0xE0000000 plus the number of the first
 * check that failed.
 */
#include <ntddk.h>
#include <excpt.h>

#define NOINLINE __attribute__((noinline))
#define FAILED_CHECK(number) ((NTSTATUS)(0xE0000000u | (number)))
#define CHECK(number, condition) \
    do { if (!(condition)) return FAILED_CHECK(number); } while (0)
#define BUFFER_BYTES 0x2800
#define TAG 'TldM'

static NOINLINE NTSTATUS Lock(PMDL mdl, KPROCESSOR_MODE mode, LOCK_OPERATION operation)
{
    __try {
        MmProbeAndLockPages(mdl, mode, operation);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        return (NTSTATUS)_exception_code();
    }
    return STATUS_SUCCESS;
}

static NOINLINE NTSTATUS CheckUserBuffer(PUCHAR buffer)
{
    PMDL mdl = IoAllocateMdl(buffer, BUFFER_BYTES, FALSE, FALSE, NULL);
    CHECK(1, mdl != NULL);
    CHECK(2, mdl->Size == (CSHORT)MmSizeOfMdl(buffer, BUFFER_BYTES));
    CHECK(3, MmGetMdlVirtualAddress(mdl) == buffer);
    CHECK(4, MmGetMdlByteCount(mdl) == BUFFER_BYTES);
    CHECK(5, MmGetMdlByteOffset(mdl) == BYTE_OFFSET(buffer));
    CHECK(6, Lock(mdl, UserMode, IoWriteAccess) == STATUS_SUCCESS);
    CHECK(7, (mdl->MdlFlags & (MDL_PAGES_LOCKED | MDL_WRITE_OPERATION)) == (MDL_PAGES_LOCKED | MDL_WRITE_OPERATION));

    PUCHAR system = MmGetSystemAddressForMdlSafe(mdl, NormalPagePriority);
    CHECK(8, system != NULL && system != buffer && (LONG_PTR)system < 0);
    CHECK(9, MmGetSystemAddressForMdlSafe(mdl, NormalPagePriority) == system);
    CHECK(10, BYTE_OFFSET(system) == BYTE_OFFSET(buffer));
    for (ULONG index = 0; index < BUFFER_BYTES; index += 0x400) system[index] = (UCHAR)(index >> 10);
    for (ULONG index = 0; index < BUFFER_BYTES; index += 0x400) CHECK(11, buffer[index] == (UCHAR)(index >> 10));

    PPFN_NUMBER pfns = MmGetMdlPfnArray(mdl);
    ULONG pages = ADDRESS_AND_SIZE_TO_SPAN_PAGES(buffer, BUFFER_BYTES);
    for (ULONG index = 0; index < pages; index++) {
        PHYSICAL_ADDRESS address = MmGetPhysicalAddress((PUCHAR)PAGE_ALIGN(system) + index * PAGE_SIZE);
        CHECK(12, (PFN_NUMBER)(address.QuadPart >> PAGE_SHIFT) == pfns[index]);
        CHECK(13, MmGetPhysicalAddress((PUCHAR)PAGE_ALIGN(buffer) + index * PAGE_SIZE).QuadPart == address.QuadPart);
    }

    PMDL part = IoAllocateMdl(buffer + 0x1100, 0x400, FALSE, FALSE, NULL);
    CHECK(14, part != NULL);
    IoBuildPartialMdl(mdl, part, buffer + 0x1100, 0x400);
    PUCHAR partial = MmGetSystemAddressForMdlSafe(part, NormalPagePriority);
    CHECK(15, partial == system + 0x1100);
    partial[3] = 0x5C;
    CHECK(16, buffer[0x1103] == 0x5C);
    IoFreeMdl(part);
    CHECK(17, MmIsAddressValid(system));

    MmUnlockPages(mdl);
    CHECK(18, !MmIsAddressValid(system));
    CHECK(19, (mdl->MdlFlags & (MDL_PAGES_LOCKED | MDL_MAPPED_TO_SYSTEM_VA)) == 0);

    CHECK(20, Lock(mdl, UserMode, IoReadAccess) == STATUS_SUCCESS);
    part = IoAllocateMdl(buffer + 0x1100, 0x400, FALSE, FALSE, NULL);
    IoBuildPartialMdl(mdl, part, buffer + 0x1100, 0x400);
    partial = MmGetSystemAddressForMdlSafe(part, NormalPagePriority);
    CHECK(21, partial != NULL && partial[3] == 0x5C);
    CHECK(22, (part->MdlFlags & MDL_PARTIAL_HAS_BEEN_MAPPED) != 0);
    MmPrepareMdlForReuse(part);
    CHECK(23, !MmIsAddressValid(partial));
    IoFreeMdl(part);
    MmUnlockPages(mdl);
    IoFreeMdl(mdl);
    return STATUS_SUCCESS;
}

static NOINLINE NTSTATUS CheckBadBuffers(PUCHAR buffer, PVOID systemBuffer)
{
    struct { PVOID address; ULONG bytes; } bad[] = {
        { buffer, BUFFER_BYTES + 0x1000 }, { (PVOID)0x10, 8 }, { (PVOID)0x123456789000, 8 }, { systemBuffer, 8 },
        { (PVOID)((ULONG_PTR)MmUserProbeAddress - 8), 16 }, { (PVOID)0x8000000000000000, 8 },
    };
    for (ULONG index = 0; index < sizeof bad / sizeof *bad; index++) {
        PMDL mdl = IoAllocateMdl(bad[index].address, bad[index].bytes, FALSE, FALSE, NULL);
        CHECK(30 + index, Lock(mdl, UserMode, IoReadAccess) == STATUS_ACCESS_VIOLATION);
        CHECK(40 + index, (mdl->MdlFlags & MDL_PAGES_LOCKED) == 0);
        IoFreeMdl(mdl);
    }
    return STATUS_SUCCESS;
}

static NOINLINE NTSTATUS CheckPool(PUCHAR pool)
{
    PMDL mdl = IoAllocateMdl(pool + 0x80, 0x1000, FALSE, FALSE, NULL);
    MmBuildMdlForNonPagedPool(mdl);
    CHECK(50, MmGetSystemAddressForMdlSafe(mdl, NormalPagePriority) == pool + 0x80);
    CHECK(51, (mdl->MdlFlags & MDL_SOURCE_IS_NONPAGED_POOL) != 0);
    PUCHAR user = MmMapLockedPagesSpecifyCache(mdl, UserMode, MmCached, NULL, FALSE, NormalPagePriority);
    CHECK(52, (LONG_PTR)user > 0);
    user[0x20] = 0x33;
    CHECK(53, pool[0xA0] == 0x33);
    MmUnmapLockedPages(user, mdl);
    IoFreeMdl(mdl);
    return STATUS_SUCCESS;
}

static NOINLINE NTSTATUS CheckPages(VOID)
{
    PHYSICAL_ADDRESS low = { .QuadPart = 0 }, high = { .QuadPart = -1 }, skip = { .QuadPart = 0 };
    PMDL mdl = MmAllocatePagesForMdl(low, high, skip, 0x2000);
    CHECK(60, mdl != NULL && MmGetMdlByteCount(mdl) == 0x2000);
    PUCHAR va = MmMapLockedPagesSpecifyCache(mdl, KernelMode, MmCached, NULL, FALSE, NormalPagePriority);
    CHECK(61, va != NULL);
    for (ULONG index = 0; index < 0x2000; index++) CHECK(62, va[index] == 0);
    MmUnmapLockedPages(va, mdl);
    MmFreePagesFromMdl(mdl);
    ExFreePool(mdl);

    PHYSICAL_ADDRESS limit = { .QuadPart = 0xFFFFFFFF };
    PUCHAR contiguous = MmAllocateContiguousMemory(0x3000, limit);
    CHECK(63, contiguous != NULL && BYTE_OFFSET(contiguous) == 0);
    LONGLONG first = MmGetPhysicalAddress(contiguous).QuadPart;
    CHECK(64, MmGetPhysicalAddress(contiguous + 0x2FFF).QuadPart == first + 0x2FFF);
    PHYSICAL_ADDRESS middle = { .QuadPart = first + 0x1000 };
    PULONG io = MmMapIoSpace(middle, 0x1000, MmNonCached);
    CHECK(65, io != NULL);
    io[1] = 0x12345678;
    CHECK(66, *(PULONG)(contiguous + 0x1004) == 0x12345678);
    MmUnmapIoSpace(io, 0x1000);
    MmFreeContiguousMemory(contiguous);
    return STATUS_SUCCESS;
}

typedef ULONG (NTAPI *SIZE_ROUTINE)(PVOID, SIZE_T);

static NOINLINE NTSTATUS CheckRoutines(VOID)
{
    UNICODE_STRING name;
    RtlInitUnicodeString(&name, L"MmSizeOfMdl");
    SIZE_ROUTINE sizeOfMdl = (SIZE_ROUTINE)(ULONG_PTR)MmGetSystemRoutineAddress(&name);
    CHECK(70, sizeOfMdl != NULL && sizeOfMdl((PVOID)0xFFF, 2) == sizeof(MDL) + 2 * sizeof(PFN_NUMBER));
    RtlInitUnicodeString(&name, L"MmNoSuchRoutine");
    CHECK(71, MmGetSystemRoutineAddress(&name) == NULL);
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING userBuffer)
{
    (void)driver;
    PUCHAR pool = ExAllocatePoolWithTag(NonPagedPool, 0x2000, TAG);
    NTSTATUS status = CheckUserBuffer((PUCHAR)userBuffer);
    if (NT_SUCCESS(status)) status = CheckBadBuffers((PUCHAR)userBuffer, pool);
    if (NT_SUCCESS(status)) status = CheckPool(pool);
    if (NT_SUCCESS(status)) status = CheckPages();
    if (NT_SUCCESS(status)) status = CheckRoutines();
    ExFreePoolWithTag(pool, TAG);
    return status;
}
