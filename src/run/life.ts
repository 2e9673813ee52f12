/**
 * A driver's life: load, the scenario's steps, the requesting process's end, unload. Where the life stands is data in
 * the machine's stores, so that a life restored from a snapshot goes on.
 */
import { assert, unreachable } from '../base/errors.ts';
import type { StoreCell } from '../base/store.ts';
import { nullVa, type Va, vaAdd } from '../base/va.ts';
import { Access } from '../engine/memory/layout.ts';
import type { KernelImage } from '../nt/mm/kernel-image.ts';
import type { Nt, RunResult } from '../nt/nt.ts';
import { ntSuccess, STATUS_INVALID_HANDLE, STATUS_PENDING, STATUS_SUCCESS } from '../nt/ntstatus.ts';
import { writeWide } from '../nt/rtl/guest-text.ts';
import { DRIVER_EXTENSION, DRIVER_OBJECT, IO_STATUS_BLOCK, OBJECT_ATTRIBUTES } from '../nt/structures/io.ts';
import { DispatcherType, KEVENT } from '../nt/structures/ke.ts';
import { UNICODE_STRING } from '../nt/structures/strings.ts';
import type { InputPart, Step } from './scenario/step.ts';
import { tourSteps } from './scenario/tour.ts';

/** What happens next, beyond the scenario's own steps. */
type Act = Step | { readonly verb: 'load' } | { readonly verb: 'tour' } | { readonly verb: 'end-of-process' };

/** A file that the requesting process has open. */
interface OpenFile {
  readonly name: string | undefined;
  readonly handle: number;
}

/** A request that was sent: where its results will stand. */
interface SentRequest {
  readonly stepIndex: number;
  readonly handle: number;
  readonly iosb: Va;
  readonly event: Va;
  readonly output: Va;
  readonly outputBytes: number;
}

export interface StepResult {
  readonly text: string;
  readonly status: number;
  readonly information: number;
  readonly output: Uint8Array;
}

export interface LifeState {
  readonly plan: readonly Act[];
  readonly index: number;
  /**
   * `begin`: not started; `calling`: a thread of the machine is at it; `completing`: its request pends; `closing`: files
   * whose last reference went at raised IRQL are closed before it.
   */
  readonly stage: 'begin' | 'calling' | 'completing' | 'closing';
  readonly request: SentRequest | undefined;
  /** Where NtCreateFile will store the handle. */
  readonly handleAt: Va;
  readonly deadline: number;
  readonly files: readonly OpenFile[];
  readonly events: readonly { readonly name: string; readonly handle: number }[];
  readonly pending: readonly SentRequest[];
  readonly results: readonly StepResult[];
  /** Why the life could not go to its end, or shows less than it seems. */
  readonly reasons: readonly string[];
  readonly isOver: boolean;
  readonly isStuck: boolean;
  readonly madeDevices: boolean;
}

/** A request that pends this long without an end is stuck: ten virtual minutes. */
const patience100ns = 6_000_000_000;
/** FILE_GENERIC_READ | FILE_GENERIC_WRITE */
const genericReadWrite = 0x0012_019f;
const noBytes = new Uint8Array(0);

export class Life {
  private readonly nt: Nt;
  private readonly image: () => KernelImage;
  private readonly cell: StoreCell<LifeState>;
  private readonly reached: StoreCell<boolean>;

  /** `steps`: undefined for the tour. `image` is asked when the driver is loaded. */
  constructor(nt: Nt, image: () => KernelImage, steps: readonly Step[] | undefined) {
    this.nt = nt;
    this.image = image;
    const middle: readonly Act[] =
      steps === undefined ? [{ verb: 'tour' }] : steps.filter(({ verb }) => verb !== 'unload');
    this.cell = nt.stores.cell<LifeState>('run/life', {
      plan: [{ verb: 'load' }, ...middle, { verb: 'end-of-process' }, { verb: 'unload', text: 'unload' }],
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

  /** Goes on from where the life stands until it is over. */
  run(): void {
    while (!this.state.isOver && this.nt.end.value === undefined) {
      if (this.state.index >= this.state.plan.length) {
        this.change({ isOver: true });
      } else if (this.state.stage === 'begin' && this.nt.io.files.hasDeferred) {
        this.closeDeferred();
      } else if (this.state.stage === 'begin') {
        this.begin(this.act);
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

  private begin(act: Act): void {
    switch (act.verb) {
      case 'load':
        this.call(this.nt.scheduler.systemThread, 'IopLoadDriver', [this.image().index]);
        return;
      case 'tour':
        this.insert(tourSteps(this.nt, this.image()));
        this.next();
        return;
      case 'end-of-process':
        this.insert(this.rundown());
        this.next();
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
      case 'start':
      case 'stop':
      case 'surprise-remove':
      case 'remove':
        this.giveUp(`the step '${act.text}' needs plug and play, which is not supported yet`);
        return;
      default:
        unreachable(act);
    }
  }

  /** Has a thread of the machine run a routine of the kernel. */
  private call(thread: Va, routine: string, args: readonly (number | bigint)[]): void {
    this.nt.scheduler.start(thread, this.nt.entries.routineVa(routine), args);
    this.change({ stage: 'calling', deadline: this.nt.clock.interruptTime + patience100ns });
  }

  private get thread(): Va {
    const { verb } = this.act;
    return verb === 'load' || verb === 'unload' ? this.nt.scheduler.systemThread : this.nt.scheduler.requester;
  }

  private closeDeferred(): void {
    this.call(this.nt.scheduler.systemThread, 'IopProcessDeferredDeletes', []);
    this.change({ stage: 'closing' });
  }

  private goOn(): void {
    const { stage, request, deadline } = this.state;
    const act = this.act;
    if (stage === 'closing') {
      const { scheduler } = this.nt;
      const closed = this.nt.run(() => scheduler.thread(scheduler.systemThread).state === 'idle', deadline);
      if (closed === 'done') this.change({ stage: 'begin' });
      else if (closed !== 'ended') this.stuck(act, closed);
      return;
    }
    const isDone =
      act.verb === 'wait'
        ? () => false
        : stage === 'calling'
          ? () => this.nt.scheduler.thread(this.thread).state === 'idle'
          : () => request === undefined || this.isComplete(request);
    const result = this.nt.run(isDone, deadline);
    if (this.nt.end.value !== undefined) return;
    this.collect();
    if (act.verb === 'wait') {
      if (result === 'rest') this.nt.clock.advanceTo(deadline);
      this.answer(act.text, STATUS_SUCCESS);
    } else if (result !== 'done') {
      this.stuck(act, result);
    } else if (stage === 'calling') {
      this.returned(act, this.nt.scheduler.thread(this.thread).result >>> 0);
    } else {
      this.next();
    }
  }

  private stuck(act: Act, result: RunResult): void {
    const what =
      'text' in act ? `the step '${act.text}'` : act.verb === 'load' ? 'DriverEntry' : 'the end of the process';
    const why =
      result === 'deadline'
        ? 'did not end within ten virtual minutes'
        : 'waits for something that nothing left to run can bring';
    this.giveUp(`${what} ${why}`, true);
  }

  /** The thread came back from the kernel with a status. */
  private returned(act: Act, status: number): void {
    switch (act.verb) {
      case 'load':
        if (!ntSuccess(status)) this.change({ isOver: true });
        this.noteLoaded();
        this.next();
        return;
      case 'unload':
        this.next();
        return;
      case 'open':
        this.opened(act, status);
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

  // ---- open and close

  private open(path: string): void {
    const { memory, userMemory, scheduler } = this.nt;
    const name = path.startsWith('\\\\.\\') ? `\\??\\${path.slice(4)}` : path;
    const block = userMemory.allocate(0x100 + name.length * 2);
    const [attributes, string, iosb, handleAt, buffer] = [0, 0x40, 0x60, 0x80, 0x100].map((offset) =>
      vaAdd(block, offset),
    ) as [Va, Va, Va, Va, Va];
    writeWide(memory, buffer, name);
    UNICODE_STRING.Length.set(memory, string, name.length * 2);
    UNICODE_STRING.MaximumLength.set(memory, string, name.length * 2);
    UNICODE_STRING.Buffer.set(memory, string, buffer);
    memory.fill(attributes, OBJECT_ATTRIBUTES.sizeBytes, 0);
    OBJECT_ATTRIBUTES.Length.set(memory, attributes, OBJECT_ATTRIBUTES.sizeBytes);
    OBJECT_ATTRIBUTES.ObjectName.set(memory, attributes, string);
    // OBJ_CASE_INSENSITIVE
    OBJECT_ATTRIBUTES.Attributes.set(memory, attributes, 0x40);
    memory.writeU64(handleAt, 0n);
    const openIf = 1;
    const args = [handleAt, genericReadWrite, attributes, iosb, 0, 0x80, 3, openIf, 0, 0, 0];
    scheduler.start(scheduler.requester, this.nt.entries.routineVa('NtCreateFile'), args);
    this.change({ stage: 'calling', handleAt, deadline: this.nt.clock.interruptTime + patience100ns });
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
    const { body, handle } = this.createEvent();
    this.change({ events: [...this.state.events, { name: name ?? 'event', handle }] });
    assert(this.nt.objects.get(body), 'the event exists');
    this.answer(text, STATUS_SUCCESS);
  }

  private createEvent(): { readonly body: Va; readonly handle: number } {
    const { pool, dispatcher, objects } = this.nt;
    const body = pool.allocateKernel(KEVENT.sizeBytes, 'Even');
    dispatcher.initialise(body, DispatcherType.EventNotification, KEVENT.sizeBytes / 4, 0);
    objects.create(body, 'Event', undefined);
    const handle = objects.createHandle(body, 0x1f_0003, false);
    objects.dereference(body);
    return { body, handle };
  }

  // ---- requests

  private send(act: Step & { readonly verb: 'ioctl' | 'read' | 'write' }): void {
    const file = this.fileFor(act.target);
    if (file === undefined) {
      this.answer(act.text, STATUS_INVALID_HANDLE);
      return;
    }
    const { memory, userMemory } = this.nt;
    const input = act.verb === 'read' ? noBytes : this.dataOf(act.input);
    const outputBytes = act.verb === 'ioctl' ? act.outputBytes : act.verb === 'read' ? act.bytes : 0;
    const inputAt = input.length === 0 ? nullVa : userMemory.allocate(input.length);
    if (input.length > 0) memory.writeBytes(inputAt, input);
    const outputAt = outputBytes === 0 ? nullVa : userMemory.allocate(outputBytes);
    if (act.verb === 'ioctl' && outputBytes > 0) {
      memory.writeBytes(outputAt, this.dataOf(act.outputContents).subarray(0, outputBytes));
    }
    const iosb = userMemory.allocate(IO_STATUS_BLOCK.sizeBytes);
    const offset = vaAdd(userMemory.allocate(8), 0);
    const event = this.createEvent();
    const request: SentRequest = {
      stepIndex: this.state.results.length,
      handle: file.handle,
      iosb,
      event: event.body,
      output: outputAt,
      outputBytes,
    };
    const start = [file.handle, event.handle, 0, 0, iosb];
    if (act.verb === 'ioctl') {
      this.call(this.nt.scheduler.requester, 'NtDeviceIoControlFile', [
        ...start,
        act.code,
        inputAt,
        input.length,
        outputAt,
        outputBytes,
      ]);
    } else {
      const [routine, buffer, bytes] =
        act.verb === 'read' ? ['NtReadFile', outputAt, outputBytes] : ['NtWriteFile', inputAt, input.length];
      this.call(this.nt.scheduler.requester, routine as string, [...start, buffer as Va, bytes as number, offset, 0]);
    }
    this.change({ request });
  }

  private dataOf(parts: readonly InputPart[]): Uint8Array {
    const bytes: number[] = [];
    for (const part of parts) {
      if ('bytes' in part) {
        bytes.push(...part.bytes);
        continue;
      }
      const handle =
        this.state.events.find(({ name }) => name === part.handleName)?.handle ??
        this.state.files.find(({ name }) => name === part.handleName)?.handle ??
        0;
      for (let index = 0; index < 8; index++) bytes.push(Math.floor(handle / 256 ** index) % 256);
    }
    return Uint8Array.from(bytes);
  }

  /** The system service returned: the request is done, or it pends. */
  private sent(act: Step & { readonly verb: 'ioctl' | 'read' | 'write' }, status: number): void {
    const { request } = this.state;
    assert(request, 'a request was sent');
    if (status !== STATUS_PENDING) {
      const { information, output } =
        status >>> 30 === 3 ? { information: 0, output: noBytes } : this.resultOf(request);
      this.answer(act.text, status, information, output);
      return;
    }
    const results = [...this.state.results, { text: act.text, status, information: 0, output: noBytes }];
    this.change({ results, pending: [...this.state.pending, request] });
    if (act.isAsync) this.next();
    else this.change({ stage: 'completing', deadline: this.nt.clock.interruptTime + patience100ns });
  }

  private isComplete(request: SentRequest): boolean {
    return this.nt.dispatcher.signalState(request.event) > 0;
  }

  private resultOf(request: SentRequest): {
    readonly status: number;
    readonly information: number;
    readonly output: Uint8Array;
  } {
    const { memory } = this.nt;
    const status = IO_STATUS_BLOCK.Status.get(memory, request.iosb);
    const information = Number(IO_STATUS_BLOCK.Information.get(memory, request.iosb));
    const bytes = status >>> 30 === 3 ? 0 : Math.min(information, request.outputBytes);
    const isReadable = bytes > 0 && memory.isAccessible(request.output, bytes, Access.Read);
    return { status, information, output: isReadable ? memory.readBytes(request.output, bytes) : noBytes };
  }

  /** Takes the results of requests that completed. */
  private collect(): void {
    const done = this.state.pending.filter((request) => this.isComplete(request));
    if (done.length === 0) return;
    const results = this.state.results.slice();
    for (const request of done) {
      const before = results[request.stepIndex];
      assert(before, 'a request belongs to a step');
      results[request.stepIndex] = { text: before.text, ...this.resultOf(request) };
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

  /** What the end of a process does: cancels what pends, closes every handle. */
  private rundown(): readonly Act[] {
    const files = this.state.files.map((file, index) => ({ ...file, name: file.name ?? `handle${index + 1}` }));
    this.change({ files });
    const acts: Act[] = [];
    for (const { name, handle } of files) {
      if (this.state.pending.some((request) => request.handle === handle))
        acts.push({ verb: 'cancel', text: `cancel ${name}`, target: name });
      acts.push({ verb: 'close', text: `close ${name}`, target: name });
    }
    return acts;
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
    this.call(this.nt.scheduler.systemThread, 'IopUnloadDriver', [driver.driverObject]);
  }

  private noteLoaded(): void {
    const driver = this.nt.io.drivers.ofImage(this.image());
    if (driver === undefined || driver.state !== 'loaded') return;
    this.change({ madeDevices: this.nt.io.drivers.firstDevice(driver.driverObject) !== nullVa });
    const extension = DRIVER_OBJECT.DriverExtension.get(this.nt.memory, driver.driverObject);
    if (DRIVER_EXTENSION.AddDevice.get(this.nt.memory, extension) === nullVa) return;
    const reason =
      'the driver is plug and play (it has an AddDevice routine), and no device was added: plug and play is not supported yet';
    this.change({ reasons: [...this.state.reasons, reason] });
  }
}
