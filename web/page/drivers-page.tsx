/** Select what drivers to verify: files of one's own, or samples. */
import { signal } from '@preact/signals';
import type { JSX } from 'preact';
import { useRef } from 'preact/hooks';
import { printable } from '../../src/base/printable.ts';
import { ActionButton } from './action-button.tsx';
import { addFiles, changeDrivers, openOffered, openSample, stepLines } from './actions.ts';
import { givenFile } from './files.ts';
import type { ListedDriver, Sample } from './state.ts';
import * as state from './state.ts';

const filter = signal('');

export function DriversPage(): JSX.Element {
  return (
    <>
      <h2>Select what drivers to verify</h2>
      <DropZone />
      <DriverList />
      <Offered />
      <Samples />
    </>
  );
}

/** Files are taken wherever they are dropped (main.tsx); this is where users look for it. */
function DropZone(): JSX.Element {
  const input = useRef<HTMLInputElement>(null);
  return (
    <div class="drop-zone">
      <p>Drop drivers (.sys) here, with their symbols (.pdb) and source files or folders.</p>
      <button type="button" onClick={() => input.current?.click()}>
        Add drivers…
      </button>
      <input
        ref={input}
        type="file"
        multiple
        hidden
        aria-label="Drivers, symbols and source files"
        onChange={({ currentTarget }) => {
          void addFiles([...(currentTarget.files ?? [])].map(givenFile));
          currentTarget.value = '';
        }}
      />
    </div>
  );
}

function DriverList(): JSX.Element {
  const drivers = state.drivers.value;
  if (drivers.length === 0) {
    return (
      <>
        <p class="empty">No driver is in the list.</p>
        {hasOtherFiles() && <OtherFiles />}
      </>
    );
  }
  return (
    <>
      <table>
        <caption>
          Drivers in the order in which they are loaded; of a device's stack the first is the lowest. What is not
          verified is loaded before the others.
        </caption>
        <thead>
          <tr>
            <th scope="col">Verify?</th>
            <th scope="col">Driver</th>
            <th scope="col" class="number">
              Bytes
            </th>
            <th scope="col">
              <span class="unseen">Change</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {drivers.map((driver, at) => (
            <DriverRow key={driver.name} driver={driver} at={at} />
          ))}
        </tbody>
      </table>
      <OtherFiles />
      <p class="note">Scenario: {scenario()} (Settings)</p>
    </>
  );
}

const hasOtherFiles = (): boolean => state.symbolFiles.value.length + state.sources.value.length > 0;

function OtherFiles(): JSX.Element {
  return (
    <p class="note">
      {counted(state.symbolFiles.value.length, 'symbol file')}, {counted(state.sources.value.length, 'source file')}
    </p>
  );
}

function scenario(): string {
  if (state.isTour.value) return 'tour';
  const steps = stepLines();
  const run = state.sample.value?.runs.find((one) => one.steps.join('\n') === steps.join('\n'));
  return counted(steps.length, 'step') + (run === undefined ? '' : `, the sample's “${run.name}”`);
}

function DriverRow({ driver, at }: { readonly driver: ListedDriver; readonly at: number }): JSX.Element {
  const name = printable(driver.name);
  return (
    <tr>
      <td>
        <input
          type="checkbox"
          aria-label={`Verify ${name}`}
          checked={driver.isVerified}
          onChange={({ currentTarget }) =>
            changeDrivers((list) =>
              list.map((one) => (one === driver ? { ...one, isVerified: currentTarget.checked } : one)),
            )
          }
        />
      </td>
      <th scope="row">{name}</th>
      <td class="number">{driver.bytes.length.toLocaleString('en')}</td>
      <td class="actions">
        <ActionButton isPossible={at > 0} act={({ currentTarget }) => moveUp(at, currentTarget as HTMLElement)}>
          Up<span class="unseen"> {name}</span>
        </ActionButton>
        <button type="button" class="remove" onClick={({ currentTarget }) => remove(driver, currentTarget)}>
          Remove<span class="unseen"> {name}</span>
        </button>
      </td>
    </tr>
  );
}

/** The row takes its button along, with the focus. */
function moveUp(at: number, button: HTMLElement): void {
  changeDrivers((list) => movedUp(list, at));
  setTimeout(() => button.focus());
}

/** The focus goes to the next row, or to where drivers are added. */
function remove(driver: ListedDriver, button: HTMLElement): void {
  const row = button.closest('tr');
  const next = row?.nextElementSibling ?? row?.previousElementSibling;
  (next?.querySelector<HTMLElement>('.remove') ?? document.querySelector<HTMLElement>('.drop-zone button'))?.focus();
  changeDrivers((list) => list.filter((one) => one !== driver));
}

function movedUp(list: readonly ListedDriver[], at: number): readonly ListedDriver[] {
  const moved = [...list];
  const [driver] = moved.splice(at, 1);
  if (driver !== undefined) moved.splice(at - 1, 0, driver);
  return moved;
}

function Offered(): JSX.Element | null {
  if (state.offered.value.length === 0) return null;
  return (
    <section aria-labelledby="offered">
      <h3 id="offered">From the command line</h3>
      <ul class="choices">
        {state.offered.value.map((driver) => (
          <li key={driver.name}>
            <button type="button" onClick={() => void openOffered(driver)}>
              {printable(driver.name)}
            </button>{' '}
            {counted(driver.files.length - 1, 'file')} with it
          </li>
        ))}
      </ul>
    </section>
  );
}

function Samples(): JSX.Element | null {
  const wanted = filter.value.trim().toLowerCase();
  const { value: samples } = state.samples;
  if (samples.length === 0) return null;
  const found = samples.filter(({ name, about }) => `${name} ${about}`.toLowerCase().includes(wanted));
  return (
    <section aria-labelledby="samples">
      <h3 id="samples">Samples</h3>
      <label>
        Find{' '}
        <input
          type="search"
          value={filter.value}
          onInput={({ currentTarget }) => {
            filter.value = currentTarget.value;
          }}
        />
      </label>
      {sampleGroups.map(([group, title]) => (
        <SampleGroup key={group} title={title} samples={found.filter((sample) => sample.group === group)} />
      ))}
      {found.length === 0 && <p class="empty">No sample has that in its name or description.</p>}
    </section>
  );
}

const sampleGroups: readonly (readonly [Sample['group'], string])[] = [
  ['leaky', 'Drivers that leak'],
  ['dma', 'Drivers with DMA'],
  ['clean', 'Drivers without a fault'],
];

function SampleGroup(props: { readonly title: string; readonly samples: readonly Sample[] }): JSX.Element | null {
  const { title, samples } = props;
  if (samples.length === 0) return null;
  return (
    <>
      <h4>{title}</h4>
      <ul class="choices samples" aria-label={title}>
        {samples.map((sample) => (
          <li key={sample.name}>
            <button
              type="button"
              aria-pressed={state.sample.value?.name === sample.name}
              onClick={() => void openSample(sample)}
            >
              {sample.name}
            </button>{' '}
            <span>
              {sample.about}
              {sample.described !== undefined && <small> (steps “{sample.described}”)</small>}
            </span>
          </li>
        ))}
      </ul>
    </>
  );
}

export function counted(count: number, noun: string): string {
  return `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`;
}
