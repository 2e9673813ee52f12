// Writes src/nt/ntstatus-names.generated.ts from the NTSTATUS values and names of mingw-w64's ntstatus.h:
// node scripts/status-names.mjs [HEADER]
import { readFileSync, writeFileSync } from 'node:fs';

const header = process.argv[2] ?? '/usr/share/mingw-w64/include/ntstatus.h';
const target = new URL('../src/nt/ntstatus-names.generated.ts', import.meta.url);

const names = new Map();
const defined = /^#define\s+(\w+)\s+\(\(NTSTATUS\)\s*(0x[0-9A-F]+)L?\)/gim;
for (const [, name, digits] of readFileSync(header, 'utf8').matchAll(defined)) {
  const value = Number(digits);
  names.set(value, [...(names.get(value) ?? []), name]);
}

/** Of several names the first by the alphabet, and one that begins with STATUS_ before others. */
const chosen = (list) => list.toSorted().find((name) => name.startsWith('STATUS_')) ?? list.toSorted()[0];

let last = 0;
const words = [...names]
  .sort(([one], [other]) => one - other)
  .map(([value, list]) => {
    const step = (value - last).toString(36);
    last = value;
    return `${step} ${chosen(list).replace(/^STATUS_/, '.')}`;
  });
const lines = [];
for (const word of words) {
  const line = lines.at(-1);
  if (line === undefined || line.length + word.length > 118) lines.push(word);
  else lines[lines.length - 1] = `${line} ${word}`;
}
writeFileSync(
  target,
  `/**
 * Names of NTSTATUS values (ntstatus.h of mingw-w64), written by scripts/status-names.mjs: by value, each after its
 * distance from the one before in base 36; a period stands for \`STATUS_\`. Of several names of a value the first one.
 */
export const packedStatusNames = \`
${lines.join('\n')}
\`;
`,
);
