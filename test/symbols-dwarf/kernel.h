#pragma once
/* The few kernel names that these sources use. */
typedef unsigned int u32;
typedef unsigned char u8;
#ifdef __cplusplus
extern "C" {
#endif
__declspec(dllimport) void *ExAllocatePoolWithTag(int type, unsigned long long size, u32 tag);
__declspec(dllimport) void ExFreePoolWithTag(void *block, u32 tag);
__declspec(dllimport) void KeBugCheckEx(u32 code, u32 first, u32 second, u32 third, u32 fourth);
u32 scoreOf(u32 value);
u32 weighBoxes(u32 value);
#ifdef __cplusplus
}
#endif
