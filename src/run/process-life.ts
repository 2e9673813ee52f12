/** What drivers that registered for it hear of processes: of the requesting one, and of one that is there at the unload. */
import { unreachable } from '../base/errors.ts';
import type { Nt } from '../nt/nt.ts';
import { ntSuccess, statusText } from '../nt/ntstatus.ts';
import { isAnyoneToTell } from '../nt/ps/notifications.ts';
import { lastActs } from './driver-acts.ts';
import type { LifeRecord } from './life-record.ts';
import type { LoadedDriver } from './loaded-driver.ts';

export type ProcessVerb = 'registry-use' | 'process-start' | 'process-images' | 'process-exit' | 'other-process';

export class ProcessLife {
  private readonly nt: Nt;
  private readonly life: LifeRecord;
  private readonly drivers: readonly LoadedDriver[];

  constructor(nt: Nt, life: LifeRecord, drivers: readonly LoadedDriver[]) {
    this.nt = nt;
    this.life = life;
    this.drivers = drivers;
  }

  begin(verb: ProcessVerb): void {
    const { processor, scheduler } = this.nt;
    switch (verb) {
      case 'process-start':
        if (this.nt.registry.callbacks.isAny) this.life.insert([{ verb: 'registry-use' }]);
        if (!isAnyoneToTell(this.nt)) this.life.next();
        else this.life.callSystem(['PspInsertProcess', [processor.requesterProcess, scheduler.requester]]);
        return;
      case 'registry-use':
        this.life.callFromProgram('CmpRegistryOfProgram', []);
        return;
      case 'process-images':
        this.life.callFromProgram('PspMapInitialImages', []);
        return;
      case 'process-exit':
        this.life.callFromProgram('PspExitProcess', []);
        return;
      case 'other-process': {
        const process = processor.addBystander();
        const { kthread } = scheduler.threads.create(process, false);
        this.life.callSystem(['PspInsertProcess', [process, kthread]]);
        return;
      }
      default:
        unreachable(verb);
    }
  }

  /** Without the process there are no requests. */
  started(status: number): void {
    if (ntSuccess(status)) this.life.insert([{ verb: 'process-images' }]);
    else {
      this.life.addReason(`a driver refused the creation of the requesting process (${statusText(status)})`);
      this.life.goOnWith(lastActs(this.drivers));
    }
    this.life.next();
  }
}
