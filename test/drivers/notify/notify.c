/*
 * Keeps a record of each process that is there, and says what else it hears of. The clean one gives every record back;
 * LEAKY makes a block that it loses when a process ends, and leaves the records of those that are there at its unload.
 */
#include <ntifs.h>
#include <stdarg.h>

#define TAG 'yfiN'
typedef struct _RECORD {
    LIST_ENTRY Link;
    HANDLE ProcessId;
} RECORD;

static LIST_ENTRY Processes;
static KSPIN_LOCK Lock;

static void Forget(HANDLE id)
{
    KIRQL irql;
    PLIST_ENTRY entry;
    RECORD *found = NULL;

    KeAcquireSpinLock(&Lock, &irql);
    for (entry = Processes.Flink; entry != &Processes; entry = entry->Flink) {
        RECORD *record = CONTAINING_RECORD(entry, RECORD, Link);
        if (id == NULL || record->ProcessId == id) {
            RemoveEntryList(entry);
            found = record;
            break;
        }
    }
    KeReleaseSpinLock(&Lock, irql);
    if (found != NULL) {
        ExFreePoolWithTag(found, TAG);
        if (id == NULL)
            Forget(NULL);
    }
}

static void OnProcess(HANDLE parent, HANDLE id, BOOLEAN create)
{
    DbgPrint("process %lu of %lu: %d in %lu, IRQL %d, APCs %s\n", (ULONG)(ULONG_PTR)id, (ULONG)(ULONG_PTR)parent, create,
             (ULONG)(ULONG_PTR)PsGetCurrentProcessId(), KeGetCurrentIrql(), KeAreApcsDisabled() ? "off" : "on");
    if (create) {
        RECORD *record = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(RECORD), TAG);
        KIRQL irql;

        if (record == NULL)
            return;
        record->ProcessId = id;
        KeAcquireSpinLock(&Lock, &irql);
        InsertTailList(&Processes, &record->Link);
        KeReleaseSpinLock(&Lock, irql);
    }
    else {
        Forget(id);
#ifdef LEAKY
        ExAllocatePoolWithTag(PagedPool, 100, TAG);
#endif
    }
}

static void OnProcessEx(PEPROCESS process, HANDLE id, PPS_CREATE_NOTIFY_INFO info)
{
    if (info == NULL) {
        DbgPrint("ex %lu ends\n", (ULONG)(ULONG_PTR)id);
        return;
    }
    DbgPrint("ex %lu: %wZ, file %wZ, by %lu, %s\n", (ULONG)(ULONG_PTR)id, info->ImageFileName, &info->FileObject->FileName,
             (ULONG)(ULONG_PTR)info->CreatingThreadId.UniqueProcess, PsGetProcessId(process) == id ? "itself" : "another");
#ifdef DENY
    info->CreationStatus = STATUS_ACCESS_DENIED;
#endif
}

static void OnThread(HANDLE process, HANDLE thread, BOOLEAN create)
{
    UNREFERENCED_PARAMETER(thread);
    DbgPrint("thread of %lu: %d in %lu\n", (ULONG)(ULONG_PTR)process, create, (ULONG)(ULONG_PTR)PsGetCurrentProcessId());
}

static void OnImage(PUNICODE_STRING name, HANDLE process, PIMAGE_INFO info)
{
    DbgPrint("image %wZ of %lu: %s, %04x\n", name, (ULONG)(ULONG_PTR)process, info->SystemModeImage ? "system" : "user",
             *(PUSHORT)info->ImageBase);
}

static void Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
    PsSetCreateProcessNotifyRoutine(OnProcess, TRUE);
    PsSetCreateProcessNotifyRoutineEx(OnProcessEx, TRUE);
    PsRemoveCreateThreadNotifyRoutine(OnThread);
    PsRemoveLoadImageNotifyRoutine(OnImage);
#ifndef LEAKY
    Forget(NULL);
#endif
}

NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    NTSTATUS status;

    UNREFERENCED_PARAMETER(path);
    InitializeListHead(&Processes);
    KeInitializeSpinLock(&Lock);
    driver->DriverUnload = Unload;
    status = PsSetCreateProcessNotifyRoutine(OnProcess, FALSE);
    if (NT_SUCCESS(status))
        status = PsSetCreateProcessNotifyRoutineEx(OnProcessEx, FALSE);
    if (NT_SUCCESS(status))
        status = PsSetCreateThreadNotifyRoutine(OnThread);
    if (NT_SUCCESS(status))
        status = PsSetLoadImageNotifyRoutine(OnImage);
    return status;
}
