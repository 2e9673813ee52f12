/** What the requesting process does: opens, requests, cancels, closes. */
import { assert } from '../base/errors.ts';
import type { Va } from '../base/va.ts';
import type { Nt } from '../nt/nt.ts';
import { ntSuccess, STATUS_INVALID_HANDLE, STATUS_PENDING, STATUS_SUCCESS } from '../nt/ntstatus.ts';
import { IO_STATUS_BLOCK } from '../nt/structures/io.ts';
import type { LifeRecord } from './life-record.ts';
import type { OpenFile, SentRequest } from './life-state.ts';
import { noBytes, Requester, type RequestStep } from './requester.ts';
import { parseStep, type Step } from './scenario/step.ts';
import { type RequestTrial, trial } from './scenario/tour.ts';

/** A trial may block its thread for as long as 32 bits of milliseconds are: what a driver reads from its input. */
const trialPatience100ns = 0x1_0000_0000 * 10_000;
/** As long as the driver's timers do not need more instructions than this meanwhile. */
const trialInstructions = 20_000_000;
/** What a trial that pends gets before it is cancelled. */
const trialWait = parseStep('wait 10ms');

export class RequestActs {
  private readonly nt: Nt;
  private readonly life: LifeRecord;
  private readonly requester: Requester;

  constructor(nt: Nt, life: LifeRecord) {
    this.nt = nt;
    this.life = life;
    this.requester = new Requester(nt);
  }

  // ---- open and close

  open(path: string): void {
    this.life.change({ handleAt: this.requester.open(path, this.life.takeProgramThread()) });
    this.life.called();
  }

  opened(act: Step & { readonly verb: 'open' }, status: number): void {
    const { files, handleAt } = this.life.state;
    if (ntSuccess(status)) {
      const handle = this.nt.memory.readI64AsNumber(handleAt);
      this.life.change({ files: [...files, { name: act.name, handle }] });
    }
    this.life.answer(act.text, status);
  }

  close(act: Step & { readonly verb: 'close' }): void {
    const file = this.fileFor(act.target);
    if (file === undefined) this.refuse();
    else this.life.callFromProgram('NtClose', [file.handle]);
  }

  closed(act: Step & { readonly verb: 'close' }, status: number): void {
    const file = this.fileFor(act.target);
    this.life.change({ files: this.life.state.files.filter((open) => open !== file) });
    this.life.answer(act.text, status);
  }

  private fileFor(target: string | undefined): OpenFile | undefined {
    const { files } = this.life.state;
    return target === undefined ? files[files.length - 1] : [...files].reverse().find(({ name }) => name === target);
  }

  /** There is no such file: a tour says nothing of that. */
  private refuse(): void {
    if ('isTrial' in this.life.act) this.life.drop();
    else this.life.answer(this.life.textOfAct, STATUS_INVALID_HANDLE);
  }

  makeEvent(name: string | undefined, text: string): void {
    const { handle } = this.requester.createEvent();
    this.life.change({ events: [...this.life.state.events, { name: name ?? 'event', handle }] });
    this.life.answer(text, STATUS_SUCCESS);
  }

  // ---- requests

  send(act: RequestStep | RequestTrial): void {
    const file = this.fileFor(act.target);
    if (file === undefined) {
      this.refuse();
      return;
    }
    const request = this.requester.send(act, file.handle, this.life.takeProgramThread(), (name) =>
      this.handleNamed(name),
    );
    this.life.change({
      request: { ...request, stepIndex: this.life.state.results.length, sentAt: this.nt.clock.interruptTime },
      retiredLimit: this.nt.cpu.retired + trialInstructions,
    });
    this.life.called();
  }

  /** Whether the thread waits and nothing else can run before time goes on. */
  isBlocked(thread: Va): boolean {
    const { scheduler, interrupts } = this.nt;
    if (scheduler.thread(thread).state !== 'waiting' || scheduler.hasRunningThread || interrupts.hasPendingDpc)
      return false;
    return ![...scheduler.all()].some(({ state }) => state === 'ready');
  }

  /** The dispatch routine of an asynchronous request, or of a trial, holds its thread: on with the next step. */
  leaveBlocked(act: RequestStep | RequestTrial): void {
    const { request } = this.life.state;
    assert(request, 'a request was sent');
    this.pend(act, request);
    this.life.next();
  }

  private pend(act: RequestStep | RequestTrial, request: SentRequest): void {
    const { results, pending } = this.life.state;
    const isCancelled = 'isTrial' in act && !act.isAsync;
    const text = isCancelled ? `${act.text} async` : act.text;
    this.life.change({
      results: [...results, { text, status: STATUS_PENDING, information: 0, output: noBytes }],
      pending: [...pending, request],
    });
    if (isCancelled) this.life.insert([trialWait, trial(act.target === undefined ? 'cancel' : `cancel ${act.target}`)]);
  }

  /** A named event's or file's handle; 0 if nothing has the name. */
  private handleNamed(name: string): number {
    const { events, files } = this.life.state;
    return [...events, ...files].find((named) => named.name === name)?.handle ?? 0;
  }

  /** The system service returned: the request is done, or it pends. */
  sent(act: RequestStep | RequestTrial, status: number): void {
    const { request, pending } = this.life.state;
    assert(request, 'a request was sent');
    if (status !== STATUS_PENDING) {
      const isKept = this.requester.isOutstanding(request);
      this.life.change({ pending: isKept ? [...pending, { ...request, returned: status }] : pending });
      this.life.answer(act.text, status, ...this.answerOf(request, status));
      return;
    }
    this.pend(act, { ...request, returned: status });
    if (act.isAsync || 'isTrial' in act) this.life.next();
    else
      this.life.change({
        stage: 'completing',
        deadline: this.life.inPatience,
        request: { ...request, returned: status },
      });
  }

  private answerOf(request: SentRequest, status: number): [information: number, output: Uint8Array] {
    if (status >>> 30 === 3) return [0, noBytes];
    const { information, output } = this.requester.resultOf(request);
    return [information, output];
  }

  isComplete(request: SentRequest): boolean {
    return this.requester.isComplete(request);
  }

  /** Whether the request is done and its thread is free again. */
  isOver(request: SentRequest): boolean {
    return this.nt.scheduler.thread(request.thread).state === 'idle' && !this.requester.isOutstanding(request);
  }

  /** Whether a trial that blocks its thread is waited for still longer. */
  get mayBlockOn(): boolean {
    const { stage, deadline, request, retiredLimit } = this.life.state;
    if (stage !== 'calling' || request === undefined || !('isTrial' in this.life.act)) return false;
    return deadline < request.sentAt + trialPatience100ns && this.nt.cpu.retired < retiredLimit;
  }

  /** Takes the results of requests that completed, and what system services returned meanwhile. */
  collect(): void {
    const { pending, results: before } = this.life.state;
    const still: SentRequest[] = [];
    const results = before.slice();
    for (const request of pending) {
      const result = results[request.stepIndex];
      assert(result, 'a request belongs to a step');
      const returned = request.returned ?? this.returnOf(request);
      if (returned === undefined) still.push(request);
      else if (this.requester.isComplete(request)) {
        results[request.stepIndex] = { text: result.text, ...this.requester.resultOf(request) };
      } else if (returned === STATUS_PENDING) still.push({ ...request, returned });
      else {
        const [information, output] = this.answerOf(request, returned);
        results[request.stepIndex] = { text: result.text, status: returned, information, output };
        if (this.requester.isOutstanding(request)) still.push({ ...request, returned });
      }
    }
    if (still.length !== pending.length || still.some((request, index) => request !== pending[index])) {
      this.life.change({ results, pending: still });
    }
  }

  /** What the system service of a request returned that held its thread; undefined if it still does. */
  private returnOf({ thread }: SentRequest): number | undefined {
    const { state, result } = this.nt.scheduler.thread(thread);
    return state === 'idle' ? result >>> 0 : undefined;
  }

  cancel(target: string | undefined): void {
    const file = this.fileFor(target);
    if (file === undefined) {
      this.refuse();
      return;
    }
    this.life.callFromProgram('NtCancelIoFile', [file.handle, this.nt.userMemory.allocate(IO_STATUS_BLOCK.sizeBytes)]);
  }
}
