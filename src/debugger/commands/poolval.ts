import { vaAdd, vaFromU64 } from '../../base/va.ts';
import { tagText } from '../../nt/declare/parameter-types.ts';
import { headerDamage, type PagePiece, poolPlaceAt } from '../../nt/ex/pool-pages.ts';
import { granule, headerBytes, headerWord } from '../../nt/ex/pool-sizes.ts';
import { extensionAddress } from '../addresses.ts';
import { CommandError, type DebuggerCommand } from '../command.ts';
import { evaluate, evaluatePrefix } from '../expression.ts';
import { readNumber } from '../memory.ts';
import { poolPageLine } from '../pool-lines.ts';
import type { Session } from '../session.ts';

export const poolval: DebuggerCommand = {
  name: '!poolval',
  usage: ['!poolval Address [DisplayLevel]'],
  summary: 'whether the headers of a page of pool are as the pool wrote them',
  details: ['DisplayLevel: 0 the result; 1 and the blocks; 2 and what their headers say; 3 and the headers themselves'],
  completes: ['address', 'text'],
  run: (session, text) => {
    if (text === '') throw new CommandError('!poolval needs an address');
    const { value, rest } = evaluatePrefix(session, text);
    const level = rest === '' ? 0 : Number(evaluate(session, rest));
    if (level > 3) throw new CommandError('!poolval has the display levels 0 to 3');
    const va = vaFromU64(value);
    session.print(poolPageLine(va));
    const place = poolPlaceAt(session.target.nt, va);
    if (place.kind === 'large') {
      throw new CommandError('A large page allocation has no header: nothing to validate.');
    }
    if (place.kind !== 'small') throw new CommandError(`${extensionAddress(va)} is in no page of pool blocks`);
    session.print();
    session.print(`Validating Pool headers for pool page: ${extensionAddress(va)}`);
    session.print();
    const pieces = place.pieces.filter(({ state }) => state !== 'unused');
    const corrupt = pieces.filter((piece) => isHeaderCorrupt(session, piece));
    session.print(`Pool page [ ${extensionAddress(place.page)} ] is ${corrupt.length === 0 ? 'VALID' : '__inVALID'}.`);
    if (level > 0) for (const piece of pieces) printPiece(session, piece, level);
    if (corrupt.length > 0) printCorruption(session, corrupt);
    for (const piece of pieces) {
      const damage = piece.state === 'free' ? headerDamage(session.target.nt, piece) : undefined;
      if (damage === undefined || damage - piece.header < headerBytes) continue;
      session.print();
      session.print(`[ ${extensionAddress(piece.header)} ] is free and was written to at ${extensionAddress(damage)}`);
    }
  },
};

function isHeaderCorrupt(session: Session, piece: PagePiece): boolean {
  const damage = headerDamage(session.target.nt, piece);
  return damage !== undefined && damage - piece.header < headerBytes;
}

function linkText({ header, bytes }: PagePiece): string {
  const next = extensionAddress(vaAdd(header, bytes));
  return `[ ${extensionAddress(header)} --> ${next} (size = 0x${bytes.toString(16)} bytes)]`;
}

function printPiece(session: Session, piece: PagePiece, level: number): void {
  const { header, state } = piece;
  const word = (offset: number): number => Number(readNumber(session.target.nt, vaAdd(header, offset), 4) ?? 0n);
  session.print();
  session.print(`${linkText(piece)}: ${state === 'free' ? 'Free' : 'Allocated'}`);
  if (level < 2) return;
  const first = word(0);
  const fields = [
    ['PreviousSize', first & 0xff],
    ['PoolIndex', (first >>> 8) & 0xff],
    ['BlockSize', (first >>> 16) & 0xff],
    ['PoolType', first >>> 24],
  ] as const;
  const text = fields.map(([name, value]) => `${name}: 0x${value.toString(16)}`).join(' ');
  session.print(`    ${text} PoolTag: ${tagText(word(4))}`);
  if (level < 3) return;
  const words = [0, 4, 8, 12].map((offset) => word(offset).toString(16).padStart(8, '0'));
  session.print(`    ${words.join(' ')}`);
}

function printCorruption(session: Session, corrupt: readonly PagePiece[]): void {
  session.print();
  session.print('Analyzing linked list...');
  for (const piece of corrupt) session.print(`${linkText(piece)}: Corrupt region`);
  session.print();
  session.print('Scanning for single bit errors...');
  session.print();
  const single = corrupt.filter((piece) => hasSingleBitError(session, piece));
  if (single.length === 0) session.print('None found');
  for (const { header } of single) session.print(`One bit is wrong in the header at ${extensionAddress(header)}`);
}

/** In what tells the size and the owner: the rest of a header is not the pool's alone. */
function hasSingleBitError(session: Session, piece: PagePiece): boolean {
  const found = readNumber(session.target.nt, piece.header, 4);
  if (found === undefined) return false;
  const wanted = BigInt(headerWord(piece.kind, piece.bytes / granule, piece.state === 'allocated'));
  const wrong = found ^ wanted;
  return wrong !== 0n && (wrong & (wrong - 1n)) === 0n;
}
