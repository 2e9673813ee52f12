/** `k` and its forms: the call stack. */
import { nullVa, type Va, vaAdd, vaFromU64 } from '../../base/va.ts';
import type { UnwindContext } from '../../image/unwind/index.ts';
import { processorContext } from '../../nt/rtl/guest-context.ts';
import type { StackFrame } from '../../nt/rtl/stack-frames.ts';
import { builtinAddress, quadword, symbolAt } from '../addresses.ts';
import { CommandError, type DebuggerCommand } from '../command.ts';
import { evaluate, evaluatePrefix } from '../expression.ts';
import { readNumber } from '../memory.ts';
import type { Session } from '../session.ts';
import type { Site } from '../site.ts';
import { siteLine, siteName } from '../site-text.ts';

/** Frames that are shown unless told, as `.kframes` has it. */
const usualFrames = 0x100;
const mostFrames = 0xffff;

interface Form {
  readonly letters: string;
  readonly summary: string;
  readonly details: readonly string[];
}

const numbers =
  'FrameCount is hexadecimal. With = the walk starts from the given stack pointer and instruction pointer.';
const home =
  'The arguments are what stands in the four slots above the return address: where a function keeps its first four only if it saves them.';

const forms: readonly Form[] = [
  { letters: 'k', summary: 'shows the call stack', details: [numbers] },
  { letters: 'kn', summary: 'shows the call stack with frame numbers, as k does', details: [numbers] },
  { letters: 'kb', summary: 'shows the call stack with arguments', details: [home, numbers] },
  { letters: 'kv', summary: 'shows the call stack with stack pointers and arguments', details: [home, numbers] },
  { letters: 'kc', summary: 'shows the names of the call stack alone', details: [numbers] },
  { letters: 'kL', summary: 'shows the call stack without source lines', details: [numbers] },
  { letters: 'kbL', summary: 'shows the call stack with arguments, without source lines', details: [home, numbers] },
  { letters: 'kvL', summary: 'shows stack pointers and arguments, without source lines', details: [home, numbers] },
];

export const stackCommands: readonly DebuggerCommand[] = forms.map(
  ({ letters, summary, details }): DebuggerCommand => ({
    name: letters,
    ...(letters === 'kL' && { aliases: ['knL'] }),
    usage: [`${letters} [FrameCount]`, `${letters} = StackPtr InstructionPtr FrameCount`],
    summary,
    details,
    completes: ['text'],
    run: (session, text) => show(session, letters, framesFor(session, text)),
  }),
);

interface Wanted {
  /** One more than is shown, if there is one: it has the return address of the last. */
  readonly frames: readonly StackFrame[];
  readonly count: number;
}

function framesFor(session: Session, text: string): Wanted {
  const { nt } = session.target;
  if (!text.startsWith('=')) return wanted(session, text, processorContext(nt));
  const stack = evaluatePrefix(session, text.slice(1));
  const code = evaluatePrefix(session, stack.rest);
  return wanted(session, code.rest, processorContext(nt, code.value, vaFromU64(stack.value)));
}

function wanted(session: Session, countText: string, context: UnwindContext): Wanted {
  const count = countText === '' ? BigInt(usualFrames) : evaluate(session, countText);
  if (count < 1n || count > BigInt(mostFrames)) {
    throw new CommandError(`Invalid number of frames: ${count.toString(16)}`);
  }
  return { frames: session.target.nt.exceptions.frames(Number(count) + 1, context), count: Number(count) };
}

const unknown = '--------`--------';

/** What the columns in front of the call site hold. */
interface Columns {
  readonly hasStack: boolean;
  readonly hasReturn: boolean;
  readonly hasArgs: boolean;
  readonly hasSource: boolean;
}

const columnsOf = (letters: string): Columns => ({
  hasStack: !/[bc]/.test(letters),
  hasReturn: !letters.includes('c'),
  hasArgs: /[bv]/.test(letters),
  hasSource: !/[cL]/.test(letters),
});

function show(session: Session, letters: string, { frames, count: shown }: Wanted): void {
  const columns = columnsOf(letters);
  session.print(header(columns));
  let number = 0;
  for (const [index, frame] of frames.slice(0, shown).entries()) {
    for (const site of sitesOf(session, frame.rip, index)) {
      // Inlined calls are frames too.
      if (number >= shown) return;
      const count = (number++).toString(16).padStart(2, '0');
      const front = site.inlined ? inlineFront(columns) : frameFront(session, columns, frame, frames[index + 1]);
      session.print(`${count} ${front}${placeOf(session, frame.rip, site, columns)}`);
    }
  }
}

function header({ hasStack, hasReturn, hasArgs }: Columns): string {
  const stack = hasStack ? 'Child-SP          ' : '';
  const args = hasArgs ? `: ${'Args to Child'.padEnd(71)} : ` : '';
  return ` # ${stack}${hasReturn ? 'RetAddr               ' : ''}${args}Call Site`;
}

function frameFront(session: Session, columns: Columns, frame: StackFrame, above: StackFrame | undefined): string {
  const { hasStack, hasReturn, hasArgs } = columns;
  const stack = hasStack ? `${builtinAddress(frame.rsp)} ` : '';
  // The outermost frame returns to nothing.
  const back = hasReturn ? `${builtinAddress(above?.rip ?? nullVa)}     ` : '';
  return `${stack}${back}${hasArgs ? `: ${argumentsOf(session, above).join(' ')} : ` : ''}`;
}

function inlineFront({ hasStack, hasReturn, hasArgs }: Columns): string {
  if (!hasReturn) return '';
  const args = hasArgs ? `: ${[unknown, unknown, unknown, unknown].join(' ')} : ` : '';
  return `(Inline Function) ${hasStack ? `${unknown} ` : ''}    ${args}`;
}

function placeOf(session: Session, rip: Va, site: Site, { hasReturn, hasSource }: Columns): string {
  if (site.function === undefined) {
    // Outside of known functions it is the nearest symbol, as where a run stops.
    const name = symbolAt(session, rip) ?? builtinAddress(rip);
    return hasReturn ? name : name.replace(/[+-]0x[0-9a-f]+$/, '');
  }
  if (!hasReturn) return siteName({ ...site, offset: '0x0' });
  return `${siteName(site)}${hasSource ? siteLine(site) : ''}`;
}

function sitesOf(session: Session, rip: Va, index: number): readonly Site[] {
  // A return address belongs to the call in front of it.
  return session.stacks.at(rip, index === 0 ? rip : vaAdd(rip, -1));
}

/** The slots that a caller leaves for the first four arguments, above the return address. */
export function argumentsOf(session: Session, caller: StackFrame | undefined): readonly string[] {
  return [0, 8, 16, 24].map((offset) => {
    if (caller === undefined) return quadword(0n);
    const value = readNumber(session.target.nt, vaAdd(caller.rsp, offset), 8);
    return value === undefined ? '????????`????????' : quadword(value);
  });
}
