/** Lines as they are typed: commands separated by semicolons, quotes kept together. */

/** The first command of a line, and what stands behind its semicolon; a semicolon between quotes separates nothing. */
export function firstCommand(line: string): { readonly text: string; readonly rest: string } {
  const end = separatorIn(line);
  return end < 0 ? { text: line.trim(), rest: '' } : { text: line.slice(0, end).trim(), rest: line.slice(end + 1) };
}

function separatorIn(line: string): number {
  let isQuoted = false;
  for (let at = 0; at < line.length; at++) {
    const character = line.charAt(at);
    if (isQuoted && character === '\\') at++;
    else if (character === '"') isQuoted = !isQuoted;
    else if (character === ';' && !isQuoted) return at;
  }
  return -1;
}

/**
 * The name at the beginning of a command and what follows it. Names of letters end where something else begins, so that
 * `db@rsp`, `k5` and `?1+2` need no blank; `.` and `!` names also hold digits, `_` and `-`.
 */
export function splitName(command: string): { readonly name: string; readonly rest: string } {
  const [name = command] = /^(\?\??|\$\$|[.!][\w-]*|[a-z]+|\S)/i.exec(command) ?? [];
  return { name, rest: command.slice(name.length).trim() };
}

/** A word, or a text between quotes with `\"` and `\\` in it, at the beginning; and what follows it. */
export function takeWord(text: string): { readonly word: string; readonly rest: string } {
  const quoted = /^"((?:[^"\\]|\\.)*)"?/.exec(text);
  if (quoted?.[1] !== undefined) {
    return { word: quoted[1].replace(/\\(["\\])/g, '$1'), rest: text.slice(quoted[0].length).trim() };
  }
  const [word = ''] = /^\S*/.exec(text) ?? [];
  return { word, rest: text.slice(word.length).trim() };
}
