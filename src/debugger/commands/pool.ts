import { type Va, vaAdd, vaFromU64, vaInRange } from '../../base/va.ts';
import { tagText } from '../../nt/declare/parameter-types.ts';
import type { PoolBlock } from '../../nt/ex/pool.ts';
import { headerDamage, type PagePiece, poolPlaceAt } from '../../nt/ex/pool-pages.ts';
import { chargedBytes, headerBytes } from '../../nt/ex/pool-sizes.ts';
import { extensionAddress, symbolAt } from '../addresses.ts';
import { CommandError, type DebuggerCommand } from '../command.ts';
import { evaluate, evaluatePrefix } from '../expression.ts';
import { readNumber } from '../memory.ts';
import { largeLine, pieceLine, poolPageLine } from '../pool-lines.ts';
import type { Session } from '../session.ts';
import { moduleName } from '../symbols.ts';

const ContentsFlag = 0x1n;
const OnlyBlockFlag = 0x2n;
const NoDescriptionFlag = 0x8000_0000n;
/** Rows of four words that are shown of a block's contents. */
const contentRows = 2;
const rowBytes = 16;

export const pool: DebuggerCommand = {
  name: '!pool',
  usage: ['!pool Address [Flags]'],
  summary: 'the block of pool that holds an address, and the others of its page',
  details: [
    'Flags: 0x1 the beginning of the contents too; 0x2 only the block that holds Address;',
    '       0x80000000 without the line on the tag',
    'Blocks are shown with their headers, which are 0x10 bytes in front of what the driver was given.',
  ],
  completes: ['address', 'text'],
  run: (session, text) => {
    const { va, flags } = parse(session, text);
    session.print(poolPageLine(va));
    const place = poolPlaceAt(session.target.nt, va);
    if (place.kind === 'none') {
      throw new CommandError(`${extensionAddress(va)} is not in pool${nameAt(session, va)}`);
    }
    if (place.kind === 'unmapped') {
      throw new CommandError(
        `${extensionAddress(va)} is in pages of pool that are not allocated: freed, or never used`,
      );
    }
    if (place.kind === 'large') {
      session.print(largeLine(place.block));
      if ((flags & ContentsFlag) !== 0n) printContents(session, place.block.va, chargedBytes(place.block));
      if ((flags & NoDescriptionFlag) === 0n) printOwner(session, place.block);
      return;
    }
    printPage(session, place.pieces, va, flags);
  },
};

function parse(session: Session, text: string): { readonly va: Va; readonly flags: bigint } {
  if (text === '') throw new CommandError('!pool needs an address: heaps of processes are not supported');
  const { value, rest } = evaluatePrefix(session, text);
  if (value === 0n || value === 0xffff_ffff_ffff_ffffn || value === 0xffff_ffffn) {
    throw new CommandError('!pool 0 and !pool -1 are for heaps of processes, which are not supported');
  }
  const flags = rest === '' ? 0n : evaluate(session, rest);
  const unknown = flags & ~(ContentsFlag | OnlyBlockFlag | NoDescriptionFlag);
  if (unknown !== 0n) throw new CommandError(`0x${unknown.toString(16)} is no flag of !pool`);
  return { va: vaFromU64(value), flags };
}

function printPage(session: Session, pieces: readonly PagePiece[], va: Va, flags: bigint): void {
  const damaged: Va[] = [];
  for (const piece of pieces) {
    const isMeant = vaInRange(va, piece.header, piece.bytes);
    const damage = headerDamage(session.target.nt, piece);
    if (damage !== undefined) damaged.push(damage);
    if ((flags & OnlyBlockFlag) !== 0n && !isMeant) continue;
    session.print(`${isMeant ? '*' : ' '}${pieceLine(piece, isMeant && piece.state !== 'unused' ? '*' : ' ')}`);
    if ((flags & ContentsFlag) !== 0n) {
      printContents(session, vaAdd(piece.header, headerBytes), piece.bytes - headerBytes);
    }
    if (isMeant && (flags & NoDescriptionFlag) === 0n) printOwner(session, piece.block);
  }
  for (const at of damaged)
    session.print(`${extensionAddress(at)} was written to by mistake: corrupt pool, see !poolval`);
}

/** The first words of what is behind a header. */
function printContents(session: Session, start: Va, bytes: number): void {
  const rows = Math.min(contentRows, Math.ceil(bytes / rowBytes));
  for (let row = 0; row < rows; row++) {
    const at = vaAdd(start, row * rowBytes);
    const words = [0, 4, 8, 12].map((offset) => {
      const word = readNumber(session.target.nt, vaAdd(at, offset), 4);
      return word === undefined ? '????????' : word.toString(16).padStart(8, '0');
    });
    session.print(`${row === 0 ? ' ' : '    '}${extensionAddress(at)}  ${words.join(' ')}`);
  }
  session.print();
}

/** Stands for pooltag.txt: Pool tracking knows who has the block. */
function printOwner(session: Session, block: PoolBlock | undefined): void {
  const { target } = session;
  const tracked = block && target.poolTracking?.allocations.get(block.va);
  const image = tracked && target.nt.images.byIndex(tracked.imageIndex);
  if (tracked === undefined || image === undefined) {
    session.print('\t\tOwning component : Unknown (update pooltag.txt)');
    return;
  }
  const caller = session.stacks.driverPlace(tracked.stack)?.address;
  const name = (caller === undefined ? undefined : symbolAt(session, caller)) ?? moduleName(image);
  session.print(`\t\tPooltag ${tagText(tracked.tag)} : ${name}, Binary : ${image.fileName}`);
}

function nameAt(session: Session, va: Va): string {
  const symbol = symbolAt(session, va);
  return symbol === undefined ? '' : ` (${symbol})`;
}
