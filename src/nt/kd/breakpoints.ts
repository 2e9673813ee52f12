/**
 * Breakpoints that a driver has in its code. The machine is one with a kernel debugger attached, whose user always says
 * `g`: the debugger gets a breakpoint before any handler of the driver, and goes on behind it.
 */
import { type Va, vaAdd } from '../../base/va.ts';
import type { Nt } from '../nt.ts';

const int3 = 0xcc;

/** KUSER_SHARED_DATA.KdDebuggerEnabled: the kernel was started for debugging (1), and a debugger is attached (2). */
export const debuggerAttached = 0x03;

/** The processor met `int 3` at `rip`; it goes on behind the instruction, which is one byte long (CC) or two (CD 03). */
export function passBreakpoint(nt: Nt, rip: Va): void {
  nt.events.emit('breakpoint', { address: rip });
  nt.cpu.state.rip = vaAdd(rip, nt.memory.readU8(rip) === int3 ? 1 : 2);
}
