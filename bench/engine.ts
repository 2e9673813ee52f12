/** Runs workloads on our own engine. */
import { readFileSync } from 'node:fs';
import type { Va } from '../src/base/va.ts';
import { Cpu } from '../src/engine/cpu/cpu.ts';
import { Gpr } from '../src/engine/cpu/state.ts';
import { GuestMemory } from '../src/engine/memory/guest-memory.ts';
import { Access, pageSize, systemSpaceStart } from '../src/engine/memory/layout.ts';
import { blobOf, scratchBytes, type Workload } from './workloads.ts';

const codeVa = (systemSpaceStart + 0x10_0000) as Va;
const scratchVa = (systemSpaceStart + 0x100_0000) as Va;
const stackVa = (systemSpaceStart + 0x200_0000) as Va;
const returnVa = (systemSpaceStart + 0x300_0000) as Va;
const stackBytes = 0x1_0000;
const fuel = 1_000_000_000;

export interface EngineRun {
  readonly checksum: string;
  readonly nanoseconds: number;
  readonly instructions: number;
}

/** A machine with one workload in it; `run` may be called again and again. */
export class EngineRunner {
  private readonly memory = new GuestMemory({ ramBytes: 0x80_0000 });
  private readonly cpu: Cpu;

  constructor(workload: Workload) {
    const code = readFileSync(blobOf(workload));
    this.map(codeVa, code.length, Access.Read | Access.Write);
    this.memory.writeBytes(codeVa, code);
    for (let at = 0; at < code.length; at += pageSize)
      this.memory.protectPage((codeVa + at) as Va, Access.Read | Access.Execute);
    this.map(scratchVa, scratchBytes, Access.Read | Access.Write);
    this.map(stackVa, stackBytes, Access.Read | Access.Write);
    const unexpected = (what: string): never => {
      throw new Error(`${workload.name}: ${what}`);
    };
    this.cpu = new Cpu(this.memory, {
      hostCall: () => false,
      writeCr8: () => unexpected('writes CR8'),
      instruction: (mnemonic) => unexpected(mnemonic),
    });
    this.cpu.addHostRange(returnVa, pageSize);
  }

  run(count: number): EngineRun {
    const { cpu, memory } = this;
    memory.fill(scratchVa, scratchBytes, 0);
    const rsp = (stackVa + stackBytes - 0x48) as Va;
    memory.writeVa(rsp, returnVa);
    cpu.state.setGprVa(Gpr.Rsp, rsp);
    cpu.state.setGpr(Gpr.Rcx, BigInt(count));
    cpu.state.setGprVa(Gpr.Rdx, scratchVa);
    cpu.state.rip = codeVa;
    cpu.state.rflags = 0x202;
    const retired = cpu.retired;
    const start = process.hrtime.bigint();
    let exit = cpu.run(fuel);
    while (exit.kind === 'fuel') exit = cpu.run(fuel);
    const nanoseconds = Number(process.hrtime.bigint() - start);
    if (exit.kind !== 'host' || cpu.state.rip !== returnVa) throw new Error(`left with ${JSON.stringify(exit)}`);
    const checksum = cpu.state.gpr(Gpr.Rax).toString(16).padStart(16, '0');
    return { checksum, nanoseconds, instructions: cpu.retired - retired };
  }

  private map(va: Va, bytes: number, access: number): void {
    for (let at = 0; at < bytes; at += pageSize) {
      const frame = this.memory.allocateFrame();
      if (frame === undefined) throw new Error('out of guest memory');
      this.memory.mapPage((va + at) as Va, frame, access);
    }
  }
}
