/** Random programs: what the translator does, in each of its ways, is what their own interpreter says. */
import { describe, expect, test } from 'vitest';
import type { Va } from '../../src/base/va.ts';
import type { CpuOptions } from '../../src/engine/cpu/cpu.ts';
import type { VaRange } from '../../src/engine/cpu/unit.ts';
import type { MemorySnapshot } from '../../src/engine/memory/guest-memory.ts';
import { CpuMachine, codeVa, dataVa, hostVa } from './cpu-machine.ts';
import { assemblyOf, interpret, randomNumbers, randomProgram } from './random-program.ts';

function machineFor(seed: number, cpu: CpuOptions = {}): CpuMachine {
  const program = randomProgram(seed);
  const machine = new CpuMachine(assemblyOf(program), { cpu });
  for (const [index, name] of ['rax', 'rcx', 'rdx', 'rbx', 'r8', 'r9', 'r10'].entries()) machine.set(name, index + 1);
  machine.set('rdi', dataVa);
  machine.set('r15', program.budget);
  return machine;
}

function expectOutcome(machine: CpuMachine, seed: number, what: string): void {
  const { registers, slots, retired } = interpret(randomProgram(seed));
  const seen = Object.fromEntries(Object.keys(registers).map((name) => [name, machine.get(name)]));
  const seenSlots = slots.map((_, index) => machine.memory.readU64((dataVa + index * 8) as typeof dataVa));
  expect(
    { seen, slots: seenSlots, retired: machine.cpu.retired, rip: machine.cpu.state.rip },
    `seed ${seed}, ${what}`,
  ).toEqual({
    seen: registers,
    slots,
    retired,
    rip: hostVa,
  });
}

const wholeFunction: VaRange = { start: codeVa, end: (codeVa + 0x10000) as Va };

const seeds = Array.from({ length: 60 }, (_, index) => index + 1);

describe('random programs', () => {
  test.each([
    ['structured control flow', {}],
    ['dispatch loop', { forcesDispatchLoop: true }],
    ['exact flags', { flagsLiveAtExit: true }],
  ] as const)('%s', (what, options) => {
    for (const seed of seeds) {
      const machine = machineFor(seed, options);
      expect(machine.run(), `seed ${seed}`).toEqual({ kind: 'host' });
      expectOutcome(machine, seed, what);
    }
  });

  test('cut into pieces that count as functions of their own', () => {
    for (const seed of seeds) {
      const machine = machineFor(seed);
      const random = randomNumbers(seed);
      const cuts = [...machine.labels.values()].filter(() => random(3) === 0);
      const starts = [...new Set([0, ...cuts])].sort((a, b) => a - b);
      machine.cpu.functionRangesOf = (va) => {
        const index = starts.findLastIndex((start) => va >= codeVa + start);
        const start = starts[index];
        if (start === undefined) return undefined;
        return [{ start: (codeVa + start) as Va, end: (codeVa + (starts[index + 1] ?? 0x10000)) as Va }];
      };
      expect(machine.run(), `seed ${seed}`).toEqual({ kind: 'host' });
      expectOutcome(machine, seed, 'cut');
    }
  });

  test.each([
    ['code without boundaries', undefined],
    ['one function, gone on with from the starts of its loops', [wholeFunction]],
  ] as const)('stopped for lack of fuel anywhere, they end the same: %s', (_, ranges) => {
    for (const seed of seeds.slice(0, 12)) {
      const random = randomNumbers(seed);
      const machine = machineFor(seed);
      machine.cpu.functionRangesOf = () => ranges;
      for (let exit = machine.run(1); exit.kind !== 'host'; exit = machine.run(random(40))) {
        expect(exit, `seed ${seed}`).toEqual({ kind: 'fuel' });
      }
      expectOutcome(machine, seed, 'little fuel');
    }
  });

  test('they stop at the same places however they got there', () => {
    for (const seed of seeds.slice(0, 8)) {
      const total = interpret(randomProgram(seed)).retired;
      const stops = (options: CpuOptions, step: number, ranges?: readonly VaRange[]): string[] => {
        const machine = machineFor(seed, options);
        machine.cpu.functionRangesOf = () => ranges;
        const places: string[] = [];
        for (let want = 60; want < Math.min(total, 600); want += 60) {
          while (machine.cpu.retired < want) {
            if (machine.run(Math.min(step, want - machine.cpu.retired)).kind === 'host') return places;
          }
          places.push(machine.stateText());
        }
        return places;
      };
      const whole = stops({}, 1000);
      expect(stops({}, 7), `seed ${seed}`).toEqual(whole);
      expect(stops({}, 7, [wholeFunction]), `seed ${seed}`).toEqual(whole);
      expect(stops({ flagsLiveAtExit: true }, 13, [wholeFunction]).length, `seed ${seed}`).toBe(whole.length);
      expect(stops({ forcesDispatchLoop: true }, 1000), `seed ${seed}`).toEqual(whole);
    }
  });

  test('moved to a new machine at every stop, they end the same', () => {
    for (const seed of seeds.slice(0, 5)) {
      const source = assemblyOf(randomProgram(seed));
      let machine = machineFor(seed);
      for (let moves = 0; machine.run(150).kind !== 'host'; moves++) {
        const snapshot: MemorySnapshot = machine.memory.snapshot();
        if (moves < 6) machine = new CpuMachine(source, { restore: snapshot });
      }
      expectOutcome(machine, seed, 'moved');
    }
  });
});
