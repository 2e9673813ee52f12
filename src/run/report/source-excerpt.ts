/** A few lines of source text around a place in a driver. */
import type { Site, SourceExcerpt } from './report.ts';

/** The text of a source file, as the host found it. */
export interface SourceText {
  /** Where it was found. */
  readonly path: string;
  readonly text: string;
}

/** Looks a source file up by the path that the compiler recorded; undefined if it is not at hand. */
export type ReadSource = (file: string) => SourceText | undefined;

const linesBefore = 2;
const linesBehind = 1;
/** Characters of a line; what is longer is cut. */
const mostCharacters = 120;
const tabWidth = 4;

/** The lines around a site; null without its source, or if the file has no such line. */
export function excerptOf(site: Site | null, readSource: ReadSource | undefined): SourceExcerpt | null {
  if (site?.file === undefined || site.line === undefined || readSource === undefined) return null;
  const found = readSource(site.file);
  if (found === undefined) return null;
  const all = found.text.split(/\r\n|\n|\r/);
  // What stands behind the last line end is no line.
  if (all.at(-1) === '') all.pop();
  if (site.line < 1 || site.line > all.length) return null;
  const first = Math.max(1, site.line - linesBefore);
  const last = Math.min(all.length, site.line + linesBehind);
  return { path: found.path, line: site.line, firstLine: first, lines: all.slice(first - 1, last).map(shortened) };
}

function shortened(line: string): string {
  const text = line.replaceAll('\t', ' '.repeat(tabWidth)).trimEnd();
  return text.length > mostCharacters ? `${text.slice(0, mostCharacters - 1)}…` : text;
}
