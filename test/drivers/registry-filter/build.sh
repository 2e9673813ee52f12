#!/bin/sh
# Builds clean.sys, leaky.sys and block.sys beside this file, with line numbers in them. Needs mingw-w64's gcc, headers and
# import libraries.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/registry-filter.c" "$work"
cd "$work"
include=/usr/share/mingw-w64/include
printf 'LIBRARY ntoskrnl.exe\nEXPORTS\nCmCallbackGetKeyObjectIDEx\nCmCallbackReleaseKeyObjectIDEx\n' >newer.def
x86_64-w64-mingw32-dlltool -d newer.def -l libnewer.a
build() {
  name=$1
  shift
  x86_64-w64-mingw32-gcc -std=gnu11 -O2 -Wall -Wextra -Werror -Wno-array-bounds -Wno-multichar -ffreestanding -fno-builtin -fno-stack-protector \
    -mno-stack-arg-probe -fno-ident -fms-extensions -gdwarf-4 -g1 -gno-record-gcc-switches -frandom-seed=registry-filter \
    -ffile-prefix-map="$work"=registry-filter -ffile-prefix-map=$include=mingw-w64 -isystem $include/ddk "$@" -c registry-filter.c
  x86_64-w64-mingw32-gcc registry-filter.o -o "$name.sys" -nostdlib -nostartfiles -shared -Wl,--exclude-all-symbols \
    -Wl,--subsystem,native:10.0 -Wl,--image-base,0x140000000 -Wl,--dynamicbase -Wl,--nxcompat \
    -Wl,--no-insert-timestamp -Wl,--entry,DriverEntry -Wl,--gc-sections -lntoskrnl -L. -lnewer
  cp "$name.sys" "$out/$name.sys"
}
build clean
build leaky -DLEAKY
build block -DBLOCK
