/** What the parameters mean where a rule on pool calls was broken: by code and rule, the four meanings. */
type Meanings = readonly [string, string, string, string];

const asked = ['IRQL', 'pool type', 'bytes'] as const;
const freed = ['IRQL', 'pool type', 'address of the block'] as const;
const held = (what: string): readonly [string, string, string] => [what, 'pool type', 'address of the block'];
const tagged = ['pool type', 'bytes', 'caller'] as const;

export const poolCallMeanings: readonly (readonly [string, Meanings])[] = [
  ['c4/0', ['0 bytes of pool were asked for', ...asked]],
  ['c4/1', ['paged pool was asked for above APC_LEVEL', ...asked]],
  ['c4/2', ['nonpaged pool was asked for above DISPATCH_LEVEL', ...asked]],
  ['c4/3', ['more than a page of must-succeed pool was asked for', ...asked]],
  ['c4/10', ['an address was freed that was never allocated', 'address', '', '']],
  ['c4/11', ['paged pool was freed above APC_LEVEL', ...freed]],
  ['c4/12', ['nonpaged pool was freed above DISPATCH_LEVEL', ...freed]],
  ['c4/13', ['pool was freed that is free already', '', "block's header, if it has one", 'contents of the header']],
  ['c4/15', ['pool was freed that holds a timer that is set', ...held('timer')]],
  ['c4/16', ['a bad address was freed', '', 'address', '']],
  ['c4/17', ['pool was freed that holds a resource that is in use', ...held('ERESOURCE')]],
  ['c4/105', ['an IRP was freed as pool', 'IRP', '', '']],
  ['c4/51', ['a block was written past its end', 'address of the block', 'first wrong byte', 'charged bytes']],
  ['c4/52', ['a block was written past its end', 'address of the block', 'hash entry', 'charged bytes']],
  ['c4/53', ['a block was written past its end', 'address of the block', 'header', '']],
  ['c4/13e', ['another address was freed than was allocated', 'address', 'block', "address of the block's address"]],
  ['c4/ca', ['a lookaside list was initialised twice', 'list', '', '']],
  ['c4/cb', ['a lookaside list was deleted that is not initialised', 'list', '', '']],
  ['c4/cc', ['pool was freed that holds a lookaside list in use', 'list', 'address of the block', 'bytes']],
  ['c4/cd', ['a lookaside list of too small blocks was made', 'list', 'bytes', 'fewest bytes']],
  ['c4/d0', ['an ERESOURCE was initialised twice', 'ERESOURCE', '', '']],
  ['c4/d1', ['an ERESOURCE was deleted that is not initialised', 'ERESOURCE', '', '']],
  ['c4/d2', ['pool was freed that holds a resource that is in use', 'ERESOURCE', 'address of the block', 'bytes']],
  ['c4/10b', ['pool quota was charged from a DPC routine', '', '', '']],
  ['c2/9a', ['must-succeed pool was asked for', 'pool type', 'bytes', 'tag']],
  ['c2/9b', ['the tag is 0', ...tagged]],
  ['c2/9c', ["the tag is 'BIG'", ...tagged]],
  ['c2/9d', ['the tag has no letter and no digit', 'tag', 'pool type', 'caller']],
];
