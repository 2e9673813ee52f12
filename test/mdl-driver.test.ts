/** Memory descriptor lists end to end: a driver that checks them itself with the header's inline routines. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { vaAdd } from '../src/base/va.ts';
import { parsePe } from '../src/image/pe/index.ts';
import { Nt } from '../src/nt/nt.ts';

const userBytes = 0x2800;

it('mdl.sys passes its own checks and leaves nothing', () => {
  const bytes = new Uint8Array(readFileSync(fileURLToPath(new URL('drivers/mdl/mdl.sys', import.meta.url))));
  const nt = new Nt({ seed: 1, instructionLimit: 10_000_000, ramBytes: 0x200_0000 });
  const image = nt.images.load(parsePe(bytes, 'mdl.sys'), 'mdl.sys');
  const owners = new Set<string | undefined>();
  nt.events.on('poolAllocated', ({ caller }) => owners.add(caller.image?.fileName));
  const { requester } = nt.scheduler;
  nt.scheduler.start(requester, vaAdd(image.base, image.pe?.entryPointRva ?? 0), [
    0,
    nt.userMemory.allocate(userBytes),
  ]);
  nt.run(() => false);
  expect(nt.end.value).toBeUndefined();
  expect((nt.scheduler.thread(requester).result >>> 0).toString(16)).toBe('0');
  expect([...owners]).toEqual(['mdl.sys']);
  expect([...nt.pool.driverBlocks()]).toEqual([]);
  expect([...nt.mdls.outstandingLocks(), ...nt.mdls.outstandingMappings()]).toEqual([]);
  expect([...nt.contiguous.outstanding(), ...nt.pageAllocations.outstanding()]).toEqual([]);
});
