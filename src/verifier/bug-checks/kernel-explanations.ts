/** Meanings of parameters of the bug checks that the kernel raises by itself: by code, or code and the first parameter. */
import type { Explanation } from './explanations.ts';

const pnp = 'Plug and play found a mistake of a driver.';
const mapping = 'System addresses for mappings were used wrongly.';
const watchdog = 'The processor was kept at raised IRQL for too long.';

export const kernelExplanations: readonly (readonly [string, Explanation])[] = [
  [
    'cb',
    {
      about: 'A process ended with pages locked that the driver (or the I/O manager) should have unlocked.',
      meanings: [
        'record of the lock (internal)',
        '',
        'MDL that describes the locked pages',
        'pages that are still locked',
      ],
    },
  ],
  [
    '76/0',
    {
      about: 'A process ended with pages locked: a driver did not unlock them after I/O.',
      meanings: ['found at the end of the process', 'process', 'its pages that are still locked', ''],
    },
  ],
  [
    '76/1',
    {
      about: 'A driver unlocked pages of a process that are not locked.',
      meanings: ['found when an MDL was unlocked', 'MDL', 'locked pages of the process before', ''],
    },
  ],
  ['18', { about: 'A reference to an object was given up that nobody had.', meanings: ['', 'object', '', ''] }],
  [
    '20',
    {
      about: 'A thread ended with APCs disabled, or at raised IRQL.',
      meanings: ['APC', "the thread's APC disable count", 'IRQL', ''],
    },
  ],
  [
    '1',
    {
      about: 'APCs were disabled when a system routine returned, or enabled once too often.',
      meanings: ['routine', '', 'APC disable count', '0 a system call, 1 a worker routine'],
    },
  ],
  [
    '4e/7',
    { about: 'The list of page frames is damaged.', meanings: ['a page unlocked too often', 'page frame', '', ''] },
  ],
  [
    'c7',
    { about: 'Memory that holds an object in use went.', meanings: ['kind of object', 'object', 'memory', 'its end'] },
  ],
  [
    'c8',
    {
      about: 'A routine returned at another IRQL than it was called at.',
      meanings: ['current and expected IRQL', '', '', ''],
    },
  ],
  ['ca', { about: pnp, meanings: ['kind of mistake', 'object that it is about', '', ''] }],
  ['da', { about: mapping, meanings: ['kind of mistake', 'address, if any', '', ''] }],
  [
    '9f/3',
    {
      about: 'A power request was not completed in time.',
      meanings: ['a device object blocked it', 'physical device object', 'information for triage', 'IRP'],
    },
  ],
  ['e1', { about: 'A work item returned at raised IRQL.', meanings: ['routine', 'IRQL', 'work item', 'work item'] }],
  [
    'e4/0',
    { about: 'A work item was used wrongly.', meanings: ['its memory was freed', 'work item', 'pool', 'its end'] },
  ],
  ['e4/1', { about: 'A work item was used wrongly.', meanings: ['it was queued twice', 'work item', '', ''] }],
  ['133/0', { about: watchdog, meanings: ['one DPC', 'ticks that it took', 'ticks allowed', ''] }],
  ['133/1', { about: watchdog, meanings: ['all the time at DISPATCH_LEVEL', 'ticks allowed', '', ''] }],
  ['4000008a', { about: 'A thread ended that owned a mutex.', meanings: ['thread', 'mutex', '', ''] }],
  ['4d', { about: 'There are no free pages left.', meanings: ['', '', '', ''] }],
];
