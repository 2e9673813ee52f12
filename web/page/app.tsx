/** The window: title, tasks as tabs, the bar that runs the machine, and one page. */
import type { JSX } from 'preact';
import { useRef } from 'preact/hooks';
import { printable } from '../../src/base/printable.ts';
import { show } from './actions.ts';
import { AllocationsPage } from './allocations-page.tsx';
import { CountersPage } from './counters-page.tsx';
import { DebuggerPage } from './debugger-page.tsx';
import { DriversPage } from './drivers-page.tsx';
import { ResultPage } from './result-page.tsx';
import { RunBar } from './run-bar.tsx';
import { SettingsPage } from './settings-page.tsx';
import type { PageName } from './state.ts';
import * as state from './state.ts';

const pages: readonly { readonly name: PageName; readonly title: string; readonly View: () => JSX.Element }[] = [
  { name: 'drivers', title: 'Select drivers', View: DriversPage },
  { name: 'settings', title: 'Settings', View: SettingsPage },
  { name: 'counters', title: 'Counters', View: CountersPage },
  { name: 'allocations', title: 'Allocations', View: AllocationsPage },
  { name: 'result', title: 'Result', View: ResultPage },
  { name: 'debugger', title: 'Kernel debugger', View: DebuggerPage },
];

export function App(): JSX.Element {
  const { View, name } = pages.find((one) => one.name === state.page.value) ?? (pages[0] as (typeof pages)[number]);
  return (
    <>
      <header>
        <h1>Driver Verifier Manager</h1>
        <p>Runs in this browser. Nothing is uploaded.</p>
      </header>
      <nav aria-label="Driver Verifier Manager">
        <Tabs />
      </nav>
      <main>
        <RunBar />
        <Problem />
        <section role="tabpanel" id="panel" aria-labelledby={`tab-${name}`} class={`page ${name}`}>
          <View />
        </section>
      </main>
    </>
  );
}

function Tabs(): JSX.Element {
  const list = useRef<HTMLDivElement>(null);
  const turn = (event: KeyboardEvent): void => {
    const at = pages.findIndex(({ name }) => name === state.page.value);
    const to = nextTab(event.key, at, pages.length);
    if (to === undefined) return;
    event.preventDefault();
    show((pages[to] as (typeof pages)[number]).name);
    list.current?.querySelectorAll('button')[to]?.focus();
  };
  return (
    <div role="tablist" aria-label="Pages" ref={list} onKeyDown={turn} tabIndex={-1}>
      {pages.map(({ name, title }) => (
        <button
          type="button"
          role="tab"
          key={name}
          id={`tab-${name}`}
          aria-selected={state.page.value === name}
          aria-controls="panel"
          tabIndex={state.page.value === name ? 0 : -1}
          onClick={() => show(name)}
        >
          {title}
        </button>
      ))}
    </div>
  );
}

function nextTab(key: string, at: number, count: number): number | undefined {
  if (key === 'ArrowRight') return (at + 1) % count;
  if (key === 'ArrowLeft') return (at + count - 1) % count;
  if (key === 'Home') return 0;
  return key === 'End' ? count - 1 : undefined;
}

function Problem(): JSX.Element {
  const problem = state.problem.value;
  return (
    <div role="alert" class="problem" hidden={problem === undefined}>
      {problem !== undefined && (
        <>
          <p>
            {problem.isOurs ? "This is poolproof's own fault: " : ''}
            {printable(problem.message)}
          </p>
          <button
            type="button"
            onClick={() => {
              document.getElementById(`tab-${state.page.value}`)?.focus();
              state.problem.value = undefined;
            }}
          >
            Close
          </button>
        </>
      )}
    </div>
  );
}
