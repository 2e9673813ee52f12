import { expect, it } from 'vitest';
import { CommandError } from '../command.ts';
import { absence } from './absent.ts';
import { commands, findCommand } from './index.ts';

it('says by name what a kernel debugger has and this one does not', () => {
  for (const line of [
    "j (@rax>1) 'k'; 'g'",
    'bu leaky!X',
    '??1',
    '~*k',
    '.if (1) { k }',
    '!irp 0',
    'dt nt!_MDL',
    'kP',
  ]) {
    expect(() => findCommand(line), line).toThrow(/^\S+ is not supported here: /);
  }
  expect(() => findCommand('nosuch')).toThrow(/there is no command nosuch/);
  expect(() => findCommand('!nosuch')).toThrow(CommandError);
});

it('names nothing that there is', () => {
  for (const { name, aliases = [] } of commands) {
    for (const known of [name, ...aliases]) expect(absence(known), known).toBeUndefined();
  }
});
