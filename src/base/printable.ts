/**
 * Text that a driver chose (names, tags, debug output, paths) as it may be shown: what a terminal would obey, or what
 * would reorder or hide a line, becomes `\x1b` or `\u202e`. Backslashes stay as they are, as Windows paths have them.
 */
export function printable(text: string): string {
  return text.replace(unprintable, escapeCharacter);
}

/** The characters that {@link printable} replaces, as JSON text may hold them: JSON leaves U+007F and above alone. */
export function terminalSafeJson(json: string): string {
  return json.replace(unprintable, (character) =>
    // Line feeds and spaces that lay the document out; JSON escapes those within strings by itself.
    character === '\n' ? character : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Control characters (C0, DEL, C1), line and paragraph separators, bidirectional controls, lone surrogates. */
const unprintable =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

function escapeCharacter(character: string): string {
  const code = character.charCodeAt(0);
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
}
