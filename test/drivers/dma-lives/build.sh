#!/bin/sh
# Builds dma-lives.sys beside this file, with line numbers in it. Needs mingw-w64's gcc, headers and import libraries.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/dma-lives.c" "$work"
cd "$work"
include=/usr/share/mingw-w64/include
x86_64-w64-mingw32-gcc -std=gnu11 -O2 -Wall -Werror -Wno-multichar -ffreestanding -fno-builtin -fno-stack-protector \
  -mno-stack-arg-probe -fno-ident -fms-extensions -gdwarf-4 -g1 -gno-record-gcc-switches -frandom-seed=dma-lives \
  -ffile-prefix-map="$work"=dma-lives -ffile-prefix-map=$include=mingw-w64 -isystem $include/ddk -c dma-lives.c
x86_64-w64-mingw32-gcc dma-lives.o -o dma-lives.sys -nostdlib -nostartfiles -shared -Wl,--exclude-all-symbols \
  -Wl,--subsystem,native:10.0 -Wl,--image-base,0x140000000 -Wl,--dynamicbase -Wl,--nxcompat \
  -Wl,--no-insert-timestamp -Wl,--entry,DriverEntry -Wl,--gc-sections -lntoskrnl -lhal
cp dma-lives.sys "$out/dma-lives.sys"
