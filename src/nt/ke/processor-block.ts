import type { StoreCell } from '../../base/store.ts';
import { nullVa, type Va } from '../../base/va.ts';
import { Flag, Gpr } from '../../engine/cpu/state.ts';
import { Access } from '../../engine/memory/layout.ts';
import { AddressMap } from '../address-map.ts';
import type { Nt } from '../nt.ts';
import { KPCR } from '../structures/ke.ts';
import { hardwareInstruction } from './hardware-instructions.ts';
import { setIrql } from './irql.ts';

const eprocessBytes = 0xc00;
const systemProcessId = 4;
const requesterProcessId = 0x7d0;
const bystanderProcessId = 0x8c0;

/** The one processor: its KPCR, and the instructions that reach beyond the program (CPUID, RDTSC, CLI …). */
export class ProcessorBlock {
  private readonly nt: Nt;
  private readonly processes_: StoreCell<{ readonly system: Va; readonly requester: Va; readonly bystander: Va }>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.processes_ = nt.stores.cell('ke/processes', { system: nullVa, requester: nullVa, bystander: nullVa });
  }

  get kpcr(): Va {
    return AddressMap.processor;
  }

  /** EPROCESS of the System process. */
  get systemProcess(): Va {
    return this.processes_.value.system;
  }

  /** EPROCESS of the process that makes the requests. */
  get requesterProcess(): Va {
    return this.processes_.value.requester;
  }

  /** Client ID of a process. */
  processId(process: Va): number {
    if (process === this.requesterProcess) return requesterProcessId;
    return process === this.systemProcess ? systemProcessId : bystanderProcessId;
  }

  /** EPROCESS of all there are. */
  get processes(): readonly Va[] {
    const { system, requester, bystander } = this.processes_.value;
    return bystander === nullVa ? [system, requester] : [system, requester, bystander];
  }

  /** The EPROCESS of a process that makes no requests; there is one at most. */
  addBystander(): Va {
    const process = this.makeProcess();
    this.processes_.value = { ...this.processes_.value, bystander: process };
    return process;
  }

  private makeProcess(): Va {
    const process = this.nt.pool.allocateKernel(eprocessBytes, 'Proc');
    this.nt.objects.create(process, 'Process', undefined);
    return process;
  }

  boot(): void {
    const { memory, cpu } = this.nt;
    for (let offset = 0; offset < KPCR.sizeBytes; offset += 0x1000) {
      const frame = memory.allocateFrame();
      if (frame === undefined) return;
      memory.frameBytes(frame).fill(0);
      memory.mapPage((this.kpcr + offset) as Va, frame, Access.Read | Access.Write);
    }
    KPCR.Self.set(memory, this.kpcr, this.kpcr);
    KPCR.Used_Self.set(memory, this.kpcr, this.kpcr);
    KPCR.CurrentPrcb.set(memory, this.kpcr, (this.kpcr + 0x180) as Va);
    KPCR.MajorVersion.set(memory, this.kpcr, 1);
    KPCR.MinorVersion.set(memory, this.kpcr, 1);
    KPCR.PrcbMxCsr.set(memory, this.kpcr, 0x1f80);
    cpu.state.gsBase = this.kpcr;
    cpu.state.mxcsr = 0x1f80;
    setIrql(this.nt, 1);
    setIrql(this.nt, 0);
    this.processes_.value = { system: this.makeProcess(), requester: this.makeProcess(), bystander: nullVa };
  }

  /** Emulates an instruction that the translator hands over. */
  instruction(mnemonic: string, rip: Va, nextRip: Va): boolean | 'unsupported' {
    const { state } = this.nt.cpu;
    switch (mnemonic) {
      case 'cpuid':
        this.cpuid();
        break;
      case 'rdtsc':
      case 'rdtscp': {
        const time = this.nt.clock.timeStamp;
        state.setGpr(Gpr.Rax, time & 0xffff_ffffn);
        state.setGpr(Gpr.Rdx, time >> 32n);
        if (mnemonic === 'rdtscp') state.setGpr(Gpr.Rcx, 0n);
        break;
      }
      case 'cli':
        state.setFlag(Flag.If, false);
        break;
      case 'sti':
        state.setFlag(Flag.If, true);
        break;
      case 'pause':
        break;
      default:
        return hardwareInstruction(this.nt, mnemonic, rip, nextRip);
    }
    state.rip = nextRip;
    return true;
  }

  /** A processor with SSE2 and CMPXCHG16B, and nothing that the engine lacks. */
  private cpuid(): void {
    const { state } = this.nt.cpu;
    const leaf = state.gprLow(Gpr.Rax);
    // EAX, EBX, ECX, EDX
    let result: readonly [number, number, number, number] = [0, 0, 0, 0];
    if (leaf === 0) result = [1, 0x756e_6547, 0x6c65_746e, 0x4965_6e69];
    else if (leaf === 1) result = [0x0006_06a6, 0x0001_0800, 0x8000_2000, 0x078b_fbff];
    else if (leaf === 0x4000_0000) result = [0x4000_0001, 0x6c6f_6f50, 0x6f6f_7270, 0x0000_0066];
    else if (leaf === 0x8000_0000) result = [0x8000_0001, 0, 0, 0];
    else if (leaf === 0x8000_0001) result = [0, 0, 1, 0x2010_0800];
    for (const [index, register] of [Gpr.Rax, Gpr.Rbx, Gpr.Rcx, Gpr.Rdx].entries()) {
      state.setGpr(register, BigInt(result[index] as number));
    }
  }
}
