// Runs a workload on the processor itself: native <blob> <warm-up count> <count>; prints nanoseconds and checksum.
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { SCRATCH_BYTES = 1 << 20, CODE_BYTES = 1 << 16 };
// The blob follows the Windows x64 convention; the compiler saves what differs from the System V one.
typedef uint64_t __attribute__((ms_abi)) Run(uint64_t count, uint8_t *scratch);

int main(int argc, char **argv) {
  if (argc != 4) return fprintf(stderr, "usage: native blob warm-up-count count\n"), 2;
  uint8_t *code = mmap(NULL, CODE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  uint8_t *scratch = mmap(NULL, SCRATCH_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  FILE *file = fopen(argv[1], "rb");
  if (!file || code == MAP_FAILED || scratch == MAP_FAILED || fread(code, 1, CODE_BYTES, file) == 0) return perror(argv[1]), 1;
  Run *run = (Run *)(void *)code;
  run(strtoull(argv[2], NULL, 10), scratch);
  memset(scratch, 0, SCRATCH_BYTES);
  struct timespec start, end;
  clock_gettime(CLOCK_MONOTONIC, &start);
  uint64_t checksum = run(strtoull(argv[3], NULL, 10), scratch);
  clock_gettime(CLOCK_MONOTONIC, &end);
  printf("%lld %016llx\n", (end.tv_sec - start.tv_sec) * 1000000000ll + end.tv_nsec - start.tv_nsec, (unsigned long long)checksum);
}
