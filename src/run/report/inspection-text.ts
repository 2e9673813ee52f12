/** The text view of `poolproof inspect`: facts of the image, then its imports by module. */

import { printable } from '../../base/printable.ts';
import type { InspectedImport, Inspection } from '../inspect.ts';
import { plainStyle, type TextStyle } from './text.ts';

export function inspectionText(inspection: Inspection, style: TextStyle = plainStyle): string {
  const { image, imports } = inspection;
  const pdb = image.pdb;
  const lines = [
    style.strong(printable(image.name)),
    `  file         ${image.fileBytes} bytes, ${image.imageBytes} in memory`,
    `  entry point  ${image.entryPoint ?? 'none (an export driver)'}`,
    `  timestamp    ${image.timestamp}${dateOf(image.timestamp)}`,
    `  linker       ${printable(image.linkerVersion)}`,
    `  symbols      ${pdb === null ? 'names no PDB' : printable(`${pdb.path} (${pdb.guid}, age ${pdb.age})`)}`,
    `  signature    ${image.isSigned ? 'attached, not verified' : 'none'}`,
    ...image.notes.map((note) => `  note: ${printable(note)}`),
    '',
    style.strong('Sections'),
    ...image.sections.map(
      ({ name, rva, bytes, access }) =>
        `  ${printable(name).padEnd(12)}${rva.padStart(10)}${String(bytes).padStart(12)}  ${access}`,
    ),
    '',
    style.strong(`Imports: ${summary(imports)}`),
  ];
  const width = Math.min(60, Math.max(0, ...imports.map(({ name }) => name.length)));
  for (const module of new Set(imports.map((entry) => entry.module))) {
    lines.push(`  ${printable(module)}`);
    for (const entry of imports.filter((candidate) => candidate.module === module)) {
      const support = entry.support === 'none' ? style.strong('not supported') : entry.support;
      const missing = entry.missing === undefined ? '' : `: ${entry.missing}`;
      const delayed = entry.isDelayed ? ' (delay loaded)' : '';
      lines.push(`    ${printable(entry.name).padEnd(width)}  ${support}${missing}${delayed}`);
    }
  }
  if (imports.some(({ support }) => support === 'none')) {
    lines.push('', 'A driver runs whatever it imports; a run ends as incomplete where it calls what is not supported.');
  }
  return `${lines.join('\n')}\n`;
}

function summary(imports: readonly InspectedImport[]): string {
  const count = (support: InspectedImport['support']): number =>
    imports.filter((entry) => entry.support === support).length;
  return `${imports.length}, of which ${count('full')} full, ${count('partial')} partial, ${count('none')} not supported`;
}

/** The date that a timestamp means, if it is one; reproducible builds store a hash instead. */
function dateOf(timestamp: string): string {
  const seconds = Number(timestamp);
  const year = new Date(seconds * 1000).getUTCFullYear();
  return year < 1995 || year > 2037
    ? ''
    : ` (${new Date(seconds * 1000).toISOString().slice(0, 19)}Z, if it is a date)`;
}
