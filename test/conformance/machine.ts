/** Replays recorded vectors on the engine. */
import type { Va } from '../../src/base/va.ts';
import { Cpu, type CpuExit } from '../../src/engine/cpu/cpu.ts';
import { GuestMemory } from '../../src/engine/memory/guest-memory.ts';
import { Access, pageSize, systemSpaceStart } from '../../src/engine/memory/layout.ts';
import type { Form, Group, ProcessorState, Vector } from './vectors.ts';

const registerNames = 'rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15'.split(' ');
const flagNames = { CF: 1, PF: 4, AF: 0x10, ZF: 0x40, SF: 0x80, DF: 0x400, OF: 0x800 };
const comparedFlags = 0xcd5;
const hostVa = (systemSpaceStart + 0xf000_0000) as Va;
const fuel = 1_000_000;
const readWrite = Access.Read | Access.Write;

/** Where a form is replayed: `recorded` at the addresses it was recorded at, `system` in a place of system space of its own. */
export type Place = 'recorded' | 'system';

/** A machine that replays the forms of one group. */
export class ReplayMachine {
  private readonly memory = new GuestMemory({ ramBytes: 0x200_0000 });
  private readonly cpu: Cpu;
  private readonly group: Group;
  private placesUsed = 0;

  constructor(group: Group) {
    this.group = group;
    this.cpu = new Cpu(
      this.memory,
      { hostCall: () => false, writeCr8: () => false, instruction: () => 'unsupported' },
      { flagsLiveAtExit: true },
    );
    this.cpu.addHostRange(hostVa, pageSize);
  }

  /** Replays vectors of a form; the differences from what the processor did, in words. */
  replay(form: Form, place: Place, every = 1): string[] {
    const distance = this.prepare(form, place);
    const pointers = distance === 0 ? 0 : form.pointers;
    return form.vectors
      .filter(({ index }) => index % every === 0)
      .flatMap((vector) => {
        const moved = {
          ...vector,
          before: move(vector.before, pointers, distance),
          after: move(vector.after, pointers, distance),
        };
        return this.replayVector(moved, distance).map((difference) => `vector ${vector.index}: ${difference}`);
      });
  }

  private prepare(form: Form, place: Place): number {
    // Each form in system space has pages of its own, so that no translation has to be dropped in between.
    const distance = place === 'recorded' ? 0 : systemSpaceStart + this.placesUsed++ * 2 * pageSize;
    const code = (Number(this.group.codeVa) + distance) as Va;
    const window = pageOf((Number(this.group.windowVa) + distance) as Va);
    for (const va of [code, window, (window + pageSize) as Va]) {
      if (this.memory.mappingAt(va) !== undefined) this.memory.unmapPage(va);
      const frame = this.memory.allocateFrame();
      if (frame === undefined) throw new Error('out of guest memory');
      this.memory.mapPage(va, frame, readWrite);
    }
    // Behind the form: jmp [rip + 0] to a host address, which leaves.
    this.memory.writeBytes(code, form.code);
    const end = (code + form.code.length) as Va;
    this.memory.writeBytes(end, Uint8Array.of(0xff, 0x25, 0, 0, 0, 0));
    this.memory.writeVa((end + 6) as Va, hostVa);
    this.memory.protectPage(code, Access.Read | Access.Execute);
    this.cpu.functionRangesOf = (va) =>
      va >= code && va < end + 14 ? [{ start: code, end: (end + 14) as Va }] : undefined;
    return distance;
  }

  private replayVector(vector: Vector, distance: number): string[] {
    const { cpu, memory } = this;
    const { before, after } = vector;
    const code = Number(this.group.codeVa) + distance;
    const window = (Number(this.group.windowVa) + distance) as Va;
    for (const [i, value] of before.gpr.entries()) cpu.state.setGpr(i, value);
    for (const [i, [low, high]] of before.xmm.entries()) cpu.state.setXmm(i, low, high);
    cpu.state.rflags = before.rflags;
    cpu.state.rip = code as Va;
    memory.writeBytes(window, before.memory);

    let exit = cpu.run(fuel);
    for (let more = 0; exit.kind === 'fuel' && more < 3; more++) exit = cpu.run(fuel);
    const problem = this.outcomeProblem(vector, exit, code);
    if (problem !== undefined) return [problem];

    const differences: string[] = [];
    for (const [i, expected] of after.gpr.entries()) {
      const actual = cpu.state.gpr(i);
      if (actual !== expected && ((vector.undefinedRegisters >> i) & 1) === 0) {
        differences.push(
          `${registerNames[i]} ${hex(actual)}, expected ${hex(expected)} (was ${hex(before.gpr[i] ?? 0n)})`,
        );
      }
    }
    for (const [i, [low, high]] of after.xmm.entries()) {
      const actual = cpu.state.xmm(i);
      if (actual.low !== low || actual.high !== high) {
        differences.push(`xmm${i} ${hex(actual.high)}_${hex(actual.low)}, expected ${hex(high)}_${hex(low)}`);
      }
    }
    const wrongFlags = (cpu.state.rflags ^ after.rflags) & comparedFlags & ~vector.undefinedFlags;
    if (wrongFlags !== 0) {
      const names = Object.entries(flagNames).filter(([, bit]) => (wrongFlags & bit) !== 0);
      differences.push(names.map(([name, bit]) => `${name} expected ${(after.rflags & bit) === 0 ? 0 : 1}`).join(', '));
    }
    const actualMemory = memory.readBytes(window, after.memory.length);
    const at = actualMemory.findIndex((byte, i) => byte !== after.memory[i]);
    if (at >= 0) {
      const bytes = (from: Uint8Array) =>
        [...from.slice(at, at + 8)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
      differences.push(`memory at +0x${at.toString(16)} ${bytes(actualMemory)}, expected ${bytes(after.memory)}`);
    }
    return differences;
  }

  private outcomeProblem(vector: Vector, exit: CpuExit, code: number): string | undefined {
    if (vector.exception === undefined) {
      if (exit.kind === 'host' && this.cpu.state.rip === hostVa) return undefined;
      return `ended with ${describeExit(exit, code)}`;
    }
    const expected = `fault ${vector.exception} at +${vector.ripOffset}`;
    const actual = describeExit(exit, code);
    return actual === expected ? undefined : `ended with ${actual}, expected ${expected}`;
  }
}

function describeExit(exit: CpuExit, code: number): string {
  if (exit.kind === 'fault') return `fault ${exit.vector} at +${exit.rip - code}`;
  if (exit.kind === 'unsupported') return `unsupported: ${exit.text}`;
  return exit.kind;
}

function move(state: ProcessorState, pointers: number, distance: number): ProcessorState {
  if (pointers === 0) return state;
  const gpr = state.gpr.map((value, i) => ((pointers >> i) & 1 ? BigInt.asUintN(64, value + BigInt(distance)) : value));
  return { ...state, gpr };
}

function pageOf(va: Va): Va {
  return (va - (((va % pageSize) + pageSize) % pageSize)) as Va;
}

function hex(value: bigint): string {
  return value.toString(16).padStart(16, '0');
}
