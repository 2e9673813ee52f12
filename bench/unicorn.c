// Runs a workload on Unicorn: unicorn <blob> <warm-up count> <count>; prints nanoseconds and checksum.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unicorn/unicorn.h>

enum { SCRATCH_BYTES = 1 << 20, CODE_BYTES = 1 << 16, STACK_BYTES = 1 << 16 };
static const uint64_t codeVa = 0x140000000, scratchVa = 0x150000000, stackVa = 0x160000000, returnVa = 0x170000000;
static uc_engine *machine;
static uint8_t zeroes[SCRATCH_BYTES];

static void check(uc_err error) {
  if (error == UC_ERR_OK) return;
  fprintf(stderr, "unicorn: %s\n", uc_strerror(error));
  exit(1);
}

static uint64_t run(uint64_t count) {
  // 32 bytes of home space lie above the return address.
  uint64_t rsp = stackVa + STACK_BYTES - 0x28 - 0x20, result;
  check(uc_mem_write(machine, scratchVa, zeroes, SCRATCH_BYTES));
  check(uc_mem_write(machine, rsp, &returnVa, 8));
  check(uc_reg_write(machine, UC_X86_REG_RSP, &rsp));
  check(uc_reg_write(machine, UC_X86_REG_RCX, &count));
  check(uc_reg_write(machine, UC_X86_REG_RDX, &scratchVa));
  check(uc_emu_start(machine, codeVa, returnVa, 0, 0));
  check(uc_reg_read(machine, UC_X86_REG_RAX, &result));
  return result;
}

int main(int argc, char **argv) {
  if (argc == 2 && !strcmp(argv[1], "--version")) {
    unsigned major, minor;
    uc_version(&major, &minor);
    return printf("%u.%u\n", major, minor), 0;
  }
  if (argc != 4) return fprintf(stderr, "usage: unicorn blob warm-up-count count\n"), 2;
  static uint8_t code[CODE_BYTES];
  FILE *file = fopen(argv[1], "rb");
  if (!file || fread(code, 1, CODE_BYTES, file) == 0) return perror(argv[1]), 1;
  check(uc_open(UC_ARCH_X86, UC_MODE_64, &machine));
  check(uc_mem_map(machine, codeVa, CODE_BYTES, UC_PROT_READ | UC_PROT_EXEC));
  check(uc_mem_map(machine, scratchVa, SCRATCH_BYTES, UC_PROT_READ | UC_PROT_WRITE));
  check(uc_mem_map(machine, stackVa, STACK_BYTES, UC_PROT_READ | UC_PROT_WRITE));
  check(uc_mem_map(machine, returnVa, 0x1000, UC_PROT_READ | UC_PROT_EXEC));
  check(uc_mem_write(machine, codeVa, code, CODE_BYTES));
  run(strtoull(argv[2], NULL, 10));
  struct timespec start, end;
  clock_gettime(CLOCK_MONOTONIC, &start);
  uint64_t checksum = run(strtoull(argv[3], NULL, 10));
  clock_gettime(CLOCK_MONOTONIC, &end);
  printf("%lld %016llx\n", (end.tv_sec - start.tv_sec) * 1000000000ll + end.tv_nsec - start.tv_nsec, (unsigned long long)checksum);
}
