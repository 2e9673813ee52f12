/** Driver Verifier's options, and what is done with the driver. */
import { batch } from '@preact/signals';
import type { JSX } from 'preact';
import { stepForms } from '../../src/run/scenario/step.ts';
import { defaultFlags, type VerifierOption, verifierOptions } from '../../src/verifier/core/options.ts';
import { discardMachine } from './actions.ts';
import * as state from './state.ts';

export function SettingsPage(): JSX.Element {
  return (
    <>
      <h2>Select a task</h2>
      <Task />
      <Options />
      <h2>What is done with the driver</h2>
      <Scenario />
    </>
  );
}

/** Sets something that a machine is made with. */
function set(change: () => void): void {
  change();
  discardMachine();
}

const tasks: readonly { readonly isCustom: boolean; readonly title: string; readonly about: string }[] = [
  {
    isCustom: false,
    title: 'Create standard settings',
    about: 'The options of the standard set that are available here.',
  },
  {
    isCustom: true,
    title: 'Create custom settings (for code developers)',
    about: 'Select individual settings from the full list below.',
  },
];

function Task(): JSX.Element {
  return (
    <fieldset>
      <legend>Task</legend>
      {tasks.map(({ isCustom, title, about }) => (
        <label key={title} class="choice">
          <input
            type="radio"
            name="task"
            checked={state.isCustom.value === isCustom}
            onChange={() =>
              set(() => {
                state.isCustom.value = isCustom;
                if (!isCustom) state.flags.value = defaultFlags;
              })
            }
          />
          <span>
            {title}
            <small>{about}</small>
          </span>
        </label>
      ))}
      <p>
        <button type="button" onClick={deleteSettings}>
          Delete existing settings
        </button>{' '}
        <small>Everything on this page as it was at first, and no driver in the list.</small>
      </p>
    </fieldset>
  );
}

function deleteSettings(): void {
  batch(() => {
    set(() => {
      state.isCustom.value = false;
      state.flags.value = defaultFlags;
      state.seed.value = 1;
      state.isTour.value = true;
      state.stepText.value = '';
      state.deviceModel.value = undefined;
      state.drivers.value = [];
      state.symbolFiles.value = [];
      state.sources.value = [];
      state.sample.value = undefined;
    });
  });
}

function Options(): JSX.Element {
  return (
    <table class="options">
      <caption>
        Options in force: <code>/flags 0x{state.flags.value.toString(16)}</code>
      </caption>
      <thead>
        <tr>
          <th scope="col">Enabled?</th>
          <th scope="col">Test type</th>
          <th scope="col">Flag</th>
          <th scope="col">Set</th>
        </tr>
      </thead>
      <tbody>
        {verifierOptions.map((option) => (
          <OptionRow key={option.flag} option={option} />
        ))}
      </tbody>
    </table>
  );
}

function OptionRow({ option }: { readonly option: VerifierOption }): JSX.Element {
  const { flag, name, isStandard, isImplemented } = option;
  const isOn = Math.floor(state.flags.value / flag) % 2 === 1;
  return (
    <tr class={isImplemented ? '' : 'missing'}>
      <td>
        <input
          type="checkbox"
          aria-label={name}
          checked={isOn}
          disabled={!isImplemented || !state.isCustom.value}
          onChange={({ currentTarget }) =>
            set(() => {
              state.flags.value += currentTarget.checked ? flag : -flag;
            })
          }
        />
      </td>
      <th scope="row">
        {name}
        {isImplemented ? '' : ' (not available)'}
      </th>
      <td>
        <code>0x{flag.toString(16)}</code>
      </td>
      <td>{isStandard ? 'Standard' : 'Additional'}</td>
    </tr>
  );
}

function Scenario(): JSX.Element {
  return (
    <>
      <fieldset>
        <legend>Scenario</legend>
        <label class="choice">
          <input
            type="radio"
            name="scenario"
            checked={state.isTour.value}
            onChange={() =>
              set(() => {
                state.isTour.value = true;
              })
            }
          />
          <span>
            Tour
            <small>
              Loads the driver, starts its device, opens what it made, reads, writes, tries its control codes, cancels,
              removes, unloads.
            </small>
          </span>
        </label>
        <label class="choice">
          <input
            type="radio"
            name="scenario"
            checked={!state.isTour.value}
            onChange={() =>
              set(() => {
                state.isTour.value = false;
              })
            }
          />
          <span>
            Steps of my own
            <small>One in a line; the driver is loaded before the first and unloaded after the last.</small>
          </span>
        </label>
        {!state.isTour.value && <Steps />}
      </fieldset>
      <fieldset>
        <legend>Machine</legend>
        <label>
          Seed{' '}
          <input
            type="number"
            min={0}
            max={0xffff_ffff}
            step={1}
            value={state.seed.value}
            onChange={({ currentTarget }) =>
              set(() => {
                const number = Math.floor(Number(currentTarget.value));
                state.seed.value = number >= 0 && number <= 0xffff_ffff ? number : 1;
                currentTarget.value = String(state.seed.value);
              })
            }
          />
        </label>
        {state.deviceModels.value.length > 0 && <DeviceModels />}
      </fieldset>
    </>
  );
}

function DeviceModels(): JSX.Element {
  return (
    <label>
      Device model{' '}
      <select
        value={state.deviceModel.value ?? ''}
        onChange={({ currentTarget: { value } }) =>
          set(() => {
            state.deviceModel.value = value === '' ? undefined : value;
          })
        }
      >
        <option value="">none</option>
        {state.deviceModels.value.map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}

function Steps(): JSX.Element {
  const runs = state.sample.value?.runs.filter(({ steps }) => steps.length > 0) ?? [];
  return (
    <>
      {runs.length > 0 && (
        <label>
          Steps of the sample{' '}
          <select
            value=""
            onChange={({ currentTarget }) =>
              set(() => {
                const chosen = runs.find(({ name }) => name === currentTarget.value);
                if (chosen !== undefined) state.stepText.value = `${chosen.steps.join('\n')}\n`;
              })
            }
          >
            <option value="">choose…</option>
            {runs.map(({ name }) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </label>
      )}
      <textarea
        aria-label="Steps"
        rows={8}
        spellcheck={false}
        value={state.stepText.value}
        onInput={({ currentTarget }) =>
          set(() => {
            state.stepText.value = currentTarget.value;
          })
        }
      />
      <details>
        <summary>What a step may be</summary>
        <dl class="forms">
          {stepForms.map(({ form, does }) => (
            <div key={form}>
              <dt>
                <code>{form}</code>
              </dt>
              <dd>{does}</dd>
            </div>
          ))}
        </dl>
      </details>
    </>
  );
}
