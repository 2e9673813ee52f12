/*
 * The registry as drivers use it, checked by the driver itself: its service key, keys and values of its own, queries by
 * table. DriverEntry fails with the line of the first check that does. Three things are left behind on purpose.
 */
#include <ntddk.h>

#ifndef RTL_QUERY_REGISTRY_TYPECHECK
#define RTL_QUERY_REGISTRY_TYPECHECK 0x00000100
#endif
#define TYPECHECK(type) ((type) << 24)

static ULONG FailedLine;
#define CHECK(condition)                                       \
    do {                                                       \
        if (!(condition) && FailedLine == 0) {                 \
            FailedLine = __LINE__;                             \
            DbgPrint("line %lu: %s\n", FailedLine, #condition); \
        }                                                      \
    } while (0)

static LARGE_INTEGER Cookie;
static ULONG Calls;

static HANDLE Open(HANDLE root, PCWSTR name, NTSTATUS expected)
{
    UNICODE_STRING string;
    OBJECT_ATTRIBUTES attributes;
    HANDLE handle = NULL;
    RtlInitUnicodeString(&string, name);
    InitializeObjectAttributes(&attributes, &string, OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE, root, NULL);
    CHECK(ZwOpenKey(&handle, KEY_ALL_ACCESS, &attributes) == expected);
    return handle;
}

static HANDLE Create(HANDLE root, PCWSTR name, ULONG options, ULONG expected)
{
    UNICODE_STRING string;
    OBJECT_ATTRIBUTES attributes;
    HANDLE handle = NULL;
    ULONG disposition = 0;
    RtlInitUnicodeString(&string, name);
    InitializeObjectAttributes(&attributes, &string, OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE, root, NULL);
    CHECK(ZwCreateKey(&handle, KEY_ALL_ACCESS, &attributes, 0, NULL, options, &disposition) == STATUS_SUCCESS);
    CHECK(disposition == expected);
    return handle;
}

/* Returns the length that a value takes; its data is in `buffer`. */
static ULONG Query(HANDLE key, PCWSTR name, KEY_VALUE_INFORMATION_CLASS class, PVOID buffer, ULONG length,
                   NTSTATUS expected)
{
    UNICODE_STRING string;
    ULONG told = 0;
    RtlInitUnicodeString(&string, name);
    CHECK(ZwQueryValueKey(key, &string, class, buffer, length, &told) == expected);
    return told;
}

static void CheckService(PUNICODE_STRING path)
{
    static const WCHAR image[] = L"\\SystemRoot\\System32\\drivers\\registry.sys";
    OBJECT_ATTRIBUTES attributes;
    HANDLE service;
    ULONG told;
    UCHAR buffer[256];
    PKEY_VALUE_PARTIAL_INFORMATION partial = (PVOID)buffer;
    PKEY_VALUE_FULL_INFORMATION full = (PVOID)buffer;
    InitializeObjectAttributes(&attributes, path, OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK(ZwOpenKey(&service, KEY_READ, &attributes) == STATUS_SUCCESS);

    told = Query(service, L"start", KeyValuePartialInformation, buffer, sizeof(buffer), STATUS_SUCCESS);
    CHECK(told == FIELD_OFFSET(KEY_VALUE_PARTIAL_INFORMATION, Data) + sizeof(ULONG));
    CHECK(partial->Type == REG_DWORD && partial->DataLength == 4 && *(PULONG)partial->Data == 3);
    told = Query(service, L"ImagePath", KeyValueFullInformation, buffer, sizeof(buffer), STATUS_SUCCESS);
    CHECK(full->Type == REG_EXPAND_SZ && full->DataLength == sizeof(image));
    CHECK(full->NameLength == sizeof(L"ImagePath") - sizeof(WCHAR) && told == full->DataOffset + full->DataLength);
    CHECK(RtlCompareMemory(buffer + full->DataOffset, image, sizeof(image)) == sizeof(image));

    told = Query(service, L"Type", KeyValuePartialInformation, buffer, 0, STATUS_BUFFER_TOO_SMALL);
    CHECK(Query(service, L"Type", KeyValuePartialInformation, buffer, told - 1, STATUS_BUFFER_OVERFLOW) == told);
    Query(service, L"NoSuchValue", KeyValuePartialInformation, buffer, sizeof(buffer), STATUS_OBJECT_NAME_NOT_FOUND);
    ZwClose(Open(service, L"Parameters", STATUS_SUCCESS));
    Open(service, L"NoSuchKey", STATUS_OBJECT_NAME_NOT_FOUND);
    ZwClose(service);
}

static void CheckKeys(HANDLE parameters)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"Count");
    HANDLE outer = Create(parameters, L"Outer", REG_OPTION_NON_VOLATILE, REG_CREATED_NEW_KEY);
    HANDLE inner = Create(outer, L"Inner", REG_OPTION_VOLATILE, REG_CREATED_NEW_KEY);
    ULONG value = 5, told, index = 0;
    UCHAR buffer[128];
    PKEY_FULL_INFORMATION full = (PVOID)buffer;
    PKEY_BASIC_INFORMATION basic = (PVOID)buffer;
    NTSTATUS status;
    ZwClose(Create(parameters, L"OUTER", REG_OPTION_NON_VOLATILE, REG_OPENED_EXISTING_KEY));

    CHECK(ZwSetValueKey(outer, &name, 0, REG_DWORD, &value, sizeof(value)) == STATUS_SUCCESS);
    CHECK(ZwQueryKey(outer, KeyFullInformation, buffer, sizeof(buffer), &told) == STATUS_SUCCESS);
    CHECK(told == FIELD_OFFSET(KEY_FULL_INFORMATION, Class) && full->SubKeys == 1 && full->Values == 1);
    CHECK(full->MaxNameLen == 10 && full->MaxValueNameLen == 10 && full->MaxValueDataLen == 4);
    while ((status = ZwEnumerateKey(outer, index, KeyBasicInformation, buffer, sizeof(buffer), &told)) == STATUS_SUCCESS)
        index++;
    CHECK(status == STATUS_NO_MORE_ENTRIES && index == 1 && basic->NameLength == 10 && basic->Name[4] == L'r');
    CHECK(told == FIELD_OFFSET(KEY_BASIC_INFORMATION, Name) + 10);
    CHECK(ZwEnumerateValueKey(outer, 1, KeyValueBasicInformation, buffer, sizeof(buffer), &told) == STATUS_NO_MORE_ENTRIES);

    CHECK(ZwDeleteKey(outer) == STATUS_CANNOT_DELETE);
    CHECK(ZwDeleteKey(inner) == STATUS_SUCCESS);
    CHECK(ZwFlushKey(inner) == STATUS_KEY_DELETED);
    CHECK(ZwDeleteValueKey(outer, &name) == STATUS_SUCCESS);
    CHECK(ZwDeleteKey(outer) == STATUS_SUCCESS);
    ZwClose(inner);
    ZwClose(outer);
}

static NTSTATUS NTAPI Routine(PWSTR name, ULONG type, PVOID data, ULONG length, PVOID context, PVOID entryContext)
{
    CHECK(type == REG_SZ && length == 4 && name[0] == L'L' && ((PWSTR)data)[1] == 0);
    CHECK(context == &Calls && entryContext == &Cookie);
    CHECK(((PWSTR)data)[0] == L'a' + Calls);
    Calls++;
    return STATUS_SUCCESS;
}

/* A string that the query allocated; the caller frees it. */
static void CheckQuery(PUNICODE_STRING path, PUNICODE_STRING allocated)
{
    static const WCHAR list[] = L"a\0b\0c\0";
    WCHAR small[2] = {0};
    UNICODE_STRING fixed = {0, sizeof(small), small};
    ULONG start = 0, fallback = 42, limit = 0;
    const ULONG direct = RTL_QUERY_REGISTRY_DIRECT | RTL_QUERY_REGISTRY_NOEXPAND | RTL_QUERY_REGISTRY_TYPECHECK;
    RTL_QUERY_REGISTRY_TABLE table[6] = {
        {NULL, direct | RTL_QUERY_REGISTRY_REQUIRED, L"Start", &start, TYPECHECK(REG_DWORD), NULL, 0},
        {NULL, direct, L"DisplayName", allocated, TYPECHECK(REG_SZ), NULL, 0},
        {NULL, RTL_QUERY_REGISTRY_SUBKEY, L"Parameters", NULL, 0, NULL, 0},
        {NULL, direct, L"Limit", &limit, TYPECHECK(REG_DWORD) | REG_DWORD, &fallback, sizeof(fallback)},
        {Routine, RTL_QUERY_REGISTRY_DELETE, L"List", &Cookie, 0, NULL, 0},
    };
    CHECK(RtlWriteRegistryValue(RTL_REGISTRY_SERVICES, L"registry\\Parameters", L"List", REG_MULTI_SZ, (PVOID)list,
                                sizeof(list)) == STATUS_SUCCESS);
    CHECK(RtlQueryRegistryValues(RTL_REGISTRY_ABSOLUTE, path->Buffer, table, &Calls, NULL) == STATUS_SUCCESS);
    CHECK(start == 3 && limit == 42 && Calls == 3);
    CHECK(allocated->Length == 16 && allocated->MaximumLength == 18 && allocated->Buffer[7] == L'y');
    CHECK(RtlDeleteRegistryValue(RTL_REGISTRY_SERVICES, L"registry\\Parameters", L"List") == STATUS_OBJECT_NAME_NOT_FOUND);

    table[0].Name = L"DisplayName";
    CHECK(RtlQueryRegistryValues(RTL_REGISTRY_SERVICES, L"registry", table, NULL, NULL) == STATUS_OBJECT_TYPE_MISMATCH);
    table[0].DefaultType = TYPECHECK(REG_SZ);
    table[0].EntryContext = &fixed;
    CHECK(RtlQueryRegistryValues(RTL_REGISTRY_SERVICES, L"registry", table, NULL, NULL) == STATUS_BUFFER_TOO_SMALL);
    CHECK(RtlCheckRegistryKey(RTL_REGISTRY_SERVICES, L"registry\\None") == STATUS_OBJECT_NAME_NOT_FOUND);
}

static NTSTATUS NTAPI Changed(PVOID context, PVOID argument1, PVOID argument2)
{
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(argument1);
    UNREFERENCED_PARAMETER(argument2);
    return STATUS_SUCCESS;
}

static VOID NTAPI Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    UNICODE_STRING altitude = RTL_CONSTANT_STRING(L"380010");
    UNICODE_STRING freed = {0}, leaked = {0};
    HANDLE service, parameters;
    driver->DriverUnload = Unload;
    CheckService(path);
    service = Open(NULL, L"\\Registry\\Machine\\System\\CurrentControlSet\\Services\\registry", STATUS_SUCCESS);
    parameters = Open(service, L"Parameters", STATUS_SUCCESS);
    ZwClose(service);
    CheckKeys(parameters);
    CheckQuery(path, &freed);
    RtlFreeUnicodeString(&freed);
    ZwClose(parameters);
    CHECK(CmRegisterCallbackEx(Changed, &altitude, driver, NULL, &Cookie, NULL) == STATUS_SUCCESS);
    CHECK(CmUnRegisterCallback(Cookie) == STATUS_SUCCESS);

    Calls = 0;
    CheckQuery(path, &leaked); /* left behind: the string */
    service = NULL;
    parameters = Open(service, L"\\Registry\\Machine\\Software\\Microsoft", STATUS_SUCCESS); /* the handle */
    CmRegisterCallbackEx(Changed, &altitude, driver, NULL, &Cookie, NULL); /* the callback */
    return FailedLine == 0 ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
}
