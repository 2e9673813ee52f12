/** A booted kernel with one loaded driver that does nothing, in whose name tests call the kernel's routines. */
import { type Va, vaAdd } from '../src/base/va.ts';
import { Gpr } from '../src/engine/cpu/state.ts';
import { parsePe } from '../src/image/pe/index.ts';
import { BugCheck } from '../src/nt/declare/bug-check.ts';
import { Call } from '../src/nt/declare/call.ts';
import { isAction, type Outcome } from '../src/nt/declare/outcome.ts';
import { proceed } from '../src/nt/host-entries.ts';
import type { KernelImage } from '../src/nt/mm/kernel-image.ts';
import { Nt, type NtOptions } from '../src/nt/nt.ts';
import { type BuildPe, buildPe } from './pe-builder.ts';

const stackBytes = 0x2000;

export class KernelCaller {
  readonly nt: Nt;
  readonly image: KernelImage;
  private readonly stack: Va;

  constructor(options: Partial<NtOptions> = {}, pe: BuildPe = {}) {
    this.nt = new Nt({ seed: 1, instructionLimit: 1_000_000, ramBytes: 0x200_0000, ...options });
    this.image = this.nt.images.load(parsePe(buildPe(pe).bytes, 'caller.sys'), 'caller.sys');
    this.stack = vaAdd(this.nt.pool.allocateKernel(stackBytes, 'Test'), stackBytes - 0x800);
    this.nt.cpu.state.setGprVa(Gpr.Rsp, this.stack);
    this.nt.cpu.state.rip = vaAdd(this.image.base, 0x1000);
  }

  /** What the routine answers to a call from the driver, with the hooks that are set. */
  outcome(name: string, ...args: readonly (number | bigint | boolean)[]): Outcome {
    const { nt } = this;
    const entry = nt.entries.routine(name);
    if (entry === undefined) throw new Error(`the kernel has no routine ${name}`);
    const slots = args.map((argument) => BigInt.asUintN(64, BigInt(argument)));
    for (const [index, register] of [Gpr.Rcx, Gpr.Rdx, Gpr.R8, Gpr.R9].entries()) {
      nt.cpu.state.setGpr(register, slots[index] ?? 0xcccc_cccc_cccc_ccccn);
    }
    for (let index = 4; index < slots.length; index++) {
      nt.memory.writeU64(vaAdd(this.stack, 8 + index * 8), slots[index] as bigint);
    }
    const call = new Call(nt, name, this.image, entry.va, this.stack);
    const values: Record<string, unknown> = {};
    for (const [index, [parameter, type]] of Object.entries(entry.routine.params).entries()) {
      values[parameter] = type.read(call, index);
    }
    for (const hook of entry.hooks) {
      const instead = hook.before?.(nt, call) ?? proceed;
      if (instead !== proceed) return instead;
    }
    const outcome = entry.routine.body(nt, values as never, call);
    if (!isAction(outcome)) for (const hook of entry.hooks) hook.after?.(nt, call, outcome);
    return outcome;
  }

  /** As {@link outcome}, of a routine that returns at once; VOID is 0. */
  call(name: string, ...args: readonly (number | bigint | boolean)[]): number {
    const outcome = this.outcome(name, ...args);
    if (isAction(outcome)) throw new Error(`${name} answered ${outcome.action}`);
    return Number(outcome ?? 0);
  }

  callVa(name: string, ...args: readonly (number | bigint | boolean)[]): Va {
    return this.call(name, ...args) as Va;
  }

  /** The bug check that the call ends in. */
  bugCheck(name: string, ...args: readonly (number | bigint | boolean)[]): BugCheck {
    try {
      this.outcome(name, ...args);
    } catch (thrown) {
      if (thrown instanceof BugCheck) return thrown;
      throw thrown;
    }
    throw new Error(`${name} did not end in a bug check`);
  }
}
