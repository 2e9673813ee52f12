/** The processor's registers by the names that the debugger has for them, and its pseudo-registers. */
import { type Va, vaFromU64, vaToU64 } from '../base/va.ts';
import { Flag, Gpr } from '../engine/cpu/state.ts';
import type { Nt } from '../nt/nt.ts';
import { processorRip } from '../nt/rtl/guest-context.ts';

interface RegisterPlace {
  readonly gpr: number;
  readonly bits: number;
  readonly shift: number;
}

/** Order and names of `r`'s first lines. */
export const generalRegisters: readonly (readonly [string, Gpr])[] = [
  ['rax', Gpr.Rax],
  ['rbx', Gpr.Rbx],
  ['rcx', Gpr.Rcx],
  ['rdx', Gpr.Rdx],
  ['rsi', Gpr.Rsi],
  ['rdi', Gpr.Rdi],
  ['rip', -1 as Gpr],
  ['rsp', Gpr.Rsp],
  ['rbp', Gpr.Rbp],
  ['r8', Gpr.R8],
  ['r9', Gpr.R9],
  ['r10', Gpr.R10],
  ['r11', Gpr.R11],
  ['r12', Gpr.R12],
  ['r13', Gpr.R13],
  ['r14', Gpr.R14],
  ['r15', Gpr.R15],
];

/** Flag registers of one bit, as {@link Flag} has them. */
const flagNames: Readonly<Record<string, Flag>> = {
  cf: Flag.Cf,
  pf: Flag.Pf,
  af: Flag.Af,
  zf: Flag.Zf,
  sf: Flag.Sf,
  if: Flag.If,
  df: Flag.Df,
  of: Flag.Of,
};

/** Selectors of kernel code (KGDT64_*); nothing in the machine changes them. */
export const selectors: Readonly<Record<string, number>> = {
  cs: 0x10,
  ss: 0x18,
  ds: 0x2b,
  es: 0x2b,
  fs: 0x53,
  gs: 0x2b,
};

const places = new Map<string, RegisterPlace>();
for (const [name, gpr] of generalRegisters) {
  if (name === 'rip') continue;
  places.set(name, { gpr, bits: 64, shift: 0 });
  const numbered = /^r\d+$/.test(name);
  const stem = name.slice(1);
  places.set(numbered ? `${name}d` : `e${stem}`, { gpr, bits: 32, shift: 0 });
  places.set(numbered ? `${name}w` : stem, { gpr, bits: 16, shift: 0 });
  const hasHighByte = /^[abcd]x$/.test(stem);
  const low = numbered ? `${name}b` : hasHighByte ? `${stem.charAt(0)}l` : `${stem}l`;
  places.set(low, { gpr, bits: 8, shift: 0 });
  if (hasHighByte) places.set(`${stem.charAt(0)}h`, { gpr, bits: 8, shift: 8 });
}

/** Names for completion: the registers that people type. */
export const registerNames: readonly string[] = [...generalRegisters.map(([name]) => name), 'efl', 'cr8'];

/** The value of a register of the processor; undefined if there is no such register. */
export function readRegister(nt: Nt, name: string): bigint | undefined {
  const { state } = nt.cpu;
  const place = places.get(name);
  if (place !== undefined) {
    return BigInt.asUintN(place.bits, state.gpr(place.gpr) >> BigInt(place.shift));
  }
  if (name === 'rip') return processorRip(nt);
  if (name === 'efl' || name === 'rflags') return BigInt(state.rflags);
  if (name === 'cr8') return BigInt(state.irql);
  if (name === 'mxcsr') return BigInt(state.mxcsr);
  if (Object.hasOwn(flagNames, name)) return state.flag(flagNames[name] as Flag) ? 1n : 0n;
  if (Object.hasOwn(selectors, name)) return BigInt(selectors[name] as number);
  return undefined;
}

/**
 * Sets a register: what runs next goes on with it. 32-bit parts clear the upper half, as on the processor. False if it
 * is no register that can be set: the IRQL changes with what the kernel does, selectors never.
 */
export function writeRegister(nt: Nt, name: string, value: bigint): boolean {
  const { state } = nt.cpu;
  const place = places.get(name);
  if (place !== undefined) {
    const whole = state.gpr(place.gpr);
    const mask = ((1n << BigInt(place.bits)) - 1n) << BigInt(place.shift);
    const kept = place.bits === 32 ? 0n : whole & ~mask;
    state.setGpr(place.gpr, BigInt.asUintN(64, kept | ((value << BigInt(place.shift)) & mask)));
    return true;
  }
  if (name === 'rip') state.rip = vaFromU64(BigInt.asUintN(64, value));
  else if (name === 'efl' || name === 'rflags') state.rflags = Number(BigInt.asUintN(32, value));
  else if (Object.hasOwn(flagNames, name)) state.setFlag(flagNames[name] as Flag, value !== 0n);
  else return false;
  return true;
}

/** Pseudo-registers whose value the debugger finds out: `$ip`, `$csp`, `$retreg`, `$thread`, `$bug_param1`. */
export function pseudoRegister(nt: Nt, name: string, returnAddress: () => Va | undefined): bigint | undefined {
  const { state } = nt.cpu;
  const end = nt.end.value;
  const bugCheck = end?.kind === 'bug-check' ? end.bugCheck : undefined;
  const parameter = /^\$bug_param([1-4])$/.exec(name)?.[1];
  if (parameter !== undefined) {
    const value = bugCheck?.parameters[Number(parameter) - 1] ?? 0;
    return typeof value === 'bigint' ? BigInt.asUintN(64, value) : vaToU64(value as Va);
  }
  switch (name) {
    case '$ip':
      return processorRip(nt);
    case '$csp':
      return state.gpr(Gpr.Rsp);
    case '$retreg':
    case '$retreg64':
      return state.gpr(Gpr.Rax);
    case '$ra': {
      const address = returnAddress();
      return address === undefined ? undefined : vaToU64(address);
    }
    case '$thread':
      return vaToU64(nt.scheduler.currentThread.kthread);
    case '$proc':
      return vaToU64(nt.scheduler.currentThread.process);
    case '$ptrsize':
      return 8n;
    case '$pagesize':
      return 0x1000n;
    case '$bug_code':
      return BigInt(bugCheck?.code ?? 0);
    default:
      return undefined;
  }
}
