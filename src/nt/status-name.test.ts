import { describe, expect, it } from 'vitest';
import * as ntstatus from './ntstatus.ts';
import { statusName, statusWithName } from './status-name.ts';

/** Ours of which ntstatus.h has another name. */
const others: Readonly<Record<string, string>> = {
  STATUS_WAIT_0: 'STATUS_SUCCESS',
  STATUS_PNP_QUERY_VETOED: 'STATUS_PLUGPLAY_QUERY_VETOED',
};

describe('statusName', () => {
  const own = Object.entries(ntstatus).flatMap(([name, value]) => (typeof value === 'number' ? [[name, value]] : []));
  it.each(own as [string, number][])('agrees with %s', (name, value) => {
    expect(statusName(value)).toBe(others[name] ?? name);
  });

  it.each([
    [0x0000_0000, 'STATUS_SUCCESS'],
    [0x0000_0103, 'STATUS_PENDING'],
    [0x4001_0004, 'DBG_TERMINATE_PROCESS'],
    [0x8000_0003, 'STATUS_BREAKPOINT'],
    [0xc000_0005, 'STATUS_ACCESS_VIOLATION'],
    [0xc000_0409, 'STATUS_STACK_BUFFER_OVERRUN'],
    [0xc002_0001, 'RPC_NT_INVALID_STRING_BINDING'],
    [-0x3ffffffb, 'STATUS_ACCESS_VIOLATION'],
  ])('knows 0x%x as %s', (value, name) => {
    expect(statusName(value)).toBe(name);
  });

  it('has no name for what is none', () => {
    expect(statusName(0xe123_4567)).toBeUndefined();
    expect(statusWithName(0xe123_4567)).toBe('0xE1234567');
    expect(statusWithName(0xc000_0022)).toBe('0xC0000022 STATUS_ACCESS_DENIED');
  });
});
