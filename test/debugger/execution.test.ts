/** Running, stepping and breakpoints of a session, line by line. */
import { expect, it } from 'vitest';
import { hexVa, type Va } from '../../src/base/va.ts';
import { Session } from '../../src/debugger/session.ts';
import { debugTarget } from '../../src/run/debug-target.ts';
import { Machine } from '../../src/run/machine.ts';
import { buildReport } from '../../src/run/report/build.ts';
import { assemble } from '../assembler.ts';
import { buildPe } from '../pe-builder.ts';
import { type DebuggedMachine, debug, expectTranscript } from './transcript.ts';

const folder = import.meta.dirname;
const inventory = 'drivers/leaky-inventory/leaky-inventory.sys';
const inventorySteps = ['open \\\\.\\LeakyInventory', 'read 64', 'close'];

it('g, gu, gs, p, t and .steps, to the bug check and on', async () => {
  const { session, type, machine } = debug([inventory], inventorySteps);
  await session.execution.runToEntry();
  const lines = ['.steps', 'r rip', 'p', 't', 'p 3', 'bp nt!IoCreateDevice', 'g', 'k 4', 'gu', 'bc *', 'gs', '.steps'];
  const more = ['bp leaky_inventory!InventoryRead', 'g', 'k', 'gu', 'g leaky_inventory!InventoryUnload', 'g', 'g', 'p'];
  expectTranscript(folder, 'execution', await type([...lines, ...more, 't', 'gu', 'gs', 'k 2', '.steps']));
  // As without a debugger.
  const plain = debug([inventory], inventorySteps).machine;
  plain.run();
  expect(buildReport(machine)).toEqual(buildReport(plain));
  expect(machine.nt.cpu.retired).toBe(plain.nt.cpu.retired);
});

it('breakpoints: numbers, passes, once, commands', async () => {
  const { session, type } = debug([inventory], inventorySteps);
  await session.execution.runToEntry();
  const lines = [
    'bl',
    'bp nt!ExAllocatePoolWithTag 3',
    'bp /1 leaky_inventory!DriverEntry+2',
    'bp nt!IoCreateSymbolicLink ".echo \\"a link\\"; k 1; g; .echo never"',
    'bp leaky_inventory!InventoryUnload ".echo unloading"',
    'bl',
    'g',
    'bl',
    'g',
    'bl',
    'bd 0',
    'bp nt!IoDeleteDevice',
    'bl',
    'be 0',
    'bd 0-1',
    'be 1',
    'bp nt!IoDeleteDevice "r rcx"',
    'bl',
    'g',
    'bc 0-9',
    'bl',
    'g',
  ];
  expectTranscript(folder, 'breakpoints', await type(lines));
});

it('what cannot be done is said', async () => {
  const { session, type } = debug([inventory], inventorySteps);
  const early = await type(['p', 't', 'gu']);
  await session.execution.runToEntry();
  const lines = [
    'bp',
    'bp nosuch!Thing',
    'bp 0',
    'bp /2 @rip',
    'bp @rip x',
    'bp @rip 0',
    'bp @rip "k" x',
    'bp @rip 2 "k" 3',
  ];
  const more = ['bc', 'bc 7', 'bd 1-', 'be x', 'g nosuch', 'g @rip @rip', 'p x', 'p 0', 't 1000000', 'bl'];
  expectTranscript(folder, 'execution-errors', early + (await type([...lines, ...more])));
});

/** A driver of these instructions; its DriverEntry fails. */
function machineWith(source: string): DebuggedMachine & { readonly at: (label: string) => number } {
  const { bytes, labels } = assemble(source, 0);
  const pe = buildPe({ code: bytes });
  const machine = new Machine({ drivers: [{ name: 'made.sys', path: null, bytes: pe.bytes }], instructionLimit: 1e7 });
  let text = '';
  const host = {
    write: (more: string): void => {
      text += more;
    },
    breathe: () => Promise.resolve(),
  };
  const session = new Session(debugTarget(machine), host);
  const type = async (lines: readonly string[]): Promise<string> => {
    text = '';
    for (const line of lines) await session.execute(line);
    return text;
  };
  const [driver] = machine.drivers;
  const at = (label: string): number => (driver?.image.base ?? 0) + pe.textRva + (labels.get(label) ?? Number.NaN);
  return { machine, session, type, at };
}

const recursion = `
      mov ecx, 3
    outer: call f
    after: mov eax, 0C0000001h
      ret
    f: test ecx, ecx
      je done
      dec ecx
    inner: call f
    back: nop
    done: ret`;

it('p passes over calls that call the same function again', async () => {
  const { machine, session, type, at } = machineWith(recursion);
  const { state } = machine.nt.cpu;
  await session.execution.runToEntry();
  await type(['p', 'p']);
  expect([state.rip, Number(state.gpr(1))]).toEqual([at('after'), 0]);
});

it('p stops behind the call of its own frame only', async () => {
  const { machine, session, type, at } = machineWith(recursion);
  const { state } = machine.nt.cpu;
  await session.execution.runToEntry();
  await type(['p', 't']);
  expect(state.rip).toBe(at('f'));
  await type(['p', 'p', 'p']);
  expect(state.rip).toBe(at('inner'));
  const stack = state.gpr(4);
  await type(['p']);
  expect([state.rip, state.gpr(4)]).toEqual([at('back'), stack]);
  await type(['gu']);
  expect(state.rip).toBe(at('after'));
});

it("a breakpoint on the way ends p; the driver's own breakpoints stop, and are passed", async () => {
  const { machine, session, type, at } = machineWith(
    `call f\nmov eax, 0C0000001h\nret\nf: nop\nown: int3\nbehind: ret`,
  );
  const { state } = machine.nt.cpu;
  await session.execution.runToEntry();
  expect(await type(['p'])).toMatch(/^Break instruction exception - code 80000003 \(first chance\)\n.*int {5}3\n$/s);
  expect(state.rip).toBe(at('own'));
  await type(['p']);
  expect(state.rip).toBe(at('behind'));
  expect(await type(['g'])).toContain('The life of the drivers is over: INCOMPLETE  made.sys  DriverEntry failed');
  expect(await type(['g'])).toMatch(/^Nothing can run any more: INCOMPLETE {2}made\.sys {2}/);
});

it('a run that has no end is stopped by a break-in, in the middle, and goes on', async () => {
  const { machine, session, type } = machineWith('again: inc rcx\njmp again');
  await session.execution.runToEntry();
  let breaths = 0;
  session.host.breathe = (): Promise<void> => {
    if (++breaths % 3 === 0) session.breakIn();
    return Promise.resolve();
  };
  Object.assign(machine.nt.options, { instructionLimit: 1e9 });
  const first = await type(['g']);
  expect(first).toMatch(/^Break-in: the machine was stopped where it was\nmade!EntryPoint:\n/);
  const { retired } = machine.nt.cpu;
  expect(await type(['g'])).toBe(first);
  // Three slices, not the rest of the first break-in.
  expect(machine.nt.cpu.retired - retired).toBeGreaterThan(2e7);
  session.breakIn();
  session.host.breathe = () => Promise.resolve();
  expect(await type(['g'])).toContain('The life of the drivers is over: INCOMPLETE  made.sys  the driver ran');
});

it('a break-in ends many steps, and a breakpoint whose commands always go on', async () => {
  const { session, type, machine, at } = machineWith('nop\nagain: inc rcx\njmp again');
  await session.execution.runToEntry();
  let breaths = 0;
  session.host.breathe = (): Promise<void> => {
    if (++breaths % 10 === 0) session.breakIn();
    return Promise.resolve();
  };
  await type(['t 1000']);
  expect(machine.nt.cpu.retired).toBe(10);
  expect(await type([`bp ${hexVa(at('again') as Va)} "r rcx; g"`, 'g'])).toMatch(/^(rcx=\w+\n){10}Break-in/);
  expect(machine.nt.cpu.retired).toBeLessThan(40);
});

it('a thread that waits in p, t or gu goes on in its own time; other threads do not stop it', async () => {
  let waits = 0;
  for (const seed of [1, 2, 3]) {
    for (const command of ['p', 't', 'gu']) {
      const steps = ['open \\\\.\\Threads', 'ioctl 0x222000'];
      const { session, type, machine } = debug(['test/drivers/threads/threads.sys'], steps, { seed });
      await session.execution.runToEntry();
      await type(['gs', 'gs', 'bp nt!KeWaitForSingleObject', 'g']);
      const thread = machine.nt.scheduler.currentThread.kthread;
      const caller = machine.nt.currentStack()[1];
      const { retired } = machine.nt.cpu;
      await type([command]);
      expect(machine.nt.scheduler.currentThread.kthread).toBe(thread);
      expect(machine.nt.cpu.state.rip).toBe(caller);
      if (machine.nt.cpu.retired > retired) waits++;
    }
  }
  expect(waits).toBeGreaterThan(0);
});

it('what a driver prints is shown while it runs, and can do nothing to the terminal', async () => {
  const text = 'a\\x1b[31mb\\u202e\\n'.replace(/\\x1b|\\u202e|\\n/g, (escaped) =>
    JSON.parse(`"${escaped.replace('\\x', '\\u00')}"`),
  );
  const { machine, session, type } = debug([inventory], inventorySteps);
  machine.nt.events.on('driverUnloading', () =>
    machine.nt.events.emit('debugPrint', { text, componentId: 0, level: 0 }),
  );
  machine.nt.events.on('driverUnloading', () =>
    machine.nt.events.emit('debugPrint', { text: 'no line end', componentId: 0, level: 0 }),
  );
  await session.execution.runToEntry();
  expect(await type(['g'])).toContain('a\\x1b[31mb\\u202e\nno line end');
});

it(".steps tells the scenario's steps from what the life does between them", async () => {
  const { session, type } = debug([inventory]);
  await session.execution.runToEntry();
  const early = (await type(['.steps'])).split('\n');
  expect(early[2]).toMatch(/^> - +DriverEntry$/);
  expect(early.filter((line) => /^ {2}\? +further steps/.test(line))).toHaveLength(1);
  const stopped = await type(['gs', '.steps']);
  const [, step = ''] = /^Before the step: (.*)$/m.exec(stopped) ?? [];
  const numbered = stopped.split('\n').filter((line) => /^[> ] \d+ /.test(line));
  expect(numbered[0]).toBe(`> 1                ${step}`);
  // gs stops at each line with a number, in their order, and nowhere else.
  for (const line of numbered.slice(1, 4)) {
    expect(await type(['gs'])).toBe(`0: kd> gs\nBefore the step: ${line.slice(19)}\n`);
  }
});

it('p and gu stop where an exception leads to that ends the call', async () => {
  const { session, type, machine } = debug(['test/drivers/seh/seh.sys']);
  const { state } = machine.nt.cpu;
  await session.execution.runToEntry();
  await type(['g', 'p', 'p', 'p']);
  const callee = machine.nt.currentStack()[0];
  const caller = Number(state.gpr(4));
  // The call raises an illegal instruction, which the function around it takes.
  expect(await type(['u . L1'])).toMatch(/ call {4}seh!\w+/);
  const answer = await type(['p']);
  expect(answer).toMatch(/^0: kd> p\nseh!\w+\+0x\w+:\n/);
  expect(machine.nt.currentStack()[0]).not.toBe(callee);
  expect(Number(state.gpr(4))).toBe(caller);
  expect(session.target.isOver).toBe(false);

  const other = debug(['test/drivers/seh/seh.sys']);
  await other.session.execution.runToEntry();
  await other.type(['g', 'p', 'p', 'p', 't']);
  expect(await other.type(['gu'])).toBe(answer.replace('> p', '> gu'));
});

it('commands of a breakpoint that go on themselves say where to, once', async () => {
  const steps = ['gs', 'bp leaky_inventory!InventoryRead "p"', 'g'];
  const { session, type } = debug([inventory], inventorySteps);
  await session.execution.runToEntry();
  expect((await type(steps)).match(/InventoryRead\+0x/g)).toHaveLength(1);
  expect(await type(['bp leaky_inventory!InventoryUnload "gs"', 'g'])).toMatch(
    /> g\n[^\n]*\*\*\* Fatal|> g\ninventory: /,
  );
  const again = debug([inventory], inventorySteps);
  await again.session.execution.runToEntry();
  expect(await again.type(['bp leaky_inventory!InventoryRead "gs"', 'g'])).toMatch(/g\nBefore the step: close\n$/);
});
