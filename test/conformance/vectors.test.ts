import { describe, expect, test } from 'vitest';
import { type Form, groupNames, readGroup, type Vector } from './vectors.ts';

const flag = { cf: 1, pf: 4, af: 0x10, zf: 0x40, sf: 0x80, of: 0x800 };
const status = 0x8d5;

function forms(group: string): Map<string, Form> {
  return new Map(readGroup(group).forms.map((form) => [form.name, form]));
}

/** Flags of an addition or subtraction, from the definitions in Intel SDM volume 1, 3.4.3.1. */
function carryFlags(
  a: bigint,
  b: bigint,
  carry: bigint,
  bits: number,
  subtract: boolean,
): { value: bigint; flags: number } {
  const limit = 1n << BigInt(bits);
  const exact = subtract ? a - b - carry : a + b + carry;
  const value = BigInt.asUintN(bits, exact);
  const signed = (v: bigint) => BigInt.asIntN(bits, v);
  const signedExact = subtract ? signed(a) - signed(b) - carry : signed(a) + signed(b) + carry;
  const nibble = subtract ? (a & 15n) - (b & 15n) - carry : (a & 15n) + (b & 15n) + carry;
  let ones = 0;
  for (let bit = 0n; bit < 8n; bit++) ones += Number((value >> bit) & 1n);
  const flags =
    (exact < 0n || exact >= limit ? flag.cf : 0) |
    (ones % 2 === 0 ? flag.pf : 0) |
    (nibble < 0n || nibble > 15n ? flag.af : 0) |
    (value === 0n ? flag.zf : 0) |
    (signed(value) < 0n ? flag.sf : 0) |
    (signedExact !== signed(value) ? flag.of : 0);
  return { value, flags };
}

describe('recorded vectors', () => {
  test('each form is named once, has 64 vectors and meets every combination of the status flags', () => {
    const names = new Set<string>();
    for (const group of groupNames()) {
      for (const form of readGroup(group).forms) {
        expect(names.has(form.name), form.name).toBe(false);
        names.add(form.name);
        expect(form.vectors).toHaveLength(64);
        expect(form.code.length).toBeGreaterThan(0);
        expect(new Set(form.vectors.map((vector) => vector.before.rflags & status)).size, form.name).toBe(64);
      }
    }
    expect(names.size).toBeGreaterThan(2500);
  });

  test.each([
    ['add', 32, false, false],
    ['adc', 64, false, true],
    ['sub', 8, true, false],
    ['sbb', 16, true, true],
  ] as const)('%s of %i bits agrees with the definition of the flags', (name, bits, subtract, withCarry) => {
    const operands = { 8: 'al, cl', 16: 'ax, cx', 32: 'eax, ecx', 64: 'rax, rcx' }[bits];
    const form = forms('alu').get(`${name} ${operands}`)!;
    for (const { before, after } of form.vectors) {
      const a = BigInt.asUintN(bits, before.gpr[0]!);
      const b = BigInt.asUintN(bits, before.gpr[1]!);
      const expected = carryFlags(a, b, withCarry ? BigInt(before.rflags & 1) : 0n, bits, subtract);
      expect(after.rflags & status).toBe(expected.flags);
      expect(BigInt.asUintN(bits, after.gpr[0]!)).toBe(expected.value);
      const upper = bits === 32 ? 0n : before.gpr[0]! >> BigInt(bits);
      expect(after.gpr[0]! >> BigInt(bits)).toBe(upper);
    }
  });

  test('a shift by a count of zero leaves the flags, a longer one leaves some undefined', () => {
    const form = forms('shift').get('shl edx, cl')!;
    const count = (vector: Vector) => Number(vector.before.gpr[1]! & 31n);
    expect(form.vectors.some((vector) => count(vector) === 0)).toBe(true);
    for (const vector of form.vectors) {
      if (count(vector) === 0) expect(vector.after.rflags).toBe(vector.before.rflags);
      else expect(vector.undefinedFlags).toBe(count(vector) === 1 ? flag.af : flag.af | flag.of);
      expect(vector.after.gpr[2]).toBe(
        count(vector) === 0
          ? vector.before.gpr[2]! & 0xffffffffn
          : BigInt.asUintN(32, vector.before.gpr[2]! << BigInt(count(vector))),
      );
    }
  });

  test('an operation on memory changes the operand and nothing else', () => {
    const form = forms('alu').get('add dword ptr [rbx], edx')!;
    for (const { before, after } of form.vectors) {
      const at = Number(before.gpr[3]! - readGroup('fault').windowVa);
      const expected = before.memory.slice();
      const view = new DataView(expected.buffer);
      view.setUint32(at, view.getUint32(at, true) + Number(before.gpr[2]! & 0xffffffffn), true);
      expect(after.memory).toEqual(expected);
    }
  });

  test('division faults exactly when the quotient does not fit', () => {
    const form = forms('divide').get('div ecx')!;
    const outcomes = { fault: 0, quotient: 0 };
    for (const { before, after, exception } of form.vectors) {
      const divisor = before.gpr[1]! & 0xffffffffn;
      const dividend = ((before.gpr[2]! & 0xffffffffn) << 32n) | (before.gpr[0]! & 0xffffffffn);
      if (divisor === 0n || dividend / divisor > 0xffffffffn) {
        expect(exception).toBe(0);
        outcomes.fault++;
      } else {
        expect(exception).toBeUndefined();
        expect([after.gpr[0], after.gpr[2]]).toEqual([dividend / divisor, dividend % divisor]);
        outcomes.quotient++;
      }
    }
    expect(Math.min(outcomes.fault, outcomes.quotient)).toBeGreaterThan(2);
  });
});
