/** How the kernel is entered and left: a routine's arguments, its hooks, and what its answer makes of the running thread. */
import { assert, unreachable } from '../base/errors.ts';
import { type Va, vaAdd, vaToU64 } from '../base/va.ts';
import { Gpr } from '../engine/cpu/state.ts';
import { BugCheck } from './declare/bug-check.ts';
import { Call, maximumGuestArguments, pushResumeFrame, ResumedCall, readResumeFrame } from './declare/call.ts';
import { type Action, type CallGuest, isAction, type Outcome, type ReturnValue } from './declare/outcome.ts';
import type { ArgumentSlots } from './declare/parameter-types.ts';
import { proceed, type RoutineEntry } from './host-entries.ts';
import type { KernelImage } from './mm/kernel-image.ts';
import type { Nt } from './nt.ts';

export class KernelCalls {
  private readonly nt: Nt;

  constructor(nt: Nt) {
    this.nt = nt;
  }

  /** Control reached a host address. True: the guest goes on behind the call. */
  enter(): boolean {
    const { state } = this.nt.cpu;
    const rip = state.rip;
    const entry = this.nt.entries.at(rip);
    const stack = state.gprVa(Gpr.Rsp);
    if (entry === undefined) {
      throw new BugCheck(0x50, [rip, 8, rip, 0], 'the kernel was entered at an address that is no routine');
    }
    if (entry.kind === 'resume') {
      const frame = readResumeFrame(this.nt, stack);
      const call = new ResumedCall(this.nt, entry.routine.name, frame.image, frame.stack, frame.record);
      return this.conclude(entry.routine, entry.go(this.nt, call), frame.stack, frame.image);
    }
    const target = entry.kind === 'routine' ? entry : entry.target;
    const image = entry.kind === 'thunk' ? entry.image : undefined;
    if (target === undefined) {
      const name = entry.kind === 'thunk' ? entry.importName : entry.name;
      this.nt.finish({
        kind: 'unsupported',
        what: 'export',
        name,
        site: this.nt.memory.readVa(stack),
        stack: this.nt.currentStack(),
      });
      return false;
    }
    const call = new Call(this.nt, target.name, image, rip, stack);
    if (this.nt.events.has('exportCalled')) {
      this.nt.events.emit('exportCalled', { name: target.name, image, returnAddress: call.returnAddress });
    }
    return this.conclude(target, this.perform(target, call), stack, image);
  }

  private perform(target: RoutineEntry, call: Call): Outcome {
    const { hooks, routine } = target;
    for (let index = 0; index < hooks.length; index++) {
      const { before } = hooks[index] as RoutineEntry['hooks'][number];
      if (before === undefined) continue;
      const instead = before(this.nt, call) ?? proceed;
      if (instead !== proceed) return instead;
    }
    const outcome = routine.body(this.nt, readArguments(target.parameters, call) as never, call);
    if (hooks.length > 0) this.runAfter(target, call, outcome);
    return outcome;
  }

  private runAfter({ name, hooks }: RoutineEntry, call: Call, outcome: Outcome): void {
    for (const { after } of hooks) {
      if (after === undefined) continue;
      if (!isAction(outcome)) after(this.nt, call, outcome);
      else assert(outcome.action !== 'wait', `${name} waits: a hook behind it would not see the result`);
    }
  }

  /** Carries out what a routine's body (or resume point) answered. */
  private conclude(routine: RoutineEntry, outcome: Outcome, stack: Va, image: KernelImage | undefined): boolean {
    if (!isAction(outcome)) {
      this.returnToCaller(outcome, stack);
      return this.goesOn();
    }
    this.act(routine, outcome, stack, image);
    return false;
  }

  /** Where a routine of the kernel returns: what is pending runs, or another thread. True if the guest goes on here. */
  private goesOn(): boolean {
    return !this.nt.interrupts.deliver() && !this.nt.scheduler.preempt();
  }

  private act(routine: RoutineEntry, action: Action, stack: Va, image: KernelImage | undefined): void {
    switch (action.action) {
      case 'call-guest':
        this.callGuest(action, stack, this.nt.entries.resumeVa(routine.name, action.resume), image);
        return;
      case 'wait':
        if (action.resume !== undefined) {
          pushResumeFrame(
            this.nt,
            stack,
            this.nt.entries.resumeVa(routine.name, action.resume),
            action.record ?? [],
            image,
          );
          // The thread goes on as if the resume point had been returned to.
          this.returnToCaller(undefined, this.nt.cpu.state.gprVa(Gpr.Rsp));
        } else {
          this.returnToCaller(undefined, stack);
        }
        this.nt.scheduler.wait(action, routine.va);
        if (this.nt.scheduler.hasRunningThread) this.goesOn();
        return;
      case 'raise':
        this.nt.exceptions.raiseAtCall(action.status, action.information ?? [], stack);
        return;
      case 'continue':
        return;
      case 'unsupported':
        this.nt.finish({
          kind: 'unsupported',
          what: 'behaviour',
          name: action.what,
          site: this.nt.memory.readVa(stack),
          stack: this.nt.currentStack(),
        });
        return;
      default:
        unreachable(action);
    }
  }

  /** Enters a routine of the guest so that it returns to `resumeVa` with a frame that holds the record. */
  callGuest(
    action: Omit<CallGuest, 'action' | 'resume'>,
    stack: Va,
    resumeVa: Va,
    image: KernelImage | undefined,
  ): void {
    const { state } = this.nt.cpu;
    const args = action.args.map((argument) =>
      typeof argument === 'bigint' ? BigInt.asUintN(64, argument) : vaToU64(argument as Va),
    );
    assert(args.length <= maximumGuestArguments, 'a guest routine is called with too many arguments');
    pushResumeFrame(this.nt, stack, resumeVa, action.record, image, args.slice(4));
    for (const [index, register] of [Gpr.Rcx, Gpr.Rdx, Gpr.R8, Gpr.R9].entries()) {
      const value = args[index];
      if (value !== undefined) state.setGpr(register, value);
    }
    state.rip = action.routine;
  }

  private returnToCaller(value: ReturnValue, stack: Va): void {
    const { state } = this.nt.cpu;
    if (typeof value === 'number') state.setGprVa(Gpr.Rax, value as Va);
    else if (typeof value === 'boolean') state.setGpr(Gpr.Rax, value ? 1n : 0n);
    else if (typeof value === 'bigint') state.setGpr(Gpr.Rax, BigInt.asUintN(64, value));
    const returnTo = this.nt.memory.readVa(stack);
    state.setGprVa(Gpr.Rsp, vaAdd(stack, 8));
    state.rip = returnTo;
  }
}

function readArguments(parameters: RoutineEntry['parameters'], slots: ArgumentSlots): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (let index = 0; index < parameters.length; index++) {
    const [name, type] = parameters[index] as RoutineEntry['parameters'][number];
    result[name] = type.read(slots, index);
  }
  return result;
}
