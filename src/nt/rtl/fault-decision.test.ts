import { describe, expect, it } from 'vitest';
import type { Va } from '../../base/va.ts';
import { Access, PageFlag } from '../../engine/memory/layout.ts';
import { BugCheck } from '../declare/bug-check.ts';
import { decidePageFault, type PageFault } from './fault-decision.ts';

const systemVa = -0x7ff_1234_5000 as Va;
const userVa = 0x1234_5000 as Va;
const rip = -0x7ff_0000_1000 as Va;

function decide(change: Partial<PageFault>): { code: number; parameters: readonly unknown[] } | bigint[] {
  const decision = decidePageFault({
    va: systemVa,
    access: Access.Read,
    rip,
    rsp: -0x7ff_4000_0000 as Va,
    irql: 0,
    mapping: undefined,
    isByKernel: false,
    isStackGuard: false,
    isInImage: false,
    isInUnloadedImage: false,
    hasPageTable: true,
    ...change,
  });
  return decision instanceof BugCheck
    ? { code: decision.code, parameters: decision.parameters }
    : [...decision.information];
}

const readOnly = { frame: 5, flags: Access.Read };
const readWrite = { frame: 5, flags: Access.Read | Access.Write };

describe('addresses of user space', () => {
  it.each([
    [Access.Read, 0n],
    [Access.Write, 1n],
    [Access.Execute, 8n],
  ])('access %i to an unmapped one is an access violation', (access, kind) => {
    expect(decide({ va: userVa, access })).toEqual([kind, 0x1234_5000n]);
  });

  it('a write to a read-only one is an access violation', () => {
    expect(decide({ va: userVa, access: Access.Write, mapping: readOnly })).toEqual([1n, 0x1234_5000n]);
  });

  it('a mapped one is never executed', () => {
    const mapping = { frame: 5, flags: Access.Read | Access.Execute | PageFlag.User };
    expect(decide({ va: userVa, access: Access.Execute, mapping })).toEqual({
      code: 0xfc,
      parameters: [userVa, 0x5025n, 0, 0],
    });
  });

  it('at DISPATCH_LEVEL they stop the machine', () => {
    expect(decide({ va: userVa, irql: 2 })).toEqual({ code: 0xd1, parameters: [userVa, 2, 0, rip] });
  });

  it('up to the last canonical one below the kernel', () => {
    expect(decide({ va: 0x7fff_ffff_ffff as Va })).toEqual([0n, 0x7fff_ffff_ffffn]);
  });
});

describe('addresses of system space', () => {
  it('invalid ones: 0x50, with the access in the second and the page table in the fourth parameter', () => {
    expect(decide({})).toEqual({ code: 0x50, parameters: [systemVa, 0, rip, 0] });
    expect(decide({ access: Access.Write })).toEqual({ code: 0x50, parameters: [systemVa, 2, rip, 0] });
    expect(decide({ access: Access.Execute, hasPageTable: false })).toEqual({
      code: 0x50,
      parameters: [systemVa, 0x10, rip, 2],
    });
  });

  it('a page that allows nothing is a guard page: 0x50, not 0xBE', () => {
    expect(decide({ access: Access.Write, mapping: { frame: 5, flags: 0 } })).toMatchObject({ code: 0x50 });
  });

  it('in a driver that is gone: 0xCE', () => {
    expect(decide({ isInUnloadedImage: true, access: Access.Execute })).toEqual({
      code: 0xce,
      parameters: [systemVa, 8, rip, 0],
    });
  });

  it('a write to read-only memory: 0xBE at any IRQL', () => {
    const expected = { code: 0xbe, parameters: [systemVa, 0x8000_0000_0000_5021n, 0, 0] };
    expect(decide({ access: Access.Write, mapping: readOnly })).toEqual(expected);
    expect(decide({ access: Access.Write, mapping: readOnly, irql: 2 })).toEqual(expected);
  });

  it('execution of data: 0xFC', () => {
    expect(decide({ access: Access.Execute, mapping: readWrite })).toEqual({
      code: 0xfc,
      parameters: [systemVa, 0x8000_0000_0000_5063n, 0, 0],
    });
  });

  it('pageable memory at DISPATCH_LEVEL: 0xD1', () => {
    const mapping = { frame: 5, flags: Access.Read | PageFlag.Pageable };
    expect(decide({ irql: 2, mapping })).toEqual({ code: 0xd1, parameters: [systemVa, 2, 0, rip] });
  });

  it('by a routine of the kernel at DISPATCH_LEVEL: 0xA, 0xD3 or 0xD4', () => {
    const kernel = { irql: 2, isByKernel: true, access: Access.Write };
    const parameters = [systemVa, 2, 1, rip];
    expect(decide(kernel)).toEqual({ code: 0x0a, parameters });
    expect(decide({ ...kernel, isInImage: true })).toEqual({ code: 0xd3, parameters });
    expect(decide({ ...kernel, isInUnloadedImage: true })).toEqual({ code: 0xd4, parameters });
  });

  it('the guard page below the stack: 0x7F, double fault', () => {
    const fault = { isStackGuard: true, access: Access.Write, irql: 2 };
    expect(decide(fault)).toEqual({ code: 0x7f, parameters: [8, 0, -0x7ff_4000_0000, rip] });
  });
});
