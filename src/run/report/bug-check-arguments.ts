/**
 * What the parameters of a bug check mean, in the layout of the debugger's `!analyze -v`: a heading, a sentence and one
 * line for each argument. The wording is ours; the meanings are those of the "Bug Check Code Reference".
 */
import { dmaExplanations } from './dma-bug-check-arguments.ts';
import { kernelExplanations } from './kernel-bug-check-arguments.ts';
import { poolCallMeanings } from './pool-call-arguments.ts';
import type { ReportBugCheck } from './report.ts';

type Meanings = readonly [string, string, string, string];

export interface Explanation {
  readonly about: string;
  /** Empty where the parameter is reserved. */
  readonly meanings: Meanings;
}

const access = '0 read, 1 write, 8 execute';
const unloaded = 'the code of a driver that is no longer loaded was needed';

/** By code alone, or by code and the parameters that tell the cases apart (`c4/62`, `e6/f/2`). */
const explanations: ReadonlyMap<string, Explanation> = new Map<string, Explanation>([
  ...poolCallMeanings.map(
    ([key, meanings]) => [key, { about: 'The driver called a pool routine wrongly.', meanings }] as const,
  ),
  [
    'c4/62',
    {
      about: 'A driver that is verified broke a rule of Driver Verifier.',
      meanings: [
        'the driver was unloaded and did not free its pool allocations',
        "address of the driver's name",
        "address of Verifier's record of the driver",
        'allocations that are left, paged and nonpaged together',
      ],
    },
  ],
  ['c4', { about: 'A driver that is verified broke a rule of Driver Verifier.', meanings: ['the rule', '', '', ''] }],
  ...kernelExplanations,
  ...dmaExplanations,
  [
    'a',
    {
      about: 'The kernel touched memory that is pageable or not there, at an IRQL at which nothing can be paged in.',
      meanings: ['address', 'IRQL', access, 'instruction that touched it'],
    },
  ],
  [
    'd1',
    {
      about: 'The driver touched memory that is pageable or not there, at an IRQL at which nothing can be paged in.',
      meanings: ['address', 'IRQL', access, 'instruction that touched it'],
    },
  ],
  [
    'd3',
    {
      about: 'A part of the driver that must be nonpaged is pageable.',
      meanings: ['address', 'IRQL', access, 'instruction that touched it'],
    },
  ],
  ['d4', { about: `At raised IRQL ${unloaded}.`, meanings: ['address', 'IRQL', access, 'instruction'] }],
  [
    'ce',
    {
      about: `The driver was unloaded with operations pending: ${unloaded}.`,
      meanings: ['address', access, 'instruction', ''],
    },
  ],
  [
    '50',
    {
      about: 'Invalid system memory was touched. No __try can guard against it.',
      meanings: ['address', '0 read, 2 write, 10 execute (hexadecimal)', 'instruction, if known', 'kind of fault'],
    },
  ],
  [
    'be',
    {
      about: 'Read-only memory was written: code or constant data.',
      meanings: ['address', 'page table entry', '', ''],
    },
  ],
  [
    'fc',
    {
      about: 'The processor was led into memory that holds no code: NonPagedPoolNx, a stack or data.',
      meanings: ['address', 'page table entry', '', ''],
    },
  ],
  [
    '1e',
    {
      about: 'An exception in kernel mode met no handler.',
      meanings: ['exception code', 'instruction that raised it', 'exception parameter 0', 'exception parameter 1'],
    },
  ],
  [
    '7e',
    {
      about: 'An exception in a system thread met no handler.',
      meanings: ['exception code', 'instruction that raised it', 'exception record', 'context record'],
    },
  ],
  [
    '3b',
    {
      about: 'An exception in a system call met no handler.',
      meanings: ['exception code', 'instruction that raised it', 'context record', ''],
    },
  ],
  [
    '7f/8',
    {
      about: 'The processor met a fault while it handled a fault; almost always the kernel stack is used up.',
      meanings: ['double fault', 'address', 'stack pointer', 'instruction'],
    },
  ],
  [
    '7f',
    { about: 'The processor raised a trap that the kernel does not expect.', meanings: ['trap number', '', '', ''] },
  ],
  [
    '139',
    {
      about: 'A security check in the driver found its data damaged.',
      meanings: ['kind of damage (3: a list entry, 2: the stack cookie)', 'trap frame', 'exception record', ''],
    },
  ],
  [
    '44',
    {
      about: 'An I/O request was completed that is completed already.',
      meanings: ['IRP', '', '', ''],
    },
  ],
  ['35', { about: 'An I/O request was passed down and has no stack location left.', meanings: ['IRP', '', '', ''] }],
  [
    'b8',
    {
      about: 'A thread would have to wait where none may: at DISPATCH_LEVEL or above.',
      meanings: ['thread', 'thread that would run next', 'stack', ''],
    },
  ],
  [
    '4a',
    {
      about: 'A system call returned to user mode at raised IRQL.',
      meanings: ['address of the system call', 'IRQL', '', ''],
    },
  ],
  [
    'c2/7',
    {
      about: 'Pool was freed that is free already.',
      meanings: ['a second free', '', "contents of the block's header", 'address of the block'],
    },
  ],
  [
    'c2/a',
    {
      about: 'Pool was freed with another tag than it was allocated with.',
      meanings: ['wrong tag', 'address', 'tag of the allocation', 'tag of the free'],
    },
  ],
  [
    'c2/40',
    {
      about: 'A user-mode address was freed to kernel pool.',
      meanings: ['user address', 'address', 'start of system space', ''],
    },
  ],
  [
    'c2/46',
    {
      about: 'An address was freed that is no pool address.',
      meanings: ['bad address', 'address', '', ''],
    },
  ],
  ['c2', { about: 'The driver called a pool routine wrongly.', meanings: ['what was wrong', '', '', ''] }],
  [
    'c9/6',
    {
      about: 'A driver that is verified broke a rule of I/O requests.',
      meanings: ['an IRP was completed as still pending, or with -1', 'status', 'IRP', ''],
    },
  ],
  [
    'c9/7',
    {
      about: 'A driver that is verified broke a rule of I/O requests.',
      meanings: ['an IRP was completed while its cancel routine was set', 'cancel routine', 'IRP', ''],
    },
  ],
  ['19', { about: 'The header of a pool block is damaged.', meanings: ['kind of damage', '', '', ''] }],
]);

/** The block that a debugger prints; lines without line ends. */
export function bugCheckLines(bugCheck: ReportBugCheck, driverName: string): string[] {
  const code = shortHex(bugCheck.code);
  const [first, second] = bugCheck.parameters;
  const rule = `${code}/${shortHex(first)}`;
  const explanation =
    explanations.get(`${rule}/${shortHex(second)}`) ?? explanations.get(rule) ?? explanations.get(code);
  const lines = [`${bugCheck.name} (${code})`];
  if (explanation !== undefined) lines.push(explanation.about);
  lines.push('Arguments:');
  for (const [index, parameter] of bugCheck.parameters.entries()) {
    const meaning = explanation?.meanings[index as 0 | 1 | 2 | 3] ?? '';
    lines.push(`Arg${index + 1}: ${parameterText(parameter)}${meaning === '' ? '' : `, ${meaning}`}`);
  }
  if (code === 'c4' && shortHex(first) === '62') {
    lines.push(`\tWhat is left is listed below; in a kernel debugger on Windows: !verifier 3 ${driverName}`);
  }
  return lines;
}

/** 16 digits without a prefix; what is no number (a non-canonical address has no value) stays. */
function parameterText(parameter: string): string {
  return /^0x[0-9a-f]{1,16}$/i.test(parameter) ? parameter.slice(2).toLowerCase().padStart(16, '0') : parameter;
}

/** `0x0A` as debuggers write codes: `a`. */
function shortHex(text: string): string {
  return text.replace(/^0x0*(?=.)/i, '').toLowerCase();
}
