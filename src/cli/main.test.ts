import { expect, it, vi } from 'vitest';
import { AssertionError, PoolproofError } from '../base/errors.ts';
import { plainStyle } from '../run/report/text.ts';
import { styleFor } from './terminal.ts';

const verify = vi.hoisted(() => vi.fn());
vi.mock('../run/verify.ts', () => ({ verify }));
const { runCommandLine } = await import('./main.ts');

async function run(...args: string[]): Promise<{ status: number; out: string; err: string }> {
  let out = '';
  let err = '';
  const terminal = {
    out: (text: string): void => {
      out += text;
    },
    err: (text: string): void => {
      err += text;
    },
    style: plainStyle,
  };
  const status = await runCommandLine(args, terminal, '1.2.3');
  return { status, out, err };
}

const driver = 'drivers/leaky-mailbox/leaky-mailbox.sys';

it("poolproof's own fault is status 4 and one line that says how to repeat it", async () => {
  verify.mockImplementation(() => {
    throw new AssertionError('a page is\nmapped twice');
  });
  const { status, out, err } = await run('--seed', '9', '--do', 'open \\\\.\\X', driver);
  expect({ status, out }).toEqual({ status: 4, out: '' });
  expect(err).toBe(
    `poolproof: this is poolproof's own fault: a page is mapped twice; it happens again with: poolproof ${driver} --seed 9 --do 'open \\\\.\\X'; please report it with the driver\n`,
  );
});

it('--debug adds where it happened', async () => {
  verify.mockImplementation(() => {
    throw new RangeError('Invalid array length');
  });
  const { status, err } = await run('--debug', driver);
  expect(status).toBe(4);
  expect(err).toMatch(/RangeError: Invalid array length\n {4}at /);
});

it("the user's fault within a run is status 2", async () => {
  verify.mockImplementation(() => {
    throw new PoolproofError('PP5002', 'x.sys: an export driver');
  });
  expect(await run(driver)).toEqual({ status: 2, out: '', err: 'poolproof: x.sys: an export driver\n' });
});

it('colour goes to terminals that want it', () => {
  const isPlain = (isTerminal: boolean, environment: Record<string, string>): boolean =>
    styleFor(isTerminal, environment) === plainStyle;
  expect(isPlain(true, { TERM: 'xterm' })).toBe(false);
  expect(isPlain(true, { TERM: 'xterm', NO_COLOR: '' })).toBe(false);
  expect(isPlain(true, { TERM: 'xterm', NO_COLOR: '1' })).toBe(true);
  expect(isPlain(true, { TERM: 'dumb' })).toBe(true);
  expect(isPlain(false, { TERM: 'xterm' })).toBe(true);
});
