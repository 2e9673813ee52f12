/** Internet addresses as text (ip2string.h). IPv6 as RFC 5952 writes it. */

export function ipv4Text(bytes: Uint8Array): string {
  return bytes.slice(0, 4).join('.');
}

/** The longest run of zero groups becomes `::`; addresses that hold an IPv4 address end in it. */
export function ipv6Text(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, index) => ((bytes[index * 2] ?? 0) << 8) | (bytes[index * 2 + 1] ?? 0));
  const startsWithZeros = groups.slice(0, 4).every((group) => group === 0);
  const isMapped = startsWithZeros && groups[4] === 0 && groups[5] === 0xffff;
  const isTranslated = startsWithZeros && groups[4] === 0xffff && groups[5] === 0;
  const isCompatible = startsWithZeros && groups[4] === 0 && groups[5] === 0 && groups[6] !== 0;
  const isIsatap = (groups[4] === 0 || groups[4] === 0x200) && groups[5] === 0x5efe;
  const hasIpv4 = isMapped || isTranslated || isCompatible || isIsatap;
  const shown = hasIpv4 ? groups.slice(0, 6) : groups;
  const tail = hasIpv4 ? [ipv4Text(bytes.slice(12))] : [];
  const run = longestZeroRun(shown);
  const text = (list: readonly number[]): string[] => list.map((group) => group.toString(16));
  if (run === undefined) return [...text(shown), ...tail].join(':');
  const before = text(shown.slice(0, run.start)).join(':');
  const after = [...text(shown.slice(run.start + run.length)), ...tail].join(':');
  return `${before}::${after}`;
}

function longestZeroRun(groups: readonly number[]): { readonly start: number; readonly length: number } | undefined {
  let best: { start: number; length: number } | undefined;
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (groups[start + length] === 0) length++;
    if (length > 1 && length > (best?.length ?? 0)) best = { start, length };
  }
  return best;
}
