#pragma once

typedef unsigned int UINT32;
typedef unsigned long long SIZE_T;
unsigned int DbgPrint(const char *format, ...);
void *ExAllocatePoolWithTag(int type, SIZE_T bytes, UINT32 tag);
void ExFreePool(void *block);

#define INLINE static inline __attribute__((always_inline))

INLINE UINT32 innermost(UINT32 x) {
  if (x > 7)
    x ^= 0x55;
  DbgPrint("innermost %u\n", x);
  return x * 3;
}

INLINE UINT32 middle(UINT32 x) {
  UINT32 r = innermost(x + 1);
  DbgPrint("middle %u\n", r);
  r += innermost(r);
  return r;
}

static inline void *allocate(SIZE_T bytes, UINT32 tag) {
  void *p = ExAllocatePoolWithTag(0, bytes + middle((UINT32)bytes), tag);
  if (!p)
    return 0;
  *(volatile UINT32 *)p = middle(tag);
  return p;
}
