/** A small machine for tests of the processor: code, stack, data, and a host address to return to. */
import type { Va } from '../../src/base/va.ts';
import { Cpu, type CpuExit, type CpuHooks, type CpuOptions } from '../../src/engine/cpu/cpu.ts';
import { GuestMemory, type MemorySnapshot } from '../../src/engine/memory/guest-memory.ts';
import { Access, pageSize, systemSpaceStart } from '../../src/engine/memory/layout.ts';
import { assemble } from '../assembler.ts';

export const codeVa = (systemSpaceStart + 0x10_0000) as Va;
export const dataVa = (systemSpaceStart + 0x20_0000) as Va;
export const stackVa = (systemSpaceStart + 0x30_0000) as Va;
export const stackBytes = 0x4_0000;
export const hostVa = (systemSpaceStart + 0x7000_0000) as Va;
const readWrite = Access.Read | Access.Write;

export const registerNames = 'rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15'.split(' ');

/** Hooks of a machine without a kernel: any host call leaves. */
export const noHooks: CpuHooks = { hostCall: () => false, writeCr8: () => false, instruction: () => 'unsupported' };

export class CpuMachine {
  readonly memory: GuestMemory;
  readonly cpu: Cpu;
  readonly labels: ReadonlyMap<string, number>;

  constructor(source: string, options: { hooks?: CpuHooks; cpu?: CpuOptions; restore?: MemorySnapshot } = {}) {
    this.memory = new GuestMemory({ ramBytes: 0x80_0000 });
    this.cpu = new Cpu(this.memory, options.hooks ?? noHooks, options.cpu);
    this.cpu.addHostRange(hostVa, pageSize);
    const { bytes, labels } = assemble(source, codeVa);
    this.labels = labels;
    if (options.restore) {
      this.memory.restore(options.restore);
      return;
    }
    this.map(codeVa, Math.ceil(bytes.length / pageSize), readWrite | Access.Execute);
    this.map(dataVa, 4, readWrite);
    this.map(stackVa, stackBytes / pageSize, readWrite);
    this.memory.writeBytes(codeVa, bytes);
    const top = (stackVa + stackBytes - 0x108) as Va;
    this.memory.writeVa(top, hostVa);
    this.cpu.state.setGprVa(4, top);
    this.cpu.state.rip = codeVa;
  }

  map(va: Va, pages: number, flags: number): void {
    for (let page = 0; page < pages; page++) {
      const frame = this.memory.allocateFrame();
      if (frame === undefined) throw new Error('out of guest memory');
      this.memory.mapPage((va + page * pageSize) as Va, frame, flags);
    }
  }

  at(label: string): Va {
    const offset = this.labels.get(label);
    if (offset === undefined) throw new Error(`no label ${label}`);
    return (codeVa + offset) as Va;
  }

  set(name: string, value: bigint | number): void {
    this.cpu.state.setGpr(registerNames.indexOf(name), BigInt.asUintN(64, BigInt(value)));
  }

  get(name: string): bigint {
    return this.cpu.state.gpr(registerNames.indexOf(name));
  }

  run(fuel = 10_000_000): CpuExit {
    return this.cpu.run(fuel);
  }

  /** All that a program can see. */
  stateText(): string {
    const registers = registerNames.map((name) => `${name}=${this.get(name).toString(16)}`).join(' ');
    const data = Array.from(this.memory.readBytes(dataVa, 256)).join(',');
    return `${registers} rip=${this.cpu.state.rip} retired=${this.cpu.retired} data=${data}`;
  }
}
