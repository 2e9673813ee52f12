#!/bin/sh
# Compiles the workloads to flat blobs: bench/workloads/build.sh (gcc 12.2 made the committed ones).
set -eu
cd "$(dirname "$0")"
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
for source in *.c; do
  name=${source%.c}
  # Hidden visibility and no indirect tables keep it free of relocations; memcpy calls would have nowhere to go.
  gcc -std=gnu11 -O2 -Wall -Wextra -Wno-unused-function -mabi=ms -ffreestanding -fpie -fvisibility=hidden -mno-red-zone -mcmodel=small \
    -fno-stack-protector -fno-asynchronous-unwind-tables -fcf-protection=none -fno-tree-loop-distribute-patterns -fno-ident \
    -frandom-seed="$name" -c "$source" -o "$build/$name.o"
  ld -T workload.ld --no-dynamic-linker -e run -pie --no-undefined --build-id=none "$build/$name.o" -o "$build/$name.elf" 2> "$build/log" || { cat "$build/log"; exit 1; }
  objcopy -O binary -j .text "$build/$name.elf" "$name.bin"
done
ls -l ./*.bin
