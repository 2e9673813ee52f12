import type { Va } from '../../base/va.ts';
import type { CpuState } from '../../engine/cpu/state.ts';

/** All registers of a thread that does not run. Plain data. */
export interface SavedContext {
  readonly gpr: readonly bigint[];
  readonly rip: Va;
  readonly rflags: number;
  readonly xmm: readonly bigint[];
  readonly irql: number;
}

export function saveContext(state: CpuState): SavedContext {
  const gpr: bigint[] = [];
  const xmm: bigint[] = [];
  for (let index = 0; index < 16; index++) {
    gpr.push(state.gpr(index));
    const { low, high } = state.xmm(index);
    xmm.push(low, high);
  }
  return { gpr, rip: state.rip, rflags: state.rflags, xmm, irql: state.irql };
}

/** Everything but the IRQL, which the caller sets by the rules of IRQL changes. */
export function loadContext(state: CpuState, context: SavedContext): void {
  for (let index = 0; index < 16; index++) {
    state.setGpr(index, context.gpr[index] as bigint);
    state.setXmm(index, context.xmm[index * 2] as bigint, context.xmm[index * 2 + 1] as bigint);
  }
  state.rip = context.rip;
  state.rflags = context.rflags;
}

const low32 = 0xffff_ffffn;
/** How many words {@link contextToWords} makes. */
export const contextWords = 100;

/** The context as words of a resume record (each exact as a number). */
export function contextToWords(context: SavedContext): number[] {
  const words: number[] = [];
  for (const value of [...context.gpr, ...context.xmm]) words.push(Number(value & low32), Number(value >> 32n));
  words.push(context.rip, 0, context.rflags, context.irql);
  return words;
}

export function contextFromWords(words: readonly number[]): SavedContext {
  const u64 = (index: number): bigint =>
    (BigInt(words[index * 2 + 1] as number) << 32n) | BigInt(words[index * 2] as number);
  const gpr = Array.from({ length: 16 }, (_, index) => u64(index));
  const xmm = Array.from({ length: 32 }, (_, index) => u64(16 + index));
  const tail = 48 * 2;
  return { gpr, xmm, rip: words[tail] as Va, rflags: words[tail + 2] as number, irql: words[tail + 3] as number };
}
