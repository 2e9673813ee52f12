/** What the end of the requesting process does: cancels what pends, waits for it, closes every handle; no page of it may be locked then. */
import type { Va } from '../base/va.ts';
import type { Nt } from '../nt/nt.ts';
import { ntSuccess, STATUS_USER_APC, statusText } from '../nt/ntstatus.ts';
import { isAnyoneToTell } from '../nt/ps/notifications.ts';
import { endProcess } from '../nt/ps/process-end.ts';
import type { LifeRecord } from './life-record.ts';
import type { Act } from './life-state.ts';

const userMode = 1;
/** So long a thread that ends waits for its cancelled requests: five minutes. */
const cancelPatience100ns = 3_000_000_000;

export class ProcessEnd {
  private readonly nt: Nt;
  private readonly life: LifeRecord;

  constructor(nt: Nt, life: LifeRecord) {
    this.nt = nt;
    this.life = life;
  }

  begin(): void {
    this.life.insert(this.acts());
    this.life.next();
  }

  private acts(): readonly Act[] {
    const { pending } = this.life.state;
    const files = this.life.state.files.map((file, index) => ({ ...file, name: file.name ?? `handle${index + 1}` }));
    this.life.change({ files });
    const acts: Act[] = [];
    for (const { name, handle } of files) {
      if (pending.some((request) => request.handle === handle))
        acts.push({ verb: 'cancel', text: `cancel ${name}`, target: name });
    }
    for (const thread of new Set(pending.map((request) => request.thread)))
      acts.push({ verb: 'end-of-thread', thread });
    if (pending.length > 0) acts.push({ verb: 'end-of-requests' });
    if (this.nt.registry.callbacks.isAny) acts.push({ verb: 'registry-use' });
    if (isAnyoneToTell(this.nt)) acts.push({ verb: 'process-exit' });
    for (const { name } of files) acts.push({ verb: 'close', text: `close ${name}`, target: name });
    acts.push({ verb: 'end-of-handles' });
    return acts;
  }

  /** Cancels the thread's requests. One that a driver holds can only be woken, and only from a wait for user mode. */
  endThread(thread: Va): void {
    const { state, wait } = this.nt.scheduler.thread(thread);
    if (state === 'idle') {
      this.life.change({ caller: thread });
      this.life.call(thread, 'IopCancelThreadIo', []);
      return;
    }
    if (state === 'waiting' && wait?.waitMode === userMode) this.nt.scheduler.wake(thread, STATUS_USER_APC);
    this.life.next();
  }

  /** Cancelled requests, and threads that are held, get their time. */
  awaitRequests(): void {
    this.life.called();
    this.life.change({ deadline: this.nt.clock.interruptTime + cancelPatience100ns });
  }

  /** Handles that drivers made in the process (and its events) go with it, one after the other. */
  closeNextHandle(): void {
    const { objects, scheduler } = this.nt;
    const { process } = scheduler.thread(scheduler.requester);
    for (const { handle, isKernelHandle, process: owner } of objects.allHandles()) {
      if (isKernelHandle || owner !== process) continue;
      this.life.callFromProgram('NtClose', [handle]);
      return;
    }
    endProcess(this.nt, process);
    if (isAnyoneToTell(this.nt)) this.life.insert([{ verb: 'other-process' }]);
    this.life.next();
  }

  handleClosed(status: number): void {
    if (ntSuccess(status)) this.life.change({ stage: 'begin' });
    else this.life.giveUp(`a handle of the process could not be closed at its end (${statusText(status)})`);
  }
}
