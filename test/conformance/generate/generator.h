// Recorder of processor behaviour: shared declarations. See ../README.md for the file format.
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { CF = 1, PF = 4, AF = 0x10, ZF = 0x40, SF = 0x80, DF = 0x400, OF = 0x800 };
enum { ARITHMETIC = CF | PF | AF | ZF | SF | OF };
enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI };
enum { WINDOW_SIZE = 1024, MAX_CODE = 512, MAX_FORMS = 4000 };

// Fixed addresses, so that absolute pointers mean the same natively and in an emulator.
// The window straddles a page boundary at its offset 0x200.
#define CODE_VA 0x20000000ull
#define PAGES_VA 0x10000000ull
#define WINDOW_VA 0x10000e00ull
#define STACK_TOP (WINDOW_VA + 0x380)

typedef struct {
  uint64_t gpr[16];
  uint64_t rflags;
  uint64_t rip;
  uint64_t mxcsr;
  uint64_t unused;
  uint8_t xmm[16][16];
  uint8_t memory[WINDOW_SIZE];
  int exception; // vector, or -1
} State;

// Which status flags the Intel SDM leaves undefined; for shifts that depends on the count.
typedef struct {
  enum { FIXED, SHIFT_LEFT_RIGHT, SHIFT_ARITHMETIC, ROTATE, DOUBLE_SHIFT } kind;
  int mask;
  int size;
  int count; // -1: in CL
} Undefined;
#define FLAGS(m) ((Undefined){FIXED, (m), 0, 0})
#define NONE FLAGS(0)
#define LOGIC FLAGS(AF)
#define MULTIPLY FLAGS(SF | ZF | AF | PF)

typedef struct {
  const char *group;
  char text[1200];
  char inputs[200];
  Undefined undefined;
  uint8_t code[MAX_CODE];
  int codeLength;
} Form;

extern Form forms[MAX_FORMS];
extern int formCount;

// Adds a form: assembler text (printf style) with what its operands hold (see values.c).
void form(const char *group, Undefined undefined, const char *inputs, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
const char *reg(int number, int bits);  // register name at a width
const char *ptr(int bits);              // "dword ptr" and so on

void integerForms(void);
void shiftForms(void);
void bitForms(void);
void moveForms(void);
void stringForms(void);
void sseForms(void);
void floatForms(void);
void sequenceForms(void);

// PRNG (xorshift64*), seeded per form from its text.
void seedFrom(const char *text);
uint64_t random64(void);
uint32_t below(uint32_t limit);

extern State base; // what every vector starts from
void initBase(void);
// Fills `state` for vector `index`; returns the mask of registers that hold pointers into the window.
int makeInputs(const Form *f, int index, State *state);
int undefinedFlags(const Form *f, const State *before);
int undefinedRegisters(const Form *f, const State *after);
int isRelocatable(const Form *f);

void initProcessor(void);
void execute(const Form *f, const State *before, State *after);

static const char *const conditions[16] = {"o", "no", "b", "ae", "e", "ne", "be", "a",
                                           "s", "ns", "p", "np", "l", "ge", "le", "g"};
