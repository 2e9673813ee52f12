import type { PeImage, PeSection } from '../pe/pe-image.ts';
import { functionRanges } from '../unwind/index.ts';
import type { FunctionRange } from './named-functions.ts';
import { NamedFunctions } from './named-functions.ts';
import type { NamedAddress, SymbolSource } from './symbol-source.ts';

/**
 * What the image itself tells: exported names, its entry point (`EntryPoint`, whatever its source calls it), and from
 * `.pdata` where functions lie. One without a name is called after its RVA: `sub_11a0`.
 *
 * @throws PoolproofError PP1007 for malformed unwind data
 */
export function exportSymbols(pe: PeImage): SymbolSource {
  const symbols = new Map<number, NamedAddress>();
  const add = (name: string, rva: number, kind: 'function' | 'data', sizeBytes: number): void => {
    if (!symbols.has(rva)) symbols.set(rva, { name, rva, kind, sizeBytes });
  };
  const aliases: NamedAddress[] = [];
  for (const { name, rva, forwarder } of pe.exports) {
    if (name === undefined || forwarder !== undefined) continue;
    const kind = sectionOf(pe, rva)?.isExecutable ? 'function' : 'data';
    if (symbols.has(rva)) aliases.push({ name, rva, kind, sizeBytes: 0 });
    else add(name, rva, kind, 0);
  }
  if (pe.entryPointRva !== undefined) add('EntryPoint', pe.entryPointRva, 'function', 0);
  const ranges: FunctionRange[] = [];
  for (const { primary, ranges: parts } of functionRanges(pe)) {
    const { beginRva } = primary;
    const name = symbols.get(beginRva)?.name ?? `sub_${beginRva.toString(16)}`;
    symbols.set(beginRva, { name, rva: beginRva, kind: 'function', sizeBytes: primary.endRva - beginRva });
    for (const part of parts) {
      ranges.push({ name, functionRva: beginRva, start: part.beginRva, end: part.endRva });
    }
  }
  ranges.push(...leafRanges(pe, [...symbols.values()], ranges));
  return new NamedFunctions('exports', ranges, [...symbols.values(), ...aliases]);
}

/** Named functions without `.pdata` call nothing and keep no stack: each lasts until the next known code. */
function leafRanges(pe: PeImage, symbols: readonly NamedAddress[], known: readonly FunctionRange[]): FunctionRange[] {
  const sorted = [...known].sort((a, b) => a.start - b.start);
  const functions = symbols.filter(({ kind }) => kind === 'function').sort((a, b) => a.rva - b.rva);
  const leaves: FunctionRange[] = [];
  let next = 0;
  functions.forEach(({ name, rva, sizeBytes }, i) => {
    while ((sorted[next]?.end ?? Number.POSITIVE_INFINITY) <= rva) next++;
    const following = sorted[next];
    const section = sectionOf(pe, rva);
    if (sizeBytes > 0 || section === undefined || (following !== undefined && following.start <= rva)) return;
    const ends = [section.rva + section.virtualSize, following?.start, functions[i + 1]?.rva];
    leaves.push({ name, functionRva: rva, start: rva, end: Math.min(...ends.filter((end) => end !== undefined)) });
  });
  return leaves;
}

function sectionOf(pe: PeImage, rva: number): PeSection | undefined {
  return pe.sections.find((section) => rva >= section.rva && rva < section.rva + section.virtualSize);
}
