/** The kernel debugger at the machine of the other pages. */
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { printable } from '../../src/base/printable.ts';
import { ActionButton } from './action-button.tsx';
import { askCompletions, pause, typeCommand } from './actions.ts';
import * as state from './state.ts';

const history: string[] = [];
/** Place in the history; its length: the line that is being typed. */
let at = 0;
const mostHistory = 500;

export function DebuggerPage(): JSX.Element {
  const log = useRef<HTMLPreElement>(null);
  const text = state.printed.value;
  useEffect(() => {
    if (log.current !== null) log.current.scrollTop = log.current.scrollHeight;
  }, [text]);
  return (
    <>
      <h2>Kernel debugger</h2>
      <p class="note">
        At the machine of the other pages. <code>!verifier 3</code> lists what the drivers hold, <code>g</code> runs on,{' '}
        <code>.help</code> lists the commands.
      </p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is scrolled from the keyboard too */}
      <pre class="console" role="log" aria-label="Output of the debugger" tabIndex={0} ref={log}>
        {shown(text)}
      </pre>
      <CommandLine />
    </>
  );
}

/** The session prints control characters visibly already; this makes sure of it. */
const shown = (text: string): string =>
  text
    .split('\n')
    .map((line) => printable(line.replaceAll('\t', '        ')))
    .join('\n');

function CommandLine(): JSX.Element {
  const input = useRef<HTMLInputElement>(null);
  const answer = state.completions.value;
  const isBusy = state.isBusyDebugging.value;
  useEffect(() => {
    const element = input.current;
    if (element === null || answer === undefined || answer.line !== element.value) return;
    complete(element, answer.start, answer.candidates);
    state.completions.value = undefined;
  }, [answer]);
  const canType = state.drivers.value.length > 0 && !state.isRunning.value;
  const press = (event: KeyboardEvent): void => {
    const element = event.currentTarget as HTMLInputElement;
    if (event.key === 'Tab' && !event.shiftKey && element.value !== '') {
      event.preventDefault();
      askCompletions(element.value);
    } else if (event.key === 'ArrowUp' || event.key === 'ArrowDown') {
      event.preventDefault();
      at = Math.min(history.length, Math.max(0, at + (event.key === 'ArrowUp' ? -1 : 1)));
      element.value = history[at] ?? '';
    }
  };
  const enter = (event: SubmitEvent): void => {
    event.preventDefault();
    const element = input.current;
    if (element === null || !canType || isBusy) return;
    if (element.value.trim() !== '' && history.at(-1) !== element.value) history.push(element.value);
    if (history.length > mostHistory) history.shift();
    at = history.length;
    typeCommand(element.value);
    element.value = '';
  };
  return (
    <form class="command-line" onSubmit={enter}>
      <label for="command">{isBusy || state.isRunning.value ? '*BUSY*' : state.prompt.value}</label>
      <input
        id="command"
        ref={input}
        autocomplete="off"
        autocapitalize="off"
        spellcheck={false}
        aria-describedby="command-keys"
        onKeyDown={press}
      />
      <button type="submit" aria-disabled={!canType || isBusy}>
        Enter
      </button>
      <ActionButton act={pause} isPossible={state.isRunning.value}>
        Break
      </ActionButton>
      <small id="command-keys">Up and Down: earlier lines. Tab: complete the word.</small>
      <small role="status">{obstacle()}</small>
    </form>
  );
}

/** Why no command is taken now. */
function obstacle(): string {
  if (state.drivers.value.length === 0) return 'There is no machine without a driver: select one first.';
  if (state.isRunning.value) return 'The machine runs. Break stops it; then commands are taken.';
  return '';
}

/** One candidate is typed; of several what they have in common, and they are listed. */
function complete(element: HTMLInputElement, start: number, candidates: readonly string[]): void {
  const [first] = candidates;
  if (first === undefined) return;
  const common = candidates.reduce((prefix, candidate) => {
    let length = 0;
    while (length < prefix.length && prefix[length] === candidate[length]) length++;
    return prefix.slice(0, length);
  }, first);
  element.value = `${element.value.slice(0, start)}${common}${candidates.length === 1 ? ' ' : ''}`;
  if (candidates.length > 1) state.printed.value += `${candidates.join('  ')}\n`;
}
