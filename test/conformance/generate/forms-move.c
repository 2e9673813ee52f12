// Moves and addresses, stack, control, string instructions.
#include "generator.h"
#include <stdio.h>

static const int sizes[4] = {8, 16, 32, 64};

static void moves(void) {
  for (int i = 0; i < 4; i++) {
    int n = sizes[i];
    char in[80];
    form("move", NONE, "rcx:v64", "mov %s, %s", reg(RAX, n), reg(RCX, n));
    form("move", NONE, "r15:v64", "{load} mov %s, %s", reg(8, n), reg(15, n));
    form("move", NONE, "rbp:v64", "mov %s, %s", reg(RDI, n), reg(RBP, n));
    form("move", NONE, "", "mov %s, 0x%s", reg(RDX, n), n == 8 ? "80" : n == 16 ? "8001" : "7fedcba9");
    form("move", NONE, "", "mov %s, -2", reg(10, n));
    snprintf(in, sizeof in, "rbx:p/v%d", n);
    form("move", NONE, in, "mov %s, %s [rbx]", reg(RCX, n), ptr(n));
    form("move", NONE, in, "mov %s [rbx], 0x%s", ptr(n), n == 8 ? "80" : n == 16 ? "8001" : "7fedcba9");
    form("move", NONE, in, "mov %s [rbx], -2", ptr(n));
    form("move", NONE, "rbx:p rcx:v64", "mov %s [rbx], %s", ptr(n), reg(RCX, n));
    form("move", NONE, "rbx:p r9:v64", "mov %s [rbx], %s", ptr(n), reg(9, n));
    form("move", NONE, "r13:p", "mov %s, %s [r13]", reg(RSI, n), ptr(n));
    form("move", NONE, "rbp:p+0x20", "mov %s, %s [rbp - 0x20]", reg(RSI, n), ptr(n));
    form("move", NONE, "r12:p-0x140", "mov %s, %s [r12 + 0x140]", reg(11, n), ptr(n));
    form("move", NONE, "rsp:k0x10000f20", "mov %s, %s [rsp + 8]", reg(RAX, n), ptr(n));
    form("move", NONE, "rsi:p-24 r14:k3", "mov %s, %s [rsi + r14*8]", reg(RAX, n), ptr(n));
    form("move", NONE, "r8:p-12 rbp:k6", "mov %s [r8 + rbp*2], %s", ptr(n), reg(RDX, n));
    form("move", NONE, "rbp:p rax:k0", "mov %s, %s [rbp + rax]", reg(RDX, n), ptr(n));
    form("move", NONE, "norel rcx:k5", "mov %s, %s [rcx*4 + 0x10000f00]", reg(RDX, n), ptr(n));
    form("move", NONE, "norel", "mov %s, %s ds:[0x10000fff]", reg(RDX, n), ptr(n));
    form("move", NONE, "norel", "movabs %s, ds:[0x10000ffd]", reg(RAX, n));
    form("move", NONE, "norel rax:v64", "movabs ds:[0x10000ffd], %s", reg(RAX, n));
    form("move", NONE, "", "mov %s, %s [rip - 0x0ffff000]", reg(RCX, n), ptr(n));
    form("move", NONE, "rcx:v64", "mov %s [rip - 0x0ffff000], %s", ptr(n), reg(RCX, n));
    form("move", NONE, "norel rbx:p", "mov %s, %s [ebx]", reg(RCX, n), ptr(n));
    form("move", NONE, "norel rbx:k0xffffffff10000f00 rcx:k0xabcdef0000000007", "mov %s, %s [ebx + ecx*4 - 4]", reg(RDX, n), ptr(n));
    for (int j = 0; j < i; j++) {
      int m = sizes[j];
      char src[80];
      snprintf(src, sizeof src, "rbx:p/v%d rcx:v%d", m, m);
      if (m < 32) {
        form("move", NONE, src, "movzx %s, %s", reg(RAX, n), reg(RCX, m));
        form("move", NONE, src, "movzx %s, %s [rbx]", reg(9, n), ptr(m));
        form("move", NONE, src, "movsx %s, %s", reg(9, n), reg(RCX, m));
        form("move", NONE, src, "movsx %s, %s [rbx]", reg(RCX, n), ptr(m));
      } else {
        form("move", NONE, src, "movsxd %s, %s", reg(RAX, n), reg(RCX, m));
        form("move", NONE, src, "movsxd %s, %s [rbx]", reg(RCX, n), ptr(m));
      }
    }
  }
  form("move", NONE, "", "movabs r9, 0x8123456789abcdef");
  form("move", NONE, "", "mov rax, -0x7edcba98");
  form("move", NONE, "rax:w rbx:w", "mov ah, bl");
  form("move", NONE, "rax:w rbx:w", "mov bl, ah");
  form("move", NONE, "rcx:w", "mov ch, cl");
  form("move", NONE, "", "mov dh, 0x5a");
  form("move", NONE, "rsi:p", "mov bh, byte ptr [rsi]");
  form("move", NONE, "rsi:p", "mov byte ptr [rsi], ch");
  form("move", NONE, "rax:w", "movzx ecx, ah");
  form("move", NONE, "rbx:w", "movsx edx, bh");
  form("move", NONE, "rbx:w", "movzx bx, bh");
  form("move", NONE, "rax:w", "mov al, 1; mov ah, 2; mov ecx, eax; mov cx, ax; mov dl, ch");
  form("move", NONE, "rsi:v8 rdi:v8", "mov sil, dil");
  form("move", NONE, "rsi:v8", "movzx esi, sil");
  form("move", NONE, "rsi:v8", "movsx rsi, sil");
  form("move", NONE, "rcx:v64", "mov ecx, ecx");
  form("move", NONE, "rax:v64", "xchg eax, eax; .byte 0x87, 0xc0");
  form("move", NONE, "rbx:p", "movnti dword ptr [rbx], ecx");
  form("move", NONE, "rbx:p", "movnti qword ptr [rbx], r9");
  form("move", NONE, "rbx:p", "prefetcht0 byte ptr [rbx]");
  form("move", NONE, "", "nop dword ptr [rax + rax*1 + 0]");
  form("move", NONE, "", ".byte 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0 # long nop");
  form("move", NONE, "rax:v64", "mov rsi, rax; mov edi, esi; movzx edx, di; movsx rax, dl");

  static const char *const addresses[] = {"[rax]",           "[rcx + 1]",          "[r8 - 128]",        "[rax + rcx]",
                                          "[rax + rcx*2]",   "[rax + rcx*4 + 8]",  "[rax + r9*8 - 0x12345]", "[rcx*8]",
                                          "[rcx*4 + 0x7fffffff]", "[rbp + rcx]",   "[r13 + 0]",         "[r12 + r12*8]",
                                          "[rax + rax*2]",   "[rcx*2 - 1]",        "[rax - 0x80000000]"};
  for (unsigned a = 0; a < sizeof addresses / sizeof *addresses; a++)
    for (int i = 1; i < 4; i++)
      form("move", NONE, "rax:v64 rcx:v64 r8:v64 r9:v64 rbp:v64 r12:v64 r13:v64", "lea %s, %s", reg(RDX, sizes[i]), addresses[a]);
  static const char *const narrow[] = {"[eax]", "[eax + ecx]", "[eax + ecx*4 - 1]", "[r8d + 0x7fffffff]", "[ecx*8]"};
  for (unsigned a = 0; a < sizeof narrow / sizeof *narrow; a++) {
    form("move", NONE, "rax:v64 rcx:v64 r8:v64", "lea edx, %s", narrow[a]);
    form("move", NONE, "rax:v64 rcx:v64 r8:v64", "lea rdx, %s", narrow[a]);
  }
  form("move", NONE, "rax:v64", "lea eax, [rax + rax*4]; lea rax, [rax + rax*8 + 7]");
  form("move", NONE, "norel", "lea rax, [rip + 0x1234]");
  form("move", NONE, "norel", "lea eax, [rip - 0x1234]");
  form("move", NONE, "norel", "lea rcx, [rsp + 0x28]");
}

static void stack(void) {
  const char *rsp = "rsp:p";
  form("stack", NONE, "rsp:p rax:v64", "push rax");
  form("stack", NONE, "rsp:p", "push r12");
  form("stack", NONE, "rsp:p norel", "push rsp");
  form("stack", NONE, "rsp:p rcx:v64", "push cx");
  form("stack", NONE, rsp, "push 1");
  form("stack", NONE, rsp, "push -128");
  form("stack", NONE, rsp, "push 0x7fffffff");
  form("stack", NONE, rsp, "push -0x80000000");
  form("stack", NONE, rsp, "pushw 0x1234");
  form("stack", NONE, "rsp:p rbx:p/v64", "push qword ptr [rbx]");
  form("stack", NONE, "rsp:p rbx:p/v16", "push word ptr [rbx]");
  form("stack", NONE, rsp, "push qword ptr [rsp + 8]");
  form("stack", NONE, rsp, "pop rax");
  form("stack", NONE, rsp, "pop r9");
  form("stack", NONE, rsp, "pop cx");
  form("stack", NONE, "rsp:p norel", "pop rsp");
  form("stack", NONE, "rsp:p rbx:p", "pop qword ptr [rbx]");
  form("stack", NONE, "rsp:p rbx:p", "pop word ptr [rbx]");
  form("stack", NONE, rsp, "pop qword ptr [rsp + 8]");
  form("stack", NONE, "rsp:p norel", "push rbx; push rsi; sub rsp, 0x28; mov [rsp + 0x20], rcx; add rsp, 0x28; pop rdi; pop rbp");
  form("stack", NONE, "rsp:p norel rbp:v64", "push rbp; mov rbp, rsp; sub rsp, 0x30; mov dword ptr [rbp - 4], 7; leave");
  form("stack", NONE, "norel rbp:k0x10000f80", "leave");
  form("stack", NONE, "rsp:p norel rbp:v64", "enter 0x20, 0");
  form("stack", NONE, "rsp:p norel rbp:k0x10000f80", "enter 0x10, 1");
  form("stack", NONE, "rsp:p norel", "and rsp, -16; push rax; pop rdx");
  form("stack", NONE, "rsp:p", "lea rsp, [rsp - 8]; mov [rsp], rdx; xchg [rsp], rax; pop rcx");

  form("control", NONE, "rsp:p norel", "call 1f; jmp 2f; 1: lea eax, [rcx + rdx]; ret; 2:");
  form("control", NONE, "rsp:p norel rcx:k5",
       "call 1f; jmp 3f; 1: test ecx, ecx; jz 2f; push rcx; dec ecx; call 1b; pop rcx; add rax, rcx; 2: ret; 3:");
  form("control", NONE, "rsp:p norel", "lea r10, [rip + 1f]; call r10; jmp 2f; 1: mov ecx, 3; ret; 2:");
  form("control", NONE, "rsp:p norel", "push 7; call 1f; jmp 2f; 1: mov eax, [rsp + 8]; ret 8; 2:");
  form("control", NONE, "rsp:p norel", "lea r10, [rip + 1f]; jmp r10; mov ecx, 1; 1: mov edx, 2");
  form("control", NONE, "rsp:p norel", "lea r10, [rip + 1f]; push r10; ret; mov ecx, 1; 1: mov edx, 2");
  form("control", NONE, "rsp:p norel", "lea r10, [rip + 1f]; mov [rsp], r10; jmp qword ptr [rsp]; mov ecx, 1; 1: mov edx, 2");
  form("control", NONE, "rax:v32", "and eax, 3; cmp eax, 2; ja 3f; je 2f; test eax, eax; je 1f; mov ecx, 11; jmp 4f; 1: mov ecx, 10; jmp 4f; "
                                   "2: mov ecx, 12; jmp 4f; 3: mov ecx, 13; 4:");
  form("control", NONE, "rcx:k6", "xor eax, eax; 1: add rax, rcx; loop 1b");
  form("control", NONE, "rcx:k6 rax:v8", "1: dec al; loopne 1b");
  form("control", NONE, "rcx:k6 rax:v8", "1: cmp al, al; loope 1b");
  form("control", NONE, "rcx:v64", "jrcxz 1f; mov eax, 1; 1:");
  form("control", NONE, "rcx:v64", "jecxz 1f; mov eax, 1; 1:");
  form("control", NONE, "", "jmp 1f; mov eax, 1; 1: {disp32} jmp 2f; mov ecx, 1; 2:");
  form("fault", NONE, "rax:v32", "mov ecx, eax; ud2");
  form("fault", NONE, "rax:v32", "inc eax; push rax; ud2");
  form("fault", NONE, "rax:k0x8000000000000000", "mov ecx, 5; mov rdx, [rax]");
  form("fault", NONE, "rax:k0x8000000000000000", "add ecx, 5; mov [rax], rdx");
  form("fault", NONE, "rcx:k0 rax:v32", "add eax, 1; cdq; idiv ecx");
}

void stringForms(void) {
  static const struct { const char *name; char kind; } ops[5] = {{"movs", 'm'}, {"stos", 't'}, {"lods", 'l'}, {"scas", 's'}, {"cmps", 'c'}};
  static const char suffix[4] = {'b', 'w', 'd', 'q'};
  for (int o = 0; o < 5; o++)
    for (int i = 0; i < 4; i++) {
      char in[80];
      int compares = ops[o].kind == 's' || ops[o].kind == 'c';
      snprintf(in, sizeof in, "df rax:v64 str:%d:%c", sizes[i], ops[o].kind);
      form("string", NONE, in, "%s%c", ops[o].name, suffix[i]);
      snprintf(in, sizeof in, "df rax:v64 str:%d:%c:r", sizes[i], ops[o].kind);
      form("string", NONE, in, "%s %s%c", compares ? "repe" : "rep", ops[o].name, suffix[i]);
      if (compares) form("string", NONE, in, "repne %s%c", ops[o].name, suffix[i]);
    }
  form("string", NONE, "norel rax:v8 str:8:s:r", "repne scasb; jne 1f; lea rdx, [rdi - 1]; 1: sete al");
  form("string", NONE, "str:8:c:r", "repe cmpsb; seta al; sbb al, 0; movsx eax, al");
}

void moveForms(void) {
  moves();
  stack();
}
