// Runs one form on the processor this program runs on and captures the state it leaves.
#define _GNU_SOURCE
#include "generator.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#define CONTROL_VA 0x30000000ull
// Layout of the control page; the assembly below knows these offsets.
typedef struct {
  uint64_t gpr[16];
  uint64_t rflags, rip, mxcsr, unused;
  uint8_t xmm[16][16];
} Registers;
typedef struct {
  Registers in;          // 0x000
  uint8_t pad1[0x400 - sizeof(Registers)];
  Registers out;         // 0x400
  uint8_t pad2[0x400 - sizeof(Registers)];
  uint64_t hostStack;    // 0x800
  uint64_t target;       // 0x808
  uint32_t hostMxcsr;    // 0x810
  int32_t exception;     // 0x814
} Control;
#define control ((Control *)CONTROL_VA)

void enterForm(void);
void leaveForm(void);
void leaveFault(void);
__asm__(
    ".intel_syntax noprefix\n"
    ".macro xmmLoad n\n movups xmm\\n, [0x300000a0 + \\n * 16]\n.endm\n"
    ".macro xmmSave n\n movups [0x300004a0 + \\n * 16], xmm\\n\n.endm\n"
    ".globl enterForm, leaveForm, leaveFault\n"
    "enterForm:\n"
    " push rbx\n push rbp\n push r12\n push r13\n push r14\n push r15\n"
    " mov ds:[0x30000800], rsp\n stmxcsr ds:[0x30000810]\n"
    " ldmxcsr ds:[0x30000090]\n"
    " .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n xmmLoad \\n\n .endr\n"
    " push qword ptr ds:[0x30000080]\n popfq\n"
    " mov rax, ds:[0x30000000]\n mov rcx, ds:[0x30000008]\n mov rdx, ds:[0x30000010]\n mov rbx, ds:[0x30000018]\n"
    " mov rsp, ds:[0x30000020]\n mov rbp, ds:[0x30000028]\n mov rsi, ds:[0x30000030]\n mov rdi, ds:[0x30000038]\n"
    " mov r8, ds:[0x30000040]\n mov r9, ds:[0x30000048]\n mov r10, ds:[0x30000050]\n mov r11, ds:[0x30000058]\n"
    " mov r12, ds:[0x30000060]\n mov r13, ds:[0x30000068]\n mov r14, ds:[0x30000070]\n mov r15, ds:[0x30000078]\n"
    " jmp qword ptr ds:[0x30000808]\n"
    "leaveForm:\n"
    " mov ds:[0x30000400], rax\n mov ds:[0x30000408], rcx\n mov ds:[0x30000410], rdx\n mov ds:[0x30000418], rbx\n"
    " mov ds:[0x30000420], rsp\n mov ds:[0x30000428], rbp\n mov ds:[0x30000430], rsi\n mov ds:[0x30000438], rdi\n"
    " mov ds:[0x30000440], r8\n mov ds:[0x30000448], r9\n mov ds:[0x30000450], r10\n mov ds:[0x30000458], r11\n"
    " mov ds:[0x30000460], r12\n mov ds:[0x30000468], r13\n mov ds:[0x30000470], r14\n mov ds:[0x30000478], r15\n"
    " mov rsp, ds:[0x30000800]\n pushfq\n pop qword ptr ds:[0x30000480]\n"
    " stmxcsr ds:[0x30000490]\n"
    " .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n xmmSave \\n\n .endr\n"
    "leaveFault:\n"
    " mov rsp, ds:[0x30000800]\n cld\n ldmxcsr ds:[0x30000810]\n"
    " pop r15\n pop r14\n pop r13\n pop r12\n pop rbp\n pop rbx\n ret\n"
    ".att_syntax\n");

static void onFault(int signal, siginfo_t *info, void *context) {
  (void)info;
  ucontext_t *u = context;
  static const int order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  greg_t *g = u->uc_mcontext.gregs;
  uint64_t rip = (uint64_t)g[REG_RIP];
  if (rip < CODE_VA || rip >= CODE_VA + MAX_CODE) {
    fprintf(stderr, "signal %d outside a form at %llx\n", signal, (unsigned long long)rip);
    _Exit(1);
  }
  for (int i = 0; i < 16; i++) control->out.gpr[i] = (uint64_t)g[order[i]];
  control->out.rflags = (uint64_t)g[REG_EFL];
  control->out.rip = rip;
  control->out.mxcsr = u->uc_mcontext.fpregs->mxcsr;
  memcpy(control->out.xmm, u->uc_mcontext.fpregs->_xmm, sizeof control->out.xmm);
  control->exception = signal == SIGFPE ? 0 : signal == SIGILL ? 6 : (int)g[REG_TRAPNO];
  g[REG_RIP] = (greg_t)(uintptr_t)leaveFault;
  g[REG_EFL] &= ~(greg_t)DF;
}

static void *mapAt(uint64_t va, size_t size, int protection) {
  void *p = mmap((void *)va, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (p != (void *)va) { perror("mmap"); exit(1); }
  return p;
}

void initProcessor(void) {
  mapAt(CONTROL_VA, 0x1000, PROT_READ | PROT_WRITE);
  mapAt(PAGES_VA, 0x2000, PROT_READ | PROT_WRITE);
  mapAt(CODE_VA, 0x1000, PROT_READ | PROT_WRITE | PROT_EXEC);
  static uint8_t stack[65536];
  stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
  sigaltstack(&alternate, NULL);
  struct sigaction action = {.sa_sigaction = onFault, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
  sigaction(SIGFPE, &action, NULL);
  sigaction(SIGILL, &action, NULL);
  sigaction(SIGSEGV, &action, NULL);
  sigaction(SIGBUS, &action, NULL);
}

void execute(const Form *f, const State *before, State *after) {
  uint8_t *pages = (uint8_t *)PAGES_VA;
  uint8_t *code = (uint8_t *)CODE_VA;
  // Outside the window a fixed filler shows stray writes.
  memset(pages, 0x5a, 0x2000);
  memcpy((uint8_t *)WINDOW_VA, before->memory, WINDOW_SIZE);
  memcpy(code, f->code, (size_t)f->codeLength);
  static const uint8_t jump[6] = {0xff, 0x25, 0, 0, 0, 0};
  uint64_t exitVa = (uint64_t)(uintptr_t)leaveForm;
  memcpy(code + f->codeLength, jump, 6);
  memcpy(code + f->codeLength + 6, &exitVa, 8);

  memcpy(control->in.gpr, before->gpr, sizeof before->gpr);
  memcpy(control->in.xmm, before->xmm, sizeof before->xmm);
  control->in.rflags = before->rflags;
  control->in.mxcsr = before->mxcsr;
  control->target = CODE_VA;
  control->exception = -1;
  enterForm();

  memcpy(after->gpr, control->out.gpr, sizeof after->gpr);
  memcpy(after->xmm, control->out.xmm, sizeof after->xmm);
  after->rflags = control->out.rflags;
  after->mxcsr = control->out.mxcsr & 0xffff;
  after->exception = control->exception;
  after->rip = after->exception < 0 ? CODE_VA + (uint64_t)f->codeLength : control->out.rip;
  memcpy(after->memory, (uint8_t *)WINDOW_VA, WINDOW_SIZE);
  for (uint64_t va = PAGES_VA; va < PAGES_VA + 0x2000; va++) {
    if (va >= WINDOW_VA && va < WINDOW_VA + WINDOW_SIZE) continue;
    if (pages[va - PAGES_VA] != 0x5a) {
      fprintf(stderr, "%s writes outside the window at %llx\n", f->text, (unsigned long long)va);
      exit(1);
    }
  }
}
