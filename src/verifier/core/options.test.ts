import { describe, expect, it } from 'vitest';
import { chooseOptions, defaultFlags, standardFlags, verifierOptions } from './options.ts';

describe('the options of Driver Verifier', () => {
  it('make up the documented standard flags', () => {
    // 0, 1, 3, 4, 5, 7, 8, 11 and 17 (verifier-command-line.md)
    expect(standardFlags).toBe(0x209bb);
  });

  it('are on by default where they are standard and exist', () => {
    expect(defaultFlags).toBe(0x8);
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
});
