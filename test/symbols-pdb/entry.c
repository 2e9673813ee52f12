#include "inline-levels.h"

UINT32 g_Count;
static UINT32 s_Count;
UINT32 other(UINT32 n);
void loop(UINT32 *p, UINT32 n);
int cppRun(int x);

static void unload(void *driver) {
  (void)driver;
  DbgPrint("bye %u\n", g_Count);
}

static __attribute__((noinline)) UINT32 withBody(UINT32 n) {
  static UINT32 inner;
  inner += n;
#include "body.inc"
  {
    UINT32 twice = n * 2;
    DbgPrint("%u %u\n", twice, inner);
  }
  return n;
}

int DriverEntry(void **driver, void *path) {
  void *a = allocate(32, 'kaeL');
  void *b = allocate(64, 'kaeM');
  (void)path;
  if (a) {
    ExFreePool(a);
    if (b && g_Count)
      ExFreePool(b);
  }
  UINT32 v[4];
  for (UINT32 i = 0; i < 4; i++)
    v[i] = middle(i) + other(i);
  loop(v, 4);
  s_Count += v[2] + cppRun(3);
  g_Count = s_Count + withBody(v[1]);
  driver[13] = (void *)unload;
  return 0;
}
