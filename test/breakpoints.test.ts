/** Breakpoints in a driver's code: what the report says of them. */
import { expect, it } from 'vitest';
import { defaultFlags, parseStep, verify } from '../src/index.ts';
import { buildPe } from './pe-builder.ts';

it('notes each place once, and goes on', () => {
  // mov ecx,3; again: int3; dec ecx; jnz again; int3; mov eax,STATUS_UNSUCCESSFUL; ret
  const code = [0xb9, 3, 0, 0, 0, 0xcc, 0xff, 0xc9, 0x75, 0xfb, 0xcc, 0xb8, 0x01, 0, 0, 0xc0, 0xc3];
  const report = verify({
    drivers: [{ name: 'break.sys', path: null, bytes: buildPe({ code }).bytes }],
    steps: [parseStep('open \\\\.\\Nothing')],
    flags: defaultFlags,
    seed: 1,
    instructionLimit: 1e6,
    now: () => 0,
  });
  expect(report.driverEntryStatus).toBe('0xC0000001');
  expect(report.bugCheck).toBeNull();
  const places = report.notes.filter((note) => note.startsWith('the driver hit a breakpoint at break'));
  expect(places).toHaveLength(2);
  expect(places[0]).toContain(': Windows without a kernel debugger stops there');
});
