/**
 * The rules of DMA checking, each broken by test/drivers/dma-rules in a life of its own, with all parameters of the bug
 * check; and uses of DMA that break none.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Va, vaAdd } from '../src/base/va.ts';
import { bugCheckParameterText } from '../src/nt/declare/bug-check.ts';
import { firstPfn } from '../src/nt/mm/frames.ts';
import { Machine, type MachineSnapshot } from '../src/run/machine.ts';
import type { Report } from '../src/run/report/report.ts';
import { parseStep } from '../src/run/scenario/step.ts';
import { defaultFlags } from '../src/verifier/core/options.ts';

const bytes = new Uint8Array(readFileSync(join(import.meta.dirname, 'drivers/dma-rules/dma-rules.sys')));
const open = 'open \\\\.\\DmaRules';

const ioctl = (use: string): string => `ioctl 0x222000 in=${Buffer.from(use).toString('hex')}`;

function machineOf(use: string, flags = defaultFlags): Machine {
  const steps = [open, ioctl(use), 'close'].map((step) => parseStep(step));
  return new Machine({ drivers: [{ name: 'dma-rules.sys', bytes }], flags, steps });
}

/** What stands in the driver's own variables when the machine stops. */
interface Stopped {
  readonly adapter: Va;
  /** Verifier's record of it. */
  readonly record: Va;
  readonly mdl: Va;
  readonly mdls: readonly Va[];
  /** Of the buffer that the MDL describes. */
  readonly buffer: Va;
  readonly base: Va;
  /** What the device was told of the mapped buffer. */
  readonly logical: bigint;
  readonly commonBuffer: Va;
}

function stopped({ nt, dmaChecking }: Machine): Stopped {
  const adapter = [...nt.dma.adapters.keys()][0] as Va;
  const mdls = [...nt.pool.driverBlocks()].filter(({ family }) => family === 'mdl').map(({ va }) => va);
  const [mdl = 0 as Va] = mdls;
  const [file] = nt.dma.files.values();
  const [transfer] = nt.dma.transfers.values();
  const [register] = nt.dma.registers.values();
  const frame = register?.buffer?.frame ?? 0;
  return {
    adapter,
    record: dmaChecking?.accounts.of(adapter)?.record ?? (0 as Va),
    mdl,
    mdls,
    buffer: mdl === 0 ? mdl : vaAdd(nt.memory.readVa(vaAdd(mdl, 0x20)), nt.memory.readU32(vaAdd(mdl, 0x2c))),
    base: file?.base ?? (0 as Va),
    logical: transfer?.logical ?? BigInt(frame + firstPfn) * 0x1000n,
    commonBuffer: [...nt.dma.commonBuffers.values()][0]?.va ?? (0 as Va),
  };
}

type Parameters = (at: Stopped) => readonly (number | bigint)[];

const misdeeds: Readonly<Record<string, readonly [Parameters, site: string]>> = {
  'leak-common-buffers': [({ adapter, record }) => [0x07, adapter, 2, record], 'PutAdapter'],
  'leak-channel': [({ adapter, record }) => [0x08, adapter, 1, record], 'PutAdapter'],
  'leak-map-registers': [({ adapter, record }) => [0x09, adapter, 3, record], 'PutAdapter'],
  'leak-list': [({ adapter, record }) => [0x0a, adapter, 1, record], 'PutAdapter'],
  'keep-channel-of-list': [({ adapter, record }) => [0x08, adapter, 1, record], 'PutAdapter'],
  'build-over-list': [({ adapter, record }) => [0x0a, adapter, 1, record], 'PutAdapter'],
  'free-common-buffer-twice': [() => [0x03, 1, 0, 0], 'FreeCommonBufferTwice'],
  'free-channel-twice': [() => [0x04, 1, 0, 0], 'FreeChannel'],
  'free-map-registers-twice': [() => [0x05, 3, 0, 0], 'FreeRegisters'],
  'free-too-many-map-registers': [() => [0x05, 2, 0, 0], 'FreeRegisters'],
  'put-list-twice': [() => [0x06, 1, 2, 0], 'PutList'],
  'second-channel': [() => [0x0b, 2, 0, 0], 'GetChannel'],
  'second-request': [() => [0x0b, 2, 0, 0], 'GetChannel'],
  'too-many-map-registers': [() => [0x0c, 6, 5, 0], 'GetChannel'],
  'map-without-flush': [() => [0x0d, 0x2000, 0x1000, 0], 'Map'],
  'unlocked-buffer': [({ mdl }) => [0x0e, mdl, 0, 0], 'UnlockedBuffer'],
  'unlocked-list': [({ mdl }) => [0x0e, mdl, 0, 0], 'GetList'],
  'device-writes-before': [({ logical }) => [0x0f, 1, 0x80, logical], 'TransferWithDamage'],
  'device-writes-behind': [({ logical }) => [0x0f, 2, 0x80, logical], 'TransferWithDamage'],
  'device-writes-far-before': [({ logical }) => [0x0f, 4, logical, logical - 9n], 'TransferWithDamage'],
  'device-writes-far-behind': [({ logical }) => [0x0f, 5, logical, logical + 0x88n], 'TransferWithDamage'],
  'device-writes-after-flush': [({ logical }) => [0x0f, 3, logical + 0x140n, 0], 'FreeRegisters'],
  'partial-of-unlocked': [({ mdls }) => [0x0e, mdls[1] ?? 0, 0, 0], 'GetList'],
  'device-writes-unused-register': [({ logical }) => [0x0f, 3, logical + 0x1000n, 0], 'DeviceWritesUnusedRegister'],
  'list-written-behind': [({ logical }) => [0x0f, 2, 0x800, logical], 'PutList'],
  'driver-writes-before': [({ commonBuffer }) => [0x0f, 1, 0x100, commonBuffer], 'CommonBufferWithDamage'],
  'driver-writes-behind': [({ commonBuffer }) => [0x0f, 2, 0x100, commonBuffer], 'CommonBufferWithDamage'],
  'driver-writes-far-before': [
    ({ commonBuffer }) => [0x0f, 4, commonBuffer, commonBuffer - 0x20],
    'CommonBufferWithDamage',
  ],
  'driver-writes-far-behind': [
    ({ commonBuffer }) => [0x0f, 5, commonBuffer, commonBuffer + 0x120],
    'CommonBufferWithDamage',
  ],
  'free-mapped-registers': [() => [0x10, 1, 0, 0], 'FreeRegisters'],
  'free-mapped-channel': [() => [0x10, 2, 0, 0], 'FreeChannel'],
  'common-buffer-at-dispatch': [() => [0x13, 1, 0, 2], 'CommonBufferAtDispatch'],
  'list-at-passive': [() => [0x13, 1, 2, 0], 'ListAtPassive'],
  'map-above-dispatch': [() => [0x13, 2, 2, 5], 'Map'],
  'flush-other-buffer': [({ base, record }) => [0x16, base + 0x28, record, 0], 'FlushOtherBuffer'],
  'use-released-adapter': [({ adapter, record }) => [0x18, adapter, record, 0], 'UseReleasedAdapter'],
  'put-adapter-twice': [({ adapter, record }) => [0x18, adapter, record, 0], 'PutAdapter'],
  'null-adapter': [() => [0x19, 0, 0, 0], 'NullAdapter'],
  'map-outside-mdl': [({ buffer, mdl }) => [0x1b, buffer + 0x1200, mdl, 0], 'Map'],
  'flush-outside-mdl': [({ buffer, mdl }) => [0x1b, buffer + 0x1300, mdl, 0], 'FlushOutsideMdl'],
  'map-twice': [({ buffer }) => [0x1d, buffer + 0x200, buffer + 0x600, buffer + 0x200], 'Map'],
  'list-before-mdl': [({ buffer, mdl }) => [0x1f, 1, buffer - 0x10, mdl], 'GetList'],
  'list-behind-mdl': [({ buffer, mdl }) => [0x1f, 2, buffer + 0x800, mdl], 'GetList'],
  'map-beyond-mdl': [({ mdl }) => [0x1f, 3, mdl, 0x2200], 'Map'],
  'flush-unmapped': [({ base, buffer, mdl }) => [0x20, base, buffer, mdl], 'FlushUnmapped'],
  'map-nothing': [({ record }) => [0x21, record, 0, 0], 'Map'],
  'mangled-mdl': [({ mdl }) => [0x22, mdl, 0, 0], 'Map'],
  'short-chain': [() => [0x24, 0x100, 0, 0], 'GetList'],
  'unknown-version': [() => [0x25, 0, 0, 0], 'GetAdapter'],
  'obsolete-adapter': [() => [0x1e, 0, 0, 0], 'ObsoleteAdapter'],
  'flush-too-much': [() => [0x00, 1, 0x300, 0x200], 'FlushTooMuch'],
};

const cleanUses = [
  'common-buffers',
  'keep-object',
  'deallocate-object',
  'keep-registers',
  'short-flush',
  'pieces',
  'window',
  'small-pieces',
  'lists',
  'chain',
  'partial',
  'waiting',
  'several-adapters',
  'many-registers',
  'version-3',
  'packet-loop',
  'list-put-in-control',
  'build-in-lookaside',
  'pages',
  'chain-of-packets',
  'flush-each',
  'seen-by-device',
  'any-length',
  'cancel-waiting',
  'list-without-routine',
];

describe('with DMA checking', () => {
  it.each(Object.entries(misdeeds))('%s is bug check 0xE6', (use, [parameters, site]) => {
    const machine = machineOf(use);
    const report = machine.report();
    expect(report.bugCheck?.code).toBe('0xE6');
    expect(report.bugCheck?.parameters).toEqual(parameters(stopped(machine)).map(bugCheckParameterText));
    expect(report.verdict).toBe('violation');
    expect(report.violations.map((violation) => violation.site?.function)).toEqual([site]);
    expect(report.violations[0]?.site?.line).toBeGreaterThan(0);
  });

  it.each(cleanUses)('%s is clean', (use) => {
    const report = machineOf(use).report();
    expect([report.verdict, report.reasons, report.scenario.steps[1]?.status]).toEqual(['clean', [], '0x00000000']);
  });

  it('all clean uses in one life are clean, too', () => {
    const steps = [open, ...cleanUses.map(ioctl), 'close'].map((step) => parseStep(step));
    const report = new Machine({ drivers: [{ name: 'dma-rules.sys', bytes }], steps }).report();
    expect([report.verdict, report.reasons]).toEqual(['clean', []]);
  });

  it('the driver does not see what the device wrote before it flushes', () => {
    expect(machineOf('read-before-flush').report().scenario.steps[1]?.status).toBe('0x00000000');
    expect(machineOf('read-before-flush', 0x8).report().scenario.steps[1]?.status).not.toBe('0x00000000');
  });

  it('the leaks of the adapter stand beside the bug check', () => {
    expect(leaks(machineOf('leak-common-buffers').report())).toEqual([
      'common-buffer 256 bytes, 1 from LeakCommonBuffers by HalAllocateCommonBuffer since step 2',
      'common-buffer 512 bytes, 1 from LeakCommonBuffers by HalAllocateCommonBuffer since step 2',
    ]);
    expect(leaks(machineOf('leak-list').report())).toEqual([
      'scatter-gather 0 bytes, 1 from GetList by HalGetScatterGatherList since step 2',
    ]);
  });

  it('what is left with an adapter that is never released stops the unload', () => {
    const machine = machineOf('leak-adapter-and-buffer');
    const report = machine.report();
    const { adapter, record } = stopped(machine);
    expect(report.bugCheck?.parameters).toEqual([0x07, adapter, 1, record].map(bugCheckParameterText));
    expect(report.violations).toEqual([]);
    expect(leaks(report)).toEqual([
      'common-buffer 4660 bytes, 1 from LeakAdapterAndBuffer by HalAllocateCommonBuffer since step 2',
      'adapter 0 bytes, 1 from GetAdapter by IoGetDmaAdapter since step 2',
    ]);
  });

  it('what was written behind a common buffer that is left comes first', () => {
    const machine = machineOf('leak-written-buffer');
    const report = machine.report();
    const { commonBuffer } = stopped(machine);
    expect(report.bugCheck?.parameters).toEqual([0x0f, 2, 0x100, commonBuffer].map(bugCheckParameterText));
    expect(report.leaks.map(({ kind }) => kind)).toEqual(['common-buffer', 'adapter']);
  });

  it('an adapter alone is leaked without a bug check', () => {
    const report = machineOf('leak-adapter').report();
    expect([report.verdict, report.bugCheck]).toEqual(['violation', null]);
    expect(leaks(report)).toEqual(['adapter 0 bytes, 1 from GetAdapter by IoGetDmaAdapter since step 2']);
  });
});

describe('without DMA checking', () => {
  it.each([
    ['leak-common-buffers', ['common-buffer', 'common-buffer']],
    ['leak-channel', ['map-registers', 'adapter-channel']],
    ['leak-map-registers', ['map-registers']],
    ['leak-list', ['scatter-gather']],
    ['build-over-list', ['scatter-gather']],
    ['keep-channel-of-list', ['adapter-channel']],
    ['leak-adapter', ['adapter']],
    ['leak-adapter-and-buffer', ['common-buffer', 'adapter']],
  ])('%s is listed, and no bug check', (use, kinds) => {
    const report = machineOf(use, 0x8).report();
    expect([report.verdict, report.bugCheck]).toEqual(['violation', null]);
    expect(report.leaks.map(({ kind }) => kind)).toEqual(kinds);
  });

  it.each(cleanUses)('%s is clean', (use) => {
    const report = machineOf(use, 0x8).report();
    expect([report.verdict, report.reasons, report.scenario.steps[1]?.status]).toEqual(['clean', [], '0x00000000']);
  });
});

describe('of several drivers', () => {
  const rules = { name: 'dma-rules.sys', bytes };
  const other = 'drivers/clean-mover/clean-mover.sys';
  const mover = {
    name: 'clean-mover.sys',
    bytes: new Uint8Array(readFileSync(join(import.meta.dirname, '..', other))),
  };
  const steps = (use: string) => [open, ioctl(use), 'close'].map((step) => parseStep(step));
  const deviceModel = 'pci-dma-engine';

  it('each has its own leaks', () => {
    const report = new Machine({ drivers: [mover, rules], deviceModel, steps: steps('leak-adapter') }).report();
    expect(report.leaks.map(({ kind, driver }) => [kind, driver])).toEqual([['adapter', 'dma-rules.sys']]);
  });

  it('only those are checked that are verified', () => {
    for (const use of ['leak-common-buffers', 'device-writes-behind', 'common-buffer-at-dispatch', 'list-at-passive']) {
      const options = { drivers: [mover], companions: [rules], deviceModel, steps: steps(use) };
      const report = new Machine(options).report();
      expect([use, report.bugCheck, report.leaks, report.violations]).toEqual([use, null, [], []]);
      expect(report.scenario.steps[1]?.status).toBe('0x00000000');
    }
  });
});

it.each(['leak-adapter-and-buffer', 'lists'])('snapshots within %s lead to the same end', (use) => {
  const first = machineOf(use);
  const snapshots: MachineSnapshot[] = [];
  first.nt.events.on('exportCalled', () => snapshots.push(first.snapshot()));
  const report = first.report();
  expect(snapshots.length).toBeGreaterThan(10);
  for (const snapshot of snapshots.filter((_, index) => index % 4 === 0)) {
    const second = machineOf(use);
    second.restore(snapshot);
    expect(second.report()).toEqual(report);
  }
});

function leaks(report: Report): string[] {
  return report.leaks.map(
    (leak) =>
      `${leak.kind} ${leak.bytes} bytes, ${leak.count} from ${leak.site?.function} by ${leak.allocator} since step ${leak.sinceStep?.step}`,
  );
}
