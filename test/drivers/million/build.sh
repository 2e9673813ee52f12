#!/bin/sh
# Builds million.sys beside this file. Needs gcc-mingw-w64-x86-64.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/million.c" "$work"
cd "$work"
include=/usr/share/mingw-w64/include
x86_64-w64-mingw32-gcc -std=gnu11 -O2 -g1 -gdwarf-4 -Wall -Wextra -Werror -Wno-multichar -Wno-array-bounds -Wno-stringop-overflow \
  -fms-extensions -ffreestanding -fno-builtin -fno-stack-protector -mno-stack-arg-probe -fno-ident -fno-optimize-sibling-calls \
  -femit-struct-debug-baseonly -fno-var-tracking -gno-record-gcc-switches -frandom-seed=million "-ffile-prefix-map=$work=test/drivers/million" \
  "-ffile-prefix-map=$include=mingw-w64" -isystem $include/ddk -c million.c
x86_64-w64-mingw32-gcc million.o -o million.sys -nostdlib -nostartfiles -shared -Wl,--exclude-all-symbols \
  -Wl,--subsystem,native:10.0 -Wl,--image-base,0x140000000 -Wl,--dynamicbase -Wl,--nxcompat -Wl,--no-insert-timestamp \
  -Wl,--entry,DriverEntry -lntoskrnl -lhal
cp million.sys "$out/million.sys"
