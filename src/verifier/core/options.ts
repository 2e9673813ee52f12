/**
 * The options of Driver Verifier by their bits in `/flags` (verifier-command-line.md). One table: reports, `/query`
 * texts and the choice of what to switch on come from it.
 */
export interface VerifierOption {
  /** Bit value in `/flags`. */
  readonly flag: number;
  /** As Windows 11 lists it. */
  readonly name: string;
  /** Part of `/standard`. */
  readonly isStandard: boolean;
  /** Whether poolproof has it. */
  readonly isImplemented: boolean;
}

/** The groups in which Windows 10 and 11 list the options. */
export type OptionGroup = 'standard' | 'additional' | 'reserved';

/** A line of the list of options. */
export interface ListedOption {
  /** 0: what is always on. */
  readonly flag: number;
  readonly name: string;
  readonly group: OptionGroup;
}

const option = (bit: number, name: string, isStandard: boolean, isImplemented = false): VerifierOption => ({
  flag: 2 ** bit,
  name,
  isStandard,
  isImplemented,
});

export const verifierOptions: readonly VerifierOption[] = [
  option(0, 'Special pool', true),
  option(1, 'Force IRQL checking', true),
  option(2, 'Randomized low resources simulation', false),
  option(3, 'Pool tracking', true, true),
  option(4, 'I/O verification', true),
  option(5, 'Deadlock detection', true),
  option(6, 'Enhanced I/O verification', false),
  option(7, 'DMA checking', true, true),
  option(8, 'Security checks', true),
  option(9, 'Force pending I/O requests', false),
  option(10, 'IRP logging', false),
  option(11, 'Miscellaneous checks', true),
  option(13, 'Invariant MDL checking for stack', false),
  option(14, 'Invariant MDL checking for driver', false),
  option(15, 'Power framework delay fuzzing', false),
  option(16, 'Port/miniport interface checking', false),
  option(17, 'DDI compliance checking', true),
  option(18, 'Systematic low resources simulation', false),
  option(19, 'DDI compliance checking (additional)', false),
  option(21, 'NDIS/WIFI verification', false),
  option(23, 'Kernel synchronization delay fuzzing', false),
  option(24, 'VM switch verification', false),
  option(25, 'Code integrity checks', false),
];

export const PoolTrackingFlag = 0x8;
export const DmaCheckingFlag = 0x80;
/** A part of the option exists: what it checks of pool, lookaside lists and ERESOURCEs. */
export const MiscellaneousChecksFlag = 0x800;

/** Comes with I/O verification and is not listed by itself since Windows 7. */
const EnhancedIoVerificationFlag = 0x40;
/** Bits that Windows 11 keeps without a public option: 20 stands for WDF verification where `/standard` set it. */
const reservedBits: readonly number[] = [12, 20, 22, 26, 27, 28, 29, 30, 31];

/** The options as `!verifier` and the Driver Verifier Manager list them, group by group, ascending by flag. */
export const listedOptions: readonly ListedOption[] = [
  { flag: 0, name: 'Automatic Checks', group: 'standard' },
  ...verifierOptions
    .filter(({ flag }) => flag !== EnhancedIoVerificationFlag)
    .map(({ flag, name, isStandard }): ListedOption => ({ flag, name, group: isStandard ? 'standard' : 'additional' })),
  ...reservedBits.map((bit): ListedOption => ({ flag: 2 ** bit, name: 'Unused or reserved flag', group: 'reserved' })),
];

/** The flags of `/standard`. */
export const standardFlags = verifierOptions.reduce(
  (flags, entry) => (entry.isStandard ? flags + entry.flag : flags),
  0,
);

/** What is on unless the user chooses: the standard options that poolproof has. */
export const defaultFlags = verifierOptions.reduce(
  (flags, entry) => (entry.isStandard && entry.isImplemented ? flags + entry.flag : flags),
  0,
);

export interface OptionChoice {
  readonly flags: number;
  readonly active: readonly VerifierOption[];
  /** Chosen and not to be had. */
  readonly notImplemented: readonly VerifierOption[];
  /** Bits that name no option. */
  readonly unknownBits: number;
}

export function chooseOptions(flags: number): OptionChoice {
  const chosen = verifierOptions.filter((entry) => hasBit(flags, entry.flag));
  const known = chosen.reduce((sum, entry) => sum + entry.flag, 0);
  return {
    flags,
    active: chosen.filter((entry) => entry.isImplemented),
    notImplemented: chosen.filter((entry) => !entry.isImplemented),
    unknownBits: flags - known,
  };
}

/** Of flags that may have bit 31. */
export function hasBit(flags: number, flag: number): boolean {
  return Math.floor(flags / flag) % 2 === 1;
}
