/** What NTSTATUS values are called. */
import { statusText } from './ntstatus.ts';
import { packedStatusNames } from './ntstatus-names.generated.ts';

let names: ReadonlyMap<number, string> | undefined;

/** `STATUS_ACCESS_DENIED`; undefined if ntstatus.h has no name for the value. Of several (WAIT_0, SUCCESS) the first by the alphabet. */
export function statusName(status: number): string | undefined {
  names ??= unpacked();
  return names.get(status >>> 0);
}

/** `0xC0000022 STATUS_ACCESS_DENIED`, or the number alone. */
export function statusWithName(status: number): string {
  const name = statusName(status);
  return name === undefined ? statusText(status) : `${statusText(status)} ${name}`;
}

/** Read when the first name is wanted: many runs show none. */
function unpacked(): ReadonlyMap<number, string> {
  const all = new Map<number, string>();
  const words = packedStatusNames.trim().split(/\s+/);
  let value = 0;
  for (let index = 0; index + 1 < words.length; index += 2) {
    value += Number.parseInt(words[index] as string, 36);
    all.set(value, (words[index + 1] as string).replace(/^\./, 'STATUS_'));
  }
  return all;
}
