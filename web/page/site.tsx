/** Places in a program. All of their text comes from a driver. */
import type { JSX } from 'preact';
import { printable } from '../../src/base/printable.ts';
import type { Site, SourceExcerpt } from '../../src/run/report/report.ts';
import { siteText } from '../../src/run/report/site-text.ts';
import { ScrolledText } from './scrolled-text.tsx';

/** Innermost first. */
export function Stack({ stack }: { readonly stack: readonly Site[] }): JSX.Element {
  return (
    <ol class="stack">
      {stack.map((site, at) => (
        <li key={at}>
          <code>{siteText(site)}</code>
        </li>
      ))}
    </ol>
  );
}

/** `toaster.c:42` or, without symbols, `toaster+0x1040`. */
export function shortPlace(site: Site | null): string {
  if (site === null) return '';
  if (site.file === undefined || site.line === undefined) return siteText(site);
  return printable(`${site.function ?? site.module}, ${site.file.split(/[\\/]/).at(-1)}:${site.line}`);
}

export function Excerpt({ source }: { readonly source: SourceExcerpt }): JSX.Element {
  return (
    <figure class="excerpt">
      <figcaption>
        {printable(source.path)}, line {source.line}
      </figcaption>
      <ScrolledText label="Source text">
        {source.lines.map((text, at) => {
          const number = source.firstLine + at;
          return (
            <span key={number} class={number === source.line ? 'here' : ''}>
              {`${number === source.line ? '>' : ' '}${String(number).padStart(5)}  ${printable(text)}\n`}
            </span>
          );
        })}
      </ScrolledText>
    </figure>
  );
}
