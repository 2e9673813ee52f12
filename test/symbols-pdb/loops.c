#include "inline-levels.h"

static UINT32 table[16];

static UINT32 walk(UINT32 n) {
  UINT32 s = 0;
  for (UINT32 i = 0; i < n; i++) {
    s += table[i & 15];
    if (s & 1)
      s += innermost(s);
  }
  return s;
}

UINT32 other(UINT32 n) {
  switch (n) {
  case 0:
    return walk(3);
  case 1:
    return middle(1);
  case 2:
    return walk(n) + middle(n);
  case 3:
    return (UINT32)(SIZE_T)allocate(n, 1);
  case 4:
    return 9;
  default:
    break;
  }
  return walk(n + 1);
}

void loop(UINT32 *p, UINT32 n) {
  while (n--)
    *p++ += innermost(n) + other(*p);
}
