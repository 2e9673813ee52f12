/**
 * FsRtlIsNameInExpression: names against patterns with `*`, `?` and the DOS forms that Win32 makes of them
 * (ntifs.h: DOS_STAR `<`, DOS_QM `>`, DOS_DOT `"`).
 */
export const wildcards = /["*<>?]/;

/** Both are compared as they are: whoever ignores case upcases them first. */
export function isNameInExpression(expression: string, name: string): boolean {
  // States: positions in the expression that the name read so far leads to.
  let states = closure(expression, new Set([0]), name, 0);
  for (let index = 0; index < name.length && states.size > 0; index++) {
    const next = new Set<number>();
    for (const state of states) step(expression, state, name, index, next);
    states = closure(expression, next, name, index + 1);
  }
  return states.has(expression.length);
}

/** What one character of the name does at one position. */
function step(expression: string, state: number, name: string, index: number, next: Set<number>): void {
  const pattern = expression[state];
  const letter = name[index];
  if (pattern === '*') next.add(state);
  else if (pattern === '<') {
    // Takes everything but the last dot.
    if (letter !== '.' || name.indexOf('.', index + 1) >= 0) next.add(state);
  } else if (pattern === '?') next.add(state + 1);
  else if (pattern === '>') {
    if (letter !== '.') next.add(state + 1);
  } else if (pattern === '"') {
    if (letter === '.') next.add(state + 1);
  } else if (pattern === letter) next.add(state + 1);
}

/** Positions that are reached without a character. */
function closure(expression: string, states: Set<number>, name: string, index: number): Set<number> {
  for (const state of states) {
    const pattern = expression[state];
    const isAtEnd = index === name.length;
    if (pattern === '*' || pattern === '<') states.add(state + 1);
    else if (pattern === '>' && (isAtEnd || name[index] === '.')) states.add(state + 1);
    else if (pattern === '"' && isAtEnd) states.add(state + 1);
  }
  return states;
}
