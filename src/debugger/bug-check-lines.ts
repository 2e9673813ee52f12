/** A bug check in words: its name, what it means, and its arguments, as `!analyze` lays them out. */
import { type Va, vaToU64 } from '../base/va.ts';
import { bugCheckName } from '../nt/bug-check-names.ts';
import type { BugCheck, BugCheckParameter } from '../nt/declare/bug-check.ts';
import { explanationOf } from '../verifier/bug-checks/explanations.ts';

/** As it is typed or raised; a parameter that was not given is undefined. */
export interface BugCheckData {
  readonly code: number;
  readonly parameters: readonly (bigint | undefined)[];
  /** The driver that 0xC4/0x62 is about: `toaster.sys`. */
  readonly driverName?: string | undefined;
}

const boxWidth = 79;
const titleColumn = 24;

export function analysisBox(): string[] {
  const side = (text: string): string => `*${text.padEnd(boxWidth - 2)}*`;
  return [
    '*'.repeat(boxWidth),
    side(''),
    side(`${' '.repeat(titleColumn)}Bugcheck Analysis`),
    side(''),
    '*'.repeat(boxWidth),
    '',
  ];
}

/** What 0xC4 says besides the broken rule. */
const verifierParagraph = [
  'The driver is watched because it was chosen for verification: on Windows an',
  'administrator names such drivers in the registry. Besides 0xC4, mistakes of',
  'watched drivers mostly end in 0xC1 (special pool) and 0xA or 0xD1 (IRQL).',
];

export function bugCheckLines({ code, parameters, driverName = 'drivername.sys' }: BugCheckData): string[] {
  const hex = code.toString(16);
  const [first = '', second = ''] = parameters.map((parameter) => parameter?.toString(16));
  const explanation = explanationOf(hex, first, second);
  const name = bugCheckName(code);
  const lines = [name === undefined ? `Unknown bugcheck code (${hex})` : `${name} (${hex})`];
  if (explanation !== undefined) lines.push(...wrapped(explanation.about));
  else lines.push(name === undefined ? 'Unknown bugcheck description' : 'What it means is not described here.');
  if (code === 0xc4) lines.push(...verifierParagraph);
  lines.push('Arguments:');
  for (const [index, parameter] of parameters.entries()) {
    const meaning = explanation?.meanings[index as 0 | 1 | 2 | 3] ?? '';
    lines.push(`Arg${index + 1}: ${argumentDigits(parameter ?? 0n)}${meaning === '' ? '' : `, ${meaning}`}`);
  }
  if (code === 0xc4 && parameters[0] === 0x62n) {
    lines.push('\tThe allocations that are left, and who made them, are listed by', `\t!verifier 3 ${driverName}`);
  }
  return lines;
}

export function argumentDigits(value: bigint): string {
  return BigInt.asUintN(64, value).toString(16).padStart(16, '0');
}

/** The four parameters as 64-bit values. An address without a canonical value has lost it; it stands for itself. */
export function parameterValues({ parameters }: BugCheck): readonly bigint[] {
  return parameters.map((parameter: BugCheckParameter) =>
    typeof parameter === 'bigint' ? BigInt.asUintN(64, parameter) : vaToU64(parameter as Va),
  );
}

/** `0xc4_62`: with the first parameter where that tells the rule. */
export function bugCheckString(code: number, first: bigint): string {
  const hasRules = [0xc1, 0xc2, 0xc4, 0xc9, 0xe6, 0x19, 0xda, 0x9f, 0xca, 0xc7, 0x76].includes(code);
  return `0x${code.toString(16)}${hasRules ? `_${first.toString(16)}` : ''}`;
}

/** Broken between words, as the debugger's paragraphs are. */
function wrapped(text: string): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > boxWidth) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}
