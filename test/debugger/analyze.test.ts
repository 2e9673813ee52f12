/** `.bugcheck` and `!analyze`. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Session } from '../../src/debugger/session.ts';
import { parseStep } from '../../src/index.ts';
import { debugTarget } from '../../src/run/debug-target.ts';
import { Machine } from '../../src/run/machine.ts';
import { buildReport } from '../../src/run/report/build.ts';
import { reportText } from '../../src/run/report/text.ts';
import { drivers, repository } from '../end-to-end.ts';
import { driverFile, expectTranscript, withoutKernelAddresses } from './transcript.ts';

const folder = import.meta.dirname;
const inventory = 'drivers/leaky-inventory/leaky-inventory.sys';
const badCalls = 'test/drivers/bad-pool-calls/bad-pool-calls.sys';
const uninitialized = 'test/drivers/uninitialized/uninitialized.sys';
const limits = 'test/drivers/limits/limits.sys';

interface Sitting {
  readonly machine: Machine;
  type(lines: readonly string[]): Promise<string>;
}

/** `name`: the service that the driver is told that it is. Sources are read where the symbols say that they are. */
function sit(path: string, steps: readonly string[] = [], name?: string, flags?: number): Sitting {
  const file = driverFile(path);
  const machine = new Machine({
    drivers: [name === undefined ? file : { ...file, name: `${name}.sys` }],
    steps: steps.length === 0 ? undefined : steps.map(parseStep),
    instructionLimit: 10_000_000,
    ...(flags === undefined ? {} : { flags }),
  });
  let text = '';
  const target = debugTarget(machine, (source) => {
    // Samples with a PDB are built in a folder of that name.
    const at = join(repository, source.replace(/^\/poolproof\//, ''));
    return existsSync(at) ? { path: source, text: readFileSync(at, 'utf8') } : undefined;
  });
  const session = new Session(target, {
    write: (more) => {
      text += more;
    },
    breathe: () => Promise.resolve(),
  });
  return {
    machine,
    type: async (lines) => {
      text = '';
      for (const line of lines) {
        text += `${session.prompt}${line}\n`;
        await session.execute(line);
      }
      return text;
    },
  };
}

async function atEnd(path: string, lines: readonly string[], steps: readonly string[] = [], name?: string) {
  const sitting = sit(path, steps, name);
  sitting.machine.run();
  return sitting.type(lines);
}

function field(text: string, name: string): string | undefined {
  return new RegExp(`^${name}: {2}(.*)$`, 'm').exec(text)?.[1];
}

describe('a bug check', () => {
  it('of leaks', async () => {
    const text = await atEnd(inventory, ['.bugcheck', '!analyze', '!analyze -v']);
    expectTranscript(folder, 'analyze-leaks', withoutKernelAddresses(text));
  });

  it('of a call, with the place in the source', async () => {
    const text = await atEnd(
      badCalls,
      ['.bugcheck', '!analyze', '!analyze -v'],
      ['open \\Device\\BadPoolCalls', 'ioctl 0x222298'],
    );
    expectTranscript(folder, 'analyze-call', withoutKernelAddresses(text));
  });

  it('of a bad access', async () => {
    const text = await atEnd(uninitialized, ['.bugcheck', '!analyze -v'], [], 'read-freed-pages');
    expectTranscript(folder, 'analyze-access', withoutKernelAddresses(text));
  });

  it('of an exception', async () => {
    const text = await atEnd(uninitialized, ['!analyze -v5'], [], 'read-fresh');
    expect(field(text, 'EXCEPTION_CODE')).toBe('(NTSTATUS) 0xC0000005 STATUS_ACCESS_VIOLATION');
    expect(text).toMatch(/^FAULTING_IP: {2}\nread_fresh!ReadFresh\+10\n/m);
    expect(field(text, 'SYMBOL_NAME')).toBe('read_fresh!ReadFresh+10');
    expect(text).toMatch(/^> {3}76: {5}Sink = /m);
  });

  it('of pages that stay locked blames who locked them', async () => {
    const text = await atEnd('drivers/leaky-pinboard/leaky-pinboard.sys', ['.bugcheck', '!analyze -v']);
    expect(text).toContain('Bugcheck code 000000CB');
    expect(field(text, 'IMAGE_NAME')).toBe('leaky-pinboard.sys');
    expect(field(text, 'SYMBOL_NAME')).toMatch(/^leaky_pinboard!\w+\+[0-9a-f]+$/);
    expect(text).toMatch(/^> {2,}\d+: .*MmProbeAndLockPages\(/m);
    expect(field(text, 'SYMBOL_STACK_INDEX')).toBeUndefined();
  });

  it('that is noticed when the routine has returned', async () => {
    const text = await atEnd(limits, ['!analyze -v'], [], 'raise-irql');
    expect(field(text, 'CURRENT_IRQL')).toBe('2');
    expect(field(text, 'SYMBOL_NAME')).toBe('raise_irql!DriverEntry');
    expect(field(text, 'SYMBOL_STACK_INDEX')).toBeUndefined();
  });
});

const calls = drivers.find(({ name }) => name === 'bad-pool-calls')?.runs ?? [];

describe('the culprit', () => {
  it('is looked for in many calls', () => {
    expect(calls.length).toBeGreaterThan(10);
  });

  it.each(calls)('is the function of the verdict: $name', async ({ steps, bugCheck }) => {
    const sitting = sit(
      badCalls,
      steps.map(({ step }) => step),
    );
    sitting.machine.run();
    const text = await sitting.type(['!analyze -v', '!analyze']);
    expect(field(text, 'SYMBOL_NAME')).toMatch(new RegExp(`^bad_pool_calls!${bugCheck?.function}\\+[0-9a-f]+$`));
    const [code, rule] = [bugCheck?.code.toLowerCase(), bugCheck?.parameter1?.slice(2)];
    expect(field(text, 'FAILURE_BUCKET_ID')).toBe(`${code}_${rule}_VRF_bad_pool_calls!${bugCheck?.function}`);
    expect(text).toContain(`Probably caused by : bad-pool-calls.sys ( ${field(text, 'SYMBOL_NAME')} )`);
    // The report has the same words, and the walk from the processor's registers is the one that the life ended with.
    const report = reportText(buildReport(sitting.machine));
    const args = [...text.matchAll(/^Arg\d: .*$/gm)].map(([line]) => line);
    expect(args).toHaveLength(4);
    for (const line of args) expect(report).toContain(line);
    const end = sitting.machine.nt.end.value;
    expect(end && 'stack' in end && end.stack).toEqual(
      sitting.machine.nt.exceptions.frames(0x100).map(({ rip }) => rip),
    );
  });
});

it('!analyze -show: what bug checks mean; and what is typed wrongly', async () => {
  const shown = [
    'c4 62',
    '0xc4 0x62 1 2 3',
    'c4',
    'd1 0n16 2 0 fffff80010001000',
    'e6',
    '1234',
    '9',
    '',
    'c4 1 2 3 4 5',
  ];
  const others = ['-hang', '-f', '-xml', '-c', 'foo', '-v foo', '-v123'];
  const lines = [
    ...shown.map((text) => `!analyze -show ${text}`),
    ...others.map((text) => `!analyze ${text}`),
    '.bugcheck 1',
  ];
  expectTranscript(folder, 'analyze-show', await atEnd(inventory, lines));
});

describe('without a bug check', () => {
  const lines = ['.bugcheck', '!analyze', '!analyze -v'];

  it('zeros, and the place where the machine stands', async () => {
    const text = await sit(inventory).type(lines);
    expect(text).toContain('Bugcheck code 00000000\nArguments 00000000`00000000 00000000`00000000 ');
    expect(text).toContain('BugCheck 0, {0, 0, 0, 0}');
    expect(text).toContain('There was no bug check: the machine stands where the debugger stopped it.');
    expect(text).toMatch(/^FAULTING_IP: {2}\n/m);
    expect(text).not.toContain('FAILURE_BUCKET_ID');
  });

  it('at the end of a clean life', async () => {
    const text = await atEnd('drivers/clean-inventory/clean-inventory.sys', lines);
    expect(text).toContain("The drivers' life is over, without a bug check.");
  });

  it('after what is not supported, and at the limit of instructions', async () => {
    const { machine, type } = sit('test/drivers/spin/spin.sys');
    machine.run();
    expect(machine.nt.end.value?.kind).toBe('instruction-limit');
    expect(await type(lines)).toContain('the driver ran to its limit of instructions');
  });
});
