/**
 * A driver's life: load, the scenario's steps, the requesting process's end, unload. Where the life stands is data in
 * the machine's stores, so that a life restored from a snapshot goes on.
 */
import { PoolproofError } from '../base/errors.ts';
import type { StoreCell } from '../base/store.ts';
import type { Va } from '../base/va.ts';
import { BugCheck } from '../nt/declare/bug-check.ts';
import type { Nt } from '../nt/nt.ts';
import { STATUS_SUCCESS } from '../nt/ntstatus.ts';
import type { RunResult } from '../nt/run-loop.ts';
import type { OutlivingResources } from '../verifier/outliving-resources/outliving-resources.ts';
import { Acts } from './acts.ts';
import { lastActs, withoutLastUnloads } from './driver-acts.ts';
import { holdersOf } from './holders.ts';
import { LifeRecord, patience100ns } from './life-record.ts';
import { type Act, type LifeState, systemVerbs } from './life-state.ts';
import type { LoadedDriver } from './loaded-driver.ts';
import type { RequestStep } from './requester.ts';
import type { Step } from './scenario/step.ts';
import type { RequestTrial } from './scenario/tour.ts';
import { stuckReason, unloadReason } from './stuck-reason.ts';

export class Life {
  private readonly nt: Nt;
  private readonly drivers: readonly LoadedDriver[];
  private readonly resources: OutlivingResources;
  private readonly record: LifeRecord;
  private readonly acts: Acts;
  /** Image indexes of the drivers to which a request was handed. */
  private readonly reached: StoreCell<readonly number[]>;
  /** The step at whose beginning the debugger had its say; no state of the life. */
  private stoppedBefore: Act | undefined;

  /** `steps`: undefined for the tour. */
  constructor(
    nt: Nt,
    drivers: readonly LoadedDriver[],
    resources: OutlivingResources,
    steps: readonly Step[] | undefined,
  ) {
    this.nt = nt;
    this.drivers = drivers;
    this.resources = resources;
    this.record = new LifeRecord(nt, [
      ...drivers.map((_, driver): Act => ({ verb: 'load', driver })),
      { verb: 'arrival' },
      { verb: 'settling' },
      { verb: 'process-start' },
      ...(steps === undefined ? [{ verb: 'tour' } as const] : withoutLastUnloads(steps)),
      { verb: 'end-of-process' },
      ...lastActs(drivers),
    ]);
    this.acts = new Acts(nt, this.record, drivers);
    this.reached = nt.stores.cell<readonly number[]>('run/reached-drivers', []);
    nt.events.on('irpDispatched', ({ routine }) => {
      const image = nt.images.containing(routine);
      if (image?.isDriver !== true || this.reached.value.includes(image.index)) return;
      this.reached.value = [...this.reached.value, image.index];
    });
  }

  get state(): LifeState {
    return this.record.state;
  }

  /** Whether a request was handed to a dispatch routine of the driver. */
  wasReached({ image }: LoadedDriver): boolean {
    return this.reached.value.includes(image.index);
  }

  /** Whether the driver had a device after DriverEntry or AddDevice. */
  madeDevices({ image }: LoadedDriver): boolean {
    return this.state.madeDevices.includes(image.index);
  }

  /** The step that the life is at, as text; undefined if that is none of the scenario's. */
  get currentStep(): string | undefined {
    const act = this.state.plan[this.state.index];
    return act !== undefined && 'text' in act ? act.text : undefined;
  }

  /**
   * Goes on from where the life stands until it is over (or at a prompt), or a debugger stops the machine; then it goes on
   * from exactly there when it is called again.
   */
  run(): 'stopped' | 'over' {
    while (!this.state.isOver && this.nt.end.value === undefined) {
      if (this.state.index >= this.state.plan.length) {
        this.record.change({ isOver: true });
      } else if (this.state.stage === 'begin' && this.nt.io.files.hasDeferred) {
        this.callBefore(['IopProcessDeferredDeletes', []]);
      } else if (this.state.stage === 'begin' && this.acts.driverActs.dueRemoval !== undefined) {
        this.callBefore(this.acts.driverActs.dueRemoval);
      } else if (this.state.stage === 'begin' && this.acts.driverActs.dueUnload !== undefined) {
        this.callBefore(this.acts.driverActs.dueUnload);
      } else if (this.state.stage === 'begin' && this.record.act.verb === 'prompt') {
        break;
      } else if (this.state.stage === 'begin') {
        if (this.stopsBefore(this.record.act)) return 'stopped';
        this.tryToBegin(this.record.act);
      } else if (this.goOn() === 'stopped') {
        return 'stopped';
      }
    }
    this.nt.debugControl.ended();
    return 'over';
  }

  /** Takes no notice of what would stop it. */
  runThrough(): void {
    while (this.run() === 'stopped');
  }

  /** Once for each step, if a debugger wants it. */
  private stopsBefore(act: Act): boolean {
    if (!('text' in act) || act === this.stoppedBefore || !this.nt.debugControl.stopsAtStep(act.text)) return false;
    this.stoppedBefore = act;
    return true;
  }

  /**
   * Takes one step of a life that has no scenario; its result's place. Undefined: the life ended in the step. Where a
   * debugger stops the machine, it goes on.
   */
  perform(step: Step): number | undefined {
    const { plan } = this.state;
    if (!plan.some(({ verb }) => verb === 'prompt')) {
      this.record.change({ plan: plan.map((act) => (act.verb === 'tour' ? { verb: 'prompt' } : act)) });
      this.runThrough();
    }
    const { index, results } = this.state;
    if (this.state.plan[index]?.verb !== 'prompt' || this.isAtEnd) return undefined;
    this.record.change({ plan: [...this.state.plan.slice(0, index), step, ...this.state.plan.slice(index)] });
    this.runThrough();
    return this.state.results.length > results.length && !this.isAtEnd ? results.length : undefined;
  }

  /** Whether nothing can follow. */
  private get isAtEnd(): boolean {
    return this.state.isOver || this.nt.end.value !== undefined;
  }

  /** No further steps come from outside. */
  leavePrompt(): void {
    if (!this.isAtEnd && this.state.plan[this.state.index]?.verb === 'prompt') this.record.next();
  }

  /** Something that comes before the act. */
  private callBefore(call: Parameters<LifeRecord['callSystem']>[0]): void {
    this.record.callSystem(call);
    this.record.change({ stage: 'closing' });
  }

  private tryToBegin(act: Act): void {
    try {
      this.acts.begin(act);
    } catch (thrown) {
      // What a request needs of the machine's memory a driver may have used up.
      if (thrown instanceof BugCheck) this.nt.bugCheck(thrown);
      else if (thrown instanceof PoolproofError) this.record.giveUp(thrown.message);
      else throw thrown;
    }
  }

  /** The thread that is at the act. */
  private get thread(): Va {
    const { act } = this.record;
    return systemVerbs.includes(act.verb) ? this.nt.scheduler.systemThread : this.state.caller;
  }

  private goOn(): 'stopped' | undefined {
    const { stage, deadline } = this.state;
    const { act } = this.record;
    if (stage === 'closing') {
      const { scheduler } = this.nt;
      const closed = this.nt.run(() => scheduler.thread(scheduler.systemThread).state === 'idle', deadline);
      if (closed === 'stopped') return closed;
      if (closed === 'done') this.record.change({ stage: 'begin' });
      else if (closed !== 'ended') this.stuck(act, closed);
      return undefined;
    }
    const result = this.nt.run(() => this.isDone(act), deadline);
    if (result === 'stopped') return result;
    if (this.nt.end.value !== undefined) return undefined;
    this.acts.requests.collect();
    if (act.verb === 'wait') {
      if (result === 'rest') this.nt.clock.advanceTo(deadline);
      this.record.answer(act.text, STATUS_SUCCESS);
    } else if (act.verb === 'aftermath' || act.verb === 'settling' || act.verb === 'end-of-requests') {
      // What still pends is no longer the thread's; closing its file may end it.
      this.record.next();
    } else if (result === 'deadline' && this.acts.requests.mayBlockOn) {
      this.record.change({ deadline: deadline + patience100ns });
    } else if (stage === 'calling' && isRequest(act) && !this.isIdle && this.mayLeaveBlocked(act, result)) {
      this.acts.requests.leaveBlocked(act);
    } else if (result !== 'done') {
      this.stuck(act, result);
    } else if (stage === 'waiting') {
      this.record.change({ stage: 'begin' });
    } else if (stage === 'calling') {
      this.acts.returned(act, this.nt.scheduler.thread(this.thread).result >>> 0);
    } else {
      this.record.next();
    }
    return undefined;
  }

  private isDone(act: Act): boolean {
    const { stage, request, pending } = this.state;
    // What the driver left to run after it was unloaded (a thread, a work item) shows in the time that follows.
    if (act.verb === 'settling') return this.nt.scheduler.isAtRest;
    if (act.verb === 'wait' || act.verb === 'aftermath') return false;
    if (act.verb === 'end-of-requests') return pending.every((one) => this.acts.requests.isOver(one));
    if (stage === 'calling') {
      return this.isIdle || (isRequest(act) && act.isAsync && this.acts.requests.isBlocked(this.thread));
    }
    if (stage === 'waiting') {
      const isHeld =
        act.verb === 'final-unload' ? this.acts.driverActs.isInUse(act.driver) : this.acts.driverActs.isDeviceOpen;
      return this.nt.io.files.hasDeferred || !isHeld;
    }
    return request === undefined || this.acts.requests.isComplete(request);
  }

  /** Whether the life goes on while a request's dispatch routine holds its thread. */
  private mayLeaveBlocked(act: RequestStep | RequestTrial, result: RunResult): boolean {
    return act.isAsync || ('isTrial' in act && result !== 'done');
  }

  private get isIdle(): boolean {
    return this.nt.scheduler.thread(this.thread).state === 'idle';
  }

  private stuck(act: Act, result: RunResult): void {
    if (act.verb !== 'final-unload' || this.state.stage !== 'waiting') {
      this.record.giveUp(stuckReason(this.state, act, result), true);
      return;
    }
    const driver = this.drivers[act.driver] as LoadedDriver;
    const holders = holdersOf(this.nt, driver, this.drivers, (index) => this.resources.referencesOf(index));
    const name = this.drivers.length === 1 ? '' : ` of ${driver.image.fileName}`;
    this.record.change({ keptLoaded: [...this.state.keptLoaded, driver.image.index] });
    this.record.passOver(unloadReason(this.state, name, holders), true);
  }
}

function isRequest(act: Act): act is RequestStep | RequestTrial {
  return act.verb === 'ioctl' || act.verb === 'read' || act.verb === 'write';
}
