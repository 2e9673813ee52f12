// Several instructions in a row: flags that travel from one to a later one, within a block and across blocks.
#include "generator.h"
#include <stdio.h>
#include <string.h>

// Random straight lines. Flags that the SDM leaves undefined are tracked, so that nothing reads one.
static char line[1200];
static int undefined;
#define EMIT(...) snprintf(line + strlen(line), sizeof line - strlen(line), __VA_ARGS__)

static const int pool[4] = {RAX, RCX, RDX, 8};
static const int readBy[8] = {OF, CF, ZF, CF | ZF, SF, PF, SF | OF, SF | OF | ZF};
static const char *condition(void) {
  for (int tries = 0; tries < 20; tries++) {
    int c = (int)below(16);
    if (!(readBy[c / 2] & undefined)) return conditions[c];
  }
  return NULL;
}

static void step(int mayBranch) {
  int n = (int[]){8, 16, 32, 32, 64, 64}[below(6)];
  const char *a = reg(pool[below(4)], n), *b = reg(pool[below(4)], n);
  int amount = 1 + (int)below((uint32_t)n - 1);
  const char *cc = condition();
  switch (below(mayBranch ? 16 : 15)) {
    case 0: case 1:
      EMIT("%s %s, %s; ", (const char *[]){"add", "sub", "cmp", "cmp"}[below(4)], a, b);
      undefined = 0;
      break;
    case 2: case 3:
      if (undefined & CF) return;
      EMIT("%s %s, %s; ", below(2) ? "adc" : "sbb", a, b);
      undefined = 0;
      break;
    case 4:
      EMIT("%s %s, %s; ", (const char *[]){"and", "or", "xor", "test"}[below(4)], a, b);
      undefined = AF;
      break;
    case 5:
      EMIT("%s %s; ", below(2) ? "inc" : "dec", a);
      undefined &= CF;
      break;
    case 6:
      if (below(2)) {
        EMIT("neg %s; ", a);
        undefined = 0;
      } else {
        EMIT("not %s; ", a);
      }
      break;
    case 7:
      EMIT("%s %s, %d; ", (const char *[]){"shl", "shr", "sar"}[below(3)], a, amount);
      undefined = AF | (amount > 1 ? OF : 0);
      break;
    case 8:
      EMIT("%s %s, %d; ", (const char *[]){"rol", "ror"}[below(2)], a, amount);
      undefined = (undefined & ~(CF | OF)) | (amount > 1 ? OF : 0);
      break;
    case 9:
      EMIT("%s %s, cl; ", (const char *[]){"shl", "shr", "sar"}[below(3)], a);
      undefined |= AF | OF | (n < 32 ? CF : 0);
      break;
    case 10:
      if (!cc) return;
      EMIT("set%s %s; ", cc, reg(pool[below(4)], 8));
      break;
    case 11:
      if (!cc || n == 8) return;
      EMIT("cmov%s %s, %s; ", cc, a, b);
      break;
    case 12:
      if (n == 8) return;
      if (below(2)) {
        EMIT("imul %s, %s; ", a, b);
        undefined = SF | ZF | AF | PF;
      } else {
        EMIT("bt %s, %d; ", a, amount);
        undefined = (undefined & ZF) | OF | SF | AF | PF;
      }
      break;
    case 13:
      if (below(4)) {
        EMIT("%s %s [rsi], %s; ", (const char *[]){"add", "sub", "cmp"}[below(3)], ptr(n), a);
        undefined = 0;
      } else {
        EMIT("mov %s [rsi], %s; ", ptr(n), a);
      }
      break;
    case 14:
      if (undefined & CF) { EMIT("%s; ", below(2) ? "stc" : "clc"); undefined &= ~CF; }
      else if (!(undefined & ~OF)) EMIT("lahf; ");
      else EMIT("cmc; ");
      break;
    default: {
      if (!cc) return;
      int before = undefined;
      EMIT("j%s 9f; ", cc);
      step(0);
      EMIT("9: ");
      undefined |= before;
    }
  }
}

static void randomLines(void) {
  for (int i = 0; i < 150; i++) {
    char seed[40];
    snprintf(seed, sizeof seed, "sequence %d", i);
    seedFrom(seed);
    line[0] = 0;
    undefined = 0;
    for (int steps = 4 + (int)below(9); steps > 0; steps--) step(1);
    for (int r = 9; r < 12; r++) {
      const char *cc = condition();
      if (cc) EMIT("set%s %s; ", cc, reg(r, 8));
    }
    EMIT("nop");
    form("sequence", FLAGS(undefined), "rax:v64 rcx:v64 rdx:v64 r8:v64 rsi:p/v64", "%s", line);
  }
}

static void loops(void) {
  form("loop", NONE, "rsi:a8-64 rdi:a8", "mov ecx, 4; xor edx, edx; 1: mov rax, [rsi + rdx*8]; adc [rdi + rdx*8], rax; "
       "lea rdx, [rdx + 1]; dec ecx; jnz 1b; setc al");
  form("loop", NONE, "rsi:a8-64 rdi:a8", "mov ecx, 4; xor edx, edx; 1: mov rax, [rsi + rdx*8]; sbb [rdi + rdx*8], rax; inc rdx; dec ecx; jnz 1b; sbb rax, rax");
  form("loop", NONE, "rax:v64", "xor ecx, ecx; test rax, rax; jz 2f; 1: shr rax, 1; adc ecx, 0; test rax, rax; jnz 1b; 2:");
  form("loop", NONE, "rax:v32", "mov ecx, 32; 1: shl eax, 1; rcr edx, 1; dec ecx; jnz 1b; setc r8b");
  form("loop", LOGIC, "rax:v32 rdx:v32", "1: test edx, edx; je 2f; mov ecx, edx; xor edx, edx; div ecx; mov eax, ecx; jmp 1b; 2:");
  form("loop", NONE, "rax:v8", "movzx eax, al; inc eax; xor ecx, ecx; 1: cmp eax, 1; je 3f; inc ecx; test al, 1; jz 2f; lea eax, [rax + rax*2 + 1]; jmp 1b; "
       "2: shr eax, 1; jmp 1b; 3:");
  form("loop", NONE, "rax:v32 rcx:v32 rdx:v32", "test cl, 1; jz 1f; add eax, edx; jmp 2f; 1: sub eax, edx; 2: setc r8b; seto r9b; sets r10b");
  form("loop", LOGIC, "rax:v32 rcx:v32", "jc 1f; add eax, ecx; jmp 2f; 1: and eax, ecx; 2: jo 3f; adc ecx, 5; jmp 4f; 3: sbb ecx, 7; 4: setp dl; test ecx, ecx");
  form("loop", NONE, "", "jc 1f; mov eax, 1; 1: mov ecx, 0; setz dl; setc dh; cmovs eax, ecx; jo 2f; mov r8d, 4; 2: adc r8, r9");
  form("loop", NONE, "rax:v64 rdx:v64 rcx:v64 r8:v64", "cmp rax, rcx; sbb rdx, r8; setl al; setb cl");
  form("loop", NONE, "rax:v64 rdx:v64 rcx:v64 r8:v64", "add rax, rcx; adc rdx, r8; jno 1f; mov r9d, 1; 1: jnc 2f; mov r10d, 1; 2:");
  form("loop", NONE, "rax:v32", "cdq; xor eax, edx; sub eax, edx");
  form("loop", NONE, "rax:v32 rcx:v32", "cmp eax, ecx; mov edx, ecx; cmovl edx, eax; cmovg ecx, eax; mov r8d, 0; seta r8b; sbb r8d, 0");
  form("loop", LOGIC, "rax:v64 rcx:v64", "xor edx, edx; cmp rax, rcx; seta dl; sbb edx, 0; test edx, edx");
  form("loop", NONE, "rsi:p rdi:p", "xor eax, eax; 1: movzx ecx, byte ptr [rsi + rax]; movzx edx, byte ptr [rdi + rax]; cmp cl, dl; jne 2f; inc rax; cmp rax, 16; jb 1b; "
       "2: sub ecx, edx");
  form("loop", NONE, "rsi:p", "xor eax, eax; xor edx, edx; 1: add dl, byte ptr [rsi + rax]; adc dh, 0; inc eax; cmp eax, 32; jne 1b");
  form("loop", NONE, "rsi:p", "mov eax, -1; xor ecx, ecx; 1: xor al, byte ptr [rsi + rcx]; mov edx, 8; 2: shr eax, 1; jnc 3f; xor eax, 0xedb88320; 3: dec edx; jnz 2b; "
       "inc ecx; cmp ecx, 8; jne 1b; not eax");
  form("loop", NONE, "rsi:a4", "mov ecx, 1; 1: mov edx, ecx; mov eax, [rsi + rcx*4]; 2: cmp [rsi + rdx*4 - 4], eax; jle 3f; mov r8d, [rsi + rdx*4 - 4]; mov [rsi + rdx*4], r8d; "
       "dec edx; jnz 2b; 3: mov [rsi + rdx*4], eax; inc ecx; cmp ecx, 10; jb 1b");
  form("loop", NONE, "rax:v8 rcx:v8", "mov edx, 5; stc; 1: adc al, cl; inc cl; dec edx; jnz 1b; setc dl");
  form("loop", NONE, "rax:v32 rcx:c32", "shl eax, cl; jz 1f; mov edx, 1; 1: nop; cmp eax, eax");
  form("loop", FLAGS(ARITHMETIC), "rax:v32 rcx:c32", "cmp eax, 7; shr edx, cl; setz r8b; sets r9b; jp 1f; mov r10d, 1; 1:");
  form("loop", NONE, "rax:v64 rcx:v64", "1: sub rax, rcx; jb 2f; inc edx; cmp dl, 200; jne 1b; 2: setb r8b; sets r9b");
  // An irreducible graph: two entries into one loop.
  form("loop", NONE, "rax:v8 rcx:v8", "mov edx, 20; test al, 1; jz 2f; 1: add ecx, 3; sub edx, 1; jbe 3f; 2: xor ecx, 5; add ecx, eax; sub edx, 1; "
       "jbe 3f; test cl, 1; jnz 1b; sub edx, 1; ja 2b; 3: cmp edx, 1");
  form("loop", NONE, "rax:v32", "mov ecx, 3; 1: mov edx, 3; 2: add eax, edx; jo 3f; dec edx; jnz 2b; dec ecx; jnz 1b; 3: seto r8b");
}

void sequenceForms(void) {
  loops();
  randomLines();
}
