// Calls and returns: a doubly recursive Fibonacci, and a quicksort that compares through a function pointer.
#include "workload.h"

static NOINLINE u64 fibonacci(u32 n) {
  // The asm keeps the compiler from turning the recursion into a loop.
  __asm__ volatile("" : "+r"(n));
  if (n < 2) return n;
  u64 first = fibonacci(n - 1);
  __asm__ volatile("" : "+r"(first));
  return first + fibonacci(n - 2);
}

typedef int Compare(const u32 *, const u32 *);
static NOINLINE int ascending(const u32 *a, const u32 *b) { return *a < *b ? -1 : *a > *b; }
static NOINLINE int byLowHalf(const u32 *a, const u32 *b) {
  u16 x = (u16)*a, y = (u16)*b;
  return x != y ? (x < y ? -1 : 1) : ascending(a, b);
}

static NOINLINE void sort(u32 *items, i64 count, Compare *compare) {
  while (count > 1) {
    u32 pivot = items[count / 2];
    i64 low = 0, high = count - 1;
    while (low <= high) {
      while (compare(&items[low], &pivot) < 0) low++;
      while (compare(&items[high], &pivot) > 0) high--;
      if (low > high) break;
      u32 swapped = items[low];
      items[low++] = items[high];
      items[high--] = swapped;
    }
    sort(items, high + 1, compare);
    items += low;
    count -= low;
  }
}

ENTRY(u64 count, u8 *scratch) {
  u32 *items = (u32 *)scratch, seed = 2463534242u;
  u64 sum = 0;
  for (u64 n = 0; n < count; n++) {
    sum += fibonacci(20 + (n & 3));
    for (int i = 0; i < 2000; i++) items[i] = nextRandom(&seed);
    sort(items, 2000, n & 1 ? byLowHalf : ascending);
    for (int i = 0; i < 2000; i += 7) sum = sum * 31 + items[i];
  }
  return sum;
}
