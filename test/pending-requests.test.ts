/** Requests that pend, and bad pointers of a program, end to end: see test/drivers/pending/pending.c. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { Va } from '../src/base/va.ts';
import { parsePe } from '../src/image/pe/index.ts';
import { defaultFlags, parseStep, type Report, verify } from '../src/index.ts';
import { Nt } from '../src/nt/nt.ts';
import { STATUS_ACCESS_VIOLATION, STATUS_BUFFER_TOO_SMALL, STATUS_SUCCESS } from '../src/nt/ntstatus.ts';
import { IO_STATUS_BLOCK } from '../src/nt/structures/io.ts';
import { Requester } from '../src/run/requester.ts';

const bytes = new Uint8Array(readFileSync(fileURLToPath(new URL('drivers/pending/pending.sys', import.meta.url))));
const timed = 'ioctl 0x222000';
const endsAtCleanup = 'ioctl 0x222004';
const forgotten = 'ioctl 0x222008';
const cancellable = 'ioctl 0x22200C';

function run(...steps: string[]): Report {
  return verify({
    drivers: [{ name: 'pending.sys', path: null, bytes }],
    steps: ['open \\\\.\\Pending', ...steps].map(parseStep),
    flags: defaultFlags,
    seed: 1,
    instructionLimit: 1e8,
    now: () => 0,
  });
}

const said = ({ debugOutput }: Report): string[] => debugOutput.map((line) => line.trimEnd());
const statusOfFirst = ({ scenario }: Report): string | undefined => scenario.steps[1]?.status;
const theEnd = ['close', 'unload', 'thread ends', 'unloaded'];

describe('a request that pends', () => {
  it.each([
    // What ends the process waits for what it can't cancel.
    { steps: [`${timed} async`], status: '0x00000000', order: ['dpc completes', 'cleanup'] },
    // IRP_MJ_CLOSE follows the last request, and DriverUnload the last IRP_MJ_CLOSE.
    { steps: [`${timed} async`, 'close'], status: '0x00000000', order: ['cleanup', 'dpc completes'] },
    { steps: [timed, 'close'], status: '0x00000000', order: ['dpc completes', 'cleanup'] },
    { steps: [`${endsAtCleanup} async`], status: '0xC0000120', order: ['cleanup'] },
    { steps: [`${endsAtCleanup} async`, 'close'], status: '0xC0000120', order: ['cleanup'] },
    { steps: [`${cancellable} async`], status: '0xC0000120', order: ['cancelled', 'cleanup'] },
    { steps: [`${cancellable} async`, 'wait 999ms', 'cancel'], status: '0xC0000120', order: ['cancelled', 'cleanup'] },
    { steps: [`${cancellable} async`, 'wait 1s', 'cancel'], status: '0x00000000', order: ['dpc completes', 'cleanup'] },
    {
      steps: [`${cancellable} async`, 'cancel', 'wait 2s'],
      status: '0xC0000120',
      order: ['cancelled', 'dpc is late', 'cleanup'],
    },
  ])('$steps', ({ steps, status, order }) => {
    const report = run(...steps);
    expect(statusOfFirst(report)).toBe(status);
    expect(said(report)).toEqual(['create', ...order, ...theEnd]);
    expect(report).toMatchObject({ verdict: 'clean', reasons: [], leaks: [] });
  });

  it.each([[`${forgotten} async`], [`${forgotten} async`, 'close']])(
    'keeps the driver from being unloaded: %s',
    (...steps) => {
      const report = run(...steps);
      expect(report.verdict).toBe('incomplete');
      expect(report.reasons).toEqual([expect.stringContaining(`still pending: '${forgotten} async'`)]);
      expect(said(report)).toEqual(['create', 'cleanup']);
      expect(report.leaks).toEqual([]);
    },
  );
});

describe('pointers of a program', () => {
  /** The driver loaded, with a file open. */
  class Program {
    readonly nt = new Nt({ seed: 1, instructionLimit: 10_000_000, ramBytes: 0x200_0000 });
    readonly handle: number;

    constructor() {
      const image = this.nt.images.load(parsePe(bytes, 'pending.sys'), 'pending.sys');
      const { scheduler, entries } = this.nt;
      scheduler.start(scheduler.systemThread, entries.routineVa('IopLoadDriver'), [image.index]);
      this.nt.run(() => scheduler.thread(scheduler.systemThread).state === 'idle');
      const handleAt = new Requester(this.nt).open('\\\\.\\Pending', scheduler.requester);
      this.nt.run(() => scheduler.thread(scheduler.requester).state === 'idle');
      this.handle = this.nt.memory.readI64AsNumber(handleAt);
    }

    control(
      code: number,
      buffers: readonly [input: Va, inputBytes: number, output: Va, outputBytes: number],
      iosb = this.iosb(),
    ): number {
      const { scheduler, entries } = this.nt;
      const service = entries.routineVa('NtDeviceIoControlFile');
      scheduler.start(scheduler.requester, service, [this.handle, 0, 0, 0, iosb, code, ...buffers]);
      this.nt.run(() => scheduler.thread(scheduler.requester).state === 'idle');
      expect(this.nt.end.value).toBeUndefined();
      return scheduler.thread(scheduler.requester).result >>> 0;
    }

    iosb(): Va {
      return this.nt.userMemory.allocate(IO_STATUS_BLOCK.sizeBytes);
    }
  }

  const program = new Program();
  const { nt } = program;
  const good = nt.userMemory.allocate(16);
  const freed = nt.userMemory.allocate(16);
  nt.userMemory.free(freed);
  const kernel = nt.pool.allocateKernel(16, 'Test');
  const copy = 0x222013;
  const direct = 0x222016;
  const buffered = 0x222fff & ~3;
  const bad = [
    { what: 'of the kernel', va: kernel },
    { what: 'to nothing', va: freed },
    { what: 'null', va: 0 as Va },
  ];

  it('good ones', () => {
    expect(program.control(copy, [good, 16, good, 16])).toBe(STATUS_SUCCESS);
    expect(program.control(direct, [good, 16, good, 16])).toBe(STATUS_SUCCESS);
  });

  it.each(bad)('$what: METHOD_NEITHER gives them to the driver, whose __try gets the exception', ({ va }) => {
    const before = [...nt.pool.driverBlocks()].length;
    expect(program.control(copy, [va, 16, good, 16])).toBe(STATUS_ACCESS_VIOLATION);
    expect(program.control(copy, [good, 16, va, 16])).toBe(STATUS_ACCESS_VIOLATION);
    expect([...nt.pool.driverBlocks()]).toHaveLength(before);
  });

  it.each(bad)('$what: refused as a direct output buffer', ({ va }) => {
    expect(program.control(direct, [good, 16, va, 16])).toBe(STATUS_ACCESS_VIOLATION);
    expect([...nt.mdls.outstandingLocks()]).toEqual([]);
  });

  it.each(bad.slice(0, 2))('$what: refused as buffers that are copied', ({ va }) => {
    expect(program.control(direct, [va, 16, good, 16])).toBe(STATUS_ACCESS_VIOLATION);
    expect(program.control(buffered, [va, 16, good, 16])).toBe(STATUS_ACCESS_VIOLATION);
    expect(program.control(buffered, [good, 16, va, 16])).toBe(STATUS_ACCESS_VIOLATION);
  });

  it('null: an empty buffer where it would be copied', () => {
    expect(program.control(direct, [0 as Va, 16, good, 16])).toBe(STATUS_BUFFER_TOO_SMALL);
  });

  it.each(bad)('$what: refused as the status block', ({ va }) => {
    expect(program.control(copy, [good, 16, good, 16], va)).toBe(STATUS_ACCESS_VIOLATION);
  });

  it('past the end of a buffer', () => {
    expect(program.control(copy, [good, 17, good, 17])).toBe(STATUS_ACCESS_VIOLATION);
    expect(program.control(direct, [good, 16, good, 17])).toBe(STATUS_ACCESS_VIOLATION);
  });
});
