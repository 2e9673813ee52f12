import { beforeAll, expect, it } from 'vitest';
import { type Va, vaAdd, vaToU64 } from '../../base/va.ts';
import { CpuState, Gpr } from '../../engine/cpu/state.ts';
import { GuestMemory } from '../../engine/memory/guest-memory.ts';
import { Access, systemSpaceStart } from '../../engine/memory/layout.ts';
import type { Nt } from '../nt.ts';
import { STATUS_INTEGER_DIVIDE_BY_ZERO, STATUS_INTEGER_OVERFLOW } from '../ntstatus.ts';
import { divideErrorStatus } from './divide-error.ts';

const code = systemSpaceStart as Va;
const data = vaAdd(code, 0x800);
const memory = new GuestMemory({ ramBytes: 0x10_0000 });
const state = new CpuState(memory);
const nt = { memory, cpu: { state } } as unknown as Nt;

beforeAll(() => {
  memory.mapPage(code, memory.allocateFrame() ?? 0, Access.Read | Access.Write);
});

/** Encodings by GNU as. Registers not named are 0; `[data]` holds `stored`. */
it.each([
  ['div ecx', [0xf7, 0xf1], { Rcx: 5n }, 0n, false],
  ['div ecx, upper half set', [0xf7, 0xf1], { Rcx: 0x5_0000_0000n }, 0n, true],
  ['div rcx, upper half set', [0x48, 0xf7, 0xf1], { Rcx: 0x5_0000_0000n }, 0n, false],
  ['idiv r9d', [0x41, 0xf7, 0xf9], { R9: 1n, Rcx: 0n }, 0n, false],
  ['div cx', [0x66, 0xf7, 0xf1], { Rcx: 0x1_0000n }, 0n, true],
  ['div ch', [0xf6, 0xf5], { Rcx: 0x100n, Rbp: 0n }, 0n, false],
  ['div bpl', [0x40, 0xf6, 0xf5], { Rcx: 0x100n, Rbp: 0n }, 0n, true],
  ['div dword [rcx]', [0xf7, 0x31], { Rcx: vaToU64(data) }, 7n, false],
  ['div dword [rcx], upper half set', [0xf7, 0x31], { Rcx: vaToU64(data) }, 0x7_0000_0000n, true],
  ['div qword [rcx+8]', [0x48, 0xf7, 0x71, 0x08], { Rcx: vaToU64(data) - 8n }, 0x7_0000_0000n, false],
  [
    'div dword [r12-0x80000000]',
    [0x41, 0xf7, 0xb4, 0x24, 0, 0, 0, 0x80],
    { R12: vaToU64(data) + 0x8000_0000n },
    1n,
    false,
  ],
  ['div byte [rdx+rcx*4]', [0xf6, 0x34, 0x8a], { Rcx: 0x10n, Rdx: vaToU64(data) - 0x40n }, 1n, false],
  ['div dword [rip+0x7fa]', [0xf7, 0x35, 0xfa, 0x07, 0, 0], {}, 1n, false],
  ['div dword [r13]', [0x41, 0xf7, 0x75, 0x00], { R13: vaToU64(data) }, 0n, true],
])('%s', (_name, bytes, registers, stored, isZero) => {
  for (let register = 0; register < 16; register++) state.setGpr(register, 0n);
  for (const [name, value] of Object.entries(registers)) state.setGpr(Gpr[name as keyof typeof Gpr], value);
  memory.writeBytes(code, new Uint8Array(bytes));
  memory.writeU64(data, stored);
  expect(divideErrorStatus(nt, code)).toBe(isZero ? STATUS_INTEGER_DIVIDE_BY_ZERO : STATUS_INTEGER_OVERFLOW);
});
