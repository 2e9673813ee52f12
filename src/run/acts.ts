/** Begins each act of a life, and takes its result, with those who know requests, drivers and the process. */
import { unreachable } from '../base/errors.ts';
import type { Nt } from '../nt/nt.ts';
import { STATUS_SUCCESS } from '../nt/ntstatus.ts';
import { DriverActs } from './driver-acts.ts';
import type { LifeRecord } from './life-record.ts';
import type { Act } from './life-state.ts';
import type { LoadedDriver } from './loaded-driver.ts';
import { ProcessEnd } from './process-end.ts';
import { ProcessLife } from './process-life.ts';
import { RequestActs } from './request-acts.ts';
import { isDeviceStep } from './scenario/step.ts';
import { planTour } from './scenario/tour.ts';
import { sequelOf } from './scenario/tour-sequel.ts';

/** One virtual millisecond. */
const settling100ns = 10_000;

export class Acts {
  readonly requests: RequestActs;
  readonly driverActs: DriverActs;
  private readonly nt: Nt;
  private readonly record: LifeRecord;
  private readonly drivers: readonly LoadedDriver[];
  private readonly processEnd: ProcessEnd;
  private readonly processLife: ProcessLife;

  constructor(nt: Nt, record: LifeRecord, drivers: readonly LoadedDriver[]) {
    this.nt = nt;
    this.record = record;
    this.drivers = drivers;
    this.requests = new RequestActs(nt, record);
    this.driverActs = new DriverActs(nt, record, drivers);
    this.processEnd = new ProcessEnd(nt, record);
    this.processLife = new ProcessLife(nt, record, drivers);
  }

  /** Begins the act that the life is at. */
  begin(act: Act): void {
    if (this.nt.power.isAsleep && 'text' in act && act.verb !== 'wait' && act.verb !== 'resume') {
      this.record.giveUp(`the step '${act.text}' cannot be taken: the system is asleep until resume`);
      return;
    }
    if (isDeviceStep(act)) {
      this.driverActs.change(act);
      return;
    }
    switch (act.verb) {
      case 'load':
        this.driverActs.load(act.driver);
        return;
      case 'tour':
        this.tour();
        return;
      case 'prompt':
        return;
      case 'tour-sequel':
        this.record.insert(
          sequelOf(act, {
            results: this.record.state.results,
            retired: this.nt.cpu.retired,
            seed: this.nt.options.seed,
          }),
        );
        this.record.next();
        return;
      case 'registry-use':
      case 'process-start':
      case 'process-images':
      case 'process-exit':
      case 'other-process':
        this.processLife.begin(act.verb);
        return;
      case 'end-of-process':
        this.processEnd.begin();
        return;
      case 'end-of-handles':
        this.processEnd.closeNextHandle();
        return;
      case 'end-of-thread':
        this.processEnd.endThread(act.thread);
        return;
      case 'end-of-requests':
        this.processEnd.awaitRequests();
        return;
      case 'open':
        this.requests.open(act.path);
        return;
      case 'event':
        this.requests.makeEvent(act.name, act.text);
        return;
      case 'ioctl':
      case 'read':
      case 'write':
        this.requests.send(act);
        return;
      case 'cancel':
        this.requests.cancel(act.target);
        return;
      case 'close':
        this.requests.close(act);
        return;
      case 'wait':
        this.record.change({ stage: 'calling', deadline: this.nt.clock.interruptTime + act.duration100ns });
        return;
      case 'unload':
        this.driverActs.unload(act);
        return;
      case 'final-unload':
        this.driverActs.finalUnload(act.driver);
        return;
      case 'aftermath':
        this.record.called();
        return;
      case 'settling':
        this.record.change({ stage: 'calling', deadline: this.nt.clock.interruptTime + settling100ns });
        return;
      case 'arrival':
        this.driverActs.arrive();
        return;
      case 'departure':
        this.driverActs.depart();
        return;
      case 'interrupt':
        this.driverActs.interrupt(act);
        return;
      default:
        unreachable(act);
    }
  }

  /** The thread came back from the kernel with a status. */
  returned(act: Act, status: number): void {
    if (isDeviceStep(act)) {
      this.driverActs.changed(act, status);
      return;
    }
    switch (act.verb) {
      case 'load':
        this.driverActs.loaded(act.driver, status);
        return;
      case 'arrival':
        this.driverActs.arrived();
        return;
      case 'process-start':
        this.processLife.started(status);
        return;
      case 'departure':
        this.driverActs.departed(status);
        return;
      case 'final-unload':
        this.driverActs.unloaded(act.driver, status);
        return;
      case 'open':
        this.requests.opened(act, status);
        return;
      case 'end-of-handles':
        this.processEnd.handleClosed(status);
        return;
      case 'close':
        this.requests.closed(act, status);
        return;
      case 'ioctl':
      case 'read':
      case 'write':
        this.requests.sent(act, status);
        return;
      case 'end-of-thread':
      case 'registry-use':
      case 'process-images':
      case 'process-exit':
      case 'other-process':
        this.record.next();
        return;
      default:
        this.record.answer(this.record.textOfAct, STATUS_SUCCESS);
    }
  }

  private tour(): void {
    const { acts, codes } = planTour(this.nt, this.drivers);
    this.record.change({ tour: { codes } });
    this.record.insert(acts);
    this.record.next();
  }
}
