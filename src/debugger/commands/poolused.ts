import { tagText } from '../../nt/declare/parameter-types.ts';
import { poolRegionAt } from '../../nt/ex/pool-pages.ts';
import { chargedBytes } from '../../nt/ex/pool-sizes.ts';
import { CommandError, type DebuggerCommand } from '../command.ts';
import { tagMatcher } from '../pool-lines.ts';
import type { Session } from '../session.ts';

const VerboseFlag = 1;
const NonPagedFlag = 2;
const PagedFlag = 4;
const SessionFlag = 8;

interface TagUse {
  readonly tag: number;
  nonPaged: { allocations: number; bytes: number };
  paged: { allocations: number; bytes: number };
}

export const poolused: DebuggerCommand = {
  name: '!poolused',
  usage: ['!poolused [Flags [TagString]]'],
  summary: 'pool in use, by tag',
  details: [
    'Flags: 0 sorted by tag; 2 by nonpaged pool; 4 by paged pool',
    'TagString: four characters, ? for any one; or * for any number of them',
    "Bytes are what the blocks take of the pool, headers and verifier's trailers included.",
  ],
  completes: ['text'],
  run: (session, text) => {
    const [, word = '', tagString = ''] = /^(\S*)\s*(.*)$/.exec(text) ?? [];
    const flags = parseFlags(word);
    const sortedBy = (flags & NonPagedFlag) !== 0 ? 'nonPaged' : (flags & PagedFlag) !== 0 ? 'paged' : 'tag';
    const uses = usesOf(session, tagString === '' ? () => true : tagMatcher(tagString));
    const title = { tag: ' Tag', nonPaged: 'NonPaged Pool Consumed', paged: 'Paged Pool Consumed' }[sortedBy];
    session.print(`   Sorting by ${title}`);
    session.print();
    session.print('  Pool Used:');
    session.print('            NonPaged            Paged');
    session.print(' Tag    Allocs     Used    Allocs     Used');
    const sorted = uses.sort((one, other) => {
      const byUse = sortedBy === 'tag' ? 0 : other[sortedBy].bytes - one[sortedBy].bytes;
      return byUse || compareTags(one.tag, other.tag);
    });
    const total: TagUse = { tag: 0, nonPaged: { allocations: 0, bytes: 0 }, paged: { allocations: 0, bytes: 0 } };
    for (const use of sorted) {
      const tag = tagText(use.tag);
      session.print(` ${tag}${numbers(use)}UNKNOWN pooltag '${tag}', please update pooltag.txt`);
      for (const pool of ['nonPaged', 'paged'] as const) {
        total[pool].allocations += use[pool].allocations;
        total[pool].bytes += use[pool].bytes;
      }
    }
    session.print(` TOTAL${numbers(total)}`);
  },
};

function parseFlags(word: string): number {
  if (!/^(0x)?[0-9a-f]{0,8}$/i.test(word)) throw new CommandError(`'${word}' are no flags of !poolused`);
  const flags = word === '' ? 0 : Number.parseInt(word.replace(/^0x/i, ''), 16);
  if (flags > 15) throw new CommandError(`0x${flags.toString(16)}: !poolused has the flags 1, 2, 4 and 8`);
  if ((flags & VerboseFlag) !== 0) throw new CommandError('!poolused 1 is not supported: frees are not counted by tag');
  if ((flags & SessionFlag) !== 0) throw new CommandError('!poolused 8: there is no session pool');
  if ((flags & NonPagedFlag) !== 0 && (flags & PagedFlag) !== 0) {
    throw new CommandError('!poolused sorts by nonpaged pool (2) or by paged pool (4), not by both');
  }
  return flags;
}

/** All blocks of the machine, the kernel's own too. */
function usesOf({ target }: Session, isMeant: (tag: number) => boolean): TagUse[] {
  const uses = new Map<number, TagUse>();
  for (const block of target.nt.pool.allBlocks()) {
    let use = uses.get(block.tag);
    if (use === undefined) {
      use = { tag: block.tag, nonPaged: { allocations: 0, bytes: 0 }, paged: { allocations: 0, bytes: 0 } };
      uses.set(block.tag, use);
    }
    const pool = poolRegionAt(block.va) === 'paged' ? use.paged : use.nonPaged;
    pool.allocations++;
    pool.bytes += chargedBytes(block);
  }
  return [...uses.values()].filter(({ tag }) => isMeant(tag));
}

function numbers({ nonPaged, paged }: TagUse): string {
  const two = (one: TagUse['paged']): string =>
    `${String(one.allocations).padStart(8)} ${String(one.bytes).padStart(8)}`;
  return ` ${two(nonPaged)}  ${two(paged)}`;
}

/** By their characters, in the order of memory. */
function compareTags(one: number, other: number): number {
  const key = (tag: number): number =>
    (((tag & 0xff) << 24) | ((tag & 0xff00) << 8) | ((tag >>> 8) & 0xff00) | (tag >>> 24)) >>> 0;
  return key(one) - key(other);
}
