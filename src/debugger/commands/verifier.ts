import { vaFromU64 } from '../../base/va.ts';
import { hasBit, verifierOptions } from '../../verifier/core/options.ts';
import { logCapacity } from '../../verifier/pool-tracking/allocation-log.ts';
import { CommandError, type DebuggerCommand } from '../command.ts';
import { evaluate } from '../expression.ts';
import type { Session } from '../session.ts';
import { printDrivers, verifiedImage } from '../verifier-drivers.ts';
import { printPoolLog } from '../verifier-pool-log.ts';
import { optionLines, statisticLines } from '../verifier-summary.ts';

const DriversFlag = 0x1;
const AllocationsFlag = 0x2;
const PoolLogFlag = 0x80;

/** Logs that other options keep: what they are, and the flag of the option. */
const otherLogs: readonly { readonly flag: number; readonly name: string; readonly option: number | undefined }[] = [
  { flag: 0x4, name: 'fault injection history', option: 0x4 },
  { flag: 0x8, name: 'IRQL transition log', option: 0x2 },
  { flag: 0x20, name: 'driver hang verification log', option: undefined },
  { flag: 0x40, name: 'log of forced pending I/O requests', option: 0x200 },
  { flag: 0x100, name: 'log of IRPs that were allocated, completed and cancelled', option: 0x10 },
  { flag: 0x200, name: 'critical region log', option: undefined },
  { flag: 0x400, name: 'list of cancelled IRPs', option: 0x10 },
  { flag: 0x800, name: 'systematic low resources simulation log', option: 0x4_0000 },
];
const knownFlags = otherLogs.reduce((sum, { flag }) => sum + flag, DriversFlag + AllocationsFlag + PoolLogFlag);

const usage = [
  '!verifier [Flags [Image]]',
  '!verifier 4 [Quantity]',
  '!verifier 8 [Quantity]',
  '!verifier 0x40 [Quantity]',
  '!verifier 0x80 [Quantity | Address]',
  '!verifier 0x100 [Quantity | Address]',
  '!verifier 0x200 [Address]',
  '!verifier 0x400 [Address]',
  '!verifier 0x800',
  '!verifier -disable',
  '!verifier ?',
];

const details = [
  'Flags (hexadecimal):',
  '  0      options and statistics',
  '  0x1    verified drivers, and the bytes of pool that each has',
  '  0x2    with 0x1: pool counters of each driver, and every allocation that is not freed',
  '  0x80   log of pool allocations and frees, newest first; of the blocks that hold Address. A jump at the end of a',
  '         routine (jmp to ExAllocatePoolWithTag) leaves no frame: it has a line here, and none in k',
  'Not kept here, and said so:',
  ...otherLogs.map(({ flag, name }) => `  ${`0x${flag.toString(16)}`.padEnd(6)} ${name}`),
];

export const verifier: DebuggerCommand = {
  name: '!verifier',
  usage,
  summary: 'options, statistics and verified drivers of Driver Verifier',
  details,
  completes: ['text', 'image'],
  run: (session, text) => run(session, text),
};

async function run(session: Session, text: string): Promise<void> {
  const [, word = '', rest = ''] = /^(\S*)\s*(.*)$/.exec(text) ?? [];
  if (word === '?') {
    for (const line of [...usage, '', ...details]) session.print(line);
    return;
  }
  if (word === '-disable') {
    throw new CommandError(
      '!verifier -disable is not supported: the options are chosen when the machine is made, and stay for its life.',
    );
  }
  const flags = parseFlags(word);
  if (flags === PoolLogFlag) {
    await printPoolLog(session, poolLogRange(session, rest));
    return;
  }
  const log = otherLogs.find(({ flag }) => flag === flags);
  if (log !== undefined) throw new CommandError(absence(log));
  const image = rest === '' ? undefined : verifiedImage(session.target, rest);
  for (const line of [...optionLines(session.target.options), ...statisticLines(session.target)]) session.print(line);
  if ((flags & DriversFlag) !== 0) {
    await printDrivers(session, image, (flags & AllocationsFlag) === 0 ? 'bytes' : 'allocations');
  } else if ((flags & AllocationsFlag) !== 0) {
    session.print();
    session.print(`0x2 shows something only together with 0x1: !verifier 0x${(flags | DriversFlag).toString(16)}`);
  }
  if ((flags & PoolLogFlag) !== 0) {
    session.print();
    await printPoolLog(session, {});
  }
  for (const other of otherLogs.filter(({ flag }) => (flags & flag) !== 0)) {
    session.print();
    session.print(absence(other));
  }
}

/** Always hexadecimal, with or without 0x. */
function parseFlags(word: string): number {
  if (word === '') return 0;
  if (!/^(0x)?[0-9a-f]{1,8}$/i.test(word)) {
    throw new CommandError(`'${word}' are no flags of !verifier; !verifier ? tells which there are`);
  }
  const flags = Number.parseInt(word.replace(/^0x/i, ''), 16);
  const unknown = [...Array(32).keys()].filter((bit) => hasBit(flags, 2 ** bit) && !hasBit(knownFlags, 2 ** bit));
  if (unknown.length > 0) {
    const bits = unknown.reduce((sum, bit) => sum + 2 ** bit, 0);
    throw new CommandError(`0x${bits.toString(16)} is no flag of !verifier; !verifier ? tells which there are`);
  }
  return flags;
}

/** A value above the log's size is an address. */
function poolLogRange(session: Session, text: string): Parameters<typeof printPoolLog>[1] {
  if (text === '') return {};
  const value = evaluate(session, text);
  if (value > BigInt(logCapacity)) return { address: vaFromU64(value) };
  if (value === 0n) throw new CommandError('Nothing to show of 0 entries.');
  return { quantity: Number(value) };
}

/** Why there is no such log. */
function absence({ flag, name, option }: (typeof otherLogs)[number]): string {
  const needed = verifierOptions.find((one) => one.flag === option);
  const hex = `0x${flag.toString(16)}`;
  if (needed === undefined) return `!verifier ${hex}: a ${name} is not kept here.`;
  const optionHex = `0x${needed.flag.toString(16).padStart(8, '0')}`;
  const why = needed.isImplemented ? 'keeps none' : 'is not implemented';
  return `!verifier ${hex}: there is no ${name}; the option ${needed.name} (${optionHex}) ${why} here.`;
}
