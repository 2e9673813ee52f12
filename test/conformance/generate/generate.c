// Records what this machine's processor does. Two steps, because GNU as turns the texts into code:
//   generate list > forms.s;  as + objcopy;  generate record forms.bin output-directory
#include "generator.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VECTORS = 64 };
Form forms[MAX_FORMS];
int formCount;

void form(const char *group, Undefined undefined, const char *inputs, const char *format, ...) {
  if (formCount == MAX_FORMS) { fprintf(stderr, "too many forms\n"); exit(1); }
  Form *f = &forms[formCount];
  f->group = group;
  f->undefined = undefined;
  snprintf(f->inputs, sizeof f->inputs, "%s", inputs);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(f->text, sizeof f->text, format, arguments);
  va_end(arguments);
  // Two calls can spell the same form (a count of size+1 and so on); the first one stands.
  for (int i = 0; i < formCount; i++)
    if (!strcmp(forms[i].text, f->text)) return;
  formCount++;
}

const char *reg(int number, int bits) {
  static const char *const names[4][16] = {
      {"al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil", "r8b", "r9b", "r10b", "r11b", "r12b", "r13b", "r14b", "r15b"},
      {"ax", "cx", "dx", "bx", "sp", "bp", "si", "di", "r8w", "r9w", "r10w", "r11w", "r12w", "r13w", "r14w", "r15w"},
      {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "r8d", "r9d", "r10d", "r11d", "r12d", "r13d", "r14d", "r15d"},
      {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"}};
  return names[bits == 8 ? 0 : bits == 16 ? 1 : bits == 32 ? 2 : 3][number];
}
const char *ptr(int bits) { return bits == 8 ? "byte ptr" : bits == 16 ? "word ptr" : bits == 32 ? "dword ptr" : "qword ptr"; }

static void list(void) {
  printf(".intel_syntax noprefix\n.text\n");
  for (int i = 0; i < formCount; i++) printf(".word end%d - start%d\nstart%d: %s\nend%d:\n", i, i, i, forms[i].text, i);
}

static uint8_t *output;
static size_t outputLength, outputRoom;
static void put(const void *data, size_t length) {
  if (outputLength + length > outputRoom) output = realloc(output, outputRoom = (outputLength + length) * 2);
  memcpy(output + outputLength, data, length);
  outputLength += length;
}
static void put8(int v) { put(&(uint8_t){(uint8_t)v}, 1); }
static void put16(int v) { put(&(uint16_t){(uint16_t)v}, 2); }

// What differs between two states: registers by mask, memory as patches.
static void putDifference(const State *from, const State *to) {
  int mask = 0, xmmMask = 0;
  for (int i = 0; i < 16; i++) {
    if (from->gpr[i] != to->gpr[i]) mask |= 1 << i;
    if (memcmp(from->xmm[i], to->xmm[i], 16)) xmmMask |= 1 << i;
  }
  put16(mask);
  for (int i = 0; i < 16; i++)
    if (mask >> i & 1) put(&to->gpr[i], 8);
  put16(xmmMask);
  for (int i = 0; i < 16; i++)
    if (xmmMask >> i & 1) put(to->xmm[i], 16);
  size_t countAt = outputLength;
  int patches = 0;
  put8(0);
  for (int i = 0; i < WINDOW_SIZE;) {
    if (from->memory[i] == to->memory[i]) { i++; continue; }
    int end = i + 1, last = i;
    for (; end < WINDOW_SIZE && end - last < 5 && end - i < 255; end++)
      if (from->memory[end] != to->memory[end]) last = end;
    put16(i);
    put8(last + 1 - i);
    put(to->memory + i, (size_t)(last + 1 - i));
    i = last + 1;
    patches++;
  }
  output[countAt] = (uint8_t)patches;
}

static void recordForm(const Form *f) {
  seedFrom(f->text);
  int length = (int)strlen(f->text);
  put16(length);
  put(f->text, (size_t)length);
  put16(f->codeLength);
  put(f->code, (size_t)f->codeLength);
  State *before = calloc(3, sizeof(State)), *after = before + 1;
  int pointers = makeInputs(f, 0, before);
  put16(isRelocatable(f) ? pointers : 0);
  put8(isRelocatable(f));
  put8(VECTORS);
  seedFrom(f->text);
  for (int i = 0; i < VECTORS; i++) {
    makeInputs(f, i, before);
    execute(f, before, after);
    int undefined = after->exception < 0 ? undefinedFlags(f, before) : 0;
    int registers = after->exception < 0 ? undefinedRegisters(f, after) : 0;
    put16((int)before->rflags);
    putDifference(&base, before);
    put8(after->exception < 0 ? 255 : after->exception);
    put8((int)(after->rip - CODE_VA));
    put16((int)after->rflags & ~undefined);
    put16(undefined);
    put16(registers);
    put16((int)after->mxcsr);
    putDifference(before, after);
  }
  free(before);
}

static void recordGroup(const char *group, const char *directory) {
  outputLength = 0;
  int count = 0;
  for (int i = 0; i < formCount; i++) count += !strcmp(forms[i].group, group);
  put("PPCV", 4);
  put8(1);
  put(&(uint64_t){CODE_VA}, 8);
  put(&(uint64_t){WINDOW_VA}, 8);
  put16(WINDOW_SIZE);
  put(base.gpr, sizeof base.gpr);
  put(base.xmm, sizeof base.xmm);
  put(base.memory, WINDOW_SIZE);
  put16(count);
  for (int i = 0; i < formCount; i++)
    if (!strcmp(forms[i].group, group)) recordForm(&forms[i]);
  char path[500];
  snprintf(path, sizeof path, "%s/%s.bin", directory, group);
  FILE *file = fopen(path, "wb");
  if (!file || fwrite(output, 1, outputLength, file) != outputLength) { perror(path); exit(1); }
  fclose(file);
  fprintf(stderr, "%-12s %4d forms %8zu bytes\n", group, count, outputLength);
}

int main(int argc, char **argv) {
  integerForms();
  shiftForms();
  bitForms();
  moveForms();
  stringForms();
  sseForms();
  floatForms();
  sequenceForms();
  if (argc == 2 && !strcmp(argv[1], "list")) return list(), 0;
  if (argc != 4 || strcmp(argv[1], "record")) return fprintf(stderr, "usage: generate list | record forms.bin directory\n"), 2;
  FILE *file = fopen(argv[2], "rb");
  if (!file) return perror(argv[2]), 1;
  for (int i = 0; i < formCount; i++) {
    uint16_t length;
    if (fread(&length, 2, 1, file) != 1 || length > MAX_CODE - 16 || fread(forms[i].code, 1, length, file) != length)
      return fprintf(stderr, "%s: code of %s is cut short\n", argv[2], forms[i].text), 1;
    forms[i].codeLength = length;
  }
  initBase();
  initProcessor();
  for (int i = 0; i < formCount; i++) {
    int seen = 0;
    for (int j = 0; j < i; j++) seen |= !strcmp(forms[j].group, forms[i].group);
    if (!seen) recordGroup(forms[i].group, argv[3]);
  }
  fprintf(stderr, "%d forms\n", formCount);
  return 0;
}
