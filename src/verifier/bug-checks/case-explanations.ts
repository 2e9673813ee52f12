/** Bug checks of the kernel whose first parameter tells cases apart, and a few without cases; see explanations.ts. */
import type { Explanation } from './explanations.ts';

type Case = readonly [key: string, what: string, ...parameters: readonly string[]];

/** By code: what all of its cases are about, and the cases. */
const groups: readonly { readonly about: string; readonly cases: readonly Case[] }[] = [
  {
    about: 'Memory or a driver that goes holds an object that is in use.',
    cases: [
      ['c7/0', 'a timer that is set', 'timer', 'start of the memory', 'its end'],
      ['c7/1', 'a DPC that is queued', 'DPC', 'start of the memory', 'its end'],
      ['c7/2', "a DPC's routine", 'routine', 'start of the memory', 'its end'],
      ['c7/3', 'a DPC for a processor that is not there', 'DPC', 'processor', 'processors'],
      ['c7/4', 'a DPC changed the APC disable count', 'routine', 'count before', 'count after'],
      ['c7/5', "a timer's DPC changed the APC disable count", 'routine', 'count before', 'count after'],
    ],
  },
  {
    about: 'Plug and play found a mistake of a driver.',
    cases: [
      ['ca/1', 'two physical devices have the same identity', 'new device', 'older device'],
      ['ca/2', 'a routine that takes a physical device was given something else', 'device object', 'driver object'],
      [
        'ca/3',
        'a device has a bad ID',
        'physical device',
        'ID',
        '1 device ID, 2 unique ID, 3 hardware IDs, 4 compatible IDs',
      ],
      ['ca/4', 'a bus driver reported a device that is deleted', 'physical device'],
      ['ca/5', 'a physical device was freed while it was in the device tree', 'physical device'],
      ['ca/8', 'a bus driver reported a child that is no device', 'bus device', 'children', 'place of the bad one'],
      ['ca/9', 'an interrupt was disconnected in another way than connected', 'kind of connection'],
      ['ca/a', 'a notification routine returned at another IRQL', 'driver object', 'IRQL', 'APC disable count'],
      ['ca/b', 'a removal relation is deleted already', 'physical device', 'removal relations'],
    ],
  },
  {
    about: 'System addresses for mappings were used wrongly.',
    cases: [
      ['da/100', 'mapping addresses of 0 bytes were reserved', 'mappings', 'tag', 'caller'],
      ['da/101', "somebody else's mapping addresses were freed", 'first mapping', 'tag', "owner's tag"],
      ['da/102', 'mapping addresses were freed that are not reserved', 'first mapping', 'tag'],
      ['da/103', 'mapping addresses were freed while they were in use', 'mapping', 'tag', 'mappings'],
      ['da/104', "an MDL was mapped at somebody else's addresses", 'first mapping', 'tag', "owner's tag"],
      ['da/105', 'an MDL was mapped at addresses that are not reserved', 'first mapping', 'tag'],
      ['da/107', 'an MDL was mapped where one is mapped', 'first mapping', 'the one in use', 'last mapping'],
      ['da/108', "somebody else's addresses were unmapped", 'first mapping', 'tag', "owner's tag"],
      ['da/109', 'addresses were unmapped that are not reserved', 'first mapping', 'tag'],
      ['da/10a', 'more was unmapped than is mapped', 'first mapping', 'mappings that are there', 'to unmap'],
      ['da/10b', 'something was unmapped that is not mapped', 'first mapping', 'tag', 'mappings to unmap'],
      ['da/10c', 'only a part was unmapped', 'first mapping', 'tag', 'mappings to unmap'],
      ['da/302', 'an address was unmapped where nothing is mapped', 'address'],
      ['da/303', 'addresses were released that are not reserved', 'first mapping', 'mappings'],
      ['da/304', 'an address in the middle of a mapping was unmapped', 'address', 'mappings'],
      ['da/305', 'a mapping was removed with another size', 'first mapping', 'mappings given', 'mappings there'],
      ['da/400', 'device memory was unmapped that is not mapped', 'address', 'pages'],
    ],
  },
  {
    about: 'Memory management found a mistake of a driver.',
    cases: [
      ['1a/1010', 'a pageable section was unlocked that is not locked', 'section'],
      ['1a/1233', 'a page was mapped that is not locked', 'page frame'],
      ['1a/1234', 'a section was locked that does not exist', 'section'],
      [
        '1a/1236',
        'an MDL was mapped that has a page that is not locked',
        'MDL',
        "address of the page's number",
        'page',
      ],
      ['1a', 'kind of mistake'],
    ],
  },
  {
    about: 'The driver called a pool routine wrongly.',
    cases: [
      ['c2/44', 'an address in nonpaged pool was freed that is not allocated', 'address'],
      ['c2/48', 'an address in paged pool was freed that is not allocated', 'address'],
      ['c2/60', 'an address was freed as contiguous memory that is none', 'address'],
      ['c2/99', 'a bad address was freed, or a header is damaged', 'address'],
    ],
  },
  {
    about: 'A security check in the driver found its data damaged.',
    cases: [
      ['139/0', 'a stack buffer was overrun (old form)', 'trap frame', 'exception record'],
      ['139/2', 'the stack cookie was overwritten: a buffer was overrun', 'trap frame', 'exception record'],
      ['139/3', 'a LIST_ENTRY is damaged, or an entry was removed twice', 'trap frame', 'exception record'],
      ['139/5', 'an invalid parameter', 'trap frame', 'exception record'],
      ['139/6', 'the stack cookie was not initialised', 'trap frame', 'exception record'],
      ['139/7', 'the driver asked for the stop', 'trap frame', 'exception record'],
      ['139/8', 'an index is outside of its array', 'trap frame', 'exception record'],
      ['139/9', 'RtlQueryRegistryValues of a hive that is not trusted, without a type check', 'trap frame', 'record'],
      ['139/a', 'an indirect call to what is no function', 'trap frame', 'exception record'],
      ['139/e', 'a reference count is damaged', 'trap frame', 'exception record'],
      ['139/1d', 'a tree is damaged', 'trap frame', 'exception record'],
    ],
  },
  { about: 'A thread waited for more objects than it can.', cases: [['c', '']] },
  { about: 'There are no system addresses for mappings left.', cases: [['3f', '', 'mappings that were asked for']] },
  {
    about: 'A request was completed while its cancel routine was set.',
    cases: [['48', 'IRP', 'cancel routine']],
  },
  { about: 'A partial MDL is too small for the pages that it shall describe.', cases: [['49', '']] },
  { about: 'A queue was given an entry that is on a list already.', cases: [['96', 'entry', 'queue']] },
  {
    about: 'A resource was released by a thread that does not own it.',
    cases: [['e3', 'ERESOURCE', 'thread', 'table of owners', 'how it was found']],
  },
  {
    about: 'An interrupt is asserted for ever: no driver takes it.',
    cases: [['f2', 'routine', 'its context', 'interrupt object', '1 the only one on its line, 2 one of several']],
  },
  {
    about: 'The driver wrote over its own stack frame, or that of a routine that called it.',
    cases: [['f7', 'what stands there', 'what should', 'its complement']],
  },
];

export const caseExplanations: readonly (readonly [string, Explanation])[] = groups.flatMap(({ about, cases }) =>
  cases.map(
    ([key, what, second = '', third = '', fourth = '']) =>
      [key, { about, meanings: [what, second, third, fourth] }] as const,
  ),
);
