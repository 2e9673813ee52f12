// Chooses operand values. A form's `inputs` is a list of tokens separated by blanks:
//   rax:v32      integer edge values in the low 32 bits (8, 16, 32, 64); the rest keeps its base value
//   rax:w        two byte-sized edge values, in AL and AH
//   rcx:c32      shift counts around an operand size of 32, in CL
//   rcx:k5       the constant 5 in the whole register
//   rcx:b32      bit offset as a signed 32-bit value, reaching 128 bytes to both sides
//   rbx:p-8/v32  pointer to a place in the window less 8 bytes; the place holds a v32 value
//   rbx:a16/f32x4  the same, aligned to 16, holding four float values
//   xmm1:x8      sixteen 8-bit edge values (x8 x16 x32 x64); xmm1:f32, xmm1:f64 floating-point edge values
//   div:32:s     dividend in rDX:rAX for the divisor chosen last, mostly without overflow (u: unsigned, s: signed)
//   str:8:m:r    string operation on elements of 8 bits: m copy, c compare, s scan, l load, t store; r with a count
//   e64          (after /) memory equal to rDX:rAX half of the time
//   df           random direction flag; norel: the result depends on where code and window are
#include "generator.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t randomState;
void seedFrom(const char *text) {
  uint64_t h = 0xcbf29ce484222325ull;
  for (; *text; text++) h = (h ^ (uint8_t)*text) * 0x100000001b3ull;
  randomState = h | 1;
}
uint64_t random64(void) {
  randomState ^= randomState >> 12;
  randomState ^= randomState << 25;
  randomState ^= randomState >> 27;
  return randomState * 0x2545f4914f6cdd1dull;
}
uint32_t below(uint32_t limit) { return (uint32_t)((random64() >> 33) % limit); }

State base;
void initBase(void) {
  seedFrom("base state");
  for (int i = 0; i < 16; i++) base.gpr[i] = random64();
  base.gpr[RSP] = STACK_TOP;
  for (int i = 0; i < 16; i++)
    for (int j = 0; j < 16; j++) base.xmm[i][j] = (uint8_t)(random64() >> 40);
  for (int i = 0; i < WINDOW_SIZE; i++) base.memory[i] = (uint8_t)(random64() >> 40);
  base.rflags = 0x202;
  base.mxcsr = 0x1f80;
  base.rip = CODE_VA;
  base.exception = -1;
}

static uint64_t maskOf(int bits) { return bits == 64 ? ~0ull : (1ull << bits) - 1; }

static uint64_t integerEdge(int bits, unsigned i) {
  uint64_t top = 1ull << (bits - 1);
  const uint64_t edges[16] = {0, 1, ~0ull, top, top - 1, top + 1, ~1ull, 2, 1ull << (bits / 2), (1ull << (bits / 2)) - 1,
                              0x5555555555555555ull, 0xaaaaaaaaaaaaaaaaull, 0x0f, 0x10, top >> 1, ~0ull << (bits / 2)};
  return edges[i % 16] & maskOf(bits);
}
static const uint32_t floatEdges[] = {
    0x00000000, 0x80000000, 0x3f800000, 0xbf800000, 0x3f000000, 0x3fc00000, 0x40200000, 0xc0200000, 0x00000001, 0x807fffff,
    0x00800000, 0x7f7fffff, 0xff7fffff, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000, 0x7fc12345, 0x7f812345, 0xff812345,
    0x4effffff, 0x4f000000, 0xcf000000, 0xcf000001, 0x5effffff, 0x5f000000, 0xdf000000, 0x4b000001, 0x3effffff, 0x40490fdb};
static const uint64_t doubleEdges[] = {
    0x0000000000000000, 0x8000000000000000, 0x3ff0000000000000, 0xbff0000000000000, 0x3fe0000000000000, 0x3ff8000000000000,
    0x4004000000000000, 0xc004000000000000, 0x0000000000000001, 0x800fffffffffffff, 0x0010000000000000, 0x7fefffffffffffff,
    0xffefffffffffffff, 0x7ff0000000000000, 0xfff0000000000000, 0x7ff8000000000000, 0xfff8000000000000, 0x7ff8123456789abc,
    0x7ff0123456789abc, 0xfff0123456789abc, 0x41dfffffffc00000, 0x41dfffffffe00000, 0x41e0000000000000, 0xc1e0000000000000,
    0xc1e0000000200000, 0x43dfffffffffffff, 0x43e0000000000000, 0xc3e0000000000000, 0x36a0000000000000, 0x47efffffe0000000,
    0x47effffff0000000, 0x400921fb54442d18};

static uint64_t seen[64];
static int seenCount;
static uint64_t lastValue;
static uint64_t remember(uint64_t v) {
  if (seenCount < 64) seen[seenCount++] = v;
  return lastValue = v;
}

// The k-th value of vector `index`: edges in a fixed walk first, then relations between operands and random ones.
static uint64_t integerValue(int bits, int index, int k) {
  if (index < 32) return remember(integerEdge(bits, (unsigned)(index * (2 * k + 1) + index / 16 * (3 * k + 5 * (k & 1)))));
  uint64_t other = seenCount ? seen[below((uint32_t)seenCount)] : random64();
  uint64_t v;
  switch (below(8)) {
    case 0: case 1: v = other; break;
    case 2: v = 0 - other; break;
    case 3: v = ~other; break;
    case 4: v = other + (below(2) ? 1ull : ~0ull); break;
    case 5: v = integerEdge(bits, below(16)); break;
    case 6: v = random64() >> below(64); break;
    default: v = random64();
  }
  return remember(v & maskOf(bits));
}
static uint64_t floatValue(int bits, int index, int k) {
  uint32_t n = bits == 32 ? sizeof floatEdges / 4 : sizeof doubleEdges / 8;
  uint32_t i = index < 32 ? (uint32_t)(index * (k ? 1 : 3) + k * 7 + (k >> 1)) % n : below(n);
  uint64_t edge = bits == 32 ? floatEdges[i] : doubleEdges[i];
  if (index < 40) return remember(edge);
  uint64_t other = seenCount ? seen[below((uint32_t)seenCount)] : edge;
  // Random mantissas with an exponent near one, so that results neither overflow nor vanish.
  uint64_t ordinary = bits == 32 ? (random64() & 0x807fffff) | (uint64_t)(100 + below(60)) << 23
                                 : (random64() & 0x800fffffffffffffull) | (uint64_t)(990 + below(90)) << 52;
  switch (below(8)) {
    case 0: return remember(edge);
    case 1: return remember(other);
    case 2: return remember(other ^ 1ull << (bits - 1));
    default: return remember(ordinary);
  }
}
static uint64_t value(char kind, int bits, int index, int k) {
  return kind == 'f' ? floatValue(bits, index, k) : integerValue(bits, index, k);
}

static int registerNumber(const char *name) {
  static const char *const names[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                        "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
  for (int i = 0; i < 16; i++)
    if (!strcmp(names[i], name)) return i;
  fprintf(stderr, "unknown register %s\n", name);
  exit(1);
}

static void dividend(State *s, int bits, int isSigned) {
  uint64_t m = maskOf(bits), divisor = lastValue & m;
  unsigned __int128 wide;
  if (divisor == 0 || below(8) == 0) {
    wide = (unsigned __int128)random64() << 64 | random64();
    if (below(2)) wide = integerEdge(bits, below(16));
  } else if (isSigned) {
    __int128 d = (__int128)((int64_t)(divisor << (64 - bits)) >> (64 - bits));
    __int128 q = (int64_t)(integerEdge(bits, below(16)) << (64 - bits)) >> (64 - bits);
    if (below(2)) q = (int64_t)random64() >> (64 - bits + (int)below((uint32_t)bits));
    wide = (unsigned __int128)(q * d + (d > 0 ? (int)below(3) : -(int)below(3)));
  } else {
    uint64_t q = below(2) ? integerEdge(bits, below(16)) : (random64() & m) >> below((uint32_t)bits);
    wide = (unsigned __int128)q * divisor + (divisor > 1 ? random64() % divisor : 0);
  }
  if (bits == 8) {
    s->gpr[RAX] = (s->gpr[RAX] & ~0xffffull) | (uint64_t)(wide & 0xffff);
    return;
  }
  s->gpr[RAX] = (s->gpr[RAX] & ~m) | ((uint64_t)wide & m);
  s->gpr[RDX] = (s->gpr[RDX] & ~m) | ((uint64_t)(wide >> bits) & m);
}

static void stringOperands(State *s, int bits, char kind, int counted) {
  int size = bits / 8, count = counted ? (int)below(41) : 1, df = (s->rflags & DF) != 0;
  if (counted && below(6) == 0) count = (int)below(3);
  int span = (count ? count : 1) * size;
  int source = (int)below((uint32_t)(WINDOW_SIZE - span + 1)), target = (int)below((uint32_t)(WINDOW_SIZE - span + 1));
  if (kind == 'm' && below(3) == 0) {
    target = source + (int)below(25) - 12;
    if (target < 0) target = 0;
    if (target > WINDOW_SIZE - span) target = WINDOW_SIZE - span;
  }
  if (kind == 'c' && below(4)) memmove(s->memory + target, s->memory + source, (size_t)span);
  if (kind == 's') {
    s->gpr[RAX] = (s->gpr[RAX] & ~maskOf(bits)) | (integerEdge(bits, below(16)));
    if (below(4))
      for (int i = 0; i < span; i += size) memcpy(s->memory + target + i, &s->gpr[RAX], (size_t)size);
    else if (below(2))
      memcpy(s->memory + target + (int)below((uint32_t)(span / size)) * size, &s->gpr[RAX], (size_t)size);
  }
  if ((kind == 'c' || kind == 's') && below(4)) s->memory[target + (int)below((uint32_t)span)] ^= (uint8_t)(1 << below(8));
  int first = df ? span - size : 0;
  if (kind != 's' && kind != 't') s->gpr[RSI] = WINDOW_VA + (uint64_t)(source + first);
  if (kind != 'l') s->gpr[RDI] = WINDOW_VA + (uint64_t)(target + first);
  if (counted) s->gpr[RCX] = (uint64_t)count;
}

static const uint16_t anywhere[] = {0x100, 0x1fc, 0x1ff, 0x1f9, 0x108, 0x1f1, 0x200, 0x123, 0x1fe, 0x281, 0x140, 0x1fd};

int makeInputs(const Form *f, int index, State *s) {
  char text[200];
  int pointers = 1 << RSP, k = 0;
  strcpy(text, f->inputs);
  *s = base;
  seenCount = 0;
  // All 64 combinations of the status flags appear once in every 64 vectors.
  uint32_t combination = (uint32_t)(index * 37 + 11) & 63;
  static const int bit[6] = {CF, PF, AF, ZF, SF, OF};
  for (int i = 0; i < 6; i++)
    if (combination >> i & 1) s->rflags |= (uint64_t)bit[i];
  for (char *token = strtok(text, " "); token; token = strtok(NULL, " ")) {
    if (!strcmp(token, "norel")) continue;
    if (!strcmp(token, "df")) { if (below(2)) s->rflags |= DF; continue; }
    char *spec = strchr(token, ':');
    if (!spec) { fprintf(stderr, "bad token %s in %s\n", token, f->text); exit(1); }
    *spec++ = 0;
    char kind = *spec;
    int bits = atoi(spec + 1);
    if (!strcmp(token, "div")) { dividend(s, atoi(spec), strchr(spec, 's') != NULL); continue; }
    if (!strcmp(token, "str")) {
      char *operation = strchr(spec, ':') + 1;
      stringOperands(s, atoi(spec), *operation, operation[1] == ':');
      pointers |= (*operation == 's' || *operation == 't' ? 0 : 1 << RSI) | (*operation == 'l' ? 0 : 1 << RDI);
      continue;
    }
    if (!strncmp(token, "xmm", 3)) {
      uint8_t *target = s->xmm[atoi(token + 3)];
      for (int lane = 0; lane < 128 / bits; lane++) {
        uint64_t v = value(kind, bits, index + lane * 5, k);
        memcpy(target + lane * bits / 8, &v, (size_t)bits / 8);
      }
      k++;
      continue;
    }
    int r = registerNumber(token);
    uint64_t *g = &s->gpr[r];
    if (kind == 'v') {
      uint64_t v = integerValue(bits, index, k++);
      *g = (*g & ~maskOf(bits)) | v;
    } else if (kind == 'w') {
      uint64_t low = integerValue(8, index, k++), high = integerValue(8, index, k++);
      *g = (*g & ~0xffffull) | high << 8 | low;
    } else if (kind == 'c') {
      const int counts[] = {0, 1, bits - 1, bits, bits + 1, 63, 255, 2, 31, 32, 33, 64, 7, 8, 9, 17};
      int c = index < 32 ? counts[(index + index / 16 * 3) % 16] : (int)below(256);
      // A double shift of a word by more than 16 leaves everything undefined.
      if (f->undefined.kind == DOUBLE_SHIFT && bits == 16 && (c & 31) > 16) c &= 0xef;
      *g = (*g & ~0xffull) | (uint64_t)c;
    } else if (kind == 'k') {
      *g = strtoull(spec + 1, NULL, 0);
    } else if (kind == 'b') {
      int64_t offset = index < 8 ? (int64_t)(int[]){0, 1, -1, bits - 1, bits, -bits, 1023, -1024}[index] : (int64_t)below(2048) - 1024;
      *g = (*g & ~maskOf(bits)) | ((uint64_t)offset & maskOf(bits));
    } else if (kind == 'p' || kind == 'a') {
      char *end = spec + 1;
      int align = kind == 'a' ? (int)strtol(end, &end, 10) : 1;
      int adjust = (*end == '-' || *end == '+') ? (int)strtol(end, &end, 0) : 0;
      int offset = anywhere[(index * 5 + r) % 12] & ~(align - 1);
      if (r == RSP) offset = (int[]){0x380, 0x208, 0x200, 0x204, 0x20c, 0x1f8}[index % 6];
      *g = WINDOW_VA + (uint64_t)(offset + adjust);
      pointers |= 1 << r;
      if (*end == '/') {
        char valueKind = end[1];
        int valueBits = (int)strtol(end + 2, &end, 10), lanes = *end == 'x' ? atoi(end + 1) : 1;
        if (valueKind == 'e') {
          uint64_t pair[2] = {s->gpr[RAX], s->gpr[RDX]};
          if (below(2)) pair[below(2)] ^= 1ull << below((uint32_t)valueBits);
          for (int i = 0; i < 2; i++) memcpy(s->memory + offset + i * valueBits / 8, &pair[i], (size_t)valueBits / 8);
        } else {
          for (int lane = 0; lane < lanes; lane++) {
            uint64_t v = value(valueKind, valueBits, index + lane * 5, k);
            memcpy(s->memory + offset + lane * valueBits / 8, &v, (size_t)valueBits / 8);
          }
          k++;
        }
      }
    } else {
      fprintf(stderr, "bad token %s:%s in %s\n", token, spec, f->text);
      exit(1);
    }
  }
  return pointers;
}

// Intel SDM volume 2, "Flags Affected" of each instruction.
int undefinedFlags(const Form *f, const State *before) {
  const Undefined *u = &f->undefined;
  if (u->kind == FIXED) return u->mask;
  int count = (u->count < 0 ? (int)(before->gpr[RCX] & 255) : u->count) & (u->size == 64 ? 63 : 31);
  if (count == 0) return 0;
  int overflow = count == 1 ? 0 : OF;
  if (u->kind == ROTATE) return overflow;
  return AF | overflow | (u->kind == SHIFT_LEFT_RIGHT && count >= u->size ? CF : 0);
}

// BSF and BSR of zero leave the destination undefined in the SDM; processors keep it. Our forms scan into RAX or R9.
int undefinedRegisters(const Form *f, const State *after) {
  if (!(after->rflags & ZF) || (strncmp(f->text, "bsf", 3) && strncmp(f->text, "bsr", 3))) return 0;
  return 1 << (f->text[4] == 'r' && f->text[5] == '9' ? 9 : RAX);
}
int isRelocatable(const Form *f) { return strstr(f->inputs, "norel") == NULL; }
