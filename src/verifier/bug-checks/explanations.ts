/**
 * What bug checks and their parameters mean: a sentence, and a few words for each parameter. The wording is ours; the
 * meanings are those of the "Bug Check Code Reference".
 */
import { caseExplanations } from './case-explanations.ts';
import { dmaExplanations } from './dma-explanations.ts';
import { kernelExplanations } from './kernel-explanations.ts';
import { poolCallMeanings } from './pool-call-explanations.ts';
import { verifierRuleExplanations } from './verifier-rule-explanations.ts';

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
  ...verifierRuleExplanations,
  ...kernelExplanations,
  ...caseExplanations,
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

/** By code and the first two parameters: numbers in hexadecimal, with or without 0x, of either case. */
export function explanationOf(code: string, first: string, second: string): Explanation | undefined {
  const rule = `${shortHex(code)}/${shortHex(first)}`;
  return explanations.get(`${rule}/${shortHex(second)}`) ?? explanations.get(rule) ?? explanations.get(shortHex(code));
}

/** `0x0A` as debuggers write codes: `a`. */
export function shortHex(text: string): string {
  return text
    .replace(/^0x/i, '')
    .replace(/^0*(?=.)/, '')
    .toLowerCase();
}
