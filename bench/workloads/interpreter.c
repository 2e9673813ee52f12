// A small bytecode machine: an indirect jump per step, through the jump table of a switch.
#include "workload.h"

enum { PUSH, ADD, SUB, MUL, XOR, SHIFT, DUP, SWAP, LOAD, STORE, JUMP_NONZERO, DEC, DIVIDE, HALT };
// Twelve turns of a loop that mixes a counter into a cell.
static const u8 program[] = {PUSH, 12, STORE, 0, LOAD, 1, DUP, PUSH, 13, SHIFT, XOR, PUSH, 37, MUL, PUSH, 11, ADD, DUP, PUSH, 7, DIVIDE, SWAP, SUB,
                             LOAD, 0, ADD, STORE, 1, LOAD, 0, DEC, DUP, STORE, 0, JUMP_NONZERO, 4, HALT};

static NOINLINE u64 interpret(const u8 *code, u64 *stack, u64 *cells) {
  u64 *top = stack, steps = 0;
  for (u32 pc = 0;; steps++) {
    switch (code[pc++]) {
      case PUSH: *++top = code[pc++]; break;
      case ADD: top--; *top += top[1]; break;
      case SUB: top--; *top -= top[1]; break;
      case MUL: top--; *top *= top[1]; break;
      case XOR: top--; *top ^= top[1]; break;
      case SHIFT: top--; *top >>= top[1] & 63; break;
      case DUP: top[1] = *top; top++; break;
      case SWAP: { u64 t = *top; *top = top[-1]; top[-1] = t; break; }
      case LOAD: *++top = cells[code[pc++]]; break;
      case STORE: cells[code[pc++]] = *top--; break;
      case JUMP_NONZERO: if (*top-- != 0) pc = code[pc]; else pc++; break;
      case DEC: --*top; break;
      case DIVIDE: top--; *top /= top[1] ? top[1] : 1; break;
      default: return steps;
    }
  }
}

ENTRY(u64 count, u8 *scratch) {
  u64 *cells = (u64 *)scratch, *stack = cells + 16, sum = 0;
  cells[1] = 0x123456789abcdef;
  for (u64 n = 0; n < count; n++) {
    sum += interpret(program, stack, cells);
    sum = sum * 3 ^ cells[1];
  }
  return sum;
}
