import { expect, it } from 'vitest';
import { defaultFlags } from '../verifier/core/options.ts';
import { defaultInstructionLimit, repeatCommand, shellQuoted } from './repeat-command.ts';

const choice = {
  path: 'a.sys',
  seed: 1,
  flags: defaultFlags,
  steps: [],
  symbols: [],
  limit: defaultInstructionLimit,
};

it('says what differs from the defaults, and the seed', () => {
  expect(repeatCommand(choice)).toBe('poolproof a.sys --seed 1');
  expect(repeatCommand({ ...choice, flags: 0x209bb, limit: 5, symbols: ['s'], steps: ['close', 'wait 1s'] })).toBe(
    "poolproof a.sys --seed 1 --flags 0x209bb --limit 5 --symbols s --do close --do 'wait 1s'",
  );
  expect(repeatCommand({ ...choice, path: '-x.sys' })).toBe('poolproof ./-x.sys --seed 1');
});

it('quotes for a shell', () => {
  expect(shellQuoted('drivers/x.sys')).toBe('drivers/x.sys');
  expect(shellQuoted("it's $HOME")).toBe("'it'\\''s $HOME'");
  expect(shellQuoted('')).toBe("''");
});
