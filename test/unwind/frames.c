/* Functions whose prologs and epilogs differ; run natively with the trap flag set. No imports. */
typedef unsigned long long u64;
typedef double v2 __attribute__((vector_size(16)));
#define NOINLINE __attribute__((noinline))
static volatile u64 sink;
NOINLINE static u64 leaf(u64 a) { return a * 3 + 1; }
NOINLINE static u64 small(u64 a) { return leaf(a) + leaf(a + 1); }
NOINLINE static u64 many(u64 a, u64 b, u64 c, u64 d, u64 e, u64 f) {
  u64 x = small(a), y = small(b), z = small(c), w = small(d), p = small(e), q = small(f), r = small(a ^ b);
  return small(x ^ y) + small(z * w) + small(p - q) + x + y + z + w + p + q + r;
}
NOINLINE static u64 large(u64 n) {
  volatile char buffer[70000];
  buffer[n & 0xffff] = (char)n; buffer[7] = 1;
  return small(buffer[n & 0xffff]) + buffer[7];
}
NOINLINE static u64 dynamic(u64 n) {
  volatile char *p = __builtin_alloca((n & 63) + 16);
  p[n & 15] = 3;
  u64 s = small(n);
  volatile char *q = __builtin_alloca((s & 31) + 16);
  q[1] = p[n & 15];
  return small(s) + q[1];
}
NOINLINE static double floats(double a, double b) {
  double x = a * b, y = a + b, z = a - b, w = a * a, v = b * b;
  sink += small((u64)a);
  double t = x + y * z + w * v;
  sink += small((u64)b);
  return t + x * y + z * w + v;
}
NOINLINE static u64 tail(u64 n) { sink += small(n); return n & 1 ? small(n + 5) : many(n, 1, 2, 3, 4, 5); }
NOINLINE static u64 recurse(u64 n) { if (n < 2) return n; u64 a = recurse(n - 1); return a + recurse(n - 2); }
NOINLINE static u64 cold(u64 n) { if (__builtin_expect(n == 77, 0)) { sink = small(n) + many(n, n, n, n, n, n); return dynamic(n); } return leaf(n); }
NOINLINE static u64 spill(u64 a) {
  u64 r = a;
  __asm__ volatile("nop" ::: "rbx", "rsi", "rdi", "r12", "r13", "r14", "r15", "xmm6", "xmm7", "xmm15");
  r += small(r);
  return r;
}
extern u64 asm_saves(u64), asm_chained(u64), asm_frame_far(u64), asm_lea_epilog(u64), asm_rex_jump(u64);
__declspec(dllexport) u64 call_small(u64 n) { return small(n); }
__declspec(dllexport) u64 DriverEntry(u64 n) {
  u64 r = 0;
  r += many(1, 2, 3, 4, 5, n);
  r += large(n);
  r += dynamic(n) + dynamic(n + 9);
  r += (u64)floats((double)n, 3.5);
  r += tail(n) + tail(n + 1);
  r += recurse(5);
  r += cold(n) + cold(77) + spill(n);
  r += asm_saves(n) + asm_chained(n) + asm_chained(n + 1) + asm_frame_far(n) + asm_lea_epilog(n) + asm_rex_jump(n);
  return r + sink;
}
int _fltused;
