/*
 * Hears of what is done with keys: keeps a block with each operation (from before to after it) and one with each key
 * object. LEAKY forgets the block of an operation that failed, and those of key objects when they go.
 * BLOCK refuses to let values be set, and answers for those who delete one.
 */
#include <ntifs.h>

NTSTATUS NTAPI CmCallbackGetKeyObjectIDEx(PLARGE_INTEGER, PVOID, PULONG_PTR, PCUNICODE_STRING *, ULONG);
VOID NTAPI CmCallbackReleaseKeyObjectIDEx(PCUNICODE_STRING);

#define TAG 'tliF'
#ifndef STATUS_CALLBACK_BYPASS
#define STATUS_CALLBACK_BYPASS ((NTSTATUS)0xC0000503)
#endif

static LARGE_INTEGER Cookie, Second;

static void After(PREG_POST_OPERATION_INFORMATION post)
{
#ifdef LEAKY
    if (!NT_SUCCESS(post->Status))
        return;
#endif
    if (post->CallContext != NULL)
        ExFreePoolWithTag(post->CallContext, TAG);
}

static void KeepWithKey(PVOID key)
{
    PVOID block = ExAllocatePoolWithTag(PagedPool, 48, TAG);
    PCUNICODE_STRING name;

    if (block == NULL || !NT_SUCCESS(CmSetCallbackObjectContext(key, &Cookie, block, NULL)))
        DbgPrint("no context\n");
    if (NT_SUCCESS(CmCallbackGetKeyObjectIDEx(&Cookie, key, NULL, &name, 0))) {
        DbgPrint("key %wZ in mode %d\n", name, ExGetPreviousMode());
        CmCallbackReleaseKeyObjectIDEx(name);
    }
}

static NTSTATUS OnRegistry(PVOID context, PVOID notifyClass, PVOID argument)
{
    REG_NOTIFY_CLASS what = (REG_NOTIFY_CLASS)(ULONG_PTR)notifyClass;
    PREG_POST_OPERATION_INFORMATION post = argument;

    UNREFERENCED_PARAMETER(context);
    switch (what) {
    case RegNtPreCreateKeyEx:
    case RegNtPreOpenKeyEx: {
        PREG_CREATE_KEY_INFORMATION info = argument;

        DbgPrint("%d %wZ\n", what, info->CompleteName);
        info->CallContext = ExAllocatePoolWithTag(PagedPool, 32, TAG);
        break;
    }
    case RegNtPostCreateKeyEx:
    case RegNtPostOpenKeyEx:
        DbgPrint("%d %08x\n", what, post->Status);
        After(post);
        if (post->Status == STATUS_SUCCESS)
            KeepWithKey(post->Object);
        break;
    case RegNtPreSetValueKey: {
        PREG_SET_VALUE_KEY_INFORMATION info = argument;

        DbgPrint("%d %wZ type %lu size %lu context %d\n", what, info->ValueName, info->Type, info->DataSize, info->ObjectContext != NULL);
        info->CallContext = ExAllocatePoolWithTag(PagedPool, 16, TAG);
#ifdef BLOCK
        ExFreePoolWithTag(info->CallContext, TAG);
        return STATUS_ACCESS_DENIED;
#endif
        break;
    }
    case RegNtPostSetValueKey:
        DbgPrint("%d %08x\n", what, post->Status);
        After(post);
        break;
#ifdef BLOCK
    case RegNtPreDeleteValueKey:
        return STATUS_CALLBACK_BYPASS;
    case RegNtPostQueryValueKey:
        post->ReturnStatus = STATUS_NOT_FOUND;
        return STATUS_CALLBACK_BYPASS;
#endif
    case RegNtCallbackObjectContextCleanup: {
        PREG_CALLBACK_CONTEXT_CLEANUP_INFORMATION info = argument;

        DbgPrint("%d context %d\n", what, info->ObjectContext != NULL);
#ifndef LEAKY
        ExFreePoolWithTag(info->ObjectContext, TAG);
#endif
        break;
    }
    default:
        DbgPrint("%d\n", what);
    }
    return STATUS_SUCCESS;
}

/* Of a lower altitude: hears of what the other lets pass. */
static NTSTATUS OnLower(PVOID context, PVOID notifyClass, PVOID argument)
{
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(argument);
    DbgPrint("  lower %d\n", (int)(ULONG_PTR)notifyClass);
    return STATUS_SUCCESS;
}

static void UseValue(void)
{
    UNICODE_STRING path = RTL_CONSTANT_STRING(L"\\Registry\\Machine\\Software\\Mine"), value = RTL_CONSTANT_STRING(L"Mine");
    OBJECT_ATTRIBUTES attributes;
    HANDLE key;
    ULONG data = 1, length;
    UCHAR buffer[64];

    InitializeObjectAttributes(&attributes, &path, OBJ_KERNEL_HANDLE, NULL, NULL);
    if (!NT_SUCCESS(ZwCreateKey(&key, KEY_ALL_ACCESS, &attributes, 0, NULL, 0, NULL)))
        return;
    DbgPrint("set: %08x\n", ZwSetValueKey(key, &value, 0, REG_DWORD, &data, sizeof(data)));
    DbgPrint("query: %08x\n", ZwQueryValueKey(key, &value, KeyValuePartialInformation, buffer, sizeof(buffer), &length));
    DbgPrint("delete: %08x\n", ZwDeleteValueKey(key, &value));
    ZwClose(key);
}

static void Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
    UseValue();
    CmUnRegisterCallback(Second);
    CmUnRegisterCallback(Cookie);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    UNICODE_STRING high = RTL_CONSTANT_STRING(L"380010"), low = RTL_CONSTANT_STRING(L"370010.5");
    NTSTATUS status;

    UNREFERENCED_PARAMETER(path);
    driver->DriverUnload = Unload;
    status = CmRegisterCallbackEx(OnLower, &low, driver, NULL, &Second, NULL);
    if (!NT_SUCCESS(status))
        return status;
    status = CmRegisterCallbackEx(OnRegistry, &high, driver, NULL, &Cookie, NULL);
    if (!NT_SUCCESS(status))
        CmUnRegisterCallback(Second);
    return status;
}
