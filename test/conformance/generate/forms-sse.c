// SSE2: moves and integer operations. Each two-operand operation runs on registers and on aligned memory.
#include "generator.h"
#include <stdio.h>
#include <string.h>

static void both(const char *group, const char *op, int lane, const char *immediate) {
  char in[80];
  snprintf(in, sizeof in, "xmm0:x%d xmm1:x%d", lane, lane);
  form(group, NONE, in, "%s xmm0, xmm1%s", op, immediate);
  snprintf(in, sizeof in, "xmm9:x%d rbx:a16/x%dx%d", lane, lane, 128 / lane);
  form(group, NONE, in, "%s xmm9, xmmword ptr [rbx]%s", op, immediate);
}

static void integerOperations(void) {
  static const struct { const char *op; int lane; } ops[] = {
      {"pand", 64}, {"pandn", 64}, {"por", 64}, {"pxor", 64}, {"andps", 32}, {"andnps", 32}, {"orps", 32}, {"xorps", 32},
      {"andpd", 64}, {"andnpd", 64}, {"orpd", 64}, {"xorpd", 64},
      {"paddb", 8}, {"paddw", 16}, {"paddd", 32}, {"paddq", 64}, {"paddsb", 8}, {"paddsw", 16}, {"paddusb", 8}, {"paddusw", 16},
      {"psubb", 8}, {"psubw", 16}, {"psubd", 32}, {"psubq", 64}, {"psubsb", 8}, {"psubsw", 16}, {"psubusb", 8}, {"psubusw", 16},
      {"pmullw", 16}, {"pmulhw", 16}, {"pmulhuw", 16}, {"pmuludq", 32}, {"pmaddwd", 16}, {"psadbw", 8}, {"pavgb", 8}, {"pavgw", 16},
      {"pminub", 8}, {"pmaxub", 8}, {"pminsw", 16}, {"pmaxsw", 16},
      {"pcmpeqb", 8}, {"pcmpeqw", 16}, {"pcmpeqd", 32}, {"pcmpgtb", 8}, {"pcmpgtw", 16}, {"pcmpgtd", 32},
      {"punpcklbw", 8}, {"punpcklwd", 16}, {"punpckldq", 32}, {"punpcklqdq", 64},
      {"punpckhbw", 8}, {"punpckhwd", 16}, {"punpckhdq", 32}, {"punpckhqdq", 64},
      {"unpcklps", 32}, {"unpckhps", 32}, {"unpcklpd", 64}, {"unpckhpd", 64}, {"packsswb", 16}, {"packssdw", 32}, {"packuswb", 16}};
  for (unsigned i = 0; i < sizeof ops / sizeof *ops; i++) both("sse-integer", ops[i].op, ops[i].lane, "");
  static const char *const same[] = {"pxor", "xorps", "xorpd", "pcmpeqd", "psubd", "pandn", "pcmpgtd", "punpcklbw"};
  for (int i = 0; i < 8; i++) form("sse-integer", NONE, "xmm3:x32", "%s xmm3, xmm3", same[i]);

  static const struct { const char *op; int lane; } shifts[] = {{"psllw", 16}, {"pslld", 32}, {"psllq", 64}, {"psrlw", 16},
                                                                 {"psrld", 32}, {"psrlq", 64}, {"psraw", 16}, {"psrad", 32}};
  for (int i = 0; i < 8; i++) {
    int n = shifts[i].lane;
    char in[80];
    snprintf(in, sizeof in, "xmm2:x%d", n);
    const int counts[] = {0, 1, 5, n - 1, n, 255};
    for (int c = 0; c < 6; c++) form("sse-integer", NONE, in, "%s xmm2, %d", shifts[i].op, counts[c]);
    snprintf(in, sizeof in, "xmm2:x%d rax:c%d", n, n);
    form("sse-integer", NONE, in, "movzx eax, cl; movd xmm7, eax; %s xmm2, xmm7", shifts[i].op);
    snprintf(in, sizeof in, "xmm2:x%d rcx:c%d", n, n);
    form("sse-integer", NONE, in, "movzx ecx, cl; movq xmm7, rcx; %s xmm2, xmm7", shifts[i].op);
    snprintf(in, sizeof in, "xmm2:x%d xmm10:x64", n);
    form("sse-integer", NONE, in, "%s xmm2, xmm10", shifts[i].op);
    snprintf(in, sizeof in, "xmm2:x%d rbx:a16/v64", n);
    form("sse-integer", NONE, in, "%s xmm2, xmmword ptr [rbx]", shifts[i].op);
  }
  const int bytes[] = {0, 1, 4, 8, 15, 16, 200};
  for (int c = 0; c < 7; c++) {
    form("sse-integer", NONE, "xmm2:x8", "pslldq xmm2, %d", bytes[c]);
    form("sse-integer", NONE, "xmm12:x8", "psrldq xmm12, %d", bytes[c]);
  }
  static const char *const controls[] = {", 0", ", 0x1b", ", 0xe4", ", 0x4e", ", 0xb1", ", 0xff", ", 0x93", ", 0x55", ", 0xee"};
  for (int c = 0; c < 9; c++) {
    both("sse-integer", "pshufd", 32, controls[c]);
    form("sse-integer", NONE, "xmm1:x16", "pshuflw xmm0, xmm1%s", controls[c]);
    form("sse-integer", NONE, "xmm1:x16", "pshufhw xmm0, xmm1%s", controls[c]);
    form("sse-integer", NONE, "xmm0:x32 xmm1:x32", "shufps xmm0, xmm1%s", controls[c]);
  }
  both("sse-integer", "pshuflw", 16, ", 0x2d");
  both("sse-integer", "pshufhw", 16, ", 0x2d");
  both("sse-integer", "shufps", 32, ", 0x36");
  for (int c = 0; c < 4; c++) {
    char text[8];
    snprintf(text, sizeof text, ", %d", c);
    both("sse-integer", "shufpd", 64, text);
  }
  for (int i = 0; i < 9; i++) {
    form("sse-integer", NONE, "xmm1:x16", "pextrw eax, xmm1, %d", i);
    form("sse-integer", NONE, "xmm1:x16 rcx:v32", "pinsrw xmm1, ecx, %d", i);
  }
  form("sse-integer", NONE, "xmm1:x16 rbx:p/v16", "pinsrw xmm1, word ptr [rbx], 5");
  form("sse-integer", NONE, "xmm8:x8", "pmovmskb eax, xmm8");
  form("sse-integer", NONE, "xmm1:x8", "pmovmskb r9d, xmm1");
  form("sse-integer", NONE, "xmm1:x32", "movmskps eax, xmm1");
  form("sse-integer", NONE, "xmm1:x64", "movmskpd r10d, xmm1");
  form("sse-integer", FLAGS(OF | SF | AF | PF | CF), "xmm1:x8", "pxor xmm0, xmm0; pcmpeqb xmm0, xmm1; pmovmskb eax, xmm0; or eax, 0x10000; bsf eax, eax");
}

static void moves(void) {
  static const char *const whole[] = {"movaps", "movapd", "movdqa", "movups", "movupd", "movdqu"};
  for (int i = 0; i < 6; i++) {
    form("sse-move", NONE, "xmm1:x32", "%s xmm0, xmm1", whole[i]);
    form("sse-move", NONE, "xmm11:x32", "{store} %s xmm10, xmm11", whole[i]);
    form("sse-move", NONE, "rbx:p", "%s xmm3, xmmword ptr [rbx]", whole[i]);
    form("sse-move", NONE, "rbx:p xmm3:x64", "%s xmmword ptr [rbx], xmm3", whole[i]);
    if (i > 2) continue;
    form("sse-move", NONE, "rbx:a16", "%s xmm13, xmmword ptr [rbx]", whole[i]);
    form("sse-move", NONE, "rbx:a16 xmm3:x64", "%s xmmword ptr [rbx], xmm3; nop", whole[i]);
  }
  form("sse-move", NONE, "rbx:p", "paddd xmm3, xmmword ptr [rbx]");
  form("sse-move", NONE, "rbx:p", "xorps xmm3, xmmword ptr [rbx]");
  form("sse-move", NONE, "rbx:p", "lddqu xmm3, xmmword ptr [rbx]");
  form("sse-move", NONE, "rbx:a16 xmm3:x64", "movntdq xmmword ptr [rbx], xmm3");
  form("sse-move", NONE, "rbx:a16 xmm3:x64", "movntps xmmword ptr [rbx], xmm3");
  form("sse-move", NONE, "rbx:a16 xmm3:x64", "movntpd xmmword ptr [rbx], xmm3");
  form("sse-move", NONE, "rcx:v64", "movd xmm1, ecx");
  form("sse-move", NONE, "rcx:v64", "movq xmm9, rcx");
  form("sse-move", NONE, "xmm1:x32", "movd eax, xmm1");
  form("sse-move", NONE, "xmm9:x64", "movq r9, xmm9");
  form("sse-move", NONE, "rbx:p/v32", "movd xmm1, dword ptr [rbx]");
  form("sse-move", NONE, "rbx:p xmm1:x32", "movd dword ptr [rbx], xmm1");
  form("sse-move", NONE, "xmm2:x64", "movq xmm1, xmm2");
  form("sse-move", NONE, "xmm2:x64", "{store} movq xmm1, xmm2");
  form("sse-move", NONE, "rbx:p/v64", "movq xmm1, qword ptr [rbx]");
  form("sse-move", NONE, "rbx:p xmm1:x64", "movq qword ptr [rbx], xmm1");
  form("sse-move", NONE, "rbx:p/v64", ".byte 0x66, 0x48, 0x0f, 0x6e, 0x0b # movq xmm1, [rbx]");
  form("sse-move", NONE, "rbx:p xmm1:x64", ".byte 0x66, 0x48, 0x0f, 0x7e, 0x0b # movq [rbx], xmm1");
  static const char *const scalar[2] = {"movss", "movsd"};
  for (int i = 0; i < 2; i++) {
    form("sse-move", NONE, "xmm1:x32", "%s xmm0, xmm1", scalar[i]);
    form("sse-move", NONE, "xmm1:x32", "{store} %s xmm0, xmm1", scalar[i]);
    form("sse-move", NONE, "rbx:p", "%s xmm5, %s [rbx]", scalar[i], ptr(i ? 64 : 32));
    form("sse-move", NONE, "rbx:p xmm5:x32", "%s %s [rbx], xmm5", scalar[i], ptr(i ? 64 : 32));
  }
  static const char *const halves[4] = {"movlps", "movhps", "movlpd", "movhpd"};
  for (int i = 0; i < 4; i++) {
    form("sse-move", NONE, "rbx:p", "%s xmm5, qword ptr [rbx]", halves[i]);
    form("sse-move", NONE, "rbx:p xmm5:x32", "%s qword ptr [rbx], xmm5", halves[i]);
  }
  form("sse-move", NONE, "xmm1:x32", "movhlps xmm0, xmm1");
  form("sse-move", NONE, "xmm1:x32", "movlhps xmm0, xmm1");
  form("sse-move", NONE, "xmm1:x8 rdi:p xmm0:x8", "maskmovdqu xmm1, xmm0");
  form("sse-move", NONE, "rsi:p rdi:p",
       "movups xmm0, [rsi]; movups xmm1, [rsi + 16]; movups [rdi], xmm0; movups [rdi + 16], xmm1");
  form("sse-move", NONE, "rsp:p norel", "movaps xmm6, xmm1; sub rsp, 32; movups [rsp], xmm6; movups xmm7, [rsp + 8]; add rsp, 32; nop");
}

void sseForms(void) {
  moves();
  integerOperations();
}

void floatForms(void) {
  static const char *const operations[] = {"add", "sub", "mul", "div", "min", "max", "sqrt"};
  static const char *const suffix[4] = {"ss", "sd", "ps", "pd"};
  for (int o = 0; o < 7; o++)
    for (int t = 0; t < 4; t++) {
      int n = t & 1 ? 64 : 32;
      char in[80];
      snprintf(in, sizeof in, "xmm0:f%d xmm1:f%d", n, n);
      form("float", NONE, in, "%s%s xmm0, xmm1", operations[o], suffix[t]);
      if (t < 2) snprintf(in, sizeof in, "xmm8:f%d rbx:p/f%d", n, n);
      else snprintf(in, sizeof in, "xmm8:f%d rbx:a16/f%dx%d", n, n, 128 / n);
      form("float", NONE, in, "%s%s xmm8, %s [rbx]", operations[o], suffix[t], t < 2 ? ptr(n) : "xmmword ptr");
    }
  for (int predicate = 0; predicate < 8; predicate++)
    for (int t = 0; t < 4; t++) {
      int n = t & 1 ? 64 : 32;
      char in[80];
      snprintf(in, sizeof in, "xmm0:f%d xmm1:f%d", n, n);
      form("float", NONE, in, "cmp%s xmm0, xmm1, %d", suffix[t], predicate);
    }
  for (int t = 0; t < 2; t++) {
    int n = t ? 64 : 32;
    char in[80];
    for (int ordered = 0; ordered < 2; ordered++) {
      const char *op = ordered ? "comi" : "ucomi";
      snprintf(in, sizeof in, "xmm0:f%d xmm1:f%d", n, n);
      form("float", NONE, in, "%s%s xmm0, xmm1", op, suffix[t]);
      snprintf(in, sizeof in, "xmm0:f%d rbx:p/f%d", n, n);
      form("float", NONE, in, "%s%s xmm0, %s [rbx]", op, suffix[t], ptr(n));
      snprintf(in, sizeof in, "xmm0:f%d xmm1:f%d", n, n);
      for (int c = 0; c < 16; c += 1)
        if (c == 2 || c == 3 || c == 4 || c == 5 || c == 6 || c == 7 || c == 10 || c == 11)
          form("float", NONE, in, "%s%s xmm0, xmm1; j%s 1f; mov eax, 1; 1:", op, suffix[t], conditions[c]);
    }
    for (int i = 32; i <= 64; i += 32) {
      form("float", NONE, "rcx:v64", "cvtsi2%s xmm0, %s", suffix[t], reg(RCX, i));
      snprintf(in, sizeof in, "rbx:p/v%d", i);
      form("float", NONE, in, "cvtsi2%s xmm0, %s [rbx]", suffix[t], ptr(i));
      for (int truncate = 0; truncate < 2; truncate++) {
        snprintf(in, sizeof in, "xmm1:f%d", n);
        form("float", NONE, in, "cvt%s%s2si %s, xmm1", truncate ? "t" : "", suffix[t], reg(RAX, i));
        snprintf(in, sizeof in, "rbx:p/f%d", n);
        form("float", NONE, in, "cvt%s%s2si %s, %s [rbx]", truncate ? "t" : "", suffix[t], reg(9, i), ptr(n));
      }
    }
  }
  static const struct { const char *op; char kind; int from, to; } conversions[] = {
      {"cvtss2sd", 'f', 32, 32}, {"cvtsd2ss", 'f', 64, 64}, {"cvtps2pd", 'f', 32, 64}, {"cvtpd2ps", 'f', 64, 128},
      {"cvtdq2ps", 'x', 32, 128}, {"cvtdq2pd", 'x', 32, 64}, {"cvtps2dq", 'f', 32, 128}, {"cvttps2dq", 'f', 32, 128},
      {"cvtpd2dq", 'f', 64, 128}, {"cvttpd2dq", 'f', 64, 128}};
  for (unsigned i = 0; i < sizeof conversions / sizeof *conversions; i++) {
    char in[80];
    snprintf(in, sizeof in, "xmm1:%c%d", conversions[i].kind, conversions[i].from);
    form("float", NONE, in, "%s xmm0, xmm1", conversions[i].op);
    int width = conversions[i].to;
    snprintf(in, sizeof in, "rbx:a16/%c%dx%d", conversions[i].kind, conversions[i].from, width / conversions[i].from);
    form("float", NONE, in, "%s xmm0, %s [rbx]", conversions[i].op, width == 128 ? "xmmword ptr" : ptr(width));
  }
  form("float", NONE, "xmm0:f64 xmm1:f64 xmm2:f64", "mulsd xmm0, xmm1; addsd xmm0, xmm2; cvttsd2si eax, xmm0");
  form("float", NONE, "rax:v64", "cvtsi2sd xmm0, rax; cvtsd2ss xmm1, xmm0; cvtss2sd xmm2, xmm1; cvttsd2si rcx, xmm2");
  form("float", NONE, "rbx:p", "stmxcsr dword ptr [rbx]; ldmxcsr dword ptr [rbx]; nop");
}
