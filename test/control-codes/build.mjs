// Builds dispatch.c with two compilers and three options each: `node test/control-codes/build.mjs`. Replaces the
// committed files; versions of the compilers as in drivers/toolchain.json.
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const work = mkdtempSync(join(tmpdir(), 'poolproof-codes-'));
const mingw = '/usr/share/mingw-w64/include';
const run = (program, ...args) => execFileSync(program, args, { cwd: work, stdio: 'inherit' });
const common = ['-std=gnu11', '-Wall', '-Wextra', '-Werror', '-ffreestanding', '-fno-builtin', '-fno-stack-protector'];
const more = ['-mno-stack-arg-probe', '-fno-ident', '-isystem', mingw, '-isystem', `${mingw}/ddk`];

copyFileSync(join(here, 'dispatch.c'), join(work, 'dispatch.c'));
for (const level of ['O0', 'Os', 'O2']) {
  const compile = ['-c', 'dispatch.c', '-o', 'dispatch.o', `-${level}`, ...common, ...more];
  run('x86_64-w64-mingw32-gcc', ...compile);
  const link = ['entry,Sparse', 'subsystem,native:10.0', 'no-insert-timestamp', 'strip-all'].map(
    (one) => `-Wl,--${one}`,
  );
  const gcc = ['dispatch.o', '-o', `gcc-${level}.sys`, '-shared', '-nostdlib', '-nostartfiles', ...link];
  run('x86_64-w64-mingw32-gcc', ...gcc);
  run('clang-16', '--target=x86_64-windows-gnu', ...compile, '-fms-extensions');
  const windows = ['/dll', '/subsystem:native', '/machine:x64', '/entry:Sparse', '/nodefaultlib', '/Brepro'];
  run('lld-link-16', '/nologo', ...windows, `/out:clang-${level}.sys`, 'dispatch.o');
  for (const compiler of ['gcc', 'clang']) {
    const name = `${compiler}-${level}.sys`;
    copyFileSync(join(work, name), join(here, name));
    chmodSync(join(here, name), 0o644);
  }
}
rmSync(work, { recursive: true });
