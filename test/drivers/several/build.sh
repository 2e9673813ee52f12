#!/bin/sh
# Builds the drivers of this folder. Needs clang-16, lld-16 and the mingw-w64 headers and import libraries.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here"/*.c "$here"/*.h "$work"
cd "$work"
include=/usr/share/mingw-w64/include
flags="--target=x86_64-windows-gnu -fms-extensions -O2 -fno-stack-protector -mno-stack-arg-probe -fno-builtin"
library=/usr/x86_64-w64-mingw32/lib/libntoskrnl.a
compile() { # SOURCE OBJECT [FLAG...]
  source=$1
  object=$2
  shift 2
  clang-16 $flags -isystem $include -isystem $include/ddk -Wall -Wno-multichar -Wno-four-char-constants \
    -Wno-ignored-attributes "$@" -c "$source" -o "$object"
}
link() { # NAME [ARGUMENT...]
  name=$1
  shift
  lld-link-16 /nologo /driver /subsystem:native /machine:x64 /nodefaultlib /Brepro "/out:$name.sys" "$name.o" \
    $library "$@"
  cp "$name.sys" "$out/$name.sys"
}
for name in function base attached holder; do
  compile $name.c $name.o
  link $name /entry:DriverEntry
done
compile filter.c clean-filter.o
link clean-filter /entry:DriverEntry
compile filter.c leaky-filter.o -DLEAKY
link leaky-filter /entry:DriverEntry
compile library.c library.o
link library /noentry /dll /implib:library.lib
compile user.c user.o
link user /entry:DriverEntry library.lib
