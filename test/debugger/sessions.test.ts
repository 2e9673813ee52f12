/** Sessions of commands drawn by lot: what is looked at, and where the machine is stopped, changes nothing of its life. */
import { expect, it } from 'vitest';
import { hexVa } from '../../src/base/va.ts';
import { buildReport } from '../../src/run/report/build.ts';
import { debug } from './transcript.ts';

const commandsPerSession = 60;
const routines = [
  'ExAllocatePoolWithTag',
  'IofCompleteRequest',
  'KeWaitForSingleObject',
  'KeSetEvent',
  'IofCallDriver',
];
const looks = [
  'k; kv; r',
  '!verifier 3; .steps',
  'u; ub .; uf',
  '!pool @rsp; !poolused',
  '!analyze -v',
  'lm v; ln .; .time',
];
const moves = ['p', 't', 'gu', 'gs', 'g', 'p 1f', 't 1f', 'bc *', 'bp /1 @$ra'];

/** Numbers that look like chance: Numerical Recipes' generator. */
function lots(seed: number): <T>(items: readonly T[]) => T {
  let state = seed;
  return (items) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const item = items[Math.floor((state / 2 ** 32) * items.length)];
    if (item === undefined) throw new Error('nothing to draw from');
    return item;
  };
}

it.each([
  [['drivers/leaky-courier/leaky-courier.sys'], 1],
  [['drivers/leaky-ticker/leaky-ticker.sys'], 2],
  [['test/drivers/threads/threads.sys'], 3],
  [['test/drivers/seh/seh.sys'], 4],
  [['drivers/leaky-mailbox/leaky-mailbox.sys', 'drivers/clean-ledger/clean-ledger.sys'], 5],
])('%j: the report of any session is that of a plain run', async (paths, seed) => {
  // As a run without a debugger is made.
  const plain = debug(paths, [], { flagsLiveAtExit: false }).machine;
  plain.run();
  const { machine, session, type } = debug(paths);
  await session.execution.runToEntry();
  const own = session.symbols.modules().filter(({ isDriver }) => isDriver);
  const functions = own.flatMap((image) =>
    session.symbols.of(image).flatMap(({ kind, va }) => (kind === 'function' ? [`bp ${hexVa(va)}`] : [])),
  );
  const breakpoints = [
    ...routines.map((name) => `bp nt!${name}`),
    ...routines.map((name) => `bp nt!${name} "k; gu; r rax; g"`),
    ...functions,
  ];
  const draw = lots(seed);
  for (let typed = 0; typed < commandsPerSession && !session.target.isOver; typed++) {
    const answer = await type([draw(draw([looks, moves, moves, breakpoints]))]);
    expect(answer).not.toMatch(/undefined|NaN|\[object/);
  }
  await type(['bc *']);
  for (let more = 0; more < 100 && !session.target.isOver; more++) await type(['g']);
  expect(session.target.isOver).toBe(true);
  expect(buildReport(machine)).toEqual(buildReport(plain));
  expect(machine.nt.cpu.retired).toBe(plain.nt.cpu.retired);
});
