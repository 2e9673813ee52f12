/** Requests of the page in, answers out. One machine at a time. */
import { PoolproofError } from '../../src/base/errors.ts';
import { deviceModels } from '../../src/hardware/index.ts';
import type { Answer, Request } from './messages.ts';
import { type RunAnswer, WatchedSession } from './watched-session.ts';

/** What the page's types lack of a worker's global scope. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<Request>) => void) | null;
  postMessage(answer: Answer): void;
}

const scope = globalThis as unknown as WorkerScope;
let session: WatchedSession | undefined;
let run = 0;

scope.onmessage = ({ data }) => {
  take(data).catch((error: unknown) => {
    const isOurs = !(error instanceof PoolproofError);
    const message = error instanceof Error ? error.message : String(error);
    scope.postMessage({ kind: 'failed', run, message, isOurs });
  });
};
scope.postMessage({ kind: 'ready', deviceModels: deviceModels.map(({ name }) => name) });

async function take(request: Request): Promise<void> {
  switch (request.kind) {
    case 'load': {
      const before = session;
      session = undefined;
      const number = request.run;
      run = number;
      const post = (answer: RunAnswer): void => scope.postMessage({ ...answer, run: number } as Answer);
      session = new WatchedSession(request.input, post, before);
      return;
    }
    case 'resume':
      return await session?.run();
    case 'step':
      return await session?.run(request.size);
    case 'pause':
      session?.pauseSoon();
      return;
    case 'pace':
      session?.setPace(request.callsPerSecond);
      return;
    case 'allocations':
      session?.allocations(request.first, request.count);
      return;
    case 'allocation':
      session?.allocation(request.address);
      return;
    case 'command':
      return await session?.command(request.line);
    case 'complete':
      session?.complete(request.line);
      return;
  }
}
