// A workload is a flat, position-independent blob whose first byte is `run`, in the Windows x64 calling convention.
// It writes only to `scratch` (1 MB, zeroed before each run) and returns a checksum that every runner must get.
#pragma once
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

#define ENTRY __attribute__((section(".text.entry"), used)) u64 run
#define NOINLINE __attribute__((noinline))
enum { SCRATCH_BYTES = 1 << 20 };

static inline u32 nextRandom(u32 *state) {
  u32 x = *state;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  return *state = x;
}
