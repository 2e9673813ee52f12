#!/bin/sh
# Builds threads.sys beside this file. Needs clang-16, lld-16 and the mingw-w64 headers and import libraries.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/threads.c" "$work"
cd "$work"
include=/usr/share/mingw-w64/include
flags="--target=x86_64-windows-gnu -fms-extensions -O2 -fno-stack-protector -mno-stack-arg-probe -fno-builtin"
clang-16 $flags -isystem $include -isystem $include/ddk -Wall -Wno-multichar -Wno-four-char-constants \
  -Wno-ignored-attributes -c threads.c
lld-link-16 /nologo /driver /subsystem:native /machine:x64 /entry:DriverEntry /nodefaultlib /Brepro /out:threads.sys \
  threads.o /usr/x86_64-w64-mingw32/lib/libntoskrnl.a
cp threads.sys "$out/threads.sys"
