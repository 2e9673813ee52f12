// Arithmetic and logic, multiplication and division, conditions, flags, exchange.
#include "generator.h"
#include <stdio.h>

static const int sizes[4] = {8, 16, 32, 64};

static void alu(void) {
  static const char *const ops[8] = {"add", "adc", "sub", "sbb", "cmp", "and", "or", "xor"};
  for (int o = 0; o < 8; o++) {
    const char *op = ops[o];
    Undefined u = o >= 5 ? LOGIC : NONE;
    for (int i = 0; i < 4; i++) {
      int n = sizes[i];
      form("alu", u, "rax:v64 rcx:v64", "%s %s, %s", op, reg(RAX, n), reg(RCX, n));
      form("alu", u, "r9:v64 rdx:v64", "{load} %s %s, %s", op, reg(9, n), reg(RDX, n));
      form("alu", u, "rdx:v64", "%s %s, %s", op, reg(RDX, n), reg(RDX, n));
      char in[80];
      snprintf(in, sizeof in, "rdx:v%d rbx:p/v%d", n, n);
      form("alu", u, in, "%s %s, %s [rbx]", op, reg(RDX, n), ptr(n));
      form("alu", u, in, "%s %s [rbx], %s", op, ptr(n), reg(RDX, n));
      snprintf(in, sizeof in, "r11:v%d r12:p-0x124/v%d r13:k9", n, n);
      form("alu", u, in, "%s %s, %s [r12 + r13*4 + 0x100]", op, reg(11, n), ptr(n));
      snprintf(in, sizeof in, "rax:v%d rsi:p-8/v%d rdi:k-1", n, n);
      form("alu", u, in, "%s %s [rsi + rdi*8 + 16], %s", op, ptr(n), reg(RAX, n));
      snprintf(in, sizeof in, "rcx:v%d", n);
      form("alu", u, in, "%s %s, 1", op, reg(RCX, n));
      form("alu", u, in, "%s %s, -1", op, reg(RCX, n));
      form("alu", u, in, "%s %s, -128", op, reg(RCX, n));
      snprintf(in, sizeof in, "rax:v%d", n);
      form("alu", u, in, "%s %s, %s", op, reg(RAX, n), n == 8 ? "0x7f" : n == 16 ? "0x8001" : n == 32 ? "0x80000001" : "0x7fffff00");
      snprintf(in, sizeof in, "r8:v%d", n);
      if (n > 8) form("alu", u, in, "%s %s, %s", op, reg(8, n), n == 16 ? "0x1234" : "-0x12345678");
      snprintf(in, sizeof in, "rbx:p/v%d", n);
      form("alu", u, in, "%s %s [rbx], 1", op, ptr(n));
      form("alu", u, in, "%s %s [rbx], %s", op, ptr(n), n == 8 ? "0x80" : n == 16 ? "0x8001" : "-0x7fff1234");
      snprintf(in, sizeof in, "rcx:v%d rbx:p/v%d", n, n);
      if (o != 4) form("lock", u, in, "lock %s %s [rbx], %s", op, ptr(n), reg(RCX, n));
      snprintf(in, sizeof in, "rbx:p/v%d", n);
      if (o != 4) form("lock", u, in, "lock %s %s [rbx], -2", op, ptr(n));
    }
    form("alu", u, "rax:w rbx:w", "%s ah, bl", op);
    form("alu", u, "rcx:w rdx:w", "%s cl, dh", op);
    form("alu", u, "rbx:w", "%s bh, bl", op);
    form("alu", u, "rax:w rcx:w", "%s ch, ah", op);
    form("alu", u, "rsi:v8 r10:v8", "%s sil, r10b", op);
    form("alu", u, "rdx:w", "%s dh, 0x80", op);
    form("alu", u, "rdx:w rsi:p/v8", "%s dh, byte ptr [rsi]", op);
    form("alu", u, "rax:w rsi:p/v8", "%s byte ptr [rsi], ah", op);
    form("alu", u, "rax:v32 rbx:p/v32", "%s eax, dword ptr [rip - 0x0ffff000]", op);
  }
  for (int i = 0; i < 4; i++) {
    int n = sizes[i];
    char in[80];
    form("alu", LOGIC, "rax:v64 rcx:v64", "test %s, %s", reg(RAX, n), reg(RCX, n));
    form("alu", LOGIC, "r9:v64", "test %s, %s", reg(9, n), reg(9, n));
    form("alu", LOGIC, "rax:v64", "test %s, 0x%s", reg(RAX, n), n == 8 ? "81" : n == 16 ? "8001" : "7f00ff01");
    form("alu", LOGIC, "rdx:v64", "test %s, -0x%s", reg(RDX, n), n == 8 ? "10" : n == 16 ? "1000" : "7fffff10");
    snprintf(in, sizeof in, "rdx:v%d rbx:p/v%d", n, n);
    form("alu", LOGIC, in, "test %s [rbx], %s", ptr(n), reg(RDX, n));
    form("alu", LOGIC, in, "test %s [rbx], 0x40", ptr(n));
    static const char *const unary[4] = {"inc", "dec", "neg", "not"};
    for (int o = 0; o < 4; o++) {
      snprintf(in, sizeof in, "rcx:v%d", n);
      form("alu", NONE, in, "%s %s", unary[o], reg(RCX, n));
      snprintf(in, sizeof in, "r14:v%d", n);
      form("alu", NONE, in, "%s %s", unary[o], reg(14, n));
      snprintf(in, sizeof in, "rbx:p/v%d", n);
      form("alu", NONE, in, "%s %s [rbx]", unary[o], ptr(n));
      form("lock", NONE, in, "lock %s %s [rbx]", unary[o], ptr(n));
      if (n == 8) form("alu", NONE, "rbx:w", "%s bh", unary[o]);
    }
    form("exchange", NONE, "rcx:v64 rdx:v64", "xchg %s, %s", reg(RCX, n), reg(RDX, n));
    form("exchange", NONE, "rax:v64 r9:v64", "xchg %s, %s", reg(RAX, n), reg(9, n));
    snprintf(in, sizeof in, "rdx:v%d rbx:p/v%d", n, n);
    form("exchange", NONE, in, "xchg %s [rbx], %s", ptr(n), reg(RDX, n));
    snprintf(in, sizeof in, "rax:v%d rcx:v%d rdx:v%d", n, n, n);
    form("exchange", NONE, in, "cmpxchg %s, %s", reg(RCX, n), reg(RDX, n));
    snprintf(in, sizeof in, "rax:v%d rdx:v%d rbx:p/v%d", n, n, n);
    form("exchange", NONE, in, "cmpxchg %s [rbx], %s", ptr(n), reg(RDX, n));
    form("exchange", NONE, in, "lock cmpxchg %s [rbx], %s", ptr(n), reg(RDX, n));
    form("exchange", NONE, "rcx:v64 rdx:v64", "xadd %s, %s", reg(RCX, n), reg(RDX, n));
    form("exchange", NONE, "rcx:v64", "xadd %s, %s", reg(RCX, n), reg(RCX, n));
    snprintf(in, sizeof in, "rdx:v%d rbx:p/v%d", n, n);
    form("exchange", NONE, in, "xadd %s [rbx], %s", ptr(n), reg(RDX, n));
    form("exchange", NONE, in, "lock xadd %s [rbx], %s", ptr(n), reg(RDX, n));
  }
  form("exchange", NONE, "rax:w", "xchg ah, al");
  form("exchange", NONE, "rax:w rcx:w", "cmpxchg ch, cl");
  form("exchange", NONE, "rax:v32 rdx:v32 rbx:v32 rcx:v32 rsi:p/e32", "cmpxchg8b qword ptr [rsi]");
  form("exchange", NONE, "rax:v32 rdx:v32 rbx:v32 rcx:v32 rsi:p/e32", "lock cmpxchg8b qword ptr [rsi]");
  form("exchange", NONE, "rax:v64 rdx:v64 rbx:v64 rcx:v64 rsi:a16/e64", "cmpxchg16b xmmword ptr [rsi]");
  form("exchange", NONE, "rax:v64 rdx:v64 rbx:v64 rcx:v64 rsi:a16/e64", "lock cmpxchg16b xmmword ptr [rsi]");
  form("exchange", NONE, "rax:v64 rdx:v64 rbx:v64 rcx:v64 rsi:a16+8/e64", "cmpxchg16b xmmword ptr [rsi]; nop");
  form("exchange", NONE, "rcx:v64", "bswap ecx");
  form("exchange", NONE, "rcx:v64 r9:v64", "bswap rcx; bswap r9d");
}

static void multiply(void) {
  for (int i = 0; i < 4; i++) {
    int n = sizes[i];
    char in[80];
    for (int isSigned = 0; isSigned < 2; isSigned++) {
      const char *mul = isSigned ? "imul" : "mul", *div = isSigned ? "idiv" : "div";
      snprintf(in, sizeof in, "rax:v%d rcx:v%d", n, n);
      form("multiply", MULTIPLY, in, "%s %s", mul, reg(RCX, n));
      snprintf(in, sizeof in, "rax:v%d r10:v%d", n, n);
      form("multiply", MULTIPLY, in, "%s %s", mul, reg(10, n));
      snprintf(in, sizeof in, "rax:v%d rbx:p/v%d", n, n);
      form("multiply", MULTIPLY, in, "%s %s [rbx]", mul, ptr(n));
      snprintf(in, sizeof in, "rcx:v%d div:%d:%s", n, n, isSigned ? "s" : "u");
      form("divide", FLAGS(ARITHMETIC), in, "%s %s", div, reg(RCX, n));
      snprintf(in, sizeof in, "r9:v%d div:%d:%s", n, n, isSigned ? "s" : "u");
      form("divide", FLAGS(ARITHMETIC), in, "%s %s", div, reg(9, n));
      snprintf(in, sizeof in, "rbx:p/v%d div:%d:%s", n, n, isSigned ? "s" : "u");
      form("divide", FLAGS(ARITHMETIC), in, "%s %s [rbx]", div, ptr(n));
      form("divide", FLAGS(ARITHMETIC), "rax:v64 rdx:v64", "%s %s", div, n == 8 ? "ah" : reg(RDX, n));
    }
    if (n == 8) continue;
    snprintf(in, sizeof in, "rcx:v%d rdx:v%d", n, n);
    form("multiply", MULTIPLY, in, "imul %s, %s", reg(RCX, n), reg(RDX, n));
    form("multiply", MULTIPLY, in, "imul %s, %s, 7", reg(9, n), reg(RDX, n));
    form("multiply", MULTIPLY, in, "imul %s, %s, -0x%s", reg(RAX, n), reg(RDX, n), n == 16 ? "1235" : "12345679");
    form("multiply", MULTIPLY, in, "imul %s, %s, -128", reg(RCX, n), reg(RCX, n));
    snprintf(in, sizeof in, "rcx:v%d rbx:p/v%d", n, n);
    form("multiply", MULTIPLY, in, "imul %s, %s [rbx]", reg(RCX, n), ptr(n));
    form("multiply", MULTIPLY, in, "imul %s, %s [rbx], 0x%s", reg(RCX, n), ptr(n), n == 16 ? "7fff" : "7fffffff");
    form("multiply", MULTIPLY, in, "imul %s, %s [rbx], -3", reg(8, n), ptr(n));
  }
  form("multiply", MULTIPLY, "rax:w", "mul ah");
  form("multiply", MULTIPLY, "rax:w rdx:w", "imul dh");
  form("divide", FLAGS(ARITHMETIC), "rax:v32 rcx:v32", "cdq; idiv ecx");
  form("divide", FLAGS(ARITHMETIC), "rax:v64 rcx:v64", "cqo; idiv rcx");
  form("divide", FLAGS(ARITHMETIC), "rax:v32 rcx:v32", "xor edx, edx; div ecx");
  form("divide", FLAGS(ARITHMETIC), "rax:v64 rcx:v64", "xor edx, edx; div rcx");
  form("divide", FLAGS(ARITHMETIC), "rax:v8 rcx:v8", "movzx eax, al; div cl");
  static const char *const widen[6] = {"cbw", "cwde", "cdqe", "cwd", "cdq", "cqo"};
  for (int i = 0; i < 6; i++) form("multiply", NONE, "rax:v64", "%s", widen[i]);
  form("multiply", NONE, "rax:v16 rax:v8", "cbw; cwd");
  form("multiply", NONE, "rax:v16", "cwde; cdqe");
}

static void conditional(void) {
  for (int c = 0; c < 16; c++) {
    const char *cc = conditions[c];
    form("condition", NONE, "", "set%s cl", cc);
    form("condition", NONE, "", "set%s dh", cc);
    form("condition", NONE, "rbx:p", "set%s byte ptr [rbx]", cc);
    form("condition", NONE, "", "set%s r9b; movzx eax, r9b", cc);
    for (int i = 1; i < 4; i++) {
      int n = sizes[i];
      form("condition", NONE, "rcx:v64 rdx:v64", "cmov%s %s, %s", cc, reg(RCX, n), reg(RDX, n));
      char in[40];
      snprintf(in, sizeof in, "rbx:p/v%d", n);
      form("condition", NONE, in, "cmov%s %s, %s [rbx]", cc, reg(10, n), ptr(n));
    }
    form("condition", NONE, "", "j%s 1f; mov ecx, 1; 1: mov edx, 2", cc);
    form("condition", NONE, "", "{disp32} j%s 1f; mov ecx, 1; jmp 2f; 1: mov r8d, 2; 2:", cc);
    form("condition", NONE, "rax:v32 rcx:v32", "cmp eax, ecx; j%s 1f; mov edx, 1; 1:", cc);
    form("condition", NONE, "rax:v64 rcx:v64", "cmp rax, rcx; set%s dl", cc);
    form("condition", NONE, "rax:v16 rcx:v16", "cmp ax, cx; cmov%s esi, edi", cc);
    form("condition", NONE, "rax:v8 rcx:v8", "cmp al, cl; set%s dl; j%s 1f; inc r8; 1:", cc, conditions[c ^ 3]);
    form("condition", LOGIC, "rax:v32 rcx:v32", "test eax, ecx; set%s dl", cc);
    form("condition", LOGIC, "rax:v8", "test al, al; j%s 1f; mov edx, 1; 1:", cc);
    form("condition", NONE, "rax:v64 rcx:v64", "sub rax, rcx; cmov%s rax, rdx", cc);
    form("condition", NONE, "rax:v32 rcx:v32", "add eax, ecx; set%s dl; j%s 1f; mov r8d, 1; 1:", cc, cc);
    form("condition", NONE, "rax:v16", "dec ax; j%s 1f; mov edx, 1; 1:", cc);
    form("condition", NONE, "rax:v64", "neg rax; set%s dl", cc);
    form("condition", LOGIC, "rax:v32 rbx:p/v32", "and dword ptr [rbx], eax; set%s dl", cc);
    form("condition", NONE, "rax:v32 rbx:p/v32", "cmp dword ptr [rbx], 0; mov dword ptr [rbx], eax; j%s 1f; mov edx, 1; 1:", cc);
    form("condition", NONE, "rax:v8 rcx:v8", "adc al, cl; set%s dl", cc);
    form("condition", NONE, "rax:v32 rcx:v32", "sbb eax, ecx; j%s 1f; mov edx, 1; 1:", cc);
  }
}

static void flagInstructions(void) {
  static const char *const plain[] = {"clc", "stc", "cmc", "cld", "std", "lahf", "nop", "pause", "lfence", "mfence", "sfence", "endbr64"};
  for (unsigned i = 0; i < sizeof plain / sizeof *plain; i++) form("flags", NONE, "rax:w df", "%s", plain[i]);
  form("flags", NONE, "rax:w df", "sahf");
  form("flags", NONE, "rax:w", "sahf; lahf; mov ecx, eax");
  form("flags", NONE, "df", "pushfq");
  form("flags", NONE, "df", "pushfq; pop rax");
  form("flags", NONE, "df", "pushfq; pop rax; xor eax, 0x8d5; push rax; popfq");
  form("flags", NONE, "df", "pushfq; std; pushfq; cld; popfq; popfq");
  form("flags", NONE, "rax:v32 rcx:v32", "add eax, ecx; pushfq; pop rdx");
  form("flags", NONE, "rax:v8 rcx:v8", "sub al, cl; lahf");
  form("flags", NONE, "rax:v8 rcx:v8", "cmp al, cl; pushfq; add al, cl; pop rdx; push rdx; popfq; setc cl");
  form("flags", NONE, "rax:v32", "xor ecx, ecx; cmp eax, 1; adc ecx, ecx; cmc; sbb edx, edx");
  form("flags", NONE, "rax:v8 rbx:p", "xlatb");
}

void integerForms(void) {
  alu();
  multiply();
  conditional();
  flagInstructions();
}
