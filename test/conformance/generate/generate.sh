#!/bin/sh
# Records the vectors anew on this machine: test/conformance/generate/generate.sh (Linux x86-64, gcc, binutils).
set -eu
cd "$(dirname "$0")"
out=../vectors
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
mkdir -p "$out"
gcc -std=gnu11 -O1 -Wall -Wextra -no-pie -fcf-protection=none -o "$build/generate" ./*.c
"$build/generate" list > "$build/forms.s"
as --64 -o "$build/forms.o" "$build/forms.s"
objcopy -O binary -j .text "$build/forms.o" "$build/forms.bin"
"$build/generate" record "$build/forms.bin" "$build"
for file in "$build"/*.bin; do
  name=$(basename "$file")
  [ "$name" = forms.bin ] || gzip -9nc "$file" > "$out/$name.gz"
done
