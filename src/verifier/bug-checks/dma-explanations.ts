/**
 * Meanings of the parameters of bug check 0xE6, by the first parameter, or by the first two where the second tells the
 * cases apart ("Bug Check 0xE6: DRIVER_VERIFIER_DMA_VIOLATION").
 */
import type { Explanation } from './explanations.ts';

type Rule = readonly [key: string, ...meanings: readonly string[]];

const record = "Verifier's record of the adapter";
const outside = 'the driver or its device wrote outside of a DMA buffer: ';

const rules: readonly Rule[] = [
  ['0/1', 'too much was flushed for the map registers', '', 'bytes left in the MDL', 'bytes left that were asked for'],
  ['3', 'a common buffer was freed too often', 'surplus common buffers', '', ''],
  ['4', 'an adapter channel was freed too often', 'surplus adapter channels', '', ''],
  ['5', 'map registers were freed too often', 'surplus map registers', '', ''],
  ['6', 'a scatter/gather list was freed too often', 'lists allocated', 'lists freed', ''],
  ['7', 'the adapter goes and its common buffers were not freed', 'DMA adapter', 'common buffers', record],
  ['8', 'the adapter goes and its adapter channel was not freed', 'DMA adapter', 'adapter channels', record],
  ['9', 'the adapter goes and its map registers were not freed', 'DMA adapter', 'map registers', record],
  ['a', 'the adapter goes and its scatter/gather lists were not freed', 'DMA adapter', 'lists', record],
  ['b', 'an adapter has more than one adapter channel', 'adapter channels', '', ''],
  ['c', 'too many map registers were asked for', 'map registers', 'the most that are allowed', ''],
  ['d', 'adapter buffers were not flushed', 'bytes mapped', 'the most that can be mapped at a time', ''],
  ['e', 'the pages of a DMA buffer are not locked', 'MDL', '', ''],
  ['f/1', `${outside}the tag before it changed`, 'tag before the buffer', 'length of the buffer', 'its start'],
  ['f/2', `${outside}the tag behind it changed`, 'tag behind the buffer', 'length of the buffer', 'its start'],
  ['f/3', `${outside}into an unused map register`, 'unused map register', 'address', ''],
  ['f/4', `${outside}the padding before it changed`, 'padding before the buffer', 'start of the buffer', 'address'],
  ['f/5', `${outside}the padding behind it changed`, 'padding behind the buffer', 'start of the buffer', 'address'],
  ['10', 'map registers were freed while mapped', 'map registers that are still mapped', '', ''],
  ['13/1', 'a DMA routine was called at the wrong IRQL', 'an exact IRQL is required', 'required IRQL', 'IRQL'],
  ['13/2', 'a DMA routine was called at the wrong IRQL', 'the IRQL is too high', 'highest IRQL allowed', 'IRQL'],
  ['16', 'a buffer was flushed that is not mapped', 'map register', record, ''],
  ['18', 'a released DMA adapter was used', 'DMA adapter', record, ''],
  ['19', 'NULL was passed as DMA adapter', '', '', ''],
  ['1b', 'an address is not in its MDL', 'address', 'MDL', ''],
  [
    '1d',
    'memory was mapped that is mapped already',
    'start of the buffer',
    'its end',
    'address that is mapped already',
  ],
  ['1e', 'HalGetAdapter was called, which is obsolete', '', '', ''],
  ['1f/1', 'a DMA buffer is not valid', 'it starts before the first MDL', 'start of the buffer', 'first MDL'],
  ['1f/2', 'a DMA buffer is not valid', 'it starts behind the first MDL', 'start of the buffer', 'first MDL'],
  ['1f/3', 'a DMA buffer is not valid', 'it is longer than its MDL, by a page boundary', 'MDL', 'length'],
  ['20', 'map registers were flushed that are not mapped', 'map register base', 'start of the buffer', 'MDL'],
  ['21', 'a DMA buffer of no bytes was mapped', record, '', ''],
  ['22', 'a DMA buffer is not mapped in system space', 'MDL', '', ''],
  ['24', 'the MDLs are shorter than the length', 'bytes that they lack', '', ''],
  ['25', 'a DEVICE_DESCRIPTION has an unknown version', '', '', ''],
];

const about = 'A driver that is verified broke a rule of DMA.';

export const dmaExplanations: readonly (readonly [string, Explanation])[] = [
  ...rules.map(([key, first = '', second = '', third = '', fourth = '']): readonly [string, Explanation] => [
    `e6/${key}`,
    { about, meanings: [first, second, third, fourth] },
  ]),
  ['e6', { about, meanings: ['the rule', '', '', ''] }],
];
