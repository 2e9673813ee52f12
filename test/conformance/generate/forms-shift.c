// Shifts and rotates; bit tests and bit scans.
#include "generator.h"
#include <stdio.h>

static const int sizes[4] = {8, 16, 32, 64};

void shiftForms(void) {
  static const char *const ops[7] = {"shl", "shr", "sar", "rol", "ror", "rcl", "rcr"};
  for (int o = 0; o < 7; o++) {
    const char *op = ops[o];
    int kind = o < 2 ? SHIFT_LEFT_RIGHT : o == 2 ? SHIFT_ARITHMETIC : ROTATE;
    for (int i = 0; i < 4; i++) {
      int n = sizes[i];
      char in[80];
      const int counts[] = {1, 0, 4, n - 1, n, n + 1, 63};
      for (int c = 0; c < 7; c++) {
        Undefined u = {kind, 0, n, counts[c]};
        snprintf(in, sizeof in, "rdx:v%d", n);
        form("shift", u, in, "%s %s, %d", op, reg(RDX, n), counts[c]);
        if (c > 3) continue;
        snprintf(in, sizeof in, "rbx:p/v%d", n);
        form("shift", u, in, "%s %s [rbx], %d", op, ptr(n), counts[c]);
      }
      Undefined u = {kind, 0, n, -1};
      snprintf(in, sizeof in, "rdx:v%d rcx:c%d", n, n);
      form("shift", u, in, "%s %s, cl", op, reg(RDX, n));
      snprintf(in, sizeof in, "r11:v%d rcx:c%d", n, n);
      form("shift", u, in, "%s %s, cl", op, reg(11, n));
      form("shift", u, in, "%s %s, cl", op, reg(RCX, n));
      snprintf(in, sizeof in, "rbx:p/v%d rcx:c%d", n, n);
      form("shift", u, in, "%s %s [rbx], cl", op, ptr(n));
    }
    form("shift", (Undefined){kind, 0, 8, -1}, "rax:w rcx:c8", "%s ah, cl", op);
    form("shift", (Undefined){kind, 0, 8, 1}, "rbx:w", "%s bh, 1", op);
    form("shift", (Undefined){kind, 0, 8, 3}, "rdx:w", "%s dh, 3", op);
    // Encoding D0/D1 against C0/C1 with an immediate of one.
    form("shift", (Undefined){kind, 0, 32, 1}, "rdx:v32", ".byte 0xc1, 0x%x, 1 # %s edx, imm8 1", 0xc2 + 8 * (int[]){4, 5, 7, 0, 1, 2, 3}[o], op);
  }
  for (int left = 0; left < 2; left++) {
    const char *op = left ? "shld" : "shrd";
    for (int i = 1; i < 4; i++) {
      int n = sizes[i];
      char in[80];
      const int counts[] = {1, 0, 5, n - 1, n == 16 ? 16 : n + 1};
      for (int c = 0; c < 5; c++) {
        Undefined u = {DOUBLE_SHIFT, 0, n, counts[c]};
        snprintf(in, sizeof in, "rdx:v%d rax:v%d", n, n);
        form("shift", u, in, "%s %s, %s, %d", op, reg(RDX, n), reg(RAX, n), counts[c]);
        if (c > 2) continue;
        snprintf(in, sizeof in, "rbx:p/v%d rax:v%d", n, n);
        form("shift", u, in, "%s %s [rbx], %s, %d", op, ptr(n), reg(RAX, n), counts[c]);
      }
      Undefined u = {DOUBLE_SHIFT, 0, n, -1};
      snprintf(in, sizeof in, "rdx:v%d r9:v%d rcx:c%d", n, n, n);
      form("shift", u, in, "%s %s, %s, cl", op, reg(RDX, n), reg(9, n));
      form("shift", u, in, "%s %s, %s, cl", op, reg(9, n), reg(9, n));
      snprintf(in, sizeof in, "rbx:p/v%d rax:v%d rcx:c%d", n, n, n);
      form("shift", u, in, "%s %s [rbx], %s, cl", op, ptr(n), reg(RAX, n));
    }
  }
}

void bitForms(void) {
  static const char *const tests[4] = {"bt", "bts", "btr", "btc"};
  Undefined afterTest = FLAGS(OF | SF | AF | PF);
  for (int i = 1; i < 4; i++) {
    int n = sizes[i];
    char in[80];
    for (int o = 0; o < 4; o++) {
      const char *op = tests[o];
      snprintf(in, sizeof in, "rax:v%d rcx:v%d", n, n);
      form("bit", afterTest, in, "%s %s, %s", op, reg(RAX, n), reg(RCX, n));
      snprintf(in, sizeof in, "r9:v%d rcx:b%d", n, n);
      form("bit", afterTest, in, "%s %s, %s", op, reg(9, n), reg(RCX, n));
      snprintf(in, sizeof in, "rax:v%d", n);
      form("bit", afterTest, in, "%s %s, 0", op, reg(RAX, n));
      form("bit", afterTest, in, "%s %s, %d", op, reg(RAX, n), n - 1);
      form("bit", afterTest, in, "%s %s, %d", op, reg(RAX, n), n + 3);
      snprintf(in, sizeof in, "rbx:p/v%d rcx:b%d", n, n);
      form("bit", afterTest, in, "%s %s [rbx], %s", op, ptr(n), reg(RCX, n));
      form("bit", afterTest, in, "%s %s [rbx], 7", op, ptr(n));
      form("bit", afterTest, in, "%s %s [rbx], %d", op, ptr(n), n + 9);
      if (o == 0) continue;
      form("lock", afterTest, in, "lock %s %s [rbx], %s", op, ptr(n), reg(RCX, n));
      form("lock", afterTest, in, "lock %s %s [rbx], 3", op, ptr(n));
    }
    static const char *const scans[5] = {"bsf", "bsr", "tzcnt", "lzcnt", "popcnt"};
    for (int o = 0; o < 5; o++) {
      Undefined u = o < 2 ? FLAGS(CF | OF | SF | AF | PF) : o < 4 ? FLAGS(OF | SF | AF | PF) : NONE;
      snprintf(in, sizeof in, "rcx:v%d", n);
      form("bit", u, in, "%s %s, %s", scans[o], reg(RAX, n), reg(RCX, n));
      form("bit", u, in, "%s %s, %s", scans[o], reg(9, n), reg(RCX, n));
      snprintf(in, sizeof in, "rax:v%d", n);
      form("bit", u, in, "%s %s, %s", scans[o], reg(RAX, n), reg(RAX, n));
      snprintf(in, sizeof in, "rbx:p/v%d", n);
      form("bit", u, in, "%s %s, %s [rbx]", scans[o], reg(RAX, n), ptr(n));
    }
  }
}
