/**
 * Instructions that reach hardware: halting, model-specific registers, ports. What stands behind a port or a register
 * that the machine lacks is nobody's guess: the life ends there and names it.
 */
import type { Va } from '../../base/va.ts';
import { vaAdd, vaToU64 } from '../../base/va.ts';
import { Flag, Gpr } from '../../engine/cpu/state.ts';
import { readValue, writeValue } from '../hal/port-exports.ts';
import type { Nt } from '../nt.ts';
import { timeIncrement100ns } from './clock.ts';

/** The clock interrupts at this IRQL (CLOCK_LEVEL), so from it on nothing wakes a processor that halts. */
const clockIrql = 13;

/** Carries out `hlt`, `rdmsr`, `wrmsr` and port instructions; true or false as `CpuHooks.instruction` has it. */
export function hardwareInstruction(nt: Nt, mnemonic: string, rip: Va, nextRip: Va): boolean | 'unsupported' {
  const { state } = nt.cpu;
  switch (mnemonic) {
    case 'hlt':
      return halt(nt, rip, nextRip);
    case 'rdmsr': {
      const value = modelSpecificRegister(nt, state.gprLow(Gpr.Rcx));
      if (value === undefined) return unsupportedInstruction(nt, registerText(nt, mnemonic), rip);
      state.setGpr(Gpr.Rax, value & 0xffff_ffffn);
      state.setGpr(Gpr.Rdx, value >> 32n);
      state.rip = nextRip;
      return true;
    }
    case 'wrmsr':
      return unsupportedInstruction(nt, registerText(nt, mnemonic), rip);
    case 'in':
    case 'out':
    case 'insb':
    case 'insw':
    case 'insd':
    case 'outsb':
    case 'outsw':
    case 'outsd':
      if (portInstruction(nt, mnemonic, rip, nextRip)) {
        state.rip = nextRip;
        return true;
      }
      return unsupportedInstruction(nt, `${mnemonic} of port 0x${portOf(nt, rip, nextRip).toString(16)}`, rip);
    default:
      return 'unsupported';
  }
}

/** Until the next clock interrupt, which then may let DPCs and other threads run. */
function halt(nt: Nt, rip: Va, nextRip: Va): boolean {
  const { clock, cpu, interrupts, io, scheduler, timers } = nt;
  if (!cpu.state.flag(Flag.If) || cpu.state.irql >= clockIrql) {
    return unsupportedInstruction(nt, 'hlt with interrupts off, which never ends', rip);
  }
  const nextTick = (clock.tickCount + 1) * timeIncrement100ns;
  cpu.state.rip = nextRip;
  clock.advanceTo(Math.min(nextTick, timers.nextDue, io.hardware.nextDue));
  if (!interrupts.deliver()) scheduler.rotate();
  return false;
}

/** What RDMSR reads (Intel SDM volume 4, table 2-2); undefined for a register that the machine lacks. */
function modelSpecificRegister(nt: Nt, index: number): bigint | undefined {
  switch (index) {
    // IA32_TIME_STAMP_COUNTER
    case 0x10:
      return nt.clock.timeStamp;
    // IA32_EFER: SYSCALL enabled, long mode enabled and active, no-execute enabled
    case 0xc000_0080:
      return 0xd01n;
    // IA32_FS_BASE
    case 0xc000_0100:
      return 0n;
    // IA32_GS_BASE
    case 0xc000_0101:
      return vaToU64(nt.cpu.state.gsBase);
    default:
      return undefined;
  }
}

const registerText = (nt: Nt, mnemonic: string): string =>
  `${mnemonic} of register 0x${nt.cpu.state.gprLow(Gpr.Rcx).toString(16)}`;

/** Registers of the simulated bus; false for a port that no device has. */
function portInstruction(nt: Nt, mnemonic: string, rip: Va, nextRip: Va): boolean {
  const { memory, cpu } = nt;
  const { deviceRegisters } = nt.io;
  const port = portOf(nt, rip, nextRip);
  const prefixes: number[] = [];
  let at = rip;
  while ([0x66, 0x67, 0xf2, 0xf3].includes(memory.readU8(at))) {
    prefixes.push(memory.readU8(at));
    at = vaAdd(at, 1);
  }
  const opcode = memory.readU8(at);
  const bytes = (opcode & 1) === 0 ? 1 : prefixes.includes(0x66) ? 2 : 4;
  const mask = bytes === 4 ? 0xffff_ffff : (1 << (bytes * 8)) - 1;
  if (mnemonic === 'in') {
    const value = deviceRegisters.readPort(port, bytes);
    if (value === undefined) return false;
    const before = cpu.state.gprLow(Gpr.Rax) >>> 0;
    // The upper half is cleared by an access of four bytes, and kept by a smaller one.
    const upper = bytes === 4 ? 0n : BigInt(cpu.state.gprHigh(Gpr.Rax) >>> 0) << 32n;
    cpu.state.setGpr(Gpr.Rax, upper | BigInt(((before & ~mask) | value) >>> 0));
    return true;
  }
  if (mnemonic === 'out') return deviceRegisters.writePort(port, bytes, (cpu.state.gprLow(Gpr.Rax) & mask) >>> 0);
  const isIn = mnemonic.startsWith('ins');
  if (!deviceRegisters.hasPort(port)) return false;
  const isRepeated = prefixes.includes(0xf3) || prefixes.includes(0xf2);
  const register = isIn ? Gpr.Rdi : Gpr.Rsi;
  const step = cpu.state.flag(Flag.Df) ? -bytes : bytes;
  for (let left = isRepeated ? cpu.state.gprLow(Gpr.Rcx) >>> 0 : 1; left > 0; left--) {
    const buffer = cpu.state.gprVa(register);
    const value = isIn ? deviceRegisters.readPort(port, bytes) : readValue(nt, buffer, bytes);
    if (value === undefined || (!isIn && !deviceRegisters.writePort(port, bytes, value))) return false;
    if (isIn) writeValue(nt, buffer, bytes, value);
    cpu.state.setGprVa(register, vaAdd(buffer, step));
    if (isRepeated) cpu.state.setGpr(Gpr.Rcx, BigInt(left - 1));
  }
  return true;
}

/** The port is in DX, or (opcodes E4 to E7) the instruction's last byte. */
function portOf(nt: Nt, rip: Va, nextRip: Va): number {
  const { memory, cpu } = nt;
  const immediate = memory.readU8(vaAdd(nextRip, -1));
  const opcode = nextRip - rip >= 2 ? memory.readU8(vaAdd(nextRip, -2)) : 0;
  return opcode >= 0xe4 && opcode <= 0xe7 ? immediate : cpu.state.gprLow(Gpr.Rdx) & 0xffff;
}

function unsupportedInstruction(nt: Nt, name: string, rip: Va): false {
  nt.cpu.state.rip = rip;
  nt.finish({ kind: 'unsupported', what: 'instruction', name, site: rip, stack: nt.currentStack() });
  return false;
}
