/**
 * Writes what documentation says of the code from the code: docs/supported-exports.md, docs/debugger.md,
 * docs/report.schema.json, and parts of README.md, library.md and walk-through.md between `<!-- generated: NAME -->` and
 * `<!-- end -->`. `npm run docs`; a test checks that it was done.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import mailboxScenario from '../examples/scenario/mailbox.ts';
import { exitStatusTexts } from '../src/cli/exit-status.ts';
import { type SupportedExport, supportedExports } from '../src/run/inspect.ts';
import { reportText } from '../src/run/report/text.ts';
import { stepForms } from '../src/run/scenario/step.ts';
import { verifyScenario } from '../src/run/verify.ts';
import { verifierOptions } from '../src/verifier/core/options.ts';
import { debuggerPage } from './debugger-page.ts';
import { schemaOf } from './report-schema.ts';
import { commandTranscript } from './transcript.ts';
import { walkThroughParts } from './walk-through.ts';

const repository = fileURLToPath(new URL('..', import.meta.url));

/** Every generated document by its path, as it should be. */
export async function documents(): Promise<ReadonlyMap<string, string>> {
  const parts: Readonly<Record<string, string>> = {
    'library test': sourceOf('examples/vitest/mailbox.test.ts'),
    'device model': sourceOf('examples/device-model/thermometer.ts'),
    'scenario module': sourceOf('examples/scenario/mailbox.ts'),
    'scenario output': await scenarioOutput(),
    transcript: await commandTranscript(['drivers/leaky-inventory/leaky-inventory.sys']),
    steps: table(
      ['step', 'what it does'],
      stepForms.map(({ form, does }) => [code(form), does]),
    ),
    'exit statuses': table(
      ['status', 'meaning'],
      exitStatusTexts.map(([status, text]) => [String(status), text]),
    ),
    ...(await walkThroughParts()),
    options: table(
      ['bit', 'option', 'supported'],
      verifierOptions.map((option) => [
        code(`0x${option.flag.toString(16)}`),
        option.name + (option.isStandard ? ' (standard)' : ''),
        option.isImplemented ? 'yes' : 'no',
      ]),
    ),
  };
  const filled = (path: string): [string, string] => [
    path,
    fillIn(readFileSync(join(repository, path), 'utf8'), parts),
  ];
  return new Map([
    filled('README.md'),
    filled('docs/library.md'),
    filled('docs/walk-through.md'),
    ['docs/debugger.md', debuggerPage()],
    ['docs/supported-exports.md', supportedExportsPage()],
    ['docs/report.schema.json', reportSchema()],
  ]);
}

function sourceOf(path: string): string {
  return `\`\`\`ts\n${readFileSync(join(repository, path), 'utf8').trimEnd()}\n\`\`\``;
}

/** What the example of a scenario module finds. */
async function scenarioOutput(): Promise<string> {
  const path = 'drivers/leaky-mailbox/leaky-mailbox.sys';
  const bytes = new Uint8Array(readFileSync(join(repository, path)));
  const report = await verifyScenario({ drivers: [{ name: basename(path), path, bytes }] }, mailboxScenario);
  const timeless = reportText(report)
    .replace(/^(Seed \d+), \d+ ms$/m, '$1')
    .trimEnd();
  return `\`\`\`text\n$ npx poolproof ${path} --scenario examples/scenario/mailbox.ts\n${timeless}\n\`\`\``;
}

function reportSchema(): string {
  const read = (path: string): string => readFileSync(join(repository, path), 'utf8');
  // The one declaration that the report takes from elsewhere.
  const source = read('src/run/report/report.ts')
    .replace(/^import .*\n/gm, '')
    .replace('export type { Site };', () => read('src/debugger/site.ts').trimEnd());
  return `${JSON.stringify(schemaOf(source, 'Report', 'The report of poolproof (--json), schema 1'), null, 2)}\n`;
}

function fillIn(text: string, parts: Readonly<Record<string, string>>): string {
  return text.replace(/(<!-- generated: ([\w -]+) -->\n).*?(<!-- end -->)/gs, (_, start: string, name: string, end) => {
    const part = parts[name];
    if (part === undefined) throw new Error(`nothing generates the part '${name}'`);
    return `${start}${part}\n${end}`;
  });
}

function supportedExportsPage(): string {
  const all = supportedExports();
  const partial = all.filter(({ support }) => support !== 'full').length;
  const modules = [...new Set(all.map(({ module }) => module))];
  return [
    '# Supported exports',
    '',
    `Made from the declarations in \`src/nt\` by \`npm run docs\`: ${all.length} exports, ${partial} of them in part.`,
    'What a driver imports beyond these is bound too; the run ends as `incomplete` when it is called.',
    '`poolproof inspect DRIVER.sys` says it for one driver.',
    ...modules.flatMap((module) => [
      '',
      `## ${module}`,
      '',
      table(
        ['export', 'support', 'documentation'],
        all
          .filter((entry) => entry.module === module)
          .map((entry) => [code(entry.name), supportText(entry), entry.doc]),
      ),
    ]),
    '',
  ].join('\n');
}

function supportText({ support, kind }: SupportedExport): string {
  return support === 'full' ? (kind === 'data' ? 'data' : 'full') : `partial: ${support.partial}`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function code(text: string): string {
  return `\`${text}\``;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.chdir(repository);
  for (const [path, text] of await documents()) writeFileSync(path, text);
}
