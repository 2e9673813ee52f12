/** Commands and what they print, as documentation shows them. */
import { readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { runCommandLine } from '../src/cli/main.ts';
import { shellQuoted } from '../src/cli/repeat-command.ts';
import { plainStyle } from '../src/run/report/text.ts';

/**
 * What the command prints, as a block of Markdown. `lines` are typed where it reads commands. How long it took differs from
 * run to run and is left out.
 */
export async function commandTranscript(args: readonly string[], lines: readonly string[] = []): Promise<string> {
  let text = '';
  const print = (more: string): void => {
    text += more;
  };
  const stream = Readable.from(lines.map((line) => `${line}\n`));
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  await runCommandLine(
    args,
    { out: print, err: print, style: plainStyle, input: { stream, screen: undefined } },
    version,
  );
  const timeless = text.replace(/^(Seed \d+), \d+ ms$/m, '$1').trimEnd();
  return `\`\`\`text\n$ npx poolproof ${args.map(shellQuoted).join(' ')}\n${timeless}\n\`\`\``;
}
