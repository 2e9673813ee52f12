/** A life that is stopped, sliced and stepped through is the same life: same calls of the kernel, same report. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Va } from '../src/base/va.ts';
import type { DebugStop } from '../src/nt/kd/debug-control.ts';
import { Machine } from '../src/run/machine.ts';
import { buildReport } from '../src/run/report/build.ts';
import { parseStep } from '../src/run/scenario/step.ts';
import { randomNumbers } from './engine/random-program.ts';
import { buildPe } from './pe-builder.ts';

interface ExpectedRun {
  readonly name: string;
  readonly steps: readonly { readonly step: string }[];
}

const expected = JSON.parse(readFileSync('drivers/expected.json', 'utf8')) as {
  drivers: { name: string; sys: string; runs: ExpectedRun[] }[];
};

/** Transfers and interrupts of a device, which come in the middle of a turn. */
function machineWithDevice(flagsLiveAtExit: boolean): Machine {
  const steps = ['open \\\\.\\DmaEngineTest', 'ioctl 0x222000 out=4', 'ioctl 0x222004 out=4', 'ioctl 0x22200c out=4'];
  return new Machine({
    drivers: [
      {
        name: 'dma-engine.sys',
        path: null,
        bytes: new Uint8Array(readFileSync('test/drivers/dma-engine/dma-engine.sys')),
      },
    ],
    steps: steps.map(parseStep),
    deviceModel: 'pci-dma-engine',
    seed: 7,
    instructionLimit: 1e9,
    flagsLiveAtExit,
  });
}

function machineFor(name: string, runName: string, flagsLiveAtExit = false): Machine {
  if (name === 'dma-engine') return machineWithDevice(flagsLiveAtExit);
  const driver = expected.drivers.find((one) => one.name === name);
  const run = driver?.runs.find((one) => one.name === runName);
  if (driver === undefined || (run === undefined && runName !== 'tour')) throw new Error(`no ${name} ${runName}`);
  const { sys } = driver;
  return new Machine({
    drivers: [{ name: sys.slice(sys.lastIndexOf('/') + 1), path: null, bytes: new Uint8Array(readFileSync(sys)) }],
    steps: run === undefined ? undefined : run.steps.map(({ step }) => parseStep(step)),
    seed: 7,
    instructionLimit: 1e9,
    flagsLiveAtExit,
  });
}

/** One line for each call of the kernel: who called what, when. */
function traceOf(machine: Machine): string[] {
  const trace: string[] = [];
  machine.nt.events.on('exportCalled', ({ name, returnAddress }) => {
    trace.push(`${name} from ${returnAddress} at ${machine.nt.cpu.retired} ${machine.nt.cpu.state.gpr(1)}`);
  });
  return trace;
}

interface Life {
  readonly trace: readonly string[];
  readonly report: unknown;
  readonly retired: number;
  readonly time: number;
  readonly stops: readonly DebugStop['kind'][];
}

function lifeOf(machine: Machine, atStop: (machine: Machine, stop: DebugStop) => void = () => {}): Life {
  const trace = traceOf(machine);
  const stops: DebugStop['kind'][] = [];
  while (machine.resume() === 'stopped') {
    const stop = machine.nt.debugControl.lastStop;
    if (stop === undefined) throw new Error('a machine that stopped says why');
    stops.push(stop.kind);
    atStop(machine, stop);
  }
  expect(machine.nt.debugControl.lastStop).toBeUndefined();
  const { retired } = machine.nt.cpu;
  return { trace, report: buildReport(machine), retired, time: machine.nt.clock.interruptTime, stops };
}

const plainLives = new Map<string, Life>();

function plain(name: string, run: string): Life {
  const known = plainLives.get(`${name} ${run}`) ?? lifeOf(machineFor(name, run));
  plainLives.set(`${name} ${run}`, known);
  return known;
}

function expectSame(life: Life, like: Life): void {
  expect(life.report).toEqual(like.report);
  expect({ trace: life.trace, retired: life.retired, time: life.time }).toEqual({
    trace: like.trace,
    retired: like.retired,
    time: like.time,
  });
}

function functionsOf(machine: Machine): Va[] {
  return machine.drivers.flatMap((driver) =>
    machine
      .symbolsOf(driver)
      .source.symbols()
      .filter(({ kind }) => kind === 'function')
      .map(({ rva }) => (driver.image.base + rva) as Va),
  );
}

/** Between them: requests that pend, timed waits, exceptions, devices that go, DPCs, threads, tours of drivers that leak. */
const lives = [
  ['leaky-mailbox', 'cancel'],
  ['leaky-mailbox', 'wait'],
  ['clean-channel', 'fault'],
  ['clean-bringup', 'serial'],
  ['clean-beacon', 'surprise'],
  ['leaky-ticker', 'tour'],
  ['dma-engine', 'interrupt'],
] as const;

describe.each(lives)('%s %s', (name, run) => {
  it.each([1, 7, 1000])('in slices of %d calls of the kernel', (calls) => {
    const machine = machineFor(name, run);
    machine.nt.debugControl.slice = { calls };
    const life = lifeOf(machine);
    expectSame(life, plain(name, run));
    expect(new Set(life.stops)).toEqual(new Set(life.stops.length > 0 ? ['slice'] : []));
    if (calls < 1000) expect(life.stops.length).toBeGreaterThan((life.trace.length / calls) * 0.9);
  });

  it('in slices of some instructions', () => {
    const random = randomNumbers(3);
    const machine = machineFor(name, run);
    const { debugControl } = machine.nt;
    debugControl.slice = { instructions: 5 };
    const life = lifeOf(machine, () => {
      debugControl.slice = { instructions: 1 + random(60) };
    });
    expectSame(life, plain(name, run));
    expect(life.stops.length).toBeGreaterThan(1);
  });

  it('with breakpoints on all functions of the driver, and on all routines of the kernel', () => {
    const machine = machineFor(name, run);
    const { nt } = machine;
    const driver = functionsOf(machine);
    const kernel = [...nt.entries.routines()].map(({ va }) => va);
    nt.debugControl.setBreakpoints([...driver, ...kernel]);
    const seen = new Set<Va>();
    let callsStopped = 0;
    const life = lifeOf(machine, (_, stop) => {
      if (stop.kind !== 'breakpoint') throw new Error(`stopped by ${stop.kind}`);
      seen.add(stop.address);
      const entry = nt.entries.at(nt.cpu.state.rip);
      if (entry === undefined) expect(nt.cpu.state.rip).toBe(stop.address);
      else expect(entry.kind === 'thunk' ? entry.target?.va : entry.va).toBe(stop.address);
      if (entry !== undefined) callsStopped++;
    });
    expectSame(life, plain(name, run));
    // Each call of a routine once, no matter how it was reached.
    expect(callsStopped).toBe(life.trace.length);
    expect(driver.some((va) => seen.has(va))).toBe(true);
  });

  it('by single steps, breakpoints and slices in turns', () => {
    const random = randomNumbers(11);
    const machine = machineFor(name, run, true);
    const { nt } = machine;
    const functions = functionsOf(machine);
    nt.debugControl.attach();
    nt.debugControl.stopsAtSteps = true;
    const life = lifeOf(machine, () => {
      nt.debugControl.slice = random(2) === 0 ? { calls: 1 + random(20), instructions: 1 + random(3000) } : undefined;
      nt.debugControl.setBreakpoints(functions.filter(() => random(4) === 0));
      if (random(3) === 0) nt.debugControl.stepInstruction();
      if (random(50) === 0) nt.debugControl.requestBreak();
    });
    expectSame(life, plain(name, run));
    if (run !== 'tour')
      expect([...new Set(life.stops)]).toEqual(expect.arrayContaining(['scenario-step', 'slice', 'step']));
  });

  it('moved to a fresh machine where it was stopped', () => {
    let machine = machineFor(name, run);
    const random = randomNumbers(5);
    const report = (): unknown => buildReport(machine);
    for (let count = 0; machine.resume() === 'stopped' || count === 0; count++) {
      const snapshot = machine.snapshot();
      machine = machineFor(name, run);
      machine.restore(snapshot);
      const { debugControl } = machine.nt;
      debugControl.slice = random(2) === 0 ? { calls: 40 + random(400) } : { instructions: 4000 + random(50_000) };
    }
    expect(report()).toEqual(plain(name, run).report);
    expect(machine.nt.cpu.retired).toBe(plain(name, run).retired);
  });
});

describe('steps of the scenario', () => {
  it('are stopped at once each, before they begin', () => {
    const machine = machineFor('leaky-mailbox', 'cancel');
    machine.nt.debugControl.stopsAtSteps = true;
    const texts: string[] = [];
    lifeOf(machine, (_, stop) => {
      if (stop.kind === 'scenario-step') texts.push(`${stop.text} after ${machine.life.state.results.length}`);
    });
    const steps = (plain('leaky-mailbox', 'cancel').report as { scenario: { steps: { step: string }[] } }).scenario
      .steps;
    expect(texts).toEqual(steps.map(({ step }, index) => `${step} after ${index}`));
  });
});

describe('single steps', () => {
  it('through a whole life', () => {
    const machine = machineFor('clean-channel', 'fault');
    machine.nt.debugControl.stepInstruction();
    let before = 0;
    const life = lifeOf(machine, ({ nt }, stop) => {
      expect(stop).toEqual({ kind: 'step' });
      expect(nt.cpu.retired - before).toBeLessThanOrEqual(1);
      before = nt.cpu.retired;
      nt.debugControl.stepInstruction();
    });
    expectSame(life, plain('clean-channel', 'fault'));
    expect(life.stops.length).toBeGreaterThan(life.retired);
  });
});

describe("the driver's own breakpoints", () => {
  // mov ecx,2; again: int3; dec ecx; jnz again; int3; mov eax,STATUS_UNSUCCESSFUL; ret
  const code = [0xb9, 2, 0, 0, 0, 0xcc, 0xff, 0xc9, 0x75, 0xfb, 0xcc, 0xb8, 0x01, 0, 0, 0xc0, 0xc3];
  const machineWithBreaks = (): Machine =>
    new Machine({
      drivers: [{ name: 'break.sys', path: null, bytes: buildPe({ code }).bytes }],
      steps: [parseStep('open \\\\.\\Nothing')],
      instructionLimit: 1e6,
    });

  it('stop only for a debugger, each time once, with the instruction still to come', () => {
    const like = lifeOf(machineWithBreaks());
    expect(like.stops).toEqual([]);
    for (const others of [[], ['breakpoint'], ['step']]) {
      const machine = machineWithBreaks();
      const { nt } = machine;
      nt.debugControl.attach();
      const places: Va[] = [];
      const life = lifeOf(machine, (_, stop) => {
        if (stop.kind !== 'break-instruction') return;
        expect(nt.memory.readU8(nt.cpu.state.rip)).toBe(0xcc);
        expect(stop.address).toBe(nt.cpu.state.rip);
        places.push(stop.address);
        if (others.includes('breakpoint')) nt.debugControl.setBreakpoints([stop.address]);
        if (others.includes('step')) nt.debugControl.stepInstruction();
      });
      const first = places[0] as Va;
      expect(places).toEqual([first, first, first + 5]);
      expectSame(life, like);
      expect(life.stops.filter((kind) => kind !== 'break-instruction')).toHaveLength(
        { breakpoint: 1, step: 3 }[others[0] ?? ''] ?? 0,
      );
    }
  });

  it('DbgBreakPoint stops before it does anything, RtlAssert behind its text', () => {
    const machineWithCalls = (): Machine => {
      const call = (from: number, to: number): number[] => {
        const distance = to - from - 6;
        return [0xff, 0x15, distance & 0xff, (distance >> 8) & 0xff, (distance >> 16) & 0xff, (distance >> 24) & 0xff];
      };
      const { bytes } = buildPe({
        imports: { 'ntoskrnl.exe': ['DbgBreakPoint', 'RtlAssert'] },
        // sub rsp,28h; call DbgBreakPoint; xor ecx,ecx; xor edx,edx; xor r9d,r9d; mov r8d,1; call RtlAssert; add rsp,28h; mov eax,...; ret
        code: ({ textRva, iat }) => [
          ...[0x48, 0x83, 0xec, 0x28],
          ...call(textRva + 4, iat('DbgBreakPoint')),
          ...[0x31, 0xc9, 0x31, 0xd2, 0x45, 0x31, 0xc9, 0x41, 0xb8, 1, 0, 0, 0],
          ...call(textRva + 23, iat('RtlAssert')),
          ...[0x48, 0x83, 0xc4, 0x28, 0xb8, 0x01, 0, 0, 0xc0, 0xc3],
        ],
      });
      return new Machine({ drivers: [{ name: 'break.sys', path: null, bytes }], instructionLimit: 1e6 });
    };
    const like = lifeOf(machineWithCalls());
    expect(like.stops).toEqual([]);
    for (const isStepping of [false, true]) {
      const machine = machineWithCalls();
      const { nt } = machine;
      nt.debugControl.attach();
      const seen: unknown[] = [];
      const life = lifeOf(machine, (_, stop) => {
        if (isStepping) nt.debugControl.stepInstruction();
        if (stop.kind !== 'break-instruction') return;
        const entry = nt.entries.at(nt.cpu.state.rip);
        seen.push([
          entry?.kind === 'thunk' ? entry.importName : nt.cpu.state.rip === stop.address,
          machine.debugOutput.length,
        ]);
      });
      expect(seen).toEqual([
        ['ntoskrnl.exe!DbgBreakPoint', 0],
        [true, 1],
      ]);
      expectSame(life, like);
    }
  });

  it('a debugger that detached is asked no more', () => {
    const machine = machineWithBreaks();
    machine.nt.debugControl.attach();
    expect(machine.resume()).toBe('stopped');
    machine.nt.debugControl.detach();
    expect(machine.resume()).toBe('over');
  });
});
