/**
 * The kernel's invariant upper and lower case of single UTF-16 code units. Windows' table (l_intl.nls) is Unicode's
 * simple mapping, kept to pairs that lead back: dotless i, long s and the micro sign stay as they are. Two kinds of
 * exception are in the table and repeated here: final sigma, and the Greek letters with iota subscript.
 */

const greekWithIota: readonly (readonly [first: number, last: number, distance: number])[] = [
  [0x1f80, 0x1f87, 8],
  [0x1f90, 0x1f97, 8],
  [0x1fa0, 0x1fa7, 8],
  [0x1fb3, 0x1fb3, 9],
  [0x1fc3, 0x1fc3, 9],
  [0x1ff3, 0x1ff3, 9],
];

const upper = new Uint16Array(0x1_0000);
const lower = new Uint16Array(0x1_0000);
for (let unit = 0; unit < 0x1_0000; unit++) upper[unit] = lower[unit] = unit;
for (let unit = 0; unit < 0x1_0000; unit++) {
  const capital = String.fromCharCode(unit).toUpperCase();
  if (capital.length !== 1 || capital.charCodeAt(0) === unit) continue;
  if (capital.toLowerCase() === String.fromCharCode(unit)) pair(unit, capital.charCodeAt(0));
}
for (const [first, last, distance] of greekWithIota) {
  for (let unit = first; unit <= last; unit++) pair(unit, unit + distance);
}
upper[0x3c2] = 0x3a3;

function pair(small: number, capital: number): void {
  upper[small] = capital;
  lower[capital] = small;
}

/** RtlUpcaseUnicodeChar. */
export function upcase(unit: number): number {
  return upper[unit & 0xffff] as number;
}

/** RtlDowncaseUnicodeChar. */
export function downcase(unit: number): number {
  return lower[unit & 0xffff] as number;
}

export function upcaseText(text: string): string {
  return mapText(text, upcase);
}

export function downcaseText(text: string): string {
  return mapText(text, downcase);
}

function mapText(text: string, map: (unit: number) => number): string {
  let result = '';
  for (let index = 0; index < text.length; index++) result += String.fromCharCode(map(text.charCodeAt(index)));
  return result;
}
