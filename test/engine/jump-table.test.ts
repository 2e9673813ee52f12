/** Jump tables as compilers make them, and jumps out of a function. */
import { describe, expect, test } from 'vitest';
import type { Va } from '../../src/base/va.ts';
import { systemSpaceStart } from '../../src/engine/memory/layout.ts';
import { CpuMachine, codeVa, dataVa } from './cpu-machine.ts';

const cases = `
    case0: mov eax, 100
      jmp done
    case1: mov eax, 101
      jmp done
    case2: mov eax, 102
      jmp done
    default: mov eax, 999
    done: add eax, ebx
      ret`;

const compilers: Readonly<Record<string, { code: string; fill: (machine: CpuMachine) => void }>> = {
  'MSVC, offsets from the image base': {
    code: `
      mov ebx, 1
      cmp ecx, 2
      ja default
      lea rdx, [rip0]
    rip0: sub rdx, 0
      movsxd rax, ecx
      mov r8, ${systemSpaceStart}
      mov ecx, [r8+rax*4+200000h]
      add rcx, r8
      jmp rcx`,
    fill: (machine) =>
      ['case0', 'case1', 'case2'].forEach((label, index) => {
        machine.memory.writeU32((dataVa + index * 4) as Va, machine.at(label) - systemSpaceStart);
      }),
  },
  'MSVC, through a byte table': {
    code: `
      mov ebx, 1
      cmp ecx, 3
      ja default
      mov rdx, ${systemSpaceStart}
      mov eax, ecx
      movzx eax, byte ptr [rdx+rax+200100h]
      mov ecx, [rdx+rax*4+200000h]
      add rcx, rdx
      jmp rcx`,
    fill: (machine) => {
      ['case0', 'case1', 'case2', 'default'].forEach((label, index) => {
        machine.memory.writeU32((dataVa + index * 4) as Va, machine.at(label) - systemSpaceStart);
      });
      machine.memory.writeBytes((dataVa + 0x100) as Va, Uint8Array.of(0, 1, 2, 3));
    },
  },
  'clang, distances from the table': {
    code: `
      mov ebx, 1
      cmp ecx, 2
      ja default
      mov eax, ecx
      mov rdx, ${dataVa}
      movsxd rax, dword ptr [rdx+rax*4]
      add rax, rdx
      jmp rax`,
    fill: (machine) =>
      ['case0', 'case1', 'case2'].forEach((label, index) => {
        machine.memory.writeU32((dataVa + index * 4) as Va, (machine.at(label) - dataVa) >>> 0);
      }),
  },
  'addresses, index compared in memory': {
    code: `
      mov ebx, 1
      mov [rsp+8], ecx
      cmp dword ptr [rsp+8], 3
      jae default
      mov eax, [rsp+8]
      mov rdx, ${dataVa}
      jmp qword ptr [rdx+rax*8]`,
    fill: (machine) =>
      ['case0', 'case1', 'case2'].forEach((label, index) => {
        machine.memory.writeVa((dataVa + index * 8) as Va, machine.at(label));
      }),
  },
};

describe('jump tables', () => {
  test.each(Object.entries(compilers))('%s', (_, { code, fill }) => {
    const machine = new CpuMachine(code + cases);
    fill(machine);
    const start = machine.memory.snapshot();
    const results = [0, 1, 2, 7].map((index) => {
      machine.memory.restore(start);
      machine.set('rcx', index);
      expect(machine.run()).toEqual({ kind: 'host' });
      return machine.get('rax');
    });
    expect(results).toEqual([101n, 102n, 103n, 1000n]);
    // All cases belong to the one translated unit.
    expect(machine.cpu.moduleCount).toBe(1);
  });

  test.each([
    ['start', 50302n],
    ['case2', 60301n],
  ])('the table in a register outside of the loop, first met at %s', (entry, expected) => {
    const machine = new CpuMachine(`
    start: mov rdx, ${dataVa}
      xor ebx, ebx
      jmp test
    loop: movsxd rax, dword ptr [rdx+rcx*4]
      add rax, rdx
      jmp rax
    case0: add ebx, 1
      jmp next
    case1: add ebx, 100
      jmp next
    case2: add ebx, 10000
    next: inc esi
    test: movzx ecx, byte ptr [rdi+rsi]
      cmp ecx, 2
      jbe loop
      mov eax, ebx
      ret`);
    ['case0', 'case1', 'case2'].forEach((label, index) => {
      machine.memory.writeU32((dataVa + index * 4) as Va, (machine.at(label) - dataVa) >>> 0);
    });
    machine.memory.writeBytes((dataVa + 0x100) as Va, Uint8Array.of(0, 1, 2, 2, 1, 2, 0, 1, 2, 2, 9));
    machine.cpu.functionRangesOf = () => [{ start: codeVa, end: (codeVa + 0x100) as Va }];
    machine.set('rdi', dataVa + 0x100);
    machine.set('rdx', dataVa);
    machine.cpu.state.rip = machine.at(entry);
    expect(machine.run()).toEqual({ kind: 'host' });
    expect(machine.get('rax')).toBe(expected);
    expect(machine.cpu.moduleCount).toBe(1);
  });

  test('a table that changes', () => {
    const { code, fill } = compilers['clang, distances from the table']!;
    const machine = new CpuMachine(code + cases);
    fill(machine);
    machine.set('rcx', 1);
    const start = machine.memory.snapshot();
    machine.run();
    machine.memory.restore(start);
    machine.memory.writeU32((dataVa + 4) as Va, (machine.at('default') - dataVa) >>> 0);
    machine.run();
    expect(machine.get('rax')).toBe(1000n);
    machine.memory.restore(start);
    machine.memory.writeU32((dataVa + 4) as Va, (machine.at('case1') + 5 - dataVa) >>> 0);
    machine.run();
    expect(machine.get('rax')).toBe(BigInt((machine.at('case1') + 5 + 1 - systemSpaceStart) >>> 0));
  });
});

test('a conditional jump to another function keeps what the other way still needs', () => {
  const machine = new CpuMachine(`
      mov ebx, 5
      mov esi, 6
      test ecx, ecx
      jne other
      mov edx, 7
      mov r9, [rdi]
      ret
    other: mov eax, ebx
      ret`);
  const other = machine.at('other');
  machine.cpu.functionRangesOf = (va) =>
    va < other ? [{ start: codeVa, end: other }] : [{ start: other, end: (other + 16) as Va }];
  machine.set('rdi', dataVa);
  const start = machine.memory.snapshot();
  const seen = [0, 1].map((rcx) => {
    machine.memory.restore(start);
    machine.set('rcx', rcx);
    machine.set('rax', 1);
    machine.run();
    return [machine.get('rax'), machine.get('rbx'), machine.get('rsi'), machine.get('rdx')];
  });
  expect(seen).toEqual([
    [1n, 5n, 6n, 7n],
    [5n, 5n, 6n, 0n],
  ]);
});
