#!/bin/sh
# Builds dma-rules.sys beside this file, with line numbers in it. Needs mingw-w64's gcc, headers and import libraries.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here"/*.c "$here"/*.h "$work"
cd "$work"
include=/usr/share/mingw-w64/include
for name in dma-rules clean-uses driver-patterns wrong-releases wrong-writes wrong-calls; do
  x86_64-w64-mingw32-gcc -std=gnu11 -O1 -fno-optimize-sibling-calls -fno-inline -Wall -Wextra -Werror -Wno-array-bounds -Wno-multichar \
    -ffreestanding -fno-builtin -fno-stack-protector -mno-stack-arg-probe -fno-ident -fms-extensions -gdwarf-4 -g1 \
    -gno-record-gcc-switches -frandom-seed=$name -ffile-prefix-map="$work"=dma-rules \
    -ffile-prefix-map=$include=mingw-w64 -isystem $include/ddk -c $name.c
done
x86_64-w64-mingw32-gcc dma-rules.o clean-uses.o driver-patterns.o wrong-releases.o wrong-writes.o wrong-calls.o -o dma-rules.sys -nostdlib -nostartfiles -shared \
  -Wl,--exclude-all-symbols -Wl,--subsystem,native:10.0 -Wl,--image-base,0x140000000 -Wl,--dynamicbase -Wl,--nxcompat \
  -Wl,--forceinteg -Wl,--no-insert-timestamp -Wl,--entry,DriverEntry -Wl,--gc-sections -lntoskrnl -lhal
cp dma-rules.sys "$out/dma-rules.sys"
