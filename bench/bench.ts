/**
 * Compares the engine with the processor itself and with Unicorn: `npm run bench [-- --rounds 7 --only sha256]`.
 * In each round every runner runs once, one after the other in changing order, so that a slow moment of the machine
 * meets all of them; a ratio is the median of the rounds' own ratios. All runs must give the same checksum.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { EngineRunner } from './engine.ts';
import { blobOf, type Workload, workloads } from './workloads.ts';

interface Runner {
  readonly name: string;
  /** One timed run: nanoseconds. */
  readonly run: () => number;
}

const { values: options } = parseArgs({
  options: { rounds: { type: 'string', default: '5' }, only: { type: 'string' } },
});
const rounds = Number(options.rounds);
if (!Number.isInteger(rounds) || rounds < 1)
  throw new Error(`--rounds ${options.rounds}: a whole number above 0 is expected`);
const chosen = workloads.filter(({ name }) => options.only === undefined || name === options.only);
if (chosen.length === 0)
  throw new Error(`--only ${options.only}: there are ${workloads.map(({ name }) => name).join(', ')}`);

const folder = mkdtempSync(join(tmpdir(), 'poolproof-bench-'));
try {
  const native = compile('native', []);
  const unicorn = compile('unicorn', ['-lunicorn']);
  console.log(`${cpus()[0]?.model ?? 'unknown processor'}, Node ${process.version}, ${rounds} rounds, medians`);
  if (native === undefined) console.log('native: not measured, it needs gcc on x86-64');
  const unicornVersion = unicorn && execFileSync(unicorn, ['--version'], { encoding: 'utf8' }).trim();
  console.log(unicornVersion ? `Unicorn ${unicornVersion}` : 'Unicorn: not measured, it needs gcc and libunicorn');
  console.log(
    row(['workload', '', 'cold ms', 'engine ms', 'native ms', 'Unicorn ms', '× native', 'Unicorn ÷', 'M instr/s']),
  );

  const slowdowns: number[] = [];
  const speedups: number[] = [];
  function report(workload: Workload): void {
    const { times, coldNanoseconds, instructions } = measure(workload, native, unicorn);
    const engine = times.get('engine') as number[];
    const slowdown = pairedRatio(engine, times.get('native'));
    const speedup = pairedRatio(times.get('unicorn'), engine);
    if (slowdown !== undefined) slowdowns.push(slowdown);
    if (speedup !== undefined) speedups.push(speedup);
    console.log(
      row([
        workload.name,
        workload.about,
        milliseconds(coldNanoseconds),
        milliseconds(median(engine)),
        milliseconds(median(times.get('native'))),
        milliseconds(median(times.get('unicorn'))),
        slowdown?.toFixed(2) ?? '-',
        speedup?.toFixed(1) ?? '-',
        ((instructions / (median(engine) as number)) * 1000).toFixed(0),
      ]),
    );
  }
  for (const workload of chosen) {
    try {
      report(workload);
    } catch (error) {
      // One workload that fails leaves the others worth measuring.
      console.log(`${workload.name}: ${error instanceof Error ? error.message : error}`);
      process.exitCode = 1;
    }
  }
  const means = [geometricMean(slowdowns)?.toFixed(2) ?? '-', geometricMean(speedups)?.toFixed(1) ?? '-'];
  console.log(row(['geometric mean', '', '', '', '', '', ...means, '']));
} finally {
  rmSync(folder, { recursive: true });
}

function measure(workload: Workload, native: string | undefined, unicorn: string | undefined) {
  const engine = new EngineRunner(workload);
  const cold = engine.run(1);
  engine.run(workload.warmUpCount);
  let instructions = 0;
  const runners: Runner[] = [
    {
      name: 'engine',
      run: () => {
        const result = engine.run(workload.count);
        expectChecksum(workload, 'engine', result.checksum);
        instructions = result.instructions;
        return result.nanoseconds;
      },
    },
  ];
  for (const [name, program] of Object.entries({ native, unicorn })) {
    if (program === undefined) continue;
    // Unicorn is slow enough that a tenth of the count warms it up.
    const warmUp = name === 'native' ? workload.warmUpCount : Math.ceil(workload.warmUpCount / 10);
    const args = [fileURLToPath(blobOf(workload)), String(warmUp), String(workload.count)];
    runners.push({
      name,
      run: () => {
        const [nanoseconds, checksum] = execFileSync(program, args, { encoding: 'utf8' }).trim().split(' ');
        expectChecksum(workload, name, checksum ?? '');
        return Number(nanoseconds);
      },
    });
  }
  const times = new Map<string, number[]>(runners.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < runners.length; turn++) {
      const runner = runners[(turn + round) % runners.length] as Runner;
      times.get(runner.name)?.push(runner.run());
    }
  }
  return { times, coldNanoseconds: cold.nanoseconds, instructions };
}

function expectChecksum(workload: Workload, runner: string, checksum: string): void {
  if (checksum !== workload.checksum) {
    throw new Error(`${workload.name} on ${runner}: checksum ${checksum}, expected ${workload.checksum}`);
  }
}

/** The compiled runner, or undefined where compiler, library or architecture is missing. */
function compile(name: string, libraries: readonly string[]): string | undefined {
  if (process.arch !== 'x64') return undefined;
  const output = join(folder, name);
  const source = fileURLToPath(new URL(`./${name}.c`, import.meta.url));
  try {
    execFileSync('gcc', ['-O2', '-o', output, source, ...libraries], { stdio: 'ignore' });
    return output;
  } catch {
    return undefined;
  }
}

function median(values: readonly number[] | undefined): number | undefined {
  if (values === undefined || values.length === 0) return undefined;
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] as number)) / 2;
}

function pairedRatio(above: readonly number[] | undefined, below: readonly number[] | undefined): number | undefined {
  if (above === undefined || below === undefined) return undefined;
  return median(above.map((value, round) => value / (below[round] as number)));
}

function geometricMean(values: readonly number[]): number | undefined {
  if (values.length === 0) return undefined;
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

function milliseconds(nanoseconds: number | undefined): string {
  return nanoseconds === undefined ? '-' : (nanoseconds / 1e6).toFixed(1);
}

function row(cells: readonly string[]): string {
  const widths = [15, 29, 9, 10, 10, 11, 9, 10, 10];
  return cells.map((cell, i) => (i < 2 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('');
}
