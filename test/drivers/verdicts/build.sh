#!/bin/sh
# Builds verdicts.sys beside this file. Needs clang-16, lld-16, llvm-16 and the mingw-w64 headers and import libraries.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/verdicts.c" "$work"
cd "$work"
include=/usr/share/mingw-w64/include
flags="--target=x86_64-windows-gnu -fms-extensions -O2 -fno-stack-protector -mno-stack-arg-probe -fno-builtin -fasynchronous-unwind-tables"
clang-16 $flags -isystem $include -isystem $include/ddk -Wall -Wno-multichar -Wno-four-char-constants \
  -Wno-ignored-attributes -Wno-unused-variable -c verdicts.c
printf 'LIBRARY ntoskrnl.exe\nEXPORTS\nExAllocatePool2\nExAllocateTimer\nExSetTimer\nExDeleteTimer\n' > newer.def
llvm-dlltool-16 -m i386:x86-64 -d newer.def -l newer.lib
lld-link-16 /nologo /driver /subsystem:native /machine:x64 /entry:DriverEntry /nodefaultlib /Brepro /out:verdicts.sys \
  verdicts.o /usr/x86_64-w64-mingw32/lib/libntoskrnl.a /usr/x86_64-w64-mingw32/lib/libhal.a newer.lib
cp verdicts.sys "$out/verdicts.sys"
