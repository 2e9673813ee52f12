/**
 * Runs a driver-like image natively, one instruction at a time, and says for every step what the caller's registers
 * will be when the function returns. That is what unwinding from there must give. Linux x64 with gcc, clang and lld.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Va } from '../../src/base/va.ts';
import { layOutImage, type PeImage, parsePe } from '../../src/image/pe/index.ts';

const here = new URL('.', import.meta.url).pathname;
export const imageBase = 0x1_8000_0000 as Va;

export interface Caller {
  readonly rip: bigint;
  readonly rsp: bigint;
  /** rbx, rbp, rsi, rdi, r12 … r15 by encoding number. */
  readonly gpr: ReadonlyMap<number, bigint>;
  /** xmm6 … xmm15, low half first. */
  readonly xmm: BigUint64Array;
}

export interface Step {
  readonly rip: bigint;
  readonly gpr: BigUint64Array;
  readonly xmm: BigUint64Array;
  readonly caller: Caller;
  readStack(va: Va): bigint | undefined;
}

export type Compiler = 'clang' | 'gcc';

const compilerCommand = { clang: 'clang-16', gcc: 'x86_64-w64-mingw32-gcc' } as const;
const nonvolatile = [3, 5, 6, 7, 12, 13, 14, 15];

export function hasTools(commands: readonly string[]): boolean {
  if (process.platform !== 'linux' || process.arch !== 'x64') return false;
  return commands.every((command) => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0);
}

export const needed = ['gcc', 'clang-16', 'lld-link-16', 'x86_64-w64-mingw32-gcc'];

/** Builds frames.c and frames.S, runs them and returns the image with its steps; `inspect` sees the file before. */
export function stepNatively(
  compiler: Compiler,
  flags: readonly string[],
  inspect?: (file: string, pe: PeImage) => void,
): { pe: PeImage; steps: Step[] } {
  const folder = mkdtempSync(join(tmpdir(), 'unwind-'));
  const at = (name: string): string => join(folder, name);
  try {
    const image = build(compiler, flags, at);
    const pe = parsePe(readFileSync(image), 'frames.sys');
    inspect?.(image, pe);
    writeFileSync(at('laid-out'), layOutImage(pe, imageBase));
    execFileSync('gcc', ['-O1', '-w', `${here}stepper.c`, '-o', at('stepper')]);
    const size = Math.ceil(pe.sizeOfImage / 0x1000) * 0x1000;
    const args = [at('laid-out'), `0x${imageBase.toString(16)}`, String(pe.entryPointRva), String(size)];
    const output = execFileSync(at('stepper'), args, { maxBuffer: 256 << 20, stdio: ['ignore', 'pipe', 'ignore'] });
    return { pe, steps: withCallers(pe, readRecords(output)) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function build(compiler: Compiler, flags: readonly string[], at: (name: string) => string): string {
  const target = ['--target=x86_64-windows-gnu'];
  const common = [...flags, '-w', '-fno-builtin', '-fno-stack-protector', '-mno-stack-arg-probe', '-c'];
  execFileSync(compilerCommand[compiler], [
    ...(compiler === 'clang' ? target : []),
    ...common,
    `${here}frames.c`,
    '-o',
    at('c.o'),
  ]);
  execFileSync('clang-16', [...target, '-c', `${here}frames.S`, '-o', at('s.o')]);
  if (compiler === 'clang') {
    const linker = ['/nologo', '/driver', '/subsystem:native', '/machine:x64', '/entry:DriverEntry', '/nodefaultlib'];
    execFileSync('lld-link-16', [...linker, `/out:${at('x.sys')}`, at('c.o'), at('s.o')]);
  } else {
    const linker = ['-nostdlib', '-nostartfiles', '-shared', '-Wl,--subsystem,native:10.0', '-Wl,--entry,DriverEntry'];
    execFileSync(compilerCommand.gcc, [...linker, at('c.o'), at('s.o'), '-o', at('x.sys')]);
  }
  return at('x.sys');
}

type Record = Omit<Step, 'caller'>;

function readRecords(output: Uint8Array): Record[] {
  const view = new DataView(output.buffer, output.byteOffset, output.byteLength);
  const records: Record[] = [];
  for (let at = 0; at < output.length; ) {
    const words = (count: number): BigUint64Array => {
      const values = BigUint64Array.from({ length: count }, (_, index) => view.getBigUint64(at + index * 8, true));
      at += count * 8;
      return values;
    };
    const rip = words(1)[0]!;
    const gpr = words(16);
    const xmm = new BigUint64Array(32);
    xmm.set(words(20), 12);
    const stackBytes = Number(words(1)[0]);
    const [head, tail] = stackBytes > 0x1000 ? [0x800, 0x800] : [stackBytes, 0];
    const start = at;
    at += head + tail;
    const rsp = Number(gpr[4]);
    const readStack = (va: Va): bigint | undefined => {
      const offset = va - rsp;
      if (offset >= 0 && offset + 8 <= head) return view.getBigUint64(start + offset, true);
      const fromTail = offset - (stackBytes - tail);
      return fromTail >= 0 && fromTail + 8 <= tail ? view.getBigUint64(start + head + fromTail, true) : undefined;
    };
    records.push({ rip, gpr, xmm, readStack });
  }
  return records;
}

/** Follows calls and returns; a call remembers the registers that the return must bring back. */
function withCallers(pe: PeImage, records: readonly Record[]): Step[] {
  const first = records[0]!;
  const callers: Caller[] = [callerOf(first, first.readStack(Number(first.gpr[4]) as Va)!, first.gpr[4]! + 8n)];
  return records.map((record, index) => {
    const caller = callers.at(-1)!;
    const next = records[index + 1];
    const opcode = pe.mapped[Number(record.rip) - imageBase]!;
    const second = pe.mapped[Number(record.rip) - imageBase + 1]!;
    const isReturn = opcode === 0xc3 || opcode === 0xc2 || (opcode === 0xf3 && second === 0xc3);
    if (isReturn) callers.pop();
    else if (next !== undefined && next.gpr[4] === record.gpr[4]! - 8n && next.rip !== record.rip) {
      const pushed = next.readStack(Number(next.gpr[4]) as Va)!;
      if (pushed > record.rip && pushed <= record.rip + 8n && !isPush(opcode, second)) {
        callers.push(callerOf(record, pushed, record.gpr[4]!));
      }
    }
    return { ...record, caller };
  });
}

function isPush(opcode: number, second: number): boolean {
  return (opcode & 0xf8) === 0x50 || ((opcode & 0xf0) === 0x40 && (second & 0xf8) === 0x50);
}

function callerOf(record: Record, rip: bigint, rsp: bigint): Caller {
  const gpr = new Map(nonvolatile.map((register) => [register, record.gpr[register]!]));
  return { rip, rsp, gpr, xmm: record.xmm.slice(12) };
}
