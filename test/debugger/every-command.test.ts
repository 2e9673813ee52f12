/** Each command that is declared is typed in a transcript of this folder. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { commands } from '../../src/debugger/commands/index.ts';
import { debug, expectTranscript } from './transcript.ts';

const folder = import.meta.dirname;

it('the rarer forms: stacks without source lines, wide memory, the end of a session', async () => {
  const { type } = debug(['drivers/clean-beacon/clean-beacon.sys']);
  const text = await type([
    'bp clean_beacon!BeaconAddDevice',
    'g',
    'kn 2',
    'kbL 2',
    'kvL 2',
    'dqs @rsp L2',
    'ep @rsp-10 clean_beacon!BeaconAddDevice',
    'dps @rsp-10 L1',
    'eu @rsp-10 "ab"',
    'db @rsp-10 L4',
    '.time',
    'q',
  ]);
  expectTranscript(folder, 'rarer-forms', text);
});

it('every command has a transcript', () => {
  const typed = readdirSync(folder)
    .filter((file) => file.endsWith('.txt'))
    .flatMap((file) => [...readFileSync(join(folder, file), 'utf8').matchAll(/^\d: kd> *(\S+)/gm)])
    .map((match) => match[1] as string);
  const isTyped = (name: string): boolean =>
    typed.some((word) => word.startsWith(name) && !/^[\w!.]/.test(word.slice(name.length)));
  expect(commands.length).toBeGreaterThan(50);
  expect(commands.map(({ name }) => name).filter((name) => !isTyped(name))).toEqual([]);
});
