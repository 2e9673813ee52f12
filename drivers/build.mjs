// Builds the sample drivers: `node drivers/build.mjs [NAME…]` replaces the committed files of those samples or pairs (or of
// all), with what expected.json says of them, and the table in README.md; `--out DIR` writes elsewhere, `--expected`
// compiles nothing, `--toolchain` prints the versions found.
//
// The bytes depend on the compilers and headers only (toolchain.json has the versions of the committed files), not on
// where the repository or the temporary folder lies: each driver is compiled in a folder of its own with relative names.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rows, samples } from './samples.mjs';

const drivers = dirname(fileURLToPath(import.meta.url));
const repository = dirname(drivers);
const MINGW = '/usr/share/mingw-w64/include';

const PREFIX = 'x86_64-w64-mingw32-';
const GCC = `${PREFIX}gcc`;
const tool = {
  gcc: [GCC, '--version'],
  'gcc binutils': [`${PREFIX}ld`, '--version'],
  clang: ['clang-16', '--version'],
  lld: ['lld-link-16', '--version'],
  'llvm-dlltool': ['llvm-readobj-16', '--version'],
};

/** Versions of the tools and headers, or null for what is missing. */
function toolchain() {
  const versions = {};
  for (const [name, [program, ...args]] of Object.entries(tool)) {
    try {
      const text = execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
      versions[name] =
        text
          .split('\n')
          .find((line) => /\d\.\d|\(GCC\)/.test(line))
          ?.trim() ?? null;
    } catch {
      versions[name] = null;
    }
  }
  const header = join(MINGW, '_mingw_mac.h');
  const text = existsSync(header) ? readFileSync(header, 'utf8') : '';
  const part = (name) => text.match(new RegExp(`__MINGW64_VERSION_${name}\\s+(\\d+)`))?.[1];
  versions['mingw-w64 headers'] = text === '' ? null : `${part('MAJOR')}.${part('MINOR')}.${part('BUGFIX')}`;
  return versions;
}

const COMMON = ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror', '-Wno-multichar', '-fms-extensions'];
const FREESTANDING = ['-ffreestanding', '-fno-builtin', '-fno-stack-protector', '-mno-stack-arg-probe', '-fno-ident'];

// The samples with a fault have full debug information; for the others functions and lines do, and keep the files small.
const isFaulty = (name) => name.startsWith('leaky-') || name.startsWith('dma-');

/**
 * What is compiled: the sample's own source, and those of include/ that it shares with others, each in the folder that
 * debug information names it in.
 */
const unitsOf = (work, { name, folder, shared }) => [
  { unit: name, place: work, folder },
  ...shared.map((unit) => ({ unit, place: join(work, 'include'), folder: 'drivers/include' })),
];

function compileWithGcc(work, sample) {
  const { name } = sample;
  const run = (args, cwd = work) => execFileSync(GCC, args, { cwd, stdio: ['ignore', 'inherit', 'inherit'] });
  const units = unitsOf(work, sample);
  for (const { unit, place, folder } of units)
    run(
      [
        ...COMMON,
        ...FREESTANDING,
        '-gdwarf-4',
        isFaulty(name) ? '-g2' : '-g1',
        '-femit-struct-debug-baseonly',
        '-fno-var-tracking',
        '-gno-record-gcc-switches',
        `-frandom-seed=${unit}`,
        `-ffile-prefix-map=${place}=${folder}`,
        `-ffile-prefix-map=${MINGW}=mingw-w64`,
        '-isystem',
        `${MINGW}/ddk`,
        '-c',
        `${unit}.c`,
        '-o',
        join(work, `${unit}.o`),
      ],
      place,
    ); // prettier-ignore
  const newer = ['-d', 'ntoskrnl-newer.def', '-l', 'libntoskrnl-newer.a'];
  execFileSync(`${PREFIX}dlltool`, newer, { cwd: work, stdio: ['ignore', 'inherit', 'inherit'] });
  run([
    ...units.map(({ unit }) => `${unit}.o`),
    '-o',
    `${name}.sys`,
    '-nostdlib',
    '-nostartfiles',
    '-shared',
    '-Wl,--exclude-all-symbols',
    '-Wl,--subsystem,native:10.0',
    '-Wl,--image-base,0x140000000',
    '-Wl,--dynamicbase',
    '-Wl,--nxcompat',
    '-Wl,--no-insert-timestamp',
    '-Wl,--entry,DriverEntry',
    '-Wl,--gc-sections',
    '-lntoskrnl',
    '-lhal',
    '-L.',
    '-lntoskrnl-newer',
  ]); // prettier-ignore
  return [`${name}.sys`];
}

function compileWithClang(work, sample) {
  const { name } = sample;
  const run = (program, args, cwd = work) =>
    execFileSync(program, args, { cwd, stdio: ['ignore', 'inherit', 'inherit'] });
  const units = unitsOf(work, sample);
  const library = execFileSync(GCC, ['-print-file-name=libntoskrnl.a'], { encoding: 'utf8' }).trim();
  copyFileSync(library, join(work, 'libntoskrnl.a'));
  run('llvm-dlltool-16', ['-m', 'i386:x86-64', '-d', 'ntoskrnl-newer.def', '-l', 'ntoskrnl-newer.lib']);
  for (const [index, { unit, place, folder }] of units.entries())
    run(
      'clang-16',
      [
        '--target=x86_64-windows-gnu',
        // clang exports these two of <wdm.h> from every unit.
        ...['InterlockedBitTestAndSet', 'InterlockedBitTestAndReset'].flatMap((name) =>
          index === 0 ? [] : [`-D${name}=${name}${index}`],
        ),
        ...COMMON,
        ...FREESTANDING,
        // Without a C library clang leaves it out, and stacks end where it is missing.
        '-fasynchronous-unwind-tables',
        isFaulty(name) ? '-g' : '-gline-tables-only',
        '-gcodeview',
        '-gno-codeview-command-line',
        `-fdebug-compilation-dir=${folder}`,
        `-ffile-prefix-map=${MINGW}=mingw-w64`,
        '-isystem',
        MINGW,
        '-isystem',
        `${MINGW}/ddk`,
        '-c',
        `${unit}.c`,
        '-o',
        join(work, `${unit}.o`),
      ],
      place,
    ); // prettier-ignore
  run('lld-link-16', [
    '/nologo',
    '/driver',
    '/subsystem:native',
    '/machine:x64',
    '/entry:DriverEntry',
    '/nodefaultlib',
    '/debug:full',
    '/Brepro',
    '/opt:ref',
    '/pdbsourcepath:/poolproof',
    `/pdbaltpath:${name}.pdb`,
    `/pdb:${name}.pdb`,
    `/out:${name}.sys`,
    ...units.map(({ unit }) => `${unit}.o`),
    'libntoskrnl.a',
    'ntoskrnl-newer.lib',
  ]); // prettier-ignore
  return [`${name}.sys`, `${name}.pdb`];
}

const folderOf = (sample) => `${sample.folder ?? 'drivers'}/${sample.name}`;

function build(sample, out) {
  const work = realpathSync(mkdtempSync(join(tmpdir(), 'poolproof-driver-')));
  try {
    copyFileSync(join(repository, folderOf(sample), `${sample.name}.c`), join(work, `${sample.name}.c`));
    mkdirSync(join(work, 'include'));
    for (const file of readdirSync(join(drivers, 'include')))
      for (const place of [work, join(work, 'include')])
        copyFileSync(join(drivers, 'include', file), join(place, file));
    const named = { name: sample.name, folder: folderOf(sample), shared: sample.shared ?? [] };
    const files = sample.compiler === 'gcc' ? compileWithGcc(work, named) : compileWithClang(work, named);
    const target = join(out, folderOf(sample));
    mkdirSync(target, { recursive: true });
    return files.map((file) => {
      copyFileSync(join(work, file), join(target, file));
      chmodSync(join(target, file), 0o644);
      return `${folderOf(sample)}/${file}`;
    });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** The leaks that a source declares: `// leak[run,…]: key=value …`, one or more at the end of the allocating line. */
function leaksOf(sample) {
  const file = `${sample.name}.c`;
  const lines = readFileSync(join(repository, folderOf(sample), file), 'utf8').split('\n');
  const leaks = [];
  lines.forEach((text, index) => {
    const markers = [...text.matchAll(/\/\/ leak(?:\[([\w,-]+)\])?: (.+?)(?= \/\/ leak|$)/g)];
    if (markers.length === 0) return;
    const above = lines
      .slice(0, index)
      .findLast((line) => /^\w.*\w\(.*[^;]$/.test(line))
      ?.replace(/__attribute__\(\(\w+\)\)/, '');
    for (const [, runs, pairs] of markers) {
      const fields = Object.fromEntries(pairs.split(/ (?=\w+=)/).map((field) => field.split('=')));
      leaks.push({
        runs: runs?.split(',') ?? null,
        leak: {
          kind: fields.kind ?? 'pool',
          tag: fields.tag ?? null,
          name: fields.name ?? null,
          bytes: fields.bytes === undefined ? null : Number(fields.bytes),
          count: Number(fields.count),
          poolType: fields.pool ?? null,
          function: above?.match(/(\w+)\((?!\()/)?.[1] ?? null,
          outerFunction: fields.outer ?? null,
          file,
          line: index + 1,
        },
      });
    }
  });
  return leaks;
}

/** Leaks that Verifier counts at unload; the others stop nothing. */
const countedKinds = ['pool', 'mdl', 'irp', 'workitem', 'string', 'completion-context'];

/** What each run of a sample must show. */
function expectationsOf(sample) {
  const declared = leaksOf(sample);
  return {
    name: sample.name,
    sys: `${folderOf(sample)}/${sample.name}.sys`,
    pdb: sample.compiler === 'clang' ? `${folderOf(sample)}/${sample.name}.pdb` : null,
    symbols: sample.compiler === 'clang' ? 'PDB' : 'DWARF',
    twin: sample.twin,
    runs: sample.runs.map((run) => {
      // A run may say itself what each of the declared leaks comes to.
      const amountOf = run.amounts ?? ((_, runs) => (runs === null || runs.includes(run.name) ? {} : null));
      const leaks = declared.flatMap(({ runs, leak }) => {
        const amount = run.verdict === 'violation' ? amountOf(leak, runs) : null;
        return amount === null ? [] : [{ ...leak, ...amount }];
      });
      const counted = leaks.filter(({ kind }) => countedKinds.includes(kind));
      const allocations = counted.some(({ count }) => count === null)
        ? null
        : counted.reduce((sum, { count }) => sum + count, 0);
      return {
        name: run.name,
        steps: run.steps.map((step) => ({
          step: step.step,
          status: step.status,
          information: step.information ?? null,
          output: step.output ?? null,
        })),
        ...(run.deviceModel === undefined ? {} : { deviceModel: run.deviceModel }),
        verdict: run.verdict,
        driverEntryStatus: run.driverEntryStatus === undefined ? '0x00000000' : run.driverEntryStatus,
        bugCheck:
          run.bugCheck !== undefined
            ? run.bugCheck
            : counted.length === 0
              ? null
              : { code: '0xC4', parameter1: '0x62', allocations },
        leaks,
      };
    }),
  };
}

/** expected.json, sorted by name; what it says of other samples than `chosen` stays. */
function expectations(file, chosen) {
  const present = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).drivers : [];
  const drivers = samples.flatMap((sample) =>
    chosen.includes(sample) ? [expectationsOf(sample)] : present.filter(({ name }) => name === sample.name),
  );
  return {
    about:
      'Written by drivers/build.mjs from runs/ and the leak comments in the sources. Empty steps: no --do. null: not checked; a step whose status is null is not answered.',
    drivers,
  };
}

const TABLE = ['| driver | what leaks, and when | seen with |', '| --- | --- | --- |'];

/** README.md with a row for each file of runs/ in its table. */
function readme() {
  const lines = readFileSync(join(drivers, 'README.md'), 'utf8').split('\n');
  const first = lines.indexOf(TABLE[0]);
  const after = lines.findIndex((line, index) => index > first && !line.startsWith('|'));
  return [...lines.slice(0, first), ...TABLE, ...rows, ...lines.slice(after)].join('\n');
}

/** The samples that the arguments name, by their own names, their pairs' or their groups'; all if they name none. */
function choose(names) {
  const unknown = names.find((name) => !samples.some((sample) => isNamed(sample, name)));
  if (unknown !== undefined) throw new Error(`no sample is called ${unknown}`);
  return samples.filter((sample) => names.length === 0 || names.some((name) => isNamed(sample, name)));
}

function isNamed(sample, name) {
  return [name, `leaky-${name}`, `clean-${name}`].includes(sample.name) || sample.group === name;
}

function main(args) {
  if (args.includes('--toolchain')) {
    console.log(JSON.stringify(toolchain(), null, 2));
    return;
  }
  const at = args.indexOf('--out');
  const out = at === -1 ? repository : args[at + 1];
  mkdirSync(join(out, 'drivers'), { recursive: true });
  const names = args.filter((arg, i) => !arg.startsWith('--') && args[i - 1] !== '--out');
  const chosen = choose(names);
  const expected = join(out, 'drivers/expected.json');
  writeFileSync(expected, `${JSON.stringify(expectations(expected, chosen), null, 2)}\n`);
  writeFileSync(join(out, 'drivers/README.md'), readme());
  if (args.includes('--expected')) return;
  for (const sample of chosen) console.log(build(sample, out).join('\n'));
  if (names.length === 0)
    writeFileSync(join(out, 'drivers/toolchain.json'), `${JSON.stringify(toolchain(), null, 2)}\n`);
}

main(process.argv.slice(2));
