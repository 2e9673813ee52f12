/** A place in a program as the debugger writes it. */
import type { Site } from './site.ts';
import { moduleName } from './symbols.ts';

/** `toaster!ToasterIoctl+0x4c`; an address without a module as it is. */
export function siteName({ module, function: name, offset }: Site): string {
  if (module === '') return offset;
  const base = name === undefined ? moduleName({ name: module }) : `${moduleName({ name: module })}!${name}`;
  if (offset === '0x0') return base;
  return offset.startsWith('-') ? `${base}${offset}` : `${base}+${offset}`;
}

/** ` [c:\src\toaster\ioctl.c @ 50]`; nothing if the line is not known. */
export function siteLine({ file, line }: Site): string {
  return file === undefined || line === undefined ? '' : ` [${file} @ ${line}]`;
}
