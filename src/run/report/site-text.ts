import { printable } from '../../base/printable.ts';
import type { Site } from './report.ts';

// ---- places

/** `leaky!DriverEntry+0x1f [leaky.c @ 42]`, as WinDbg writes it; an inlined function has no offset of its own. */
export function siteText(site: Site): string {
  const name =
    site.function === undefined
      ? `${site.module}+${site.offset}`
      : `${site.module}!${site.function}${site.inlined || site.offset === '0x0' ? '' : `+${site.offset}`}`;
  const source = site.file === undefined ? '' : ` [${site.file}${site.line === undefined ? '' : ` @ ${site.line}`}]`;
  return printable(`${name}${source}${site.inlined ? ' (inlined)' : ''}`);
}
