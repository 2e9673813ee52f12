/** What a user of the kernel debugger may type that is not there, and what is there instead. */

/** Names with blanks between them. */
export const absentCommands: readonly (readonly [names: string, hint: string])[] = [
  ['bu bm', 'bp sets breakpoints, each at an address that there is; x shows what matches a pattern'],
  ['ba', 'accesses to memory do not stop the machine; bp stops it at code'],
  ['br bs bsc', 'bc and bp set a breakpoint anew'],
  [
    'j z .if .elsif .else .for .foreach .while .do .break .continue .block .leave .catch',
    'there are no conditions and no loops; bp Address Passes counts, and g in the commands of a breakpoint goes on',
  ],
  ['pa pc pct ph pt ta tb tc tct th tt wt', 'p and t run instructions, g Address to an address, gu to the caller'],
  ['gc gh gn', 'g goes on; an exception goes to the handler of the driver, as it does without a debugger'],
  ['kp kd kf km', 'k, kb, kc, kL, kn and kv are the forms of k; types and arguments are not known'],
  ['dt dv dx dtx dg dl ds ??', 'types and local variables are not known; d and its relatives show memory'],
  ['dds ddp dpp dpa dpu dqp', 'dps and dqs show what pointers lead to'],
  ['s c f m', 'memory is shown by d and written by e and their relatives, and nothing else'],
  ['rm rdmsr wrmsr ib iw id ob ow od', 'r shows and sets the registers that there are'],
  ['.reload .sympath .symfix .symopt .srcpath .lsrcpath ld', 'symbols and sources are found before the session begins'],
  ['lsa ls lsf lsc', '!analyze -v shows the lines around a place'],
  ['.frame .kframes .cxr .trap .ecxr .thread .process .context', 'k = StackPtr InstructionPtr shows another stack'],
  ['~ |', 'there is one processor, and the thread on it is @$thread'],
  ['sx sxe sxd sxi sxn sxr', 'what stops the machine cannot be chosen; .help g tells what does'],
  ['qd qq .detach .kill .restart .reboot .crash', 'q ends the session; poolproof kd starts another at a fresh machine'],
  ['.cls .logopen .logappend .logclose', 'screens and logs are the affair of the terminal'],
  ['.lastevent', '.bugcheck and !analyze tell of a bug check, r where the machine stands'],
  ['vertarget version', '!verifier shows the options, lm the images, .time the time'],
  ['!irql', 'r cr8 shows the IRQL'],
  ['!thread !process !stacks !running', 'k shows the stack of the thread on the processor, @$thread is its address'],
  ['!chkimg !dh !lmi', 'lmvm shows what is known of an image'],
  [
    '!irp !irpfind !iovirp !drvobj !devobj !devstack !devnode !object !handle !locks !deadlock !lookaside !lockedpages',
    'of the kernel, !pool and its relatives, !verifier, !dma and !analyze show something',
  ],
  ['!ruleinfo !htrace !vm !pte !pcr !prcb !idt !timer !dpcs !exqueue !address !memusage', 'nothing is shown of it'],
];

/** Says that a command is not there; undefined for a name that no kernel debugger has either. */
export function absence(name: string): string | undefined {
  const wanted = name.toLowerCase();
  const found = absentCommands.find(([names]) => names.split(' ').includes(wanted));
  return found && `${name} is not supported here: ${found[1]}`;
}
