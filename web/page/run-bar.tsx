/** The bar that runs the machine and says where it is. */
import type { JSX } from 'preact';
import { printable } from '../../src/base/printable.ts';
import { ActionButton } from './action-button.tsx';
import { discardMachine, pause, setPace, start, step } from './actions.ts';
import * as state from './state.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const paces: readonly (number | undefined)[] = [undefined, 30_000, 3000, 300, 30, 3];

export function RunBar(): JSX.Element {
  const isRunning = state.isRunning.value;
  const canRun = state.drivers.value.some(({ isVerified }) => isVerified) && !isRunning && !state.isBusyDebugging.value;
  const isOver = state.activity.value === 'over';
  return (
    <div class="run-bar">
      <div role="toolbar" aria-label="Run">
        <ActionButton class="primary" act={isRunning ? pause : start} isPossible={isRunning || canRun}>
          {isRunning ? 'Pause' : runLabel()}
        </ActionButton>
        <ActionButton act={() => step('call')} isPossible={canRun && !isOver}>
          Next kernel call
        </ActionButton>
        <ActionButton act={() => step('scenario-step')} isPossible={canRun && !isOver}>
          Next step
        </ActionButton>
        <ActionButton act={discardMachine} isPossible={state.hasMachine.value}>
          Reset
        </ActionButton>
        <label>
          Pace{' '}
          <select
            value={String(state.callsPerSecond.value ?? '')}
            onChange={({ currentTarget: { value } }) => setPace(value === '' ? undefined : Number(value))}
          >
            {paces.map((pace) => (
              <option key={pace} value={String(pace ?? '')}>
                {pace === undefined ? 'full speed' : `${pace.toLocaleString('en')} kernel calls a second`}
              </option>
            ))}
          </select>
        </label>
      </div>
      <Where />
    </div>
  );
}

function runLabel(): string {
  if (state.activity.value === 'over') return 'Run again';
  return state.hasMachine.value ? 'Continue' : 'Run';
}

/** Read out when it changes, but not each counter of a machine that runs. */
function Where(): JSX.Element {
  const verdict = state.report.value?.verdict;
  return (
    <p class="where">
      <span role="status" class={verdict === undefined ? '' : `verdict ${verdict}`}>
        {situation()}
      </span>
      <span class="at">{place()}</span>
    </p>
  );
}

function situation(): string {
  const { report, activity, drivers } = state;
  if (report.value !== undefined) return report.value.verdict.toUpperCase();
  switch (activity.value) {
    case 'none':
      if (drivers.value.length === 0) return 'No driver is selected';
      return drivers.value.some(({ isVerified }) => isVerified) ? 'Ready' : 'No driver in the list is to be verified';
    case 'loading':
      return 'Loading';
    case 'running':
      return 'Running';
    case 'standing':
      return 'Paused';
    case 'over':
      return 'Over';
  }
}

function place(): string {
  const now = state.state.value;
  if (now === undefined) return '';
  const at = now.isOver ? '' : `${printable(now.at)}, `;
  return `${at}${milliseconds(now.timeMs)} of virtual time, ${now.instructions.toLocaleString('en')} instructions`;
}

export function milliseconds(ms: number): string {
  if (ms >= 2 * dayMs) return `${(ms / dayMs).toLocaleString('en', { maximumFractionDigits: 1 })} days`;
  if (ms >= 2 * hourMs) return `${(ms / hourMs).toLocaleString('en', { maximumFractionDigits: 1 })} h`;
  if (ms >= 10_000) return `${(ms / 1000).toLocaleString('en', { maximumFractionDigits: 1 })} s`;
  return `${ms.toLocaleString('en', { maximumFractionDigits: ms < 10 ? 3 : 1 })} ms`;
}
