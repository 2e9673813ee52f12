#!/bin/sh
# Builds dma.sys beside this file. Needs clang-16, lld-16 and the mingw-w64 headers and import libraries.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/dma.c" "$work"
cd "$work"
include=/usr/share/mingw-w64/include
flags="--target=x86_64-windows-gnu -fms-extensions -O2 -fno-stack-protector -mno-stack-arg-probe -fno-builtin"
clang-16 $flags -isystem $include -isystem $include/ddk -Wall -Wno-multichar -Wno-four-char-constants \
  -Wno-ignored-attributes -c dma.c
lld-link-16 /nologo /driver /subsystem:native /machine:x64 /entry:DriverEntry /nodefaultlib /Brepro /out:dma.sys \
  dma.o /usr/x86_64-w64-mingw32/lib/libntoskrnl.a
cp dma.sys "$out/dma.sys"
