/* Runs a mapped image natively, one instruction at a time, and prints what the processor did: the oracle of the unwind test.
   stepper IMAGE BASE ENTRY_RVA SIZE: IMAGE is the laid out image for BASE. Output: one record per step in binary:
   u64 rip, gpr[16] (encoding order), xmm6..15 (2 u64 each), u64 stackBytes, stack from rsp to the caller's frame. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stdint.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <fcntl.h>
#include <unistd.h>
static uint64_t base, size, top __attribute__((used)); static int out = 1; static int on;
static char *buffer; static size_t used;
static void put(const void *data, size_t n) { memcpy(buffer + used, data, n); used += n; }
static void trap(int s, siginfo_t *i, void *c) {
  ucontext_t *u = c; greg_t *g = u->uc_mcontext.gregs;
  uint64_t rip = g[REG_RIP];
  if (rip - base >= size) return;
  static const int order[16] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
    REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15 };
  put(&rip, 8);
  for (int k = 0; k < 16; k++) { uint64_t v = g[order[k]]; put(&v, 8); }
  put(&u->uc_mcontext.fpregs->_xmm[6], 16 * 10);
  uint64_t rsp = g[REG_RSP]; uint64_t n = top - rsp;
  /* A big array in between is of no interest: its first and last 2 KB are kept. */
  uint64_t head = n > 0x1000 ? 0x800 : n, tail = n > 0x1000 ? 0x800 : 0;
  put(&n, 8); put((void *)rsp, head); put((void *)(top - tail), tail);
}
static uint64_t routine __attribute__((used));
uint64_t run(void);
/* Saves what the caller keeps, changes to the small stack and calls the routine with the trap flag set. */
__asm__(".text\nrun:\n push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
        " mov %rsp, %r15\n mov top(%rip), %rsp\n sub $0x80, %rsp\n mov $6, %ecx\n mov routine(%rip), %rax\n"
        " mov $0x1111, %ebx\n mov $0x2222, %ebp\n mov $0x3333, %esi\n mov $0x4444, %edi\n mov $0x5555, %r12d\n"
        " pushfq\n orq $0x100, (%rsp)\n popfq\n call *%rax\n pushfq\n andq $~0x100, (%rsp)\n popfq\n"
        " mov %r15, %rsp\n pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n");
int main(int argc, char **argv) {
  int f = open(argv[1], O_RDONLY); base = strtoull(argv[2], 0, 0); uint64_t entry = strtoull(argv[3], 0, 0); size = strtoull(argv[4], 0, 0);
  void *p = mmap((void *)base, size, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  if (p != (void *)base || read(f, p, size) != (ssize_t)size) return 2;
  buffer = malloc(64 << 20);
  stack_t alt = { .ss_sp = malloc(1 << 20), .ss_size = 1 << 20 }; sigaltstack(&alt, 0);
  struct sigaction a = { .sa_sigaction = trap, .sa_flags = SA_SIGINFO | SA_ONSTACK }; sigaction(SIGTRAP, &a, 0);
  char *stack = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  top = (uint64_t)stack + (1 << 20) - 256;
  routine = base + entry;
  uint64_t result = run();
  for (size_t k = 0; k < used;) { ssize_t w = write(out, buffer + k, used - k); if (w <= 0) return 3; k += w; }
  fprintf(stderr, "%llu\n", (unsigned long long)result);
  return 0;
}
