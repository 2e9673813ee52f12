/** The steps of a scenario as calls: what a test or a scenario module drives a machine with. */
import { STATUS_PENDING } from '../nt/ntstatus.ts';
import type { Life } from './life.ts';
import type { StepResult } from './life-state.ts';

/** The machine stopped (a bug check, something unsupported, a request that nothing ends): no step can follow. */
export class LifeEnded extends Error {
  override readonly name = 'LifeEnded';
}

/** Bytes, or their hexadecimal digits; `@NAME` and the other forms of `--do` are understood too. */
export type Data = Uint8Array | readonly number[] | string;

export interface IoctlOptions {
  readonly in?: Data;
  /** Bytes of the output buffer. */
  readonly out?: number;
  /** What the output buffer holds before. */
  readonly outData?: Data;
  /** The request may pend, or hold its thread, while later steps run. */
  readonly async?: boolean;
}

export interface TransferOptions {
  /** Byte offset; 0 without it. */
  readonly at?: number;
  /** As of a control request. */
  readonly async?: boolean;
}

/** What a step came to. Of a request that pends the values change when it is completed. */
export class Answer {
  private readonly life: Life;
  private readonly index: number;

  constructor(life: Life, index: number) {
    this.life = life;
    this.index = index;
  }

  private get result(): StepResult {
    return this.life.state.results[this.index] as StepResult;
  }

  /** The step as `--do` takes it. */
  get step(): string {
    return this.result.text;
  }

  /** NTSTATUS, as an unsigned number: 0xC000000D. */
  get status(): number {
    return this.result.status;
  }

  get information(): number {
    return this.result.information;
  }

  get output(): Uint8Array {
    return this.result.output;
  }

  get isPending(): boolean {
    return this.status === STATUS_PENDING && this.life.state.pending.some(({ stepIndex }) => stepIndex === this.index);
  }
}

/** A file that is open on a device. */
export class DeviceFile {
  /** What steps call it. */
  readonly name: string;
  /** Of the open. */
  readonly opened: Answer;
  private readonly perform: (text: string) => Answer;

  constructor(name: string, opened: Answer, perform: (text: string) => Answer) {
    this.name = name;
    this.opened = opened;
    this.perform = perform;
  }

  /** NTSTATUS of the open. */
  get status(): number {
    return this.opened.status;
  }

  ioctl(code: number, options: IoctlOptions = {}): Answer {
    const words = [`ioctl ${this.name} 0x${code.toString(16)}`];
    if (options.in !== undefined) words.push(`in=${dataText(options.in)}`);
    if (options.out !== undefined) words.push(`out=${options.out}`);
    if (options.outData !== undefined) words.push(`outdata=${dataText(options.outData)}`);
    return this.perform(words.concat(options.async === true ? ['async'] : []).join(' '));
  }

  read(bytes: number, options: TransferOptions = {}): Answer {
    return this.perform(`read ${this.name} ${bytes}${wordsOf(options)}`);
  }

  write(data: Data, options: TransferOptions = {}): Answer {
    return this.perform(`write ${this.name} ${dataText(data)}${wordsOf(options)}`);
  }

  /** Cancels the pending requests of the file. */
  cancel(): Answer {
    return this.perform(`cancel ${this.name}`);
  }

  close(): Answer {
    return this.perform(`close ${this.name}`);
  }
}

function wordsOf({ at, async }: TransferOptions): string {
  return `${at === undefined ? '' : ` at=${at}`}${async === true ? ' async' : ''}`;
}

function dataText(data: Data): string {
  return typeof data === 'string' ? data : Array.from(data, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
