/** Source files that the user gave, found by the paths that a compiler recorded. */
import type { SourceText } from '../../src/run/report/source-excerpt.ts';
import type { SourceInput } from './messages.ts';

/** By as many of the path's last parts as agree; a name alone is enough if nothing agrees in more. */
export function findSource(sources: readonly SourceInput[], file: string): SourceText | undefined {
  const wanted = partsOf(file);
  let best: SourceInput | undefined;
  let bestLength = 0;
  for (const source of sources) {
    const length = commonEnd(wanted, partsOf(source.path));
    if (length > bestLength) [best, bestLength] = [source, length];
  }
  return best;
}

function commonEnd(one: readonly string[], other: readonly string[]): number {
  let length = 0;
  while (length < one.length && length < other.length && one.at(-1 - length) === other.at(-1 - length)) length++;
  return length;
}

function partsOf(path: string): readonly string[] {
  return path
    .toLowerCase()
    .split(/[\\/]/)
    .filter((part) => part !== '' && part !== '.');
}
