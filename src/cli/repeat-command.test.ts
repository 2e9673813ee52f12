import { expect, it } from 'vitest';
import { defaultInstructionLimit } from '../run/machine-options.ts';
import { defaultFlags } from '../verifier/core/options.ts';
import { repeatCommand, shellQuoted } from './repeat-command.ts';

const choice = {
  paths: ['a.sys'],
  companions: [],
  seed: 1,
  resources: 'default' as const,
  hardwareIds: [],
  flags: defaultFlags,
  steps: [],
  symbols: [],
  downloadSymbols: false,
  sources: [],
  limit: defaultInstructionLimit,
};

it('says what differs from the defaults, and the seed', () => {
  expect(repeatCommand(choice)).toBe('poolproof a.sys --seed 1');
  expect(
    repeatCommand({
      ...choice,
      flags: 0x209bb,
      limit: 5,
      symbols: ['s'],
      sources: ['src'],
      steps: ['close', 'wait 1s'],
    }),
  ).toBe("poolproof a.sys --seed 1 --flags 0x209bb --limit 5 --symbols s --source src --do close --do 'wait 1s'");
  expect(repeatCommand({ ...choice, deviceModel: 'pci-dma-engine', hardwareIds: ['A'] })).toBe(
    'poolproof a.sys --seed 1 --device-model pci-dma-engine --hardware-id A',
  );
  expect(repeatCommand({ ...choice, paths: ['a.sys', '-x.sys'], companions: ['c.sys'] })).toBe(
    'poolproof a.sys ./-x.sys --seed 1 --companion c.sys',
  );
});

it('quotes for a shell', () => {
  expect(shellQuoted('drivers/x.sys')).toBe('drivers/x.sys');
  expect(shellQuoted("it's $HOME")).toBe("'it'\\''s $HOME'");
  expect(shellQuoted('')).toBe("''");
});
