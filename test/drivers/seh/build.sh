#!/bin/sh
# Builds seh.sys beside this file. Needs clang-16, lld-16, llvm-16 and the mingw-w64 headers and import libraries.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/seh.c" "$here/asm.S" "$here/extra.def" "$work"
cd "$work"
include=/usr/share/mingw-w64/include
flags="--target=x86_64-windows-gnu -fms-extensions -O2 -fno-stack-protector -mno-stack-arg-probe -fno-builtin"
clang-16 $flags -isystem $include -isystem $include/ddk -Wall -Wno-unused-function -Wno-ignored-attributes -c seh.c
clang-16 $flags -c asm.S
llvm-dlltool-16 -m i386:x86-64 -d extra.def -l extra.lib
lld-link-16 /nologo /driver /subsystem:native /machine:x64 /entry:DriverEntry /nodefaultlib /Brepro /out:seh.sys \
  seh.o asm.o extra.lib /usr/x86_64-w64-mingw32/lib/libntoskrnl.a
cp seh.sys "$out/seh.sys"
