/** Breakpoints and single steps of the processor: where they stop, and that they change nothing. */
import { describe, expect, test } from 'vitest';
import type { Va } from '../../src/base/va.ts';
import type { CpuExit, CpuOptions } from '../../src/engine/cpu/cpu.ts';
import type { VaRange } from '../../src/engine/cpu/unit.ts';
import { Access, pageSize } from '../../src/engine/memory/layout.ts';
import { CpuMachine, codeVa, dataVa, hostVa, noHooks } from './cpu-machine.ts';
import { assemblyOf, interpret, randomNumbers, randomProgram } from './random-program.ts';

const seeds = [1, 2, 3, 5];
const wholeFunction: VaRange = { start: codeVa, end: (codeVa + 0x10000) as Va };

function machineFor(seed: number, cpu: CpuOptions = {}, ranges?: readonly VaRange[]): CpuMachine {
  const program = randomProgram(seed);
  const machine = new CpuMachine(assemblyOf(program), { cpu });
  for (const [index, name] of ['rax', 'rcx', 'rdx', 'rbx', 'r8', 'r9', 'r10'].entries()) machine.set(name, index + 1);
  machine.set('rdi', dataVa);
  machine.set('r15', program.budget);
  machine.cpu.functionRangesOf = () => ranges;
  return machine;
}

/** With the flags, which are exact as soon as somebody looks. */
function fullState(machine: CpuMachine): string {
  return `${machine.stateText()} flags=${machine.cpu.state.rflags}`;
}

interface Place {
  readonly rip: Va;
  readonly state: string;
}

/** Where each instruction begins, by single steps, and the end. */
function steppedPlaces(machine: CpuMachine): Place[] {
  const places: Place[] = [];
  for (;;) {
    places.push({ rip: machine.cpu.state.rip, state: fullState(machine) });
    const { retired } = machine.cpu;
    const exit = machine.cpu.step(1_000);
    if (exit.kind === 'host') return places;
    expect(exit).toEqual({ kind: 'step' });
    expect(machine.cpu.retired).toBe(
      retired + (machine.cpu.state.rip === hostVa && retired === machine.cpu.retired ? 0 : 1),
    );
  }
}

const knownPlaces = new Map<number, readonly Place[]>();

function placesOf(seed: number): readonly Place[] {
  const places = knownPlaces.get(seed) ?? steppedPlaces(machineFor(seed));
  knownPlaces.set(seed, places);
  return places;
}

/** Where breakpoints stop, from the start to the host address. */
function stops(machine: CpuMachine, fuel: () => number = () => 1_000_000): Place[] {
  const places: Place[] = [];
  for (let isAtBreakpoint = false; ; ) {
    const exit = machine.cpu.run(fuel(), isAtBreakpoint);
    if (exit.kind === 'host') return places;
    isAtBreakpoint = exit.kind === 'breakpoint';
    if (exit.kind === 'breakpoint') {
      expect(exit.rip).toBe(machine.cpu.state.rip);
      places.push({ rip: exit.rip, state: fullState(machine) });
    } else {
      expect(exit).toEqual({ kind: 'fuel' });
    }
  }
}

describe('random programs', () => {
  test('stepped through, they do what they do in one go', () => {
    for (const seed of seeds) {
      const machine = machineFor(seed);
      const places = steppedPlaces(machine);
      const { registers, slots, retired } = interpret(randomProgram(seed));
      expect(machine.cpu.retired, `seed ${seed}`).toBe(retired);
      expect(places).toHaveLength(retired + 1);
      expect(Object.fromEntries(Object.keys(registers).map((name) => [name, machine.get(name)]))).toEqual(registers);
      expect(slots.map((_, index) => machine.memory.readU64((dataVa + index * 8) as Va))).toEqual(slots);
    }
  });

  test.each([
    ['code without boundaries', undefined, {}],
    ['one function', [wholeFunction], {}],
    ['dispatch loop', [wholeFunction], { forcesDispatchLoop: true }],
  ] as const)('a breakpoint on every instruction shows each place as single steps do: %s', (_, ranges, options) => {
    for (const seed of seeds) {
      const places = placesOf(seed);
      const machine = machineFor(seed, options, ranges);
      machine.cpu.setBreakpoints(new Set(places.slice(0, -1).map(({ rip }) => rip)));
      expect(stops(machine), `seed ${seed}`).toEqual(places.slice(0, -1));
      expect(fullState(machine)).toBe(places.at(-1)?.state);
    }
  });

  test('breakpoints anywhere, set and cleared on the way, with little fuel', () => {
    for (const seed of seeds) {
      const random = randomNumbers(seed);
      const exact = { flagsLiveAtExit: true };
      const places = placesOf(seed);
      const addresses = [...new Set(places.slice(0, -1).map(({ rip }) => rip))];
      const machine = machineFor(seed, exact, [wholeFunction]);
      const seen: Place[] = [];
      let expected: Place[] = [];
      let set = new Set<Va>();
      for (let isAtBreakpoint = false; ; ) {
        if (random(3) === 0) {
          set = new Set(addresses.filter(() => random(5) === 0));
          machine.cpu.setBreakpoints(set);
        }
        const { retired } = machine.cpu;
        const exit = machine.cpu.run(1 + random(60), isAtBreakpoint);
        const passed = places.slice(
          retired + (isAtBreakpoint ? 1 : 0),
          machine.cpu.retired + (exit.kind === 'breakpoint' ? 1 : 0),
        );
        expected = [...expected, ...passed.filter(({ rip }) => set.has(rip))];
        isAtBreakpoint = exit.kind === 'breakpoint';
        if (exit.kind === 'breakpoint') seen.push({ rip: exit.rip, state: fullState(machine) });
        if (exit.kind === 'host') break;
      }
      expect(seen, `seed ${seed}`).toEqual(expected);
      expect(fullState(machine)).toBe(places.at(-1)?.state);
    }
  });

  test('fuel ends at the same places', () => {
    const turnEnds = (seed: number, prepare: (machine: CpuMachine) => void, isStepping: () => boolean): string[] => {
      const machine = machineFor(seed);
      prepare(machine);
      const ends: string[] = [];
      let turnEnd = 17;
      for (let isAtBreakpoint = false; ; ) {
        const left = Math.max(1, turnEnd - machine.cpu.retired);
        const exit: CpuExit = isStepping() ? machine.cpu.step(left) : machine.cpu.run(left, isAtBreakpoint);
        if (exit.kind === 'host') return ends;
        isAtBreakpoint = exit.kind === 'breakpoint';
        if (exit.kind !== 'fuel') continue;
        ends.push(machine.stateText());
        turnEnd = machine.cpu.retired + 17;
      }
    };
    for (const seed of seeds) {
      const plain = turnEnds(
        seed,
        () => {},
        () => false,
      );
      const places = [...new Set(placesOf(seed).map(({ rip }) => rip))];
      const random = randomNumbers(seed);
      const some = new Set(places.slice(0, -1).filter(() => random(2) === 0));
      expect(
        turnEnds(
          seed,
          ({ cpu }) => cpu.setBreakpoints(some),
          () => false,
        ),
        `seed ${seed}`,
      ).toEqual(plain);
      expect(
        turnEnds(
          seed,
          () => {},
          () => true,
        ),
        `seed ${seed}`,
      ).toEqual(plain);
      expect(
        turnEnds(
          seed,
          ({ cpu }) => cpu.setBreakpoints(some),
          () => random(3) === 0,
        ),
        `seed ${seed}`,
      ).toEqual(plain);
    }
  });
});

const nested = `
      mov ebx, 3
    again: call outer
    back: dec ebx
      jne again
      ret
    outer: push rbx
      call inner
    middle: pop rbx
      ret
    inner: add eax, ebx
      cmp eax, 4
      ret`;

describe('breakpoints', () => {
  const count = (source: string, label: string): readonly [number, bigint] => {
    const machine = new CpuMachine(source);
    machine.cpu.setBreakpoints([machine.at(label)]);
    return [stops(machine).length, machine.get('rax')];
  };

  test.each([
    ['at a call target', 'outer'],
    ['at a call target two calls deep', 'inner'],
    ['on a return address', 'middle'],
    ['on a return address in a loop', 'back'],
    ['at the start of a loop', 'again'],
  ])('%s', (_, label) => expect(count(nested, label)).toEqual([3, 6n]));

  test('set while frames of the function stand on the stack, and cleared again', () => {
    const machine = new CpuMachine(nested);
    machine.cpu.setBreakpoints([machine.at('inner')]);
    expect(machine.run()).toEqual({ kind: 'breakpoint', rip: machine.at('inner') });
    machine.cpu.setBreakpoints([machine.at('middle'), machine.at('back')]);
    expect(machine.cpu.run(1e6, true)).toEqual({ kind: 'breakpoint', rip: machine.at('middle') });
    expect(machine.cpu.run(1e6, true)).toEqual({ kind: 'breakpoint', rip: machine.at('back') });
    machine.cpu.setBreakpoints([]);
    expect(machine.cpu.run(1e6)).toEqual({ kind: 'host' });
    expect([machine.get('rax'), machine.cpu.retired]).toEqual([6n, 32]);
  });

  test('set by a hook in the middle of a run', () => {
    const machine: CpuMachine = new CpuMachine(`call rdi\ncall inner\nret\ninner: mov eax, 5\nthere: inc eax\nret`, {
      hooks: {
        ...noHooks,
        hostCall: () => {
          const { state } = machine.cpu;
          if (state.rip === hostVa) return false;
          machine.cpu.setBreakpoints([machine.at('there')]);
          const stack = state.gprVa(4);
          state.rip = machine.memory.readVa(stack);
          state.setGprVa(4, (stack + 8) as Va);
          return true;
        },
      },
    });
    machine.set('rdi', hostVa + 16);
    expect(machine.run()).toEqual({ kind: 'breakpoint', rip: machine.at('there') });
    expect(machine.get('rax')).toBe(5n);
    expect(machine.cpu.run(1e6, true)).toEqual({ kind: 'host' });
    expect(machine.get('rax')).toBe(6n);
  });

  test('counts again when control comes back, also to a loop of one instruction', () => {
    const machine = new CpuMachine('mov ecx, 4\nhere: loop here\nret');
    machine.cpu.setBreakpoints([machine.at('here')]);
    expect(stops(machine)).toHaveLength(4);
    expect(machine.cpu.retired).toBe(6);
  });

  test('gone on to without passing it, it stops again', () => {
    const machine = new CpuMachine('nop\nhere: nop\nret');
    machine.cpu.setBreakpoints([machine.at('here')]);
    for (const _ of [1, 2, 3]) expect(machine.run()).toEqual({ kind: 'breakpoint', rip: machine.at('here') });
    expect(machine.cpu.run(1e6, true)).toEqual({ kind: 'host' });
    expect(machine.cpu.retired).toBe(3);
  });

  test('on an instruction that faults: the fault follows', () => {
    const machine = new CpuMachine('here: mov al, [rcx]\nret');
    machine.cpu.setBreakpoints([codeVa]);
    expect(machine.run().kind).toBe('breakpoint');
    expect(machine.cpu.run(1e6, true)).toMatchObject({ kind: 'fault', vector: 14, rip: codeVa });
    expect(machine.cpu.retired).toBe(0);
  });

  test('at a target of a jump table', () => {
    const machine = new CpuMachine(`
      cmp ecx, 3
      ja out
      lea rdx, [table]
      jmp qword ptr [rdx+rcx*8]
    zero: mov eax, 10
    out: ret
    one: mov eax, 11
      ret
    two: mov eax, 12
      ret
    table: ret${'\nnop'.repeat(40)}`);
    for (const [index, label] of ['zero', 'one', 'two', 'out'].entries()) {
      machine.memory.writeVa((machine.at('table') + index * 8) as Va, machine.at(label));
    }
    const { rsp } = { rsp: machine.get('rsp') };
    for (const round of [0, 1]) {
      machine.cpu.setBreakpoints(round === 0 ? [machine.at('one')] : []);
      for (const index of [0, 1, 2]) {
        machine.cpu.state.rip = codeVa;
        machine.set('rsp', rsp);
        machine.set('rcx', index);
        expect(stops(machine)).toHaveLength(round === 0 && index === 1 ? 1 : 0);
        expect(machine.get('rax')).toBe(BigInt(10 + index));
      }
    }
  });

  test('in code that is changed under it', () => {
    const machine = new CpuMachine('there: mov eax, 5\nafter: ret');
    const rsp = machine.get('rsp');
    machine.cpu.setBreakpoints([codeVa, machine.at('after')]);
    for (const value of [5n, 6n]) {
      machine.memory.writeU8((codeVa + 1) as Va, Number(value));
      machine.cpu.state.rip = codeVa;
      machine.set('rsp', rsp);
      expect(stops(machine).map(({ rip }) => rip)).toEqual([codeVa, machine.at('after')]);
      expect(machine.get('rax')).toBe(value);
    }
  });

  test('on an instruction that the code itself changes; also with single steps', () => {
    const source = `
      lea rdx, [there]
      mov ecx, 3
    again: mov byte ptr [rdx+1], cl
    there: mov eax, 5
      add ebx, eax
      dec ecx
      jne again
      ret`;
    const machine = new CpuMachine(source);
    machine.cpu.setBreakpoints([machine.at('there')]);
    expect(stops(machine)).toHaveLength(3);
    const stepped = new CpuMachine(source);
    expect(steppedPlaces(stepped)).toHaveLength(18 + 1);
    for (const one of [machine, stepped]) expect([one.get('rbx'), one.cpu.retired]).toEqual([6n, 18]);
  });

  test('flags that the code before them set are there, also those that nobody reads', () => {
    const machine = new CpuMachine('mov eax, 1\ncmp eax, 1\nhere: add eax, 1\nret');
    machine.cpu.setBreakpoints([machine.at('here')]);
    machine.run();
    expect(machine.cpu.state.rflags & 0x40).toBe(0x40);
  });

  test('code that reads flags across a call runs right as soon as there is one', () => {
    const machine = new CpuMachine('call compare\nhere: setb al\nret\ncompare: cmp ecx, 5\nret');
    machine.cpu.setBreakpoints([machine.at('here')]);
    expect(stops(machine)).toHaveLength(1);
    expect([machine.get('rax'), machine.cpu.needsExactFlags]).toEqual([1n, false]);
  });

  test('only what stands on their pages is translated anew', () => {
    const machine = new CpuMachine('mov eax, 1\nret');
    const far = (codeVa + 0x10_0000) as Va;
    machine.map(far, 1, Access.Read | Access.Write | Access.Execute);
    machine.memory.writeBytes(far, Uint8Array.of(0xc3));
    const runAt = (va: Va): number => {
      machine.set('rsp', machine.get('rsp') & ~0xfffn);
      machine.memory.writeVa(machine.cpu.state.gprVa(4), hostVa);
      machine.cpu.state.rip = va;
      machine.run();
      return machine.cpu.moduleCount;
    };
    machine.cpu.setBreakpoints([(far + 1) as Va]);
    const before = runAt(codeVa);
    machine.cpu.setBreakpoints([(far + pageSize - 1) as Va]);
    expect(runAt(codeVa)).toBe(before);
  });
});

describe('single steps', () => {
  test('a repeated string instruction is one, and may fault and go on', () => {
    const machine = new CpuMachine('rep stosb\nret');
    machine.set('rdi', dataVa);
    machine.set('rcx', 5 * pageSize);
    expect(machine.cpu.step(1000)).toMatchObject({ kind: 'fault', vector: 14, va: dataVa + 4 * pageSize, rip: codeVa });
    machine.map((dataVa + 4 * pageSize) as Va, 1, Access.Read | Access.Write);
    expect(machine.cpu.step(1000)).toEqual({ kind: 'step' });
    expect([machine.get('rcx'), machine.cpu.retired]).toEqual([0n, 1]);
  });

  test('a host address is the whole call', () => {
    const machine: CpuMachine = new CpuMachine('call rdi\nback: ret', {
      hooks: {
        ...noHooks,
        hostCall: () => {
          const { state } = machine.cpu;
          if (state.rip === hostVa) return false;
          state.rip = machine.at('back');
          state.setGprVa(4, (state.gprVa(4) + 8) as Va);
          return true;
        },
      },
    });
    machine.set('rdi', hostVa + 32);
    expect(machine.cpu.step(1000)).toEqual({ kind: 'step' });
    expect(machine.cpu.state.rip).toBe(hostVa + 32);
    expect(machine.cpu.step(1000)).toEqual({ kind: 'step' });
    expect([machine.cpu.state.rip, machine.cpu.retired]).toEqual([machine.at('back'), 1]);
    expect(machine.cpu.step(1000)).toEqual({ kind: 'step' });
    expect(machine.cpu.step(1000)).toEqual({ kind: 'host' });
  });

  test('an instruction that changes the code that it stands in', () => {
    const machine = new CpuMachine('lea rdx, [after]\nmov byte ptr [rdx+1], 3\nafter: mov ecx, 2\nret');
    for (const _ of [1, 2, 3]) expect(machine.cpu.step(1000)).toEqual({ kind: 'step' });
    expect(machine.get('rcx')).toBe(3n);
  });

  test('faults, unsupported and missing code as in a run', () => {
    const steps = (source: string): unknown => new CpuMachine(source).cpu.step(1000);
    expect(steps('int3')).toMatchObject({ kind: 'fault', vector: 3, rip: codeVa });
    expect(steps('db 0d9h, 0e8h')).toMatchObject({ kind: 'unsupported', text: 'fld1' });
    expect(steps('cpuid')).toMatchObject({ kind: 'unsupported', text: 'cpuid' });
    const machine = new CpuMachine('nop');
    machine.cpu.state.rip = dataVa;
    expect(machine.cpu.step(1000)).toMatchObject({ kind: 'fault', vector: 14, access: Access.Execute, rip: dataVa });
  });
});
