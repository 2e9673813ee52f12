/** Display information about the currently verified drivers: settings, global counters, driver specific counters. */
import { signal } from '@preact/signals';
import type { JSX } from 'preact';
import { printable } from '../../src/base/printable.ts';
import type { CountersReport, PoolCountersReport } from '../../src/run/report/report.ts';
import { chooseOptions } from '../../src/verifier/core/options.ts';
import { PoolChart } from './pool-chart.tsx';
import * as state from './state.ts';

/** Name of the driver whose counters are shown; undefined: the first. */
const chosen = signal<string | undefined>(undefined);

export function CountersPage(): JSX.Element {
  return (
    <>
      <h2>Information about the currently verified drivers</h2>
      <div class="columns">
        <CurrentSettings />
        <GlobalCounters />
        <DriverCounters />
      </div>
      <PoolChart />
    </>
  );
}

function CurrentSettings(): JSX.Element {
  const drivers =
    state.state.value?.drivers ?? state.drivers.value.map(({ name }) => ({ name, status: 'Never Loaded' }));
  return (
    <section aria-labelledby="current">
      <h3 id="current">Current settings and verified drivers</h3>
      <ul class="plain">
        {chooseOptions(state.flags.value).active.map(({ name, flag }) => (
          <li key={flag}>{name}</li>
        ))}
      </ul>
      <table>
        <thead>
          <tr>
            <th scope="col">Driver</th>
            <th scope="col">Status</th>
          </tr>
        </thead>
        <tbody>
          {drivers.map(({ name, status }) => (
            <tr key={name}>
              <th scope="row">{printable(name)}</th>
              <td>{status}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** Windows' names in its order, with the key of the report. */
const globalNames: readonly (readonly [string, keyof CountersReport])[] = [
  ['IRQL Raises', 'irqlRaises'],
  ['Spinlocks Acquired', 'spinLocksAcquired'],
  ['Executions Synchronized', 'executionsSynchronized'],
  ['Trims', 'trims'],
  ['Faults Injected', 'faultsInjected'],
  ['Pool Allocations Attempted', 'poolAllocationsAttempted'],
  ['Pool Allocations Succeeded', 'poolAllocationsSucceeded'],
  ['Pool Allocations Succeeded in Special Pool', 'poolAllocationsSucceededInSpecialPool'],
  ['Pool Allocations Without Tag', 'poolAllocationsWithoutTag'],
  ['Pool Allocations Failed', 'poolAllocationsFailed'],
  ['Pool Allocations Not Tracked', 'poolAllocationsNotTracked'],
];

function GlobalCounters(): JSX.Element {
  const counters = state.state.value?.counters;
  return (
    <section aria-labelledby="global">
      <h3 id="global">Global counters</h3>
      <table class="counters" aria-labelledby="global">
        <thead>
          <tr>
            <th scope="col">Counter</th>
            <th scope="col" class="number">
              Value
            </th>
          </tr>
        </thead>
        <tbody>
          {globalNames.map(([name, key]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td class="number">{counters === undefined ? '–' : shown(counters[key])}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function shown(value: unknown): string {
  return typeof value === 'number' ? value.toLocaleString('en') : 'not counted';
}

const poolNames: readonly (readonly [string, keyof PoolCountersReport])[] = [
  ['Current Number of Allocations', 'currentAllocations'],
  ['Current Bytes Allocated', 'currentBytes'],
  ['Peak Number of Allocations', 'peakAllocations'],
  ['Peak Bytes Allocated', 'peakBytes'],
];

function DriverCounters(): JSX.Element {
  const drivers = state.state.value?.counters.drivers ?? [];
  const driver = drivers.find(({ name }) => name === chosen.value) ?? drivers[0];
  return (
    <section aria-labelledby="specific">
      <h3 id="specific">Driver specific counters</h3>
      <label>
        Driver{' '}
        <select
          value={driver?.name ?? ''}
          onChange={({ currentTarget }) => {
            chosen.value = currentTarget.value;
          }}
        >
          {drivers.length === 0 && <option value="">–</option>}
          {drivers.map(({ name }) => (
            <option key={name} value={name}>
              {printable(name)}
            </option>
          ))}
        </select>
      </label>
      <table class="counters" aria-labelledby="specific">
        <thead>
          <tr>
            <th scope="col">Counter</th>
            <th scope="col" class="number">
              Paged pool
            </th>
            <th scope="col" class="number">
              Nonpaged pool
            </th>
          </tr>
        </thead>
        <tbody>
          {poolNames.map(([name, key]) => (
            <tr key={key}>
              <th scope="row">{name}</th>
              <td class="number">{driver === undefined ? '–' : shown(driver.pagedPool[key])}</td>
              <td class="number">{driver === undefined ? '–' : shown(driver.nonPagedPool[key])}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
