/** The command as a user runs it: a process of its own, its exit status and what it prints where. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Report } from '../src/index.ts';
import { drivers, repository } from './end-to-end.ts';

const leaky = 'drivers/leaky-inventory/leaky-inventory.sys';
const clean = 'drivers/clean-mailbox/clean-mailbox.sys';
const withPdb = 'drivers/leaky-bringup/leaky-bringup';

// Within the repository, so that the packages are found; not dist/, which may be in use.
const built = join(repository, `node_modules/.cache/poolproof-${process.pid}`);
const command = join(built, 'cli/poolproof.js');
let folder = '';

beforeAll(() => {
  execFileSync(process.execPath, [join(repository, 'build.mjs'), '--out', built]);
  folder = mkdtempSync(join(tmpdir(), 'poolproof-cli-'));
});
afterAll(() => {
  rmSync(built, { recursive: true, force: true });
  rmSync(folder, { recursive: true, force: true });
});

interface Result {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

function poolproof(...args: readonly string[]): Result {
  const { status, stdout, stderr } = spawnSync(process.execPath, [command, ...args], {
    cwd: repository,
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '' },
  });
  return { status, out: stdout, err: stderr };
}

/** A refusal: one line on standard error, nothing on standard output, exit status 2. */
function expectRefusal({ status, out, err }: Result, line: RegExp): void {
  expect({ status, out }).toEqual({ status: 2, out: '' });
  expect(err).toMatch(/^poolproof: [^\n]+\n$/);
  expect(err).toMatch(line);
}

describe('exit status', () => {
  it('0 for a driver that leaves nothing', () => {
    const { status, out, err } = poolproof('verify', clean);
    expect({ status, err }).toEqual({ status: 0, err: '' });
    expect(out).toMatch(/^CLEAN {2}clean-mailbox\.sys {2}/);
  });

  it('1 for a leak, with the place in the source', () => {
    const { status, out, err } = poolproof(leaky);
    expect({ status, err }).toEqual({ status: 1, err: '' });
    expect(out).toMatch(/^VIOLATION {2}leaky-inventory\.sys {2}bug check 0xC4 /);
    expect(out).toMatch(/InvE .*\n\s+at leaky-inventory!InventoryAllocateEntry.*leaky-inventory\.c @ 95\]/);
  });

  it('3 for a run that is cut short', () => {
    const { status, out } = poolproof('--limit', '1e5', 'test/drivers/spin/spin.sys');
    expect(status).toBe(3);
    expect(out).toMatch(/^INCOMPLETE {2}spin\.sys {2}/);
  });

  it('of several drivers in one machine, whose report names the one that leaks', () => {
    const { status, out } = poolproof(clean, leaky, '--companion', 'test/drivers/pending/pending.sys');
    expect(status).toBe(1);
    expect(out).toMatch(/^VIOLATION {2}clean-\S+, leaky-inventory\.sys {2}bug check 0xC4 .*: leaky-inventory\.sys was/);
    expect(out).toMatch(/\n {2}leaky-inventory\.sys {2}pool {2}InvE/);
    expect(out).toMatch(/ --companion test\/drivers\/pending\/pending\.sys\n$/);
    const withMissing = poolproof(clean, join(folder, 'missing.sys'));
    expect(withMissing).toMatchObject({ status: 2, out: '' });
    expect(withMissing.err).toMatch(/missing\.sys: no such file\n$/);
  });
});

describe('a file that is no x64 driver', () => {
  const driver = readFileSync(join(repository, leaky));
  const pe = driver.readUInt32LE(0x3c);
  const changed = (change: (bytes: Buffer) => void): Buffer => {
    const bytes = Buffer.from(driver);
    change(bytes);
    return bytes;
  };
  const random = Buffer.from(Array.from({ length: 5000 }, (_, index) => (index * index * 7 + index * 31 + 200) & 0xff));
  it.each<[string, Buffer, RegExp]>([
    ['empty', Buffer.alloc(0), /empty/],
    ['truncated', driver.subarray(0, 2000), /truncated/],
    ['headers only', driver.subarray(0, 70), /truncated|malformed/],
    ['32-bit', changed((bytes) => bytes.writeUInt16LE(0x14c, pe + 4)), /32-bit x86/],
    ['ARM64', changed((bytes) => bytes.writeUInt16LE(0xaa64, pe + 4)), /ARM64/],
    ['Windows program', changed((bytes) => bytes.writeUInt16LE(3, pe + 24 + 68)), /Windows console/],
    [
      'Windows DLL',
      changed((bytes) => {
        bytes.writeUInt16LE(2, pe + 24 + 68);
        bytes.writeUInt16LE(bytes.readUInt16LE(pe + 22) | 0x2000, pe + 22);
      }),
      /Windows GUI|DLL/,
    ],
    ['ELF', Buffer.from('\x7fELF\x02\x01\x01\0'.padEnd(64, '\0'), 'latin1'), /ELF/],
    ['text', Buffer.from('hello\n'), /text file/],
    ['PDB', readFileSync(join(repository, `${withPdb}.pdb`)), /PDB/],
    ['random', random, /not a PE image/],
  ])('%s', (name, bytes, line) => {
    const path = join(folder, `${name.replaceAll(' ', '-')}.sys`);
    writeFileSync(path, bytes);
    expectRefusal(poolproof(path), line);
    expectRefusal(poolproof('inspect', path), line);
    expectRefusal(poolproof(path, '--json', '-'), line);
  });

  it('missing, a directory, a pipe, too large, a loop of links', () => {
    expectRefusal(poolproof(join(folder, 'none.sys')), /none\.sys: no such file/);
    expectRefusal(poolproof(folder), /is a directory/);
    expectRefusal(poolproof(join(folder, 'empty.sys/x')), /no such file/);
    const large = join(folder, 'large.sys');
    writeFileSync(large, 'MZ');
    truncateSync(large, 64 * 1024 * 1024 + 1);
    expectRefusal(poolproof(large), /67108865 bytes, expected at most 67108864/);
    const loop = join(folder, 'loop.sys');
    symlinkSync('loop.sys', loop);
    expectRefusal(poolproof(loop), /too many symbolic links/);
    const pipe = join(folder, 'pipe.sys');
    execFileSync('mkfifo', [pipe]);
    expectRefusal(poolproof(pipe), /is no regular file/);
  });

  it('names with control characters stay one harmless line', () => {
    expectRefusal(poolproof('a\u001b[31m\nb.sys'), /a\\x1b\[31m ?b\.sys|a\\x1b\[31m\\x0ab\.sys/);
  });
});

describe('wrong usage', () => {
  it.each<[readonly string[], RegExp]>([
    [[], /missing required argument 'driver'/],
    [['--nonsense', leaky], /unknown option '--nonsense'/],
    [['--go-on', leaky], /unknown option '--go-on'/],
    [['--sed', '3', leaky], /unknown option '--sed'/],
    [['--do', 'jump', leaky], /'jump' is no step/],
    [['--do', 'ioctl', leaky], /expected a control code/],
    [['--do'], /argument missing/],
    [['--flags', 'all', leaky], /--flags all: expected bits/],
    [['--flags', '0x40000000', leaky], /0x40000000 is no option of Driver Verifier/],
    [['--flags', '0x8', '--standard', leaky], /cannot be used with/],
    [['--seed', '-1', leaky], /--seed -1: expected a number/],
    [['--limit', '0', leaky], /--limit 0: expected a number/],
    [['--limit', '1e99', leaky], /--limit 1e99: expected a number/],
    [['--symbols', 'no/such/place', leaky], /no\/such\/place: no such file/],
    [
      ['--json', 'no/such/place/report.json', clean],
      /--json no\/such\/place\/report\.json: expected a file in a directory/,
    ],
    [['--source', 'no/such/place', clean], /--source no\/such\/place: expected a directory/],
    [['inspect'], /missing required argument 'driver'/],
    [['inspect', leaky, clean], /too many arguments/],
    [['inspect', '--seed', '1', leaky], /unknown option '--seed'/],
    [['verifi', leaky], /verifi: no such file/],
  ])('%j', (args, line) => {
    const { status, err } = poolproof(...args);
    expect(status).toBe(2);
    expect(err).toMatch(/^poolproof: [^\n]+\n$/);
    expect(err).toMatch(line);
  });
});

describe('options', () => {
  it('--json - prints the report and nothing else', () => {
    const { status, out, err } = poolproof(leaky, '--json', '-');
    expect({ status, err }).toEqual({ status: 1, err: '' });
    const report = JSON.parse(out) as Report;
    expect(report).toMatchObject({
      schema: 1,
      verdict: 'violation',
      driver: { name: 'leaky-inventory.sys', path: leaky },
    });
  });

  it('--json - prints one report for several drivers', () => {
    const report = JSON.parse(poolproof('--json', '-', leaky, clean).out);
    expect(report.driver.name).toBe('leaky-inventory.sys');
    expect(report.drivers.map(({ name, role }: Record<string, string>) => [name, role])).toEqual([
      ['leaky-inventory.sys', 'verified'],
      [basename(clean), 'verified'],
    ]);
  });

  it('--json FILE writes beside the text', () => {
    const path = join(folder, 'report.json');
    expect(poolproof(leaky, '--json', path).out).toMatch(/^VIOLATION/);
    expect((JSON.parse(readFileSync(path, 'utf8')) as Report).leaks).toHaveLength(2);
  });

  it('--do keeps its order', () => {
    const steps = ['open \\\\.\\CleanMailbox', 'ioctl 0x22208C out=4', 'close'];
    const report = JSON.parse(
      poolproof(...steps.flatMap((step) => ['--do', step]), '--json', '-', clean).out,
    ) as Report;
    expect(report.scenario.steps.map(({ step }) => step)).toEqual(steps);
    expect(report.verdict).toBe('clean');
  });

  it('--seed is in the report', () => {
    expect(JSON.parse(poolproof('--seed', '77', clean, '--json', '-').out)).toMatchObject({ scenario: { seed: 77 } });
  });

  it('--standard names what is not available, and is not called clean', () => {
    const { status, out } = poolproof('--standard', clean);
    expect(status).toBe(3);
    expect(out).toMatch(/not available: Special pool/);
  });

  it('symbols: beside the image, in a directory, in a symbol store, as a file; not of another build', () => {
    const place = (name: string): string => {
      const directory = join(folder, name);
      mkdirSync(directory, { recursive: true });
      return directory;
    };
    const sys = join(place('alone'), 'leaky-bringup.sys');
    copyFileSync(join(repository, `${withPdb}.sys`), sys);
    const pdb = join(repository, `${withPdb}.pdb`);
    const lineOf = (...args: string[]): unknown => {
      const report = JSON.parse(poolproof(sys, '--json', '-', ...args).out) as Report;
      return report.leaks.find(({ tag }) => tag === 'BrCl')?.site?.line;
    };
    expect(lineOf()).toBeUndefined();
    expect(lineOf('--symbols', pdb)).toBe(74);
    copyFileSync(pdb, join(place('flat'), 'Leaky-Bringup.PDB'));
    expect(lineOf('--symbols', join(folder, 'flat'))).toBe(74);
    const { image } = JSON.parse(poolproof('inspect', sys, '--json', '-').out) as {
      image: { pdb: { guid: string; age: number } };
    };
    const key = `${image.pdb.guid.replaceAll('-', '')}${image.pdb.age.toString(16)}`;
    copyFileSync(pdb, join(place(`store/leaky-bringup.pdb/${key}`), 'leaky-bringup.pdb'));
    copyFileSync(pdb, join(place(`other-store/leaky-bringup.pdb/${key}0`), 'leaky-bringup.pdb'));
    expect(lineOf('--symbols', join(folder, 'other-store'))).toBeUndefined();
    expect(lineOf('--symbols', join(folder, 'store'))).toBe(74);
    copyFileSync(join(repository, 'drivers/clean-bringup/clean-bringup.pdb'), join(folder, 'alone/leaky-bringup.pdb'));
    expect(lineOf()).toBeUndefined();
    copyFileSync(pdb, join(folder, 'alone/leaky-bringup.pdb'));
    expect(lineOf()).toBe(74);
  });
});

describe('the command', () => {
  it('--help and --version go to standard output', () => {
    const help = poolproof('--help');
    expect({ status: help.status, err: help.err }).toEqual({ status: 0, err: '' });
    expect(help.out).toMatch(/Usage: poolproof/);
    expect(help.out).toMatch(/ioctl \[NAME\] CODE/);
    const { version } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as { version: string };
    expect(poolproof('--version')).toEqual({ status: 0, out: `${version}\n`, err: '' });
  });

  it('writes no colour to a pipe', () => {
    expect(poolproof(leaky).out).not.toContain('\u001b');
  });

  it('prints how to repeat a finding, and that repeats it', () => {
    const mailbox = drivers.find(({ name }) => name === 'leaky-mailbox');
    const steps = mailbox?.runs.find(({ name }) => name === 'bad-checksum')?.steps ?? [];
    const args = [mailbox?.sys ?? '', ...steps.flatMap(({ step }) => ['--do', step])];
    const { out } = poolproof(...args, '--seed', '5');
    const repeat = /^Repeat: poolproof (.*)$/m.exec(out)?.[1];
    expect(repeat).toBeDefined();
    const again = spawnSync('sh', ['-c', `"${process.execPath}" "${command}" ${repeat}`], {
      cwd: repository,
      encoding: 'utf8',
    });
    const timeless = (text: string): string => text.replace(/, \d+ ms$/m, '');
    expect(timeless(again.stdout)).toBe(timeless(out));
  });

  it('stays quiet when its reader leaves', async () => {
    const child = spawn(process.execPath, [command, 'inspect', leaky], {
      cwd: repository,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let err = '';
    child.stderr.on('data', (chunk) => {
      err += chunk;
    });
    child.stdout.destroy();
    const status = await new Promise((resolve) => child.on('close', resolve));
    expect({ status, err }).toEqual({ status: 0, err: '' });
  });

  it('does not end as with a violation when nothing can be written', () => {
    const full = openSync('/dev/full', 'w');
    const { status, stderr } = spawnSync(process.execPath, [command, clean], {
      cwd: repository,
      encoding: 'utf8',
      stdio: ['ignore', full, 'pipe'],
    });
    closeSync(full);
    expect(status).toBe(2);
    expect(stderr).toMatch(/^poolproof: standard output: ENOSPC.*\n$/);
  });
});

describe('inspect', () => {
  it('tells which imports are supported', () => {
    const { status, out } = poolproof('inspect', leaky, '--json', '-');
    expect(status).toBe(0);
    const { imports } = JSON.parse(out) as { imports: { module: string; name: string; support: string }[] };
    expect(imports).toContainEqual({ module: 'ntoskrnl.exe', name: 'ExAllocatePoolWithTag', support: 'full' });
    expect(poolproof('inspect', leaky).out).toMatch(/ExAllocatePoolWithTag +full\n/);
  });
});
