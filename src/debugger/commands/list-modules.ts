import { vaFromU64 } from '../../base/va.ts';
import type { PeImage } from '../../image/pe/index.ts';
import { imageContains, type KernelImage } from '../../nt/mm/kernel-image.ts';
import { builtinAddress } from '../addresses.ts';
import { CommandError, type DebuggerCommand } from '../command.ts';
import { takeWord } from '../command-line.ts';
import { evaluate } from '../expression.ts';
import type { Session } from '../session.ts';
import { moduleName } from '../symbols.ts';
import { utcText } from '../time-text.ts';
import { matches } from '../wildcards.ts';

interface Wanted {
  readonly letters: string;
  readonly isWanted: (image: KernelImage) => boolean;
}

/** `lm` */
export const listModules: DebuggerCommand = {
  name: 'lm',
  usage: ['lm [v] [o] [1m] [sm] [m Pattern] [a Address]', 'lmvm Pattern'],
  summary: 'lists modules and where their symbols come from',
  details: [
    'v shows more of each, o leaves the unloaded ones out, 1m shows names alone, sm sorts by name.',
    'm takes modules whose name matches a pattern with * and ?; a the module that contains an address.',
  ],
  completes: ['image'],
  hasLetters: true,
  run: (session, text) => {
    const { letters, isWanted } = parse(session, text);
    const all = [...session.target.nt.images.all()].filter(isWanted);
    const images = all.filter(({ isLoaded }) => isLoaded).sort((a, b) => a.base - b.base);
    if (letters.includes('s')) images.sort((a, b) => (a.name.toLowerCase() < b.name.toLowerCase() ? -1 : 1));
    if (letters.includes('1')) {
      for (const image of images) session.print(moduleName(image));
      return;
    }
    session.print('start             end                 module name');
    for (const image of images) {
      session.print(moduleLine(session, image));
      if (letters.includes('v')) for (const line of verboseLines(session, image)) session.print(line);
    }
    const unloaded = all.filter(({ isLoaded }) => !isLoaded);
    if (letters.includes('o') || unloaded.length === 0) return;
    session.print();
    session.print('Unloaded modules:');
    for (const { base, sizeBytes, fileName } of unloaded) session.print(`${span(base, sizeBytes)}   ${fileName}`);
  },
};

function parse(session: Session, text: string): Wanted {
  let letters = '';
  let rest = text;
  let isWanted = (_: KernelImage): boolean => true;
  while (rest !== '') {
    const { word, rest: behind } = takeWord(rest);
    rest = behind;
    const [, options = '', filter = ''] = /^((?:v|o|1m|sm|k)*)([ma]?)$/.exec(word) ?? [word, undefined];
    if (!/^(?:v|o|1m|sm|k)*[ma]?$/.test(word)) throw new CommandError(`lm: the option '${word}' is not supported`);
    letters += options.replace('1m', '1').replace('sm', 's');
    if (filter === '') continue;
    if (rest === '') throw new CommandError(`lm: ${filter} wants ${filter === 'm' ? 'a pattern' : 'an address'}`);
    if (filter === 'a') {
      const va = vaFromU64(evaluate(session, rest));
      return { letters, isWanted: (image) => image.isLoaded && imageContains(image, va) };
    }
    const pattern = takeWord(rest);
    rest = pattern.rest;
    isWanted = (image) => matches(pattern.word, image.name) || matches(pattern.word, moduleName(image));
  }
  return { letters, isWanted };
}

function span(base: KernelImage['base'], sizeBytes: number): string {
  return `${builtinAddress(base)} ${builtinAddress((base + sizeBytes) as KernelImage['base'])}`;
}

function moduleLine(session: Session, image: KernelImage): string {
  const [status, file] = symbolStatus(session, image);
  return `${span(image.base, image.sizeBytes)}   ${moduleName(image).padEnd(10)} ${`(${status})`.padEnd(22)} ${file}`;
}

/** What the debugger calls the kind of symbols, and the file that they come from. */
function symbolStatus(session: Session, image: KernelImage): readonly [string, string] {
  const symbols = image.isDriver ? session.target.symbolsOf(image) : undefined;
  switch (symbols?.source.kind) {
    case 'pdb':
      return ['private pdb symbols', symbols.origin];
    case 'dwarf':
      return ['dwarf symbols', symbols.origin];
    case 'coff':
      return ['coff symbols', symbols.origin];
    default:
      return ['export symbols', image.fileName];
  }
}

function verboseLines(session: Session, image: KernelImage): readonly string[] {
  const [, file] = symbolStatus(session, image);
  const folder = image.isDriver ? '\\SystemRoot\\System32\\drivers\\' : '\\SystemRoot\\system32\\';
  const { pe } = image;
  const notes = (image.isDriver && session.target.symbolsOf(image)?.notes) || [];
  return [
    `    Loaded symbol image file: ${file}`,
    `    Image path: ${folder}${image.fileName}`,
    `    Image name: ${image.fileName}`,
    ...(pe === undefined
      ? []
      : [`    Timestamp:        ${timestampText(pe)}`, `    CheckSum:         ${hex8(pe.checksum)}`]),
    `    ImageSize:        ${hex8(image.sizeBytes)}`,
    ...notes.map((note) => `    Symbols: ${note}`),
  ];
}

/** IMAGE_DEBUG_TYPE_REPRO (PE format, ".debug section"): the linker put a hash where the time would stand. */
const reproducible = 16;

function timestampText({ timestamp, debugEntries }: PeImage): string {
  const isHash = debugEntries.some(({ type }) => type === reproducible);
  return isHash
    ? `${hex8(timestamp)} (This is a reproducible build file hash, not a timestamp)`
    : `${utcText(timestamp * 1000)} (${hex8(timestamp)})`;
}

const hex8 = (value: number): string => value.toString(16).toUpperCase().padStart(8, '0');
