#!/bin/sh
# Builds uninitialized.sys beside this file. Needs gcc-mingw-w64-x86-64.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/uninitialized.c" "$work"
cd "$work"
include=/usr/share/mingw-w64/include
x86_64-w64-mingw32-gcc -std=gnu11 -Os -g1 -gdwarf-4 -Wall -Wextra -Werror -Wno-multichar -Wno-maybe-uninitialized -Wno-use-after-free \
  -fms-extensions -ffreestanding -fno-builtin -fno-stack-protector -mno-stack-arg-probe -fno-ident -fno-optimize-sibling-calls \
  -femit-struct-debug-baseonly -fno-var-tracking -gno-record-gcc-switches -frandom-seed=uninitialized "-ffile-prefix-map=$work=test/drivers/uninitialized" \
  "-ffile-prefix-map=$include=mingw-w64" -isystem $include/ddk -c uninitialized.c
printf 'LIBRARY ntoskrnl.exe\nEXPORTS\nExAllocatePool2\n' > newer.def
x86_64-w64-mingw32-dlltool --temp-prefix newer -d newer.def -l libnewer.a
x86_64-w64-mingw32-gcc uninitialized.o -o uninitialized.sys -nostdlib -nostartfiles -shared -Wl,--exclude-all-symbols \
  -Wl,--subsystem,native:10.0 -Wl,--image-base,0x140000000 -Wl,--dynamicbase -Wl,--nxcompat -Wl,--no-insert-timestamp \
  -Wl,--entry,DriverEntry -L. -lntoskrnl -lhal -lnewer
cp uninitialized.sys "$out/uninitialized.sys"
