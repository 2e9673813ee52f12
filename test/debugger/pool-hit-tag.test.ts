/** `ed nt!poolhittag`: the machine stops at every allocation and release with a tag. */
import { expect, it } from 'vitest';
import { tagText } from '../../src/nt/declare/parameter-types.ts';
import { debug, debugAt } from './transcript.ts';

const inventory = 'drivers/leaky-inventory/leaky-inventory.sys';

/** What happens with pool in a run that nobody stops: `+Tag`, `-Tag`. */
function poolActs(): readonly string[] {
  const { machine } = debug([inventory]);
  const acts: string[] = [];
  machine.nt.events.on('poolAllocated', ({ block }) => acts.push(`+${tagText(block.tag)}`));
  machine.nt.events.on('poolFreed', ({ block }) => acts.push(`-${tagText(block.tag)}`));
  machine.run();
  return acts;
}

it('stops behind each of them, and nowhere else', async () => {
  const acts = poolActs();
  const tag = (acts[0] ?? '').slice(1);
  const wanted = acts.filter((act) => act.slice(1) === tag).length;
  expect(wanted).toBeGreaterThan(1);
  expect(wanted).toBeLessThan(acts.length);
  const { session, machine, type } = debugAt([inventory], 'leaky_inventory!DriverEntry');
  const reversed = [...tag].reverse().join('');
  expect(await type([`ed nt!poolhittag '${reversed}'`, 'db nt!poolhittag L4'])).toContain(tag);
  let hits = 0;
  while (machine.resume() === 'stopped') {
    const stop = machine.nt.debugControl.lastStop;
    if (stop?.kind === 'breakpoint') continue;
    expect(stop?.kind).toBe('break-instruction');
    hits++;
    const call = await type(['ub . L1']);
    expect(call).toMatch(/call\s+qword ptr \[leaky_inventory!_imp_Ex(Allocate|Free)PoolWithTag|jmp|call\s+r/);
    expect(session.symbols.functionAt(machine.nt.cpu.state.rip)?.image.isDriver).toBe(true);
  }
  expect(hits).toBe(wanted);
});

it('0 ends that, and a debugger that is gone is not asked', async () => {
  const acts = poolActs();
  const reversed = [...(acts[0] ?? '').slice(1)].reverse().join('');
  const cleared = debugAt([inventory], 'leaky_inventory!DriverEntry');
  await cleared.type([`ed nt!poolhittag '${reversed}'`, 'ed nt!poolhittag 0']);
  expect(cleared.machine.resume()).toBe('over');
  const detached = debugAt([inventory], 'leaky_inventory!DriverEntry');
  await detached.type([`ed nt!poolhittag '${reversed}'`]);
  detached.machine.nt.debugControl.detach();
  expect(detached.machine.resume()).toBe('over');
});
