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

/** Of one of the two pools. */
interface PoolUse {
  /** Blocks that are there now. */
  blocks: number;
  bytes: number;
  /** Blocks that there ever were. */
  allocations: number;
}

interface TagUse {
  readonly tag: number;
  readonly nonPaged: PoolUse;
  readonly paged: PoolUse;
}

const pools = ['nonPaged', 'paged'] as const;

export const poolused: DebuggerCommand = {
  name: '!poolused',
  usage: ['!poolused [Flags [TagString]]'],
  summary: 'pool in use, by tag',
  details: [
    'Flags: 0 sorted by tag; 2 by nonpaged pool; 4 by paged pool; 1 frees too, and tags that nobody has any more',
    'TagString: four characters, ? for any one; or * for any number of them',
    "Bytes are what the blocks take of the pool, headers and verifier's trailers included.",
  ],
  completes: ['text'],
  run: (session, text) => {
    const [, word = '', tagString = ''] = /^(\S*)\s*(.*)$/.exec(text) ?? [];
    const flags = parseFlags(word);
    const isVerbose = (flags & VerboseFlag) !== 0;
    const sortedBy = (flags & NonPagedFlag) !== 0 ? 'nonPaged' : (flags & PagedFlag) !== 0 ? 'paged' : 'tag';
    const uses = usesOf(session, tagString === '' ? () => true : tagMatcher(tagString), isVerbose);
    const title = { tag: ' Tag', nonPaged: 'NonPaged Pool Consumed', paged: 'Paged Pool Consumed' }[sortedBy];
    session.print(`   Sorting by ${title}`);
    session.print();
    session.print('  Pool Used:');
    for (const line of isVerbose ? verboseHeader : header) session.print(line);
    const sorted = uses.sort((one, other) => {
      const byUse = sortedBy === 'tag' ? 0 : other[sortedBy].bytes - one[sortedBy].bytes;
      return byUse || compareTags(one.tag, other.tag);
    });
    const total = noUse(0);
    for (const use of sorted) {
      const tag = tagText(use.tag);
      session.print(` ${tag}${numbers(use, isVerbose)}UNKNOWN pooltag '${tag}', please update pooltag.txt`);
      for (const pool of pools) {
        total[pool].blocks += use[pool].blocks;
        total[pool].bytes += use[pool].bytes;
        total[pool].allocations += use[pool].allocations;
      }
    }
    session.print(` TOTAL${numbers(total, isVerbose)}`);
  },
};

const header = ['            NonPaged            Paged', ' Tag    Allocs     Used    Allocs     Used'];
const verboseHeader = [
  '            NonPaged                              Paged',
  ' Tag    Allocs    Frees     Diff     Used    Allocs    Frees     Diff     Used',
];

function parseFlags(word: string): number {
  if (!/^(0x)?[0-9a-f]{0,8}$/i.test(word)) throw new CommandError(`'${word}' are no flags of !poolused`);
  const flags = word === '' ? 0 : Number.parseInt(word.replace(/^0x/i, ''), 16);
  if (flags > 15) throw new CommandError(`0x${flags.toString(16)}: !poolused has the flags 1, 2, 4 and 8`);
  if ((flags & SessionFlag) !== 0) throw new CommandError('!poolused 8: there is no session pool');
  if ((flags & NonPagedFlag) !== 0 && (flags & PagedFlag) !== 0) {
    throw new CommandError('!poolused sorts by nonpaged pool (2) or by paged pool (4), not by both');
  }
  return flags;
}

function noUse(tag: number): TagUse {
  const none = { blocks: 0, bytes: 0, allocations: 0 };
  return { tag, nonPaged: { ...none }, paged: { ...none } };
}

/** All blocks of the machine, the kernel's own too. `isComplete`: also of tags that no block has now. */
function usesOf({ target }: Session, isMeant: (tag: number) => boolean, isComplete: boolean): TagUse[] {
  const uses = new Map<number, TagUse>();
  for (const { tag, nonPaged, paged } of target.nt.pool.tagAllocations()) {
    if (!isMeant(tag)) continue;
    const use = noUse(tag);
    use.nonPaged.allocations = nonPaged;
    use.paged.allocations = paged;
    uses.set(tag, use);
  }
  for (const block of target.nt.pool.allBlocks()) {
    const pool = uses.get(block.tag)?.[poolRegionAt(block.va) === 'paged' ? 'paged' : 'nonPaged'];
    if (pool === undefined) continue;
    pool.blocks++;
    pool.bytes += chargedBytes(block);
  }
  return [...uses.values()].filter(({ nonPaged, paged }) => isComplete || nonPaged.blocks + paged.blocks > 0);
}

function numbers(use: TagUse, isVerbose: boolean): string {
  const columns = (values: readonly number[]): string => values.map((value) => String(value).padStart(8)).join(' ');
  const [nonPaged, paged] = pools.map((pool) => {
    const { blocks, bytes, allocations } = use[pool];
    return columns(isVerbose ? [allocations, allocations - blocks, blocks, bytes] : [blocks, bytes]);
  });
  return ` ${nonPaged}  ${paged}`;
}

/** By their characters, in the order of memory. */
function compareTags(one: number, other: number): number {
  const key = (tag: number): number =>
    (((tag & 0xff) << 24) | ((tag & 0xff00) << 8) | ((tag >>> 8) & 0xff00) | (tag >>> 24)) >>> 0;
  return key(one) - key(other);
}
