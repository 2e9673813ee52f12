/**
 * A driver's life: load, the scenario's steps, the requesting process's end, unload. Where the life stands is data in
 * the machine's stores, so that a life restored from a snapshot goes on.
 */
import { assert, PoolproofError, unreachable } from '../base/errors.ts';
import type { StoreCell } from '../base/store.ts';
import { nullVa, type Va } from '../base/va.ts';
import { BugCheck } from '../nt/declare/bug-check.ts';
import type { KernelImage } from '../nt/mm/kernel-image.ts';
import type { Nt, RunResult } from '../nt/nt.ts';
import { ntSuccess, STATUS_INVALID_HANDLE, STATUS_PENDING, STATUS_SUCCESS, statusText } from '../nt/ntstatus.ts';
import { DRIVER_OBJECT, IO_STATUS_BLOCK } from '../nt/structures/io.ts';
import type { Act, LifeState, OpenFile } from './life-state.ts';
import { type KernelCall, PnpDeviceOfLife } from './pnp-device.ts';
import { noBytes, Requester, type RequestStep } from './requester.ts';
import { parseStep, type Step } from './scenario/step.ts';
import { closeOverRequests, planTour, type Trial } from './scenario/tour.ts';

/** Acts that a system thread carries out. */
const systemVerbs: readonly string[] = [
  'load',
  'unload',
  'arrival',
  'departure',
  'start',
  'stop',
  'surprise-remove',
  'remove',
];
const nameOfAct: Readonly<Record<string, string>> = {
  load: 'DriverEntry',
  arrival: 'the arrival of the device (AddDevice, IRP_MN_START_DEVICE)',
  departure: 'the removal of the device',
};
/** A request that pends this long without an end is stuck: ten virtual minutes. */
const patience100ns = 6_000_000_000;
/** So long a thread that ends waits for its cancelled requests: five minutes. */
const cancelPatience100ns = 3_000_000_000;
/** A trial may block its thread for as long as 32 bits of milliseconds are: what a driver reads from its input. */
const trialPatience100ns = 0x1_0000_0000 * 10_000;
/** As long as the driver's timers do not need more instructions than this meanwhile. */
const trialInstructions = 20_000_000;
/** What a trial that pends gets before it is cancelled. */
const trialWait = parseStep('wait 10ms');
const cancelTrial = parseStep('cancel');
/** Requests that a reason names. */
const mostNamed = 4;

export class Life {
  private readonly nt: Nt;
  private readonly image: () => KernelImage;
  private readonly requester: Requester;
  private readonly pnp: PnpDeviceOfLife;
  private readonly cell: StoreCell<LifeState>;
  private readonly reached: StoreCell<boolean>;

  /** `steps`: undefined for the tour. `image` is asked when the driver is loaded. */
  constructor(nt: Nt, image: () => KernelImage, steps: readonly Step[] | undefined) {
    this.nt = nt;
    this.image = image;
    this.requester = new Requester(nt);
    this.pnp = new PnpDeviceOfLife(nt, image);
    const middle: readonly Act[] =
      steps === undefined ? [{ verb: 'tour' }] : steps.filter(({ verb }) => verb !== 'unload');
    this.cell = nt.stores.cell<LifeState>('run/life', {
      plan: [
        { verb: 'load' },
        ...middle,
        { verb: 'end-of-process' },
        { verb: 'departure' },
        { verb: 'unload', text: 'unload' },
        { verb: 'aftermath' },
      ],
      index: 0,
      stage: 'begin',
      request: undefined,
      handleAt: nullVa,
      deadline: 0,
      files: [],
      events: [],
      pending: [],
      results: [],
      reasons: [],
      isOver: false,
      isStuck: false,
      madeDevices: false,
      tour: undefined,
      retiredLimit: 0,
    });
    this.reached = nt.stores.cell('run/reached-driver', false);
    nt.events.on('irpDispatched', ({ routine }) => {
      if (!this.reached.value && nt.images.containing(routine)?.isDriver === true) this.reached.value = true;
    });
  }

  get state(): LifeState {
    return this.cell.value;
  }

  /** Whether a request was handed to a dispatch routine of a driver. */
  get reachedDriver(): boolean {
    return this.reached.value;
  }

  /** Whether the driver had a device when DriverEntry returned. */
  get madeDevices(): boolean {
    return this.state.madeDevices;
  }

  /** The step that the life is at, as text; undefined if that is none of the scenario's. */
  get currentStep(): string | undefined {
    const act = this.state.plan[this.state.index];
    return act !== undefined && 'text' in act && act.verb !== 'unload' ? act.text : undefined;
  }

  /** Goes on from where the life stands until it is over. */
  run(): void {
    while (!this.state.isOver && this.nt.end.value === undefined) {
      if (this.state.index >= this.state.plan.length) {
        this.change({ isOver: true });
      } else if (this.state.stage === 'begin' && this.nt.io.files.hasDeferred) {
        this.closeDeferred();
      } else if (this.state.stage === 'begin' && this.pnp.dueRemoval !== undefined) {
        this.callSystem(this.pnp.dueRemoval);
        this.change({ stage: 'closing' });
      } else if (this.state.stage === 'begin') {
        this.tryToBegin(this.act);
      } else {
        this.goOn();
      }
    }
  }

  private get act(): Act {
    const act = this.state.plan[this.state.index];
    assert(act, 'the plan has an act left');
    return act;
  }

  private change(change: Partial<LifeState>): void {
    this.cell.value = { ...this.cell.value, ...change };
  }

  private next(): void {
    this.change({ index: this.state.index + 1, stage: 'begin', request: undefined });
  }

  /** The life ends here, short of its end. */
  private giveUp(reason: string, isStuck = false): void {
    this.change({ reasons: [...this.state.reasons, reason], isOver: true, isStuck });
  }

  private insert(acts: readonly Act[]): void {
    const { plan, index } = this.state;
    this.change({ plan: [...plan.slice(0, index + 1), ...acts, ...plan.slice(index + 1)] });
  }

  // ---- one act

  private tryToBegin(act: Act): void {
    try {
      this.begin(act);
    } catch (thrown) {
      // What a request needs of the machine's memory a driver may have used up.
      if (thrown instanceof BugCheck) this.nt.bugCheck(thrown);
      else if (thrown instanceof PoolproofError) this.giveUp(thrown.message);
      else throw thrown;
    }
  }

  private begin(act: Act): void {
    switch (act.verb) {
      case 'load':
        this.call(this.nt.scheduler.systemThread, 'IopLoadDriver', [this.image().index]);
        return;
      case 'tour':
        this.tour();
        return;
      case 'close-over-requests': {
        const pended = this.state.results.filter(({ text }) => /^(ioctl|read|write) .* async$/.test(text));
        this.insert(
          closeOverRequests(
            act.path,
            pended.map(({ text }) => text),
          ),
        );
        this.next();
        return;
      }
      case 'end-of-process':
        this.insert(this.rundown());
        this.next();
        return;
      case 'end-of-handles':
        this.closeProcessHandle();
        return;
      case 'end-of-requests':
        this.call(this.nt.scheduler.requester, 'IopCancelThreadIo', []);
        this.change({ deadline: this.nt.clock.interruptTime + cancelPatience100ns });
        return;
      case 'open':
        this.open(act.path);
        return;
      case 'event':
        this.makeEvent(act.name, act.text);
        return;
      case 'ioctl':
      case 'read':
      case 'write':
        this.send(act);
        return;
      case 'cancel':
        this.cancel(act.target);
        return;
      case 'close': {
        const file = this.fileFor(act.target);
        if (file === undefined) this.answer(act.text, STATUS_INVALID_HANDLE);
        else this.call(this.nt.scheduler.requester, 'NtClose', [file.handle]);
        return;
      }
      case 'wait':
        this.change({ stage: 'calling', deadline: this.nt.clock.interruptTime + act.duration100ns });
        return;
      case 'unload':
        this.unload();
        return;
      case 'aftermath':
        this.change({ stage: 'calling', deadline: this.nt.clock.interruptTime + patience100ns });
        return;
      case 'arrival':
        this.callSystem(this.pnp.arrival);
        return;
      case 'departure':
        this.depart();
        return;
      case 'start':
      case 'stop':
      case 'surprise-remove':
      case 'remove': {
        const call = this.pnp.callFor(act.verb);
        if (typeof call === 'string') this.giveUp(`the step '${act.text}' ${call}`);
        else this.callSystem(call);
        return;
      }
      default:
        unreachable(act);
    }
  }

  /** Has a thread of the machine run a routine of the kernel. */
  private call(thread: Va, routine: string, args: readonly (number | bigint)[]): void {
    this.nt.scheduler.start(thread, this.nt.entries.routineVa(routine), args);
    this.called();
  }

  private callSystem([routine, args]: KernelCall): void {
    this.call(this.nt.scheduler.systemThread, routine, args);
  }

  /** A thread of the machine has something to do. */
  private called(): void {
    this.change({ stage: 'calling', deadline: this.nt.clock.interruptTime + patience100ns });
  }

  private get thread(): Va {
    const { verb } = this.act;
    return systemVerbs.includes(verb) ? this.nt.scheduler.systemThread : this.nt.scheduler.requester;
  }

  private closeDeferred(): void {
    this.call(this.nt.scheduler.systemThread, 'IopProcessDeferredDeletes', []);
    this.change({ stage: 'closing' });
  }

  private goOn(): void {
    const { stage, deadline } = this.state;
    const act = this.act;
    if (stage === 'closing') {
      const { scheduler } = this.nt;
      const closed = this.nt.run(() => scheduler.thread(scheduler.systemThread).state === 'idle', deadline);
      if (closed === 'done') this.change({ stage: 'begin' });
      else if (closed !== 'ended') this.stuck(act, closed);
      return;
    }
    const result = this.nt.run(() => this.isDone(act), deadline);
    if (this.nt.end.value !== undefined) return;
    this.collect();
    if (act.verb === 'wait') {
      if (result === 'rest') this.nt.clock.advanceTo(deadline);
      this.answer(act.text, STATUS_SUCCESS);
    } else if (act.verb === 'aftermath' || (act.verb === 'end-of-requests' && this.isIdle)) {
      // What still pends is no longer the thread's; closing its file may end it.
      this.next();
    } else if (result === 'deadline' && this.mayBlockOn) {
      this.change({ deadline: deadline + patience100ns });
    } else if (result !== 'done') {
      this.stuck(act, result);
    } else if (stage === 'waiting') {
      this.change({ stage: 'begin' });
    } else if (stage === 'calling') {
      this.returned(act, this.nt.scheduler.thread(this.thread).result >>> 0);
    } else {
      this.next();
    }
  }

  private isDone(act: Act): boolean {
    const { stage, request, pending } = this.state;
    // What the driver left to run after it was unloaded (a thread, a work item) shows in the time that follows.
    if (act.verb === 'wait' || act.verb === 'aftermath') return false;
    if (act.verb === 'end-of-requests') return this.isIdle && pending.every((one) => this.requester.isComplete(one));
    if (stage === 'calling') return this.isIdle;
    if (stage === 'waiting') {
      return this.nt.io.files.hasDeferred || !(act.verb === 'departure' ? this.pnp.isOpen : this.isInUse);
    }
    return request === undefined || this.requester.isComplete(request);
  }

  private get isIdle(): boolean {
    return this.nt.scheduler.thread(this.thread).state === 'idle';
  }

  /** Whether a trial that blocks its thread is waited for still longer. */
  private get mayBlockOn(): boolean {
    const { stage, deadline, request, retiredLimit } = this.state;
    if (stage !== 'calling' || request === undefined || !('isTrial' in this.act)) return false;
    return deadline < request.sentAt + trialPatience100ns && this.nt.cpu.retired < retiredLimit;
  }

  private stuck(act: Act, result: RunResult): void {
    if (this.state.stage === 'waiting') {
      const texts = this.state.pending.map(({ stepIndex }) => `'${this.state.results[stepIndex]?.text}'`);
      const requests = [...new Set(texts)];
      const more = requests.length > mostNamed ? ` and ${requests.length - mostNamed} more` : '';
      const why = requests.length === 0 ? '' : `; still pending: ${requests.slice(0, mostNamed).join(', ')}${more}`;
      const what =
        act.verb === 'departure'
          ? 'the device was not removed: Windows does not remove it while a file is open on it'
          : 'DriverUnload was not called: Windows does not call it while a file is open on a device of the driver, or a device is attached to one';
      this.giveUp(`${what}${why}`, true);
      return;
    }
    const what = 'text' in act ? `the step '${act.text}'` : (nameOfAct[act.verb] ?? 'the end of the process');
    const why =
      result === 'deadline'
        ? 'isTrial' in act
          ? 'blocks its thread'
          : 'did not end within ten virtual minutes'
        : 'waits for something that nothing left to run can bring';
    this.giveUp(`${what} ${why}`, true);
  }

  /** The thread came back from the kernel with a status. */
  private returned(act: Act, status: number): void {
    switch (act.verb) {
      case 'load':
        if (!ntSuccess(status)) this.change({ plan: [act, { verb: 'aftermath' }], index: 0 });
        this.noteLoaded();
        this.next();
        return;
      case 'arrival':
        this.arrived();
        return;
      case 'departure':
        if (ntSuccess(status)) this.next();
        else this.giveUp(`the device was not removed: its removal was refused with ${statusText(status)}`);
        return;
      case 'start':
      case 'stop':
      case 'surprise-remove':
      case 'remove':
        if (act.verb === 'start' && !ntSuccess(status)) this.addReason(this.pnp.failure);
        this.answer(act.text, status);
        return;
      case 'unload':
        this.next();
        return;
      case 'open':
        this.opened(act, status);
        return;
      case 'end-of-handles':
        if (ntSuccess(status)) this.change({ stage: 'begin' });
        else this.giveUp(`a handle of the process could not be closed at its end (${statusText(status)})`);
        return;
      case 'close': {
        const file = this.fileFor(act.target);
        this.change({ files: this.state.files.filter((open) => open !== file) });
        this.answer(act.text, status);
        return;
      }
      case 'ioctl':
      case 'read':
      case 'write':
        this.sent(act, status);
        return;
      default:
        this.answer('text' in act ? act.text : act.verb, STATUS_SUCCESS);
    }
  }

  private answer(text: string, status: number, information = 0, output: Uint8Array = noBytes): void {
    this.change({ results: [...this.state.results, { text, status, information, output }] });
    this.next();
  }

  private tour(): void {
    const { acts, codes, requests } = planTour(this.nt, this.image());
    this.change({ tour: { codes, requests } });
    this.insert(acts);
    this.next();
  }

  // ---- open and close

  private open(path: string): void {
    this.change({ handleAt: this.requester.open(path) });
    this.called();
  }

  private opened(act: Step & { readonly verb: 'open' }, status: number): void {
    if (ntSuccess(status)) {
      const handle = this.nt.memory.readI64AsNumber(this.state.handleAt);
      this.change({ files: [...this.state.files, { name: act.name, handle }] });
    }
    this.answer(act.text, status);
  }

  private fileFor(target: string | undefined): OpenFile | undefined {
    const { files } = this.state;
    return target === undefined ? files[files.length - 1] : [...files].reverse().find(({ name }) => name === target);
  }

  private makeEvent(name: string | undefined, text: string): void {
    const { handle } = this.requester.createEvent();
    this.change({ events: [...this.state.events, { name: name ?? 'event', handle }] });
    this.answer(text, STATUS_SUCCESS);
  }

  // ---- requests

  private send(act: RequestStep | Trial): void {
    const file = this.fileFor(act.target);
    if (file === undefined) {
      this.answer(act.text, STATUS_INVALID_HANDLE);
      return;
    }
    const request = this.requester.send(act, file.handle, (name) => this.handleNamed(name));
    this.change({
      request: { ...request, stepIndex: this.state.results.length, sentAt: this.nt.clock.interruptTime },
      retiredLimit: this.nt.cpu.retired + trialInstructions,
    });
    this.called();
  }

  /** A named event's or file's handle; 0 if nothing has the name. */
  private handleNamed(name: string): number {
    const { events, files } = this.state;
    return [...events, ...files].find((named) => named.name === name)?.handle ?? 0;
  }

  /** The system service returned: the request is done, or it pends. */
  private sent(act: RequestStep | Trial, status: number): void {
    const { request } = this.state;
    assert(request, 'a request was sent');
    if (status !== STATUS_PENDING) {
      const { information, output } =
        status >>> 30 === 3 ? { information: 0, output: noBytes } : this.requester.resultOf(request);
      this.answer(act.text, status, information, output);
      return;
    }
    const isTrial = 'isTrial' in act;
    const text = isTrial ? `${act.text} async` : act.text;
    const results = [...this.state.results, { text, status, information: 0, output: noBytes }];
    this.change({ results, pending: [...this.state.pending, request] });
    if (isTrial) this.insert([trialWait, cancelTrial]);
    if (act.isAsync || isTrial) this.next();
    else this.change({ stage: 'completing', deadline: this.nt.clock.interruptTime + patience100ns });
  }

  /** Takes the results of requests that completed. */
  private collect(): void {
    const done = this.state.pending.filter((request) => this.requester.isComplete(request));
    if (done.length === 0) return;
    const results = this.state.results.slice();
    for (const request of done) {
      const before = results[request.stepIndex];
      assert(before, 'a request belongs to a step');
      results[request.stepIndex] = { text: before.text, ...this.requester.resultOf(request) };
    }
    this.change({ results, pending: this.state.pending.filter((request) => !done.includes(request)) });
  }

  private cancel(target: string | undefined): void {
    const file = this.fileFor(target);
    if (file === undefined) {
      this.answer(this.textOfAct(), STATUS_INVALID_HANDLE);
      return;
    }
    this.call(this.nt.scheduler.requester, 'NtCancelIoFile', [
      file.handle,
      this.nt.userMemory.allocate(IO_STATUS_BLOCK.sizeBytes),
    ]);
  }

  private textOfAct(): string {
    const act = this.act;
    return 'text' in act ? act.text : act.verb;
  }

  // ---- the ends

  /** What the end of a process does: cancels what pends, waits for it, closes every handle. */
  private rundown(): readonly Act[] {
    const files = this.state.files.map((file, index) => ({ ...file, name: file.name ?? `handle${index + 1}` }));
    this.change({ files });
    const acts: Act[] = [];
    for (const { name, handle } of files) {
      if (this.state.pending.some((request) => request.handle === handle))
        acts.push({ verb: 'cancel', text: `cancel ${name}`, target: name });
    }
    if (this.state.pending.length > 0) acts.push({ verb: 'end-of-requests' });
    for (const { name } of files) acts.push({ verb: 'close', text: `close ${name}`, target: name });
    acts.push({ verb: 'end-of-handles' });
    return acts;
  }

  /** Handles that drivers made in the process (and its events) go with it, one after the other. */
  private closeProcessHandle(): void {
    const { objects, scheduler } = this.nt;
    const { process } = scheduler.thread(scheduler.requester);
    for (const { handle, isKernelHandle, process: owner } of objects.allHandles()) {
      if (isKernelHandle || owner !== process) continue;
      this.call(scheduler.requester, 'NtClose', [handle]);
      return;
    }
    this.next();
  }

  private unload(): void {
    const driver = this.nt.io.drivers.ofImage(this.image());
    if (driver === undefined) {
      this.next();
      return;
    }
    if (DRIVER_OBJECT.DriverUnload.get(this.nt.memory, driver.driverObject) === nullVa) {
      this.giveUp(
        'the driver has no DriverUnload routine, so Windows never unloads it and the check at unload cannot run',
      );
      return;
    }
    if (this.pnp.leftAttached) {
      this.addReason('a device of the driver is still attached to the stack of a device that was removed');
    }
    if (this.isInUse) {
      this.change({ stage: 'waiting', deadline: this.nt.clock.interruptTime + patience100ns });
      return;
    }
    this.call(this.nt.scheduler.systemThread, 'IopUnloadDriver', [driver.driverObject]);
  }

  private get isInUse(): boolean {
    const driver = this.nt.io.drivers.ofImage(this.image());
    return driver !== undefined && this.nt.io.drivers.isInUse(driver.driverObject);
  }

  private noteLoaded(): void {
    const driver = this.nt.io.drivers.ofImage(this.image());
    if (driver === undefined || driver.state !== 'loaded') return;
    this.noteDevices();
    if (this.pnp.hasAddDevice) this.insert([{ verb: 'arrival' }]);
  }

  private noteDevices(): void {
    const driver = this.nt.io.drivers.ofImage(this.image());
    if (driver === undefined || this.nt.io.drivers.firstDevice(driver.driverObject) === nullVa) return;
    this.change({ madeDevices: true });
  }

  private addReason(reason: string | undefined): void {
    const { reasons } = this.state;
    if (reason !== undefined && !reasons.includes(reason)) this.change({ reasons: [...reasons, reason] });
  }

  /** AddDevice and the start are over. A driver without a device is unloaded. */
  private arrived(): void {
    this.noteDevices();
    const { failure } = this.pnp;
    if (failure !== undefined) {
      const { plan, index } = this.state;
      this.addReason(failure);
      this.change({ plan: [...plan.slice(0, index + 1), { verb: 'unload', text: 'unload' }, { verb: 'aftermath' }] });
    }
    this.next();
  }

  /** The device is removed, when nobody has it open any more. */
  private depart(): void {
    const { departure, device, isOpen } = this.pnp;
    if (isOpen && (departure !== undefined || device?.state === 'surprise-removed')) {
      this.change({ stage: 'waiting', deadline: this.nt.clock.interruptTime + patience100ns });
    } else if (departure !== undefined) {
      this.callSystem(departure);
    } else {
      this.next();
    }
  }
}
