/** The worker from the page's side. */
import type { Answer, Request } from '../worker/messages.ts';

/** Started with the page: its code and WebAssembly load while the page is drawn. */
export class Connection {
  private readonly listener: (answer: Answer) => void;
  private worker: Worker;
  private isReady = false;
  private waiting: Request[] = [];

  constructor(listener: (answer: Answer) => void) {
    this.listener = listener;
    this.worker = this.start();
  }

  /** Requests wait for the worker's code. */
  send(request: Request): void {
    if (this.isReady) this.worker.postMessage(request);
    else this.waiting.push(request);
  }

  /** A worker that does not come back, whatever its machine does, is given up for a new one. */
  replace(): void {
    this.worker.terminate();
    this.isReady = false;
    this.waiting = [];
    this.worker = this.start();
  }

  private start(): Worker {
    const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
    worker.onmessage = ({ data }: MessageEvent<Answer>) => {
      if (worker !== this.worker) return;
      if (data.kind === 'ready') {
        this.isReady = true;
        for (const request of this.waiting) worker.postMessage(request);
        this.waiting = [];
      }
      this.listener(data);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      this.listener({
        kind: 'failed',
        run: -1,
        message: event.message || 'the code that runs drivers could not be loaded',
        isOurs: event.message !== '',
      });
    };
    return worker;
  }
}
