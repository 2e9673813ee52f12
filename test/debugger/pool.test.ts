/** The pool extensions: what they show is what the pool has. */
import { describe, expect, it } from 'vitest';
import { type Va, vaAdd } from '../../src/base/va.ts';
import { Session } from '../../src/debugger/session.ts';
import type { Target } from '../../src/debugger/target.ts';
import { tagOf } from '../../src/nt/ex/pool.ts';
import { chargedBytes } from '../../src/nt/ex/pool-sizes.ts';
import { chooseOptions } from '../../src/verifier/core/options.ts';
import { PoolTracking } from '../../src/verifier/pool-tracking/pool-tracking.ts';
import { KernelCaller } from '../kernel-caller.ts';
import { expectTranscript, transcriptAtEnd, withoutKernelAddresses } from './transcript.ts';

const [nonPagedNx, paged] = [0x200, 1];
const folder = import.meta.dirname;
const hex = (va: Va): string => BigInt.asUintN(64, BigInt(va)).toString(16);

/** A session at a kernel with one driver, in whose name blocks are allocated and freed. */
class PoolSession extends KernelCaller {
  readonly tracking: PoolTracking;
  readonly session: Session;
  /** What happens when a command lets the host breathe. */
  onBreath = (): void => undefined;
  private text = '';

  constructor() {
    super();
    this.tracking = new PoolTracking(this.nt, ({ isDriver }) => isDriver);
    this.nt.events.emit('imageLoaded', { image: this.image });
    const target: Target = {
      nt: this.nt,
      options: chooseOptions(8),
      callCounts: { irqlRaises: 0, spinLocksAcquired: 0, executionsSynchronized: 0 },
      poolTracking: this.tracking,
      dmaChecking: undefined,
      verifiedImages: [this.image],
      symbolsOf: () => undefined,
      resume: () => 'over',
      isOver: false,
      outcome: '',
      steps: [],
    };
    this.session = new Session(target, {
      write: (more) => {
        this.text += more;
      },
      breathe: () => {
        this.onBreath();
        return Promise.resolve();
      },
    });
  }

  allocate(poolType: number, bytes: number, tag: number): Va {
    return this.callVa('ExAllocatePoolWithTag', poolType, bytes, tag);
  }

  async type(line: string): Promise<string> {
    this.text = '';
    await this.session.execute(line);
    return this.text;
  }
}

/** Bytes of a pool command's lines for small blocks that are allocated. */
function allocatedBytes(text: string): number {
  const sizes = [...text.matchAll(/size: +([0-9a-f]+) previous size: +[0-9a-f]+ {2}\(Allocated\)/g)];
  return sizes.reduce((sum, [, size = '']) => sum + Number.parseInt(size, 16), 0);
}

/** Allocs and bytes, nonpaged and paged, of a line of !poolused. */
function use(text: string, tag: string): readonly number[] {
  const line = text.split('\n').find((one) => one.startsWith(` ${tag}`)) ?? '';
  return [...line.slice(5).matchAll(/\d+/g)].slice(0, 4).map(([number]) => Number(number));
}

describe('!pool', () => {
  it('shows blocks 16 bytes in front of what the driver was given, and sizes that make up the page', async () => {
    const t = new PoolSession();
    const va = t.allocate(nonPagedNx, 0x30, tagOf('Tst1'));
    t.allocate(nonPagedNx, 0x30, tagOf('Tst2'));
    const text = await t.type(`!pool ${hex(va)}`);
    const [region, ...lines] = text.trimEnd().split('\n');
    expect(region).toBe(`Pool page ${hex(va)} region is Nonpaged pool`);
    const own = lines.findIndex((line) => line.startsWith('*'));
    expect(lines[own]).toMatch(/^\*[0-9a-f]{16} size: {3}50 previous size: {4}\d {2}\(Allocated\) {1}\*Tst1$/);
    expect(lines[own]).toContain(`*${hex(vaAdd(va, -16))} `);
    expect(lines[own + 1]).toMatch(/^\t\tPooltag Tst1 : .*, Binary : caller.sys$/);
    const pieces = lines
      .map((line) => /^[ *]([0-9a-f]{16}) size: +([0-9a-f]+) previous size: +([0-9a-f]+)/.exec(line))
      .filter((match) => match !== null)
      .map(([, at = '', size = '', previous = '']) => [
        BigInt(`0x${at}`),
        BigInt(`0x${size}`),
        BigInt(`0x${previous}`),
      ]);
    let [next, before] = [BigInt.asUintN(64, BigInt(va)) & ~0xfffn, 0n];
    for (const [at, size, previous] of pieces) {
      expect(at).toBe(next);
      expect(previous).toBe(before);
      next += size as bigint;
      before = size as bigint;
    }
    expect(next & 0xfffn).toBe(0n);
  });

  it('tells large page allocations by any address in them', async () => {
    const t = new PoolSession();
    const va = t.allocate(nonPagedNx, 0x1008, tagOf('Tst1'));
    for (const at of [va, vaAdd(va, 0x1004)]) {
      const text = await t.type(`!pool ${hex(at)}`);
      expect(text).toContain(`Pool page ${hex(at)} region is Nonpaged pool\n`);
      expect(text).toContain(`*${hex(va)} : large page allocation, tag is Tst1, size is 0x1010 bytes\n`);
    }
    t.call('ExFreePool', va);
    expect(await t.type(`!pool ${hex(va)}`)).toContain('is in pages of pool that are not allocated');
  });

  it('0x2 shows one block alone, 0x80000000 no owner, 0x1 the first words', async () => {
    const t = new PoolSession();
    const va = t.allocate(paged, 0x50, tagOf('Tst1'));
    t.nt.memory.writeU32(va, 0x12345678);
    const lines = (await t.type(`!pool ${hex(va)} 80000003`)).split('\n');
    expect(lines).toHaveLength(6);
    expect(lines[0]).toContain('region is Paged pool');
    expect(lines[2]).toMatch(new RegExp(`^ ${hex(va)} {2}12345678 ([0-9a-f]{8} ){2}[0-9a-f]{8}$`));
    expect(lines[3]).toMatch(new RegExp(`^ {4}${hex(vaAdd(va, 16))} {2}([0-9a-f]{8} ){3}[0-9a-f]{8}$`));
  });

  it('of damaged headers says so, and !poolval where', async () => {
    const t = new PoolSession();
    const va = t.allocate(nonPagedNx, 0x30, tagOf('Tst1'));
    const next = vaAdd(va, 0x40);
    expect(await t.type(`!poolval ${hex(va)}`)).toContain('] is VALID.');
    t.nt.memory.writeU32(next, t.nt.memory.readU32(next) ^ 0x10000);
    expect(await t.type(`!pool ${hex(va)}`)).toContain('corrupt pool, see !poolval');
    const text = await t.type(`!poolval ${hex(va)}`);
    expect(text).toContain('] is __inVALID.');
    expect(text).toContain(`[ ${hex(next)} --> ${hex(vaAdd(next, 0x50))} (size = 0x50 bytes)]: Corrupt region`);
    expect(text).toContain(`One bit is wrong in the header at ${hex(next)}`);
  });

  it('a free block that was written to is told by !poolval', async () => {
    const t = new PoolSession();
    const va = t.allocate(nonPagedNx, 0x30, tagOf('Tst1'));
    t.call('ExFreePool', va);
    t.nt.memory.writeU32(vaAdd(va, 8), 0);
    expect(await t.type(`!poolval ${hex(va)}`)).toContain(
      `[ ${hex(vaAdd(va, -16))} ] is free and was written to at ${hex(vaAdd(va, 8))}`,
    );
  });
});

describe('!poolused', () => {
  it('adds up to what the pool has', async () => {
    const t = new PoolSession();
    for (const bytes of [1, 0x30, 0xfe0, 0x1000, 0x2345]) t.allocate(nonPagedNx, bytes, tagOf('Sum1'));
    for (const bytes of [8, 0x345, 0x5000]) t.allocate(paged, bytes, tagOf('Sum1'));
    const used = (isPaged: boolean, isMeant: (tag: number) => boolean) =>
      [...t.nt.pool.allBlocks()].filter(({ poolType, tag }) => ((poolType & 1) === 1) === isPaged && isMeant(tag));
    const figures = (isMeant: (tag: number) => boolean): number[] =>
      [false, true].flatMap((isPaged) => {
        const blocks = used(isPaged, isMeant);
        return [blocks.length, blocks.reduce((sum, block) => sum + chargedBytes(block), 0)];
      });
    const text = await t.type('!poolused');
    expect(use(text, 'Sum1')).toEqual(figures((tag) => tag === tagOf('Sum1')));
    expect(use(text, 'TOTAL')).toEqual(figures(() => true));
    expect(use(text, 'Sum1').slice(0, 1)).toEqual([5]);
    for (const [type, at] of [
      ['0', 1],
      ['1', 3],
    ] as const) {
      const found = await t.type(`!poolfind Sum1 ${type}`);
      const large = [...found.matchAll(/large page allocation, tag is Sum1, size is 0x([0-9a-f]+) bytes/g)];
      const pages = large.reduce(
        (sum, [, size = '']) => sum + Math.ceil(Number.parseInt(size, 16) / 0x1000) * 0x1000,
        0,
      );
      expect(allocatedBytes(found) + pages).toBe(use(text, 'Sum1')[at]);
    }
  });

  it('1 tells what was freed, too, and tags that nobody has any more', async () => {
    const t = new PoolSession();
    const [first, second] = [1, 2].map(() => t.allocate(nonPagedNx, 0x20, tagOf('Frd1')));
    const gone = t.allocate(paged, 0x3000, tagOf('Frd2'));
    for (const va of [first, gone]) t.call('ExFreePool', va as Va);
    expect(second).toBeDefined();
    const text = await t.type('!poolused 1 Frd?');
    expect(text).toContain(' Frd1        2        1        1       64         0        0        0        0UNKNOWN');
    expect(text).toContain(' Frd2        0        0        0        0         1        1        0        0UNKNOWN');
    expect(text).toContain(' TOTAL        2        1        1       64         1        1        0        0\n');
    expect(await t.type('!poolused 0 Frd?')).not.toContain('Frd2');
  });

  it('sorts by tag, by nonpaged and by paged pool', async () => {
    const t = new PoolSession();
    t.allocate(nonPagedNx, 0x100, tagOf('Srt2'));
    t.allocate(nonPagedNx, 0x800, tagOf('Srt3'));
    t.allocate(paged, 0x400, tagOf('Srt1'));
    t.allocate(paged, 0x40, tagOf('Srt2'));
    const order = async (flags: string) =>
      [...(await t.type(`!poolused ${flags} Srt*`)).matchAll(/^ (Srt\d)/gm)].map(([, tag]) => tag);
    expect(await order('0')).toEqual(['Srt1', 'Srt2', 'Srt3']);
    expect(await order('2')).toEqual(['Srt3', 'Srt2', 'Srt1']);
    expect(await order('4')).toEqual(['Srt1', 'Srt2', 'Srt3']);
  });
});

it('!poolfind finds free blocks and values, and tells large blocks', async () => {
  const t = new PoolSession();
  const kept = t.allocate(nonPagedNx, 0x20, tagOf('Fnd1'));
  const freed = t.allocate(nonPagedNx, 0x20, tagOf('Fnd1'));
  const large = t.allocate(nonPagedNx, 0x3000, tagOf('Fnd1'));
  t.call('ExFreePool', freed);
  for (const tag of ['Fnd1', '0x31646e46', 'F?d1', 'Fn*']) {
    const text = await t.type(`!poolfind ${tag}`);
    expect(text).toContain(`${hex(vaAdd(kept, -16))} size:   40 previous size:`);
    expect(text).toMatch(new RegExp(`${hex(vaAdd(freed, -16))} .*\\(Free\\)      Fnd1`));
    expect(text).toContain(`*${hex(large)} : large page allocation, tag is Fnd1, size is 0x3000 bytes`);
  }
  // A value begins with a small x; and tags have a case.
  for (const tag of ['fnd1', '0X31', 'Fnd']) expect(await t.type(`!poolfind ${tag}`)).not.toContain('size');
});

it('tags that would act on a terminal are shown as dots', async () => {
  const t = new PoolSession();
  const hostile = ['\x1b[2J', '"\'`$', '\x00\x07\x9b\xff', '\u00e9\x85\x7f\n', ' \t\r ', '*??*', '[^.]'];
  const commands = ['!verifier 3', '!verifier 80', '!poolused'];
  for (const tag of hostile) {
    const va = t.allocate(nonPagedNx, 0x20, tagOf(tag));
    commands.push(`!pool ${hex(va)}`, `!poolval ${hex(va)} 3`);
  }
  for (const command of [...commands, '!poolfind *', '!poolfind *? 1']) {
    const text = await t.type(command);
    expect(text).not.toMatch(/[^\n\t\x20-\x7e]/);
  }
  expect(await t.type('!poolused')).toContain(" .[2J        1       64         0        0UNKNOWN pooltag '.[2J'");
  expect(await t.type('!poolfind [^.]')).toMatch(/\(Allocated\) \[\^\.\]$/m);
  expect(await t.type('!poolfind Tst1')).not.toContain('(Allocated)');
});

it('what prints much can be stopped in the middle', async () => {
  const t = new PoolSession();
  for (let index = 0; index < 2000; index++) t.allocate(nonPagedNx, 0x20, tagOf('Many'));
  const whole = {
    '!verifier 3': /0x00000020 {2}Many/g,
    '!verifier 80': /^Pool block/gm,
    '!poolfind Many': /\(Allocated\) Many/g,
  };
  for (const [command, line] of Object.entries(whole)) {
    t.onBreath = () => undefined;
    expect((await t.type(command)).match(line)).toHaveLength(2000);
    let breaths = 0;
    t.onBreath = () => {
      if (++breaths === 2) t.session.breakIn();
    };
    const text = await t.type(command);
    const shown = text.match(line)?.length ?? 0;
    expect(shown).toBeGreaterThan(0);
    expect(shown).toBeLessThan(2000);
    expect(text).toMatch(/\n\.\.\.terminating( - searched pool to [0-9a-f]{16})?\n$/);
  }
  // It is over with the command.
  t.onBreath = () => undefined;
  expect((await t.type('!poolfind Many')).match(whole['!poolfind Many'])).toHaveLength(2000);
});

it('the pool of a real driver, and what is typed wrongly', async () => {
  const lines = [
    '!pool fffff80040001010 2',
    '!pool fffff80080000083 2',
    '!poolused 2 Inv?',
    '!poolused 4 Inv?',
    '!poolfind InvL 1',
    '!poolval fffff80080000010',
    '!pool',
    '!pool 0',
    '!pool -1',
    '!pool fffff80010001000',
    '!pool fffff80040f00000',
    '!pool fffff80040001010 4',
    '!pool nosuchsymbol',
    '!poolused 5 Inv?',
    '!poolused 6',
    '!poolused 8',
    '!poolused 10',
    '!poolused x',
    '!poolused 0 Inven',
    '!poolfind',
    '!poolfind InvL 2',
    '!poolfind InvL 3',
    '!poolfind InvL 4',
    '!poolfind 0xzz',
    '!poolfind Inven',
    '!poolval',
    '!poolval fffff80040001010 4',
    '!poolval fffff80010001000',
  ];
  const text = await transcriptAtEnd(['drivers/leaky-inventory/leaky-inventory.sys'], [], lines);
  expectTranscript(folder, 'pool', withoutKernelAddresses(text));
});
