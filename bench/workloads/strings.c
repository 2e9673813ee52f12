// Bytes: copies in words and by `rep movsb`, string scans, a table-driven CRC-32, UTF-16 case folding, SSE2 compares.
#include "workload.h"
#include <emmintrin.h>

static NOINLINE void makeTable(u32 table[256]) {
  for (u32 i = 0; i < 256; i++) {
    u32 c = i;
    for (int bit = 0; bit < 8; bit++) c = c & 1 ? c >> 1 ^ 0xedb88320u : c >> 1;
    table[i] = c;
  }
}
static NOINLINE u32 crc32(const u32 table[256], const u8 *bytes, u64 length) {
  u32 c = ~0u;
  while (length--) c = table[(c ^ *bytes++) & 255] ^ c >> 8;
  return ~c;
}
static NOINLINE void copyWords(u64 *to, const u64 *from, u64 words) {
  for (u64 i = 0; i < words; i++) to[i] = from[i];
}
static NOINLINE void copyVectors(u8 *to, const u8 *from, u64 bytes) {
  for (u64 i = 0; i < bytes; i += 32) {
    __m128i a = _mm_loadu_si128((const __m128i *)(from + i)), b = _mm_loadu_si128((const __m128i *)(from + i + 16));
    _mm_storeu_si128((__m128i *)(to + i), a);
    _mm_storeu_si128((__m128i *)(to + i + 16), b);
  }
}
static NOINLINE void copyString(u8 *to, const u8 *from, u64 bytes) {
  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
}
static NOINLINE u64 lengthOf(const u8 *text) {
  u64 n = 0;
  while (text[n]) n++;
  return n;
}
static NOINLINE u64 countByte(const u8 *bytes, u64 length, u8 wanted) {
  __m128i pattern = _mm_set1_epi8((char)wanted);
  u64 count = 0;
  for (u64 i = 0; i < length; i += 16) {
    u32 mask = (u32)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(bytes + i)), pattern));
    for (; mask; mask &= mask - 1) count += i + (u64)__builtin_ctz(mask);
  }
  return count;
}
static NOINLINE u32 compareFolded(const u16 *a, const u16 *b, u64 length) {
  for (u64 i = 0; i < length; i++) {
    u16 x = a[i], y = b[i];
    if (x >= 'a' && x <= 'z') x -= 32;
    if (y >= 'a' && y <= 'z') y -= 32;
    if (x != y) return (u32)(i + 1);
  }
  return 0;
}

ENTRY(u64 count, u8 *scratch) {
  u32 *table = (u32 *)scratch, seed = 7;
  u8 *a = scratch + 0x1000, *b = scratch + 0x9000;
  makeTable(table);
  for (int i = 0; i < 0x4000; i++) a[i] = (u8)("the quick brown fox jumps over the lazy dog"[nextRandom(&seed) % 43]);
  a[0x3fff] = 0;
  u64 sum = 0;
  for (u64 n = 0; n < count; n++) {
    a[n & 0x3ff8] ^= 0x20;
    sum = sum * 31 + crc32(table, a, 0x1000);
    copyWords((u64 *)b, (const u64 *)a, 0x800);
    sum += lengthOf(b);
    copyVectors(b + 0x4000, a + 3, 0x3fe0);
    sum += countByte(b + 0x4000, 0x3fe0, 'o');
    copyString(b, a + 5, 0x2000);
    b[0x1000] = (u8)n | 1;
    sum += compareFolded((const u16 *)b, (const u16 *)(a + 5), 0x1000);
  }
  return sum;
}
