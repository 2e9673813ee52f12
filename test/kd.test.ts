/** `poolproof kd` and `--break` as a user runs them: a process of their own, what they print, their exit status. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { repository } from './end-to-end.ts';

const leaky = 'drivers/leaky-inventory/leaky-inventory.sys';
const clean = 'drivers/clean-mailbox/clean-mailbox.sys';
const spin = 'test/drivers/spin/spin.sys';

// Within the repository, so that the packages are found; not dist/, which may be in use.
const built = join(repository, `node_modules/.cache/poolproof-kd-${process.pid}`);
const command = join(built, 'cli/poolproof.js');

beforeAll(() => {
  execFileSync(process.execPath, [join(repository, 'build.mjs'), '--out', built]);
});
afterAll(() => rmSync(built, { recursive: true, force: true }));

interface Result {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

function poolproof(args: readonly string[], input = ''): Result {
  const { status, stdout, stderr } = spawnSync(process.execPath, [command, ...args], {
    cwd: repository,
    encoding: 'utf8',
    input,
    env: { ...process.env, NO_COLOR: '' },
  });
  return { status, out: stdout, err: stderr };
}

const entry = /^poolproof [^\n]+\nleaky_inventory!\w+:\nfffff800`[0-9a-f]{8} [0-9a-f]+ +\w/;

describe('poolproof kd', () => {
  it('stands before the first instruction, takes lines from a pipe, and ends with it', () => {
    const { status, out, err } = poolproof(['kd', leaky], 'k 1\n\n  ? 1+1 ; ? 2+2\n');
    expect({ status, err }).toEqual({ status: 0, err: '' });
    expect(out).toMatch(entry);
    expect(out).toContain('\n0: kd> k 1\n # Child-SP');
    expect(out).toContain('\nEvaluate expression: 2 = 00000000`00000002\nEvaluate expression: 4 = 00000000`00000004\n');
  });

  it('the status is the verdict when the life is over', () => {
    const bugCheck = poolproof(['kd', leaky], 'g\n!verifier 3\ng\n');
    expect(bugCheck.status).toBe(1);
    expect(bugCheck.out).toContain(
      '\n*** Fatal System Error: 0x000000c4\n                       (0x0000000000000062,0xFFFF',
    );
    expect(bugCheck.out).toContain('0: kd> g\nNothing can run any more: VIOLATION  leaky-inventory.sys');
    const fine = poolproof(['kd', clean, '--do', 'open \\\\.\\CleanMailbox'], 'g\n');
    expect(fine.status).toBe(0);
    expect(fine.out).toContain('\n0: kd> g\nThe life of the drivers is over: CLEAN  clean-mailbox.sys');
    expect(poolproof(['kd', spin, '--limit', '1e5'], 'g\n').status).toBe(3);
  });

  it('-c runs commands and leaves with q', () => {
    const { status, out, err } = poolproof(['kd', leaky, '-c', 'bp nt!ExAllocatePoolWithTag; g; k 1; q; k'], '? 3\n');
    expect({ status, err }).toEqual({ status: 0, err: '' });
    expect(out).toContain(
      "\nkd: Reading initial command 'bp nt!ExAllocatePoolWithTag; g; k 1; q; k'\nBreakpoint 0 hit\n",
    );
    expect(out.match(/Child-SP/g)).toHaveLength(1);
    expect(out).not.toContain('Evaluate');
  });

  it('-c without q goes on with the lines that follow', () => {
    const { status, out } = poolproof(['kd', leaky, '-c', '? 5'], '? 6\nq\n? 7\n');
    expect(status).toBe(0);
    expect(out).toContain('Evaluate expression: 5 =');
    expect(out).toContain('0: kd> ? 6\nEvaluate expression: 6 =');
    expect(out).not.toContain('? 7');
  });

  it('a command that does not exist is said, and does not end the session', () => {
    const { status, out } = poolproof(['kd', leaky], 'nonsense\n!nonsense\n? 1\n');
    expect(status).toBe(0);
    expect(out).toMatch(
      /0: kd> nonsense\n[^\n]*nonsense[^\n]*\n0: kd> !nonsense\n[^\n]*nonsense[^\n]*\n0: kd> \? 1\nEvaluate/,
    );
  });

  it.each([
    [['kd', 'nosuch.sys'], /nosuch\.sys: no such file/],
    [['kd'], /missing required argument 'driver'/],
    [['kd', leaky, '--json', '-'], /unknown option '--json'/],
    [['kd', leaky, '--flags', 'x'], /--flags/],
    [['kd', leaky, '--source', 'no/such/place'], /--source/],
    [['kd', leaky, '-c'], /argument missing/],
    [['kd', 'drivers/leaky-inventory/leaky-inventory.c'], /leaky-inventory\.c/],
  ] as const)('refuses %j', (args, message) => {
    const { status, out, err } = poolproof(args);
    expect({ status, out }).toEqual({ status: 2, out: '' });
    expect(err).toMatch(/^poolproof: [^\n]+\n$/);
    expect(err).toMatch(message);
  });

  it('gives the same end as a plain run', () => {
    const steps = ['--do', 'open \\\\.\\LeakyInventory', '--do', 'read 64', '--seed', '9'];
    const { out } = poolproof(['kd', leaky, ...steps], 'bp leaky_inventory!InventoryRead\ng\np 5\ngu\ng\n');
    const verdict = /^VIOLATION [^\n]+/.exec(poolproof([leaky, ...steps]).out)?.[0];
    expect(verdict).toContain('bug check');
    expect(poolproof(['kd', leaky, ...steps], 'g\ng\n').out).toContain(`Nothing can run any more: ${verdict}`);
    expect(out).toContain('Breakpoint 0 hit\nleaky_inventory!InventoryRead:\n');
    expect(out).toContain('*** Fatal System Error: 0x000000c4');
  });

  it('does not show what names in the command line could do to a terminal', () => {
    const { out } = poolproof(['kd', leaky, '-c', '.echo \u001b[31mred\u202e; q']);
    expect(out).not.toContain('\u001b');
    expect(out).not.toContain('\u202e');
  });
});

/** Waits for text on standard output, from a place on. */
function watch(child: ChildProcess): (wanted: string) => Promise<void> {
  let seen = '';
  let notify = (): void => {};
  child.stdout?.on('data', (data: Buffer) => {
    seen += data.toString();
    notify();
  });
  return (wanted) =>
    new Promise((resolve) => {
      notify = () => {
        const at = seen.indexOf(wanted);
        if (at < 0) return;
        seen = seen.slice(at + wanted.length);
        notify = () => {};
        resolve();
      };
      notify();
    });
}

function start(args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [command, ...args], { cwd: repository, stdio: ['pipe', 'pipe', 'inherit'] });
}

const ended = (child: ChildProcess): Promise<number | null> => new Promise((resolve) => child.on('close', resolve));

describe.skipIf(process.platform === 'win32')('SIGINT', () => {
  it('breaks into a run, which can go on and be broken into again', async () => {
    const child = start(['kd', spin, '--limit', '1e13']);
    const end = ended(child);
    const shown = watch(child);
    await shown('spin!DriverEntry:');
    for (const _ of [1, 2]) {
      child.stdin?.write('g\n');
      await shown('0: kd> g\n');
      // The run may need a moment to begin.
      const timer = setInterval(() => child.kill('SIGINT'), 200);
      await shown('Break-in');
      clearInterval(timer);
      await shown('spin!DriverEntry+0x10:');
    }
    child.stdin?.end('? 5\n');
    await shown('Evaluate expression: 5');
    expect(await end).toBe(0);
  });

  it('where nothing runs it leaves a session that nobody types in', async () => {
    const child = start(['kd', spin]);
    const end = ended(child);
    await watch(child)('spin!DriverEntry:');
    const timer = setInterval(() => child.kill('SIGINT'), 300);
    expect(await end).toBe(0);
    clearInterval(timer);
  });

  it('q leaves although the input stays open', async () => {
    const child = start(['kd', spin, '-c', 'q']);
    expect(await ended(child)).toBe(0);
  });
});

describe('--break', () => {
  it('enters the debugger at the bug check, then prints the report and ends with its status', () => {
    const plain = poolproof([leaky]);
    const { status, out, err } = poolproof([leaky, '--break'], 'k 1\n!verifier 3\nq\nk\n');
    expect({ status, err }).toEqual({ status: 1, err: '' });
    expect(out.startsWith('*** Fatal System Error: 0x000000c4\n')).toBe(true);
    expect(out).toMatch(/\n0: kd> k 1\n # Child-SP[^\n]+\n00 [^\n]+nt!IopUnloadDriver/);
    const timeless = (text: string): string => text.replace(/, \d+ ms\n/, '\n');
    expect(timeless(out).endsWith(`\n0: kd> q\n${timeless(plain.out)}`)).toBe(true);
  });

  it('leaves standard output to a report', () => {
    const { status, out, err } = poolproof([leaky, '--break', '--json', '-'], '? 5\n');
    expect(status).toBe(1);
    expect(JSON.parse(out)).toMatchObject({ verdict: 'violation' });
    expect(err).toContain('Evaluate expression: 5');
  });

  it('does nothing without a bug check', () => {
    const { status, out } = poolproof([clean, '--break', '--do', 'open \\\\.\\CleanMailbox'], 'k\n');
    expect(status).toBe(0);
    expect(out).toMatch(/^CLEAN/);
    expect(out).not.toContain('kd>');
  });
});

it('a plain run does not load the debugger', () => {
  const chunks = (entryFile: string, seen = new Set<string>()): Set<string> => {
    if (seen.has(entryFile)) return seen;
    seen.add(entryFile);
    const text = readFileSync(entryFile, 'utf8');
    for (const [, file = ''] of text.matchAll(/(?:from|import)\s*["'](\.{1,2}\/[^"']+)["']/g)) {
      chunks(join(entryFile, '..', file), seen);
    }
    return seen;
  };
  const verify = /import\(["'](\.{1,2}\/[^"']*verify-command[^"']*)["']\)/.exec(
    [...chunks(command)].map((file) => readFileSync(file, 'utf8')).join('\n'),
  )?.[1];
  expect(verify).toBeDefined();
  const loaded = [...chunks(command), ...chunks(join(command, '..', verify ?? ''))];
  const text = loaded.map((file) => readFileSync(file, 'utf8')).join('\n');
  expect(text).toContain('DRIVER_VERIFIER_DETECTED_VIOLATION');
  expect(text).not.toContain('shows the call stack');
});
