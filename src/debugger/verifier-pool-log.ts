/**
 * The log of what verified drivers allocated and freed, newest first: `!verifier 0x80`. A tail jump, which leaves no frame,
 * has an entry of its own: it is the caller that `!verifier 3` and the report name for the block.
 */
import { hexVa, type Va } from '../base/va.ts';
import { logCapacity } from '../verifier/pool-tracking/allocation-log.ts';
import { extensionAddress, symbolAt } from './addresses.ts';
import { CommandError, terminating } from './command.ts';
import type { Session } from './session.ts';

/** Entries between two looks at the host. */
const entriesPerSlice = 256;

export interface PoolLogRange {
  /** Only blocks that contained it. */
  readonly address?: Va;
  /** The newest entries. */
  readonly quantity?: number;
}

export async function printPoolLog(session: Session, { address, quantity }: PoolLogRange): Promise<void> {
  const { poolTracking } = session.target;
  if (poolTracking === undefined) {
    throw new CommandError('Pool tracking (0x00000008) is off: there is no log of pool operations.');
  }
  session.print('Log of recent kernel pool Allocate and Free operations:');
  session.print();
  session.print(`There are up to 0x${logCapacity.toString(16)} entries in the log.`);
  session.print();
  const parsed = Math.min(quantity ?? logCapacity, logCapacity);
  const searched = address === undefined ? '' : `, searching for address ${hexVa(address)}`;
  session.print(`Parsing 0x${parsed.toString(16).padStart(8, '0')} log entries${searched}.`);
  session.print();
  let shown = 0;
  const linesOf = stackLines(session);
  for (const { va, bytes, thread, stack } of poolTracking.log.entries(address)) {
    if (shown === parsed) break;
    session.print();
    session.print('='.repeat(70));
    session.print(
      `Pool block ${extensionAddress(va)}, Size ${bytes.toString(16).padStart(16, '0')}, Thread ${extensionAddress(thread)}`,
    );
    for (const line of linesOf(stack)) session.print(line);
    if (++shown % entriesPerSlice === 0 && !(await session.breathe())) throw new CommandError(terminating);
  }
  if (shown > 0) return;
  session.print(address === undefined ? 'The log is empty.' : 'No entry of the log is of a block that holds it.');
}

/** Each place is named once: a driver has few places, and the log many entries. */
function stackLines(session: Session): (stack: readonly Va[]) => readonly string[] {
  const known = new Map<string, readonly string[]>();
  return (stack) => {
    const key = stack.join();
    const lines = known.get(key) ?? session.stacks.withTailJumps(stack).map((at) => stackLine(session, at));
    known.set(key, lines);
    return lines;
  };
}

function stackLine(session: Session, at: Va): string {
  const symbol = symbolAt(session, at);
  return symbol === undefined ? extensionAddress(at) : `${extensionAddress(at)} ${symbol}`;
}
