/** Blocks of pool as the pool extensions print them, and pool tags as they are typed. */
import type { Va } from '../base/va.ts';
import { tagText } from '../nt/declare/parameter-types.ts';
import type { PoolBlock } from '../nt/ex/pool.ts';
import { type PagePiece, type PoolRegion, poolRegionAt } from '../nt/ex/pool-pages.ts';
import { granule } from '../nt/ex/pool-sizes.ts';
import { extensionAddress } from './addresses.ts';
import { CommandError } from './command.ts';
import { matchesCase } from './wildcards.ts';

export const regionNames: Readonly<Record<PoolRegion, string>> = { nonpaged: 'Nonpaged pool', paged: 'Paged pool' };

const stateNames: Readonly<Record<PagePiece['state'], string>> = {
  allocated: '(Allocated)',
  free: '(Free)',
  unused: '(Unused)',
};

/** `ffffa80298001050 size:   50 previous size:   10  (Allocated) *Tst1`; `mark` stands in front of the tag. */
export function pieceLine(
  { header, bytes, previousBytes, state, tag }: Omit<PagePiece, 'kind' | 'block'>,
  mark: string,
): string {
  const sizes = `size: ${bytes.toString(16).padStart(4)} previous size: ${previousBytes.toString(16).padStart(4)}`;
  // What a page has left has no header and no tag.
  const shown = state === 'unused' ? '' : tagText(tag);
  return `${extensionAddress(header)} ${sizes}  ${stateNames[state].padEnd(12)}${mark}${shown}`;
}

export function largeLine({ va, bytes, tag }: PoolBlock): string {
  const size = Math.ceil(bytes / granule) * granule;
  return `*${extensionAddress(va)} : large page allocation, tag is ${tagText(tag)}, size is 0x${size.toString(16)} bytes`;
}

export function poolPageLine(va: Va): string {
  const region = poolRegionAt(va);
  return `Pool page ${extensionAddress(va)} region is ${region === undefined ? 'Unknown' : regionNames[region]}`;
}

/**
 * Whether a tag is meant by what was typed: four characters, of which `?` is any one; with `*` as many as there are.
 * Fewer characters are filled up with blanks, as tags are.
 */
export function tagMatcher(text: string): (tag: number) => boolean {
  if (!text.includes('*') && text.length > 4) {
    throw new CommandError(`'${text}' is no pool tag: four characters, or * for any number of them`);
  }
  const pattern = text.includes('*') ? text : text.padEnd(4);
  return (tag) => matchesCase(pattern, rawTag(tag));
}

/** The four bytes as characters. */
function rawTag(tag: number): string {
  return String.fromCharCode(tag & 0xff, (tag >>> 8) & 0xff, (tag >>> 16) & 0xff, tag >>> 24);
}
