import { describe, expect, it } from 'vitest';
import { chooseOptions, defaultFlags, listedOptions, standardFlags, verifierOptions } from './options.ts';

describe('the options of Driver Verifier', () => {
  it('make up the documented standard flags', () => {
    // 0, 1, 3, 4, 5, 7, 8, 11 and 17 (verifier-command-line.md)
    expect(standardFlags).toBe(0x209bb);
  });

  it('are on by default where they are standard and exist', () => {
    expect(defaultFlags).toBe(0x88);
  });

  it('have distinct bits', () => {
    expect(new Set(verifierOptions.map(({ flag }) => flag)).size).toBe(verifierOptions.length);
  });

  it('are told apart: to be had, not to be had, unknown', () => {
    const choice = chooseOptions(0x8 | 0x1 | 0x1000);
    expect(choice.active.map(({ name }) => name)).toEqual(['Pool tracking']);
    expect(choice.notImplemented.map(({ name }) => name)).toEqual(['Special pool']);
    expect(choice.unknownBits).toBe(0x1000);
  });

  it('are listed in the groups of Windows 11, each bit once', () => {
    const flags = (group: string) => listedOptions.filter((one) => one.group === group).map(({ flag }) => flag);
    expect(flags('standard')).toEqual([0, 1, 2, 8, 0x10, 0x20, 0x80, 0x100, 0x800, 0x20000]);
    expect(flags('additional')).toEqual([
      4, 0x200, 0x400, 0x2000, 0x4000, 0x8000, 0x10000, 0x40000, 0x80000, 0x200000, 0x800000, 0x1000000, 0x2000000,
    ]);
    // Bit 6 comes with bit 4 and has no line of its own.
    expect(listedOptions.reduce((sum, { flag }) => sum + flag, 0)).toBe(0xffffffff - 0x40);
  });
});
