import { type Va, vaAdd, vaInRange, vaLow } from '../../base/va.ts';
import { pageMask } from '../../engine/memory/layout.ts';
import { AddressMap } from '../../nt/address-map.ts';
import { tagText } from '../../nt/declare/parameter-types.ts';
import { type PagePiece, tagInHeader } from '../../nt/ex/pool-pages.ts';
import { chargedBytes, headerBytes, isLarge } from '../../nt/ex/pool-sizes.ts';
import { extensionAddress } from '../addresses.ts';
import { CommandError, type DebuggerCommand, terminating } from '../command.ts';
import { largeLine, pieceLine, tagMatcher } from '../pool-lines.ts';
import type { Session } from '../session.ts';

/** Lines between two looks at the host. */
const linesPerSlice = 256;

type Piece = Omit<PagePiece, 'kind' | 'block'>;

/** The kernel's own memory is nonpaged pool, too. */
const regions = {
  nonpaged: { name: 'NonPaged', ranges: [AddressMap.nonPagedPool, AddressMap.kernelHeap] },
  paged: { name: 'Paged', ranges: [AddressMap.pagedPool] },
} as const;

export const poolfind: DebuggerCommand = {
  name: '!poolfind',
  usage: ['!poolfind TagString [PoolType]', '!poolfind 0xTagValue [PoolType]'],
  summary: 'all blocks with a pool tag',
  details: [
    'TagString: four characters, ? for any one; or * for any number of them. 0x… is the value of a tag.',
    'PoolType: 0 nonpaged pool (default), 1 paged pool',
    'Free blocks have the tag of what was there last.',
  ],
  completes: ['text'],
  run: async (session, text) => {
    const [, word = '', type = ''] = /^(\S*)\s*(.*)$/.exec(text) ?? [];
    if (word === '') throw new CommandError('!poolfind needs a tag');
    const { name, ranges } = regions[parsePoolType(type)];
    const { shown, isMeant } = parseTag(word);
    session.print();
    session.print(`Scanning large pool allocation table for Tag: ${shown}`);
    session.print();
    const blocks = [...session.target.nt.pool.allBlocks()].filter(({ tag, va }) => isMeant(tag) && isIn(ranges, va));
    for (const block of blocks.filter(isLarge)) session.print(largeLine(block));
    if (blocks.some(isLarge)) session.print();
    const pieces = [
      ...blocks
        .filter((block) => !isLarge(block))
        .map((block): Piece => {
          const header = vaAdd(block.va, -headerBytes);
          return { ...pieceAt(header, chargedBytes(block)), state: 'allocated', tag: block.tag };
        }),
      ...freePieces(session, isMeant),
    ].sort((one, other) => one.header - other.header);
    for (const range of ranges) {
      const end = vaAdd(range.start, range.sizeBytes);
      session.print(
        `Searching ${name} pool (${extensionAddress(range.start)} : ${extensionAddress(end)}) for Tag: ${shown}`,
      );
      session.print();
      const found = pieces.filter(({ header }) => isIn([range], header));
      for (const [index, piece] of found.entries()) {
        session.print(pieceLine(piece, ''));
        if (index % linesPerSlice === 0 && !(await session.breathe())) {
          session.print();
          throw new CommandError(`${terminating} - searched pool to ${extensionAddress(piece.header)}`);
        }
      }
      if (found.length > 0) session.print();
    }
  },
};

function parsePoolType(text: string): keyof typeof regions {
  switch (text) {
    case '':
    case '0':
      return 'nonpaged';
    case '1':
      return 'paged';
    case '2':
      throw new CommandError('!poolfind: there is no special pool');
    case '4':
      throw new CommandError('!poolfind: there is no session pool');
    default:
      throw new CommandError(`'${text}' is no type of pool: 0 is nonpaged, 1 paged`);
  }
}

/** Only a lower-case 0x makes a value of it. */
function parseTag(text: string): { readonly shown: string; readonly isMeant: (tag: number) => boolean } {
  if (!text.startsWith('0x')) return { shown: text, isMeant: tagMatcher(text) };
  if (!/^0x[0-9a-f]{1,8}$/i.test(text)) throw new CommandError(`'${text}' is no value of a pool tag`);
  const value = Number.parseInt(text.slice(2), 16);
  return { shown: tagText(value), isMeant: (tag) => tag === value };
}

/** Blocks of a page have one size, so that of the block in front is known. */
function pieceAt(header: Va, bytes: number): Pick<Piece, 'header' | 'bytes' | 'previousBytes'> {
  return { header, bytes, previousBytes: (vaLow(header) & pageMask) === 0 ? 0 : bytes };
}

function freePieces({ target: { nt } }: Session, isMeant: (tag: number) => boolean): Piece[] {
  const pieces: Piece[] = [];
  for (const { header, bytes } of nt.pool.freeSmallBlocks()) {
    const tag = tagInHeader(nt, header);
    if (isMeant(tag)) pieces.push({ ...pieceAt(header, bytes), state: 'free', tag });
  }
  return pieces;
}

function isIn(ranges: readonly { readonly start: Va; readonly sizeBytes: number }[], va: Va): boolean {
  return ranges.some(({ start, sizeBytes }) => vaInRange(va, start, sizeBytes));
}
