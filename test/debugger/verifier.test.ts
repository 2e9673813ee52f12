/** `!verifier`: what it shows is what the verdict says. */
import { describe, expect, it } from 'vitest';
import { buildReport } from '../../src/run/report/build.ts';
import type { Leak } from '../../src/run/report/report.ts';
import { drivers, type ExpectedDriver } from '../end-to-end.ts';
import { debug, expectTranscript, transcriptAtEnd, withoutKernelAddresses } from './transcript.ts';

const inventory = 'drivers/leaky-inventory/leaky-inventory.sys';
const folder = import.meta.dirname;

interface Row {
  readonly address: string;
  readonly bytes: number;
  readonly tag: string;
  readonly symbol: string | undefined;
}

/** The Pool Allocations table. */
function rowsOf(text: string): Row[] {
  const row = /^ {6}(0x[0-9a-f]{16}) {2}0x([0-9a-f]{8}) {2}(.{4}) {2}0x[0-9a-f]{16}(?: {2}(\S+))?$/gm;
  return [...text.matchAll(row)].map(([, address = '', bytes = '', tag = '', symbol]) => ({
    address,
    bytes: Number.parseInt(bytes, 16),
    tag,
    symbol,
  }));
}

function figure(text: string, name: string): readonly [nonPaged: number, paged: number] {
  const [, nonPaged = '', paged = ''] = new RegExp(`${name}: +\\( 0x(\\w{8}) / 0x(\\w{8}) \\)`).exec(text) ?? [];
  return [Number.parseInt(nonPaged, 16), Number.parseInt(paged, 16)];
}

/** Kinds that 0xC4/0x62 covers. */
const counted: readonly string[] = ['pool', 'mdl', 'irp', 'workitem', 'string', 'completion-context'];
const leaking = drivers.filter(
  ({ name, runs }) =>
    name.startsWith('leaky-') && runs[0]?.bugCheck?.parameter1 === '0x62' && runs[0].deviceModel === undefined,
);

function atEnd({ sys, runs }: ExpectedDriver) {
  const steps = runs[0]?.steps.map(({ step }) => step) ?? [];
  const debugged = debug([sys], steps);
  debugged.machine.run();
  return debugged;
}

function sums(items: readonly { readonly tag: string; readonly bytes: number; readonly count: number }[]) {
  const byTag: Record<string, [count: number, bytes: number]> = {};
  for (const { tag, bytes, count } of items) {
    const sum = byTag[tag] ?? [0, 0];
    byTag[tag] = [sum[0] + count, sum[1] + bytes];
  }
  return byTag;
}

/** `leaky-x!Function+0x1f` of a leak, as the debugger writes it; undefined where inlined calls hide the function. */
function symbolOf({ site }: Leak): string | undefined {
  if (site?.function === undefined || site.inlined) return undefined;
  return `${site.module.replaceAll('-', '_')}!${site.function}+${site.offset}`;
}

/** Every second one: that is enough, and half the time. */
const tried = leaking.filter((_, index) => index % 2 === 0);

describe('!verifier 3', () => {
  it('is tried with ten samples at least', () => {
    expect(tried.length).toBeGreaterThanOrEqual(10);
  });

  it.each(tried)('lists what the verdict lists: $name', async (sample) => {
    const { machine, type } = atEnd(sample);
    const text = await type(['!verifier 3']);
    const report = buildReport(machine);
    const leaks = report.leaks.filter(({ kind }) => counted.includes(kind));
    const rows = rowsOf(text);
    expect(rows.length).toBe(Number(report.bugCheck?.parameters[3]));
    expect(sums(rows.map((row) => ({ ...row, count: 1 })))).toEqual(
      sums(leaks.map(({ tag, bytes, count }) => ({ tag: tag ?? '', bytes, count }))),
    );
    for (const leak of leaks) {
      const oldest = rows.find(({ address }) => address === leak.address);
      expect(oldest).toMatchObject({ tag: leak.tag });
      const symbol = symbolOf(leak);
      if (symbol !== undefined) expect(oldest?.symbol).toBe(symbol);
    }
    const [nonPaged, paged] = figure(text, 'Current Pool Allocations');
    expect(nonPaged + paged).toBe(rows.length);
    const [nonPagedBytes, pagedBytes] = figure(text, 'Current Pool Bytes');
    expect(nonPagedBytes + pagedBytes).toBe(rows.reduce((sum, { bytes }) => sum + bytes, 0));
    expect(text).toContain(
      `nt!_VF_TARGET_DRIVER ${report.bugCheck?.parameters[2]}: ${sample.name}.sys (Loaded and Unloaded)`,
    );
  });

  it('and the log has the allocation of each with its caller', async () => {
    const { type } = atEnd(leaking.find(({ name }) => name === 'leaky-inventory') as ExpectedDriver);
    for (const { address, bytes, symbol } of rowsOf(await type(['!verifier 3']))) {
      const text = await type([`!verifier 0x80 ${address}`]);
      const size = bytes.toString(16).padStart(16, '0');
      const [, newest = ''] = text.split(`${'='.repeat(70)}\n`);
      expect(newest).toContain(`Pool block ${address.slice(2)}, Size ${size}, Thread fffff800`);
      expect(newest).toMatch(/^[0-9a-f]{16} nt!ExAllocatePool/m);
      expect(newest).toContain(` ${symbol}\n`);
    }
  });
});

describe('!verifier', () => {
  it('at the end of a life', async () => {
    const lines = ['!verifier', '!verifier 3', '!verifier 1 LEAKY-INVENTORY.SYS', '!verifier 2'];
    expectTranscript(folder, 'verifier', withoutKernelAddresses(await transcriptAtEnd([inventory], [], lines)));
  });

  it('0x80: the newest entries, those of a block, and none', async () => {
    const lines = [
      '!verifier 0x80 2',
      '!verifier 80 fffff800`40001010+5f',
      '!verifier 80 fffff800`40001010+60',
      '!verifier 80 0',
    ];
    expectTranscript(
      folder,
      'verifier-pool-log',
      withoutKernelAddresses(await transcriptAtEnd([inventory], [], lines)),
    );
  });

  it('0x80 has the caller that the table of 3 names, also behind a tail jump', async () => {
    const mailbox = 'drivers/leaky-mailbox/leaky-mailbox.sys';
    const { type, machine } = debug([mailbox]);
    machine.run();
    const table = await type(['!verifier 3']);
    const rows = [...table.matchAll(/^ {6}0x([0-9a-f]{16}) .* 0x([0-9a-f]{16}) {2}(\S+)$/gm)];
    expect(rows.map(([, , , symbol]) => symbol)).toContain('leaky_mailbox!MailboxAllocate+0x11');
    for (const [, block, caller, symbol] of rows) {
      const log = await type([`!verifier 0x80 ${block}`]);
      expect(log).toContain(
        `\nfffff80000800000 nt!ExAllocatePoolWithTag\n${caller} ${symbol}\nfffff800100014bf leaky_mailbox!MailboxControl+0xff\n`,
      );
    }
  });

  it('says by name what is not there', async () => {
    const logs = ['4', '8 10', '0x20', '40', '0x100', '0x200', '400', '0x800', '-disable'];
    const wrong = ['1000', '0x80000000', 'xyz', '3 other.sys', '80 nosuchsymbol', '?'];
    const lines = [...logs, ...wrong].map((text) => `!verifier ${text}`);
    expectTranscript(folder, 'verifier-absent', withoutKernelAddresses(await transcriptAtEnd([inventory], [], lines)));
  });

  it('with several bits: options and statistics, and each log that is not there', async () => {
    const text = await transcriptAtEnd([inventory], [], ['!verifier f']);
    expect(text).toContain('Summary of All Verifier Statistics');
    expect(text).toContain('Driver Verification List');
    expect(text).toContain('there is no fault injection history; the option Randomized low resources simulation');
    expect(text).toContain('there is no IRQL transition log; the option Force IRQL checking');
  });

  it('marks no option that is chosen and not implemented', async () => {
    const text = await transcriptAtEnd([inventory], [], ['!verifier 0'], { flags: 0x209bb });
    expect(text).toContain('Verify Flags Level 0x000209bb');
    expect(text).toContain('[X] (0x00000008) Pool tracking');
    expect(text).toContain('[ ] (0x00000001) Special pool');
    expect(text).toMatch(/Chosen, and not implemented here:\n {8}\(0x00000001\) Special pool/);
  });

  it('without Pool tracking says that nothing is counted', async () => {
    const text = await transcriptAtEnd([inventory], [], ['!verifier 3', '!verifier 80'], { flags: 0 });
    expect(text).toContain('  Pool tracking (0x00000008) is off: pool allocations are not counted.');
    expect(text).toContain('    Pool tracking (0x00000008) is off: nothing is recorded of its pool.');
    expect(text).toContain('Pool tracking (0x00000008) is off: there is no log of pool operations.');
    expect(rowsOf(text)).toEqual([]);
  });

  it('knows drivers that were not loaded, that are, and that are gone', async () => {
    const clean = 'drivers/clean-inventory/clean-inventory.sys';
    const { machine, type } = debug([clean]);
    expect(await type(['!verifier 3'])).toContain('clean-inventory.sys (Never Loaded)');
    machine.wait('1ms');
    const loaded = await type(['!verifier 3']);
    expect(loaded).toContain('clean-inventory.sys (Loaded)');
    expect(rowsOf(loaded).length).toBeGreaterThan(0);
    machine.run();
    const gone = await type(['!verifier 3']);
    expect(gone).toContain('clean-inventory.sys (Loaded and Unloaded)');
    expect(rowsOf(gone)).toEqual([]);
    expect(figure(gone, 'Current Pool Allocations')).toEqual([0, 0]);
  });

  it('tells several drivers apart', async () => {
    const folderOf = 'test/drivers/several';
    const path = '\\\\.\\ROOT#POOLPROOF#0000#{3f2b9c11-7a55-4d0e-9112-6c0e442a9d31}';
    const steps = [`open ${path}`, 'ioctl 0x222400', 'ioctl 0x222404'];
    const { machine, type } = debug([`${folderOf}/function.sys`, `${folderOf}/leaky-filter.sys`], steps);
    machine.run();
    const leaks = buildReport(machine).leaks.filter(({ kind }) => counted.includes(kind));
    const all = await type(['!verifier 3']);
    expect(all).toContain('function.sys (Loaded)');
    expect(all).toContain('leaky-filter.sys (Loaded and Unloaded)');
    expect(rowsOf(all).length).toBe(leaks.reduce((sum, { count }) => sum + count, 0));
    const [one, other] = [await type(['!verifier 3 function']), await type(['!verifier 3 leaky-filter.sys'])];
    expect(rowsOf(one)).toEqual([]);
    expect(one).not.toContain('leaky-filter.sys (');
    expect(rowsOf(other)).toEqual(rowsOf(all));
    expect(other).not.toContain('function.sys (');
  });

  it('counts what drivers call', async () => {
    const { machine, type } = debug(['drivers/clean-mailbox/clean-mailbox.sys']);
    machine.run();
    const text = await type(['!verifier']);
    const { counts } = machine.callCounters;
    expect(counts.spinLocksAcquired).toBeGreaterThan(0);
    expect(text).toContain(`  RaiseIrqls           0x${counts.irqlRaises.toString(16)}\n`);
    expect(text).toContain(`  AcquireSpinLocks     0x${counts.spinLocksAcquired.toString(16)}\n`);
    expect(text).toContain(`  Synch Executions     0x${counts.executionsSynchronized.toString(16)}\n`);
  });
});
