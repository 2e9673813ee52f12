/** Patterns with `*` and `?` ("String Wildcard Syntax"), without regard to case. */
export function matches(pattern: string, text: string): boolean {
  return matchesCase(pattern.toLowerCase(), text.toLowerCase());
}

/** As {@link matches}; capital letters are others than small ones. Takes no longer than both lengths multiplied. */
export function matchesCase(wanted: string, given: string): boolean {
  let at = 0;
  let star = -1;
  let starAt = 0;
  let index = 0;
  while (at < given.length) {
    if (index < wanted.length && (wanted[index] === '?' || (wanted[index] === given[at] && wanted[index] !== '*'))) {
      index++;
      at++;
    } else if (wanted[index] === '*') {
      star = index++;
      starAt = at;
    } else if (star >= 0) {
      index = star + 1;
      at = ++starAt;
    } else return false;
  }
  while (wanted[index] === '*') index++;
  return index === wanted.length;
}
