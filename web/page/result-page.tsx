/** How it ended: the verdict, the bug check as Windows shows it, and what leaked from which line. */
import type { JSX } from 'preact';
import { printable } from '../../src/base/printable.ts';
import type { Leak, Report, StepReport, Violation } from '../../src/run/report/report.ts';
import { siteText } from '../../src/run/report/site-text.ts';
import { counted } from './drivers-page.tsx';
import { ScrolledText } from './scrolled-text.tsx';
import { Excerpt, Stack } from './site.tsx';
import * as state from './state.ts';

/** Leaks whose stacks are shown open. */
const openLeaks = 3;
/** Rows of long lists that are shown; the report has them all. */
const mostRows = 400;

export function ResultPage(): JSX.Element {
  const { value: report } = state.report;
  return (
    <>
      <h2>Result</h2>
      {report === undefined ? (
        <p class="empty">The verdict comes when the drivers were unloaded, or when the machine stops.</p>
      ) : (
        <Found report={report} />
      )}
      <Output />
    </>
  );
}

function Found({ report }: { readonly report: Report }): JSX.Element {
  return (
    <>
      <p class={`headline verdict ${report.verdict}`}>{printable(state.headline.value)}</p>
      <ul class="notes">
        {[...otherReasons(report), ...report.notes].map((text) => (
          <li key={text}>{printable(text)}</li>
        ))}
      </ul>
      <BugCheck report={report} />
      {report.leaks.length > 0 && <Leaks leaks={report.leaks} />}
      {report.violations.length > 0 && <Violations violations={report.violations} />}
      {report.unsupported.length > 0 && (
        <section aria-labelledby="unsupported">
          <h3 id="unsupported">Not supported</h3>
          <ul>
            {report.unsupported.map(({ kind, name, site }) => (
              <li key={name}>
                {kind} {printable(name)}
                {site !== null && <code> {siteText(site)}</code>}
              </li>
            ))}
          </ul>
        </section>
      )}
      <Steps steps={report.scenario.steps} />
      <p class="note">
        {[
          `Options: ${report.options.active.join(', ')} (${report.options.flags})`,
          ...(report.drivers ?? [report.driver]).map(({ name, symbols }) => `symbols of ${name}: ${symbols}`),
          `seed ${report.scenario.seed}`,
        ]
          .map(printable)
          .join('; ')}
      </p>
      <p>
        <button type="button" onClick={() => save(report)}>
          Save the report (JSON)
        </button>
      </p>
    </>
  );
}

/** Without the one that is in the headline. */
const otherReasons = ({ reasons }: Report): readonly string[] =>
  reasons.filter((reason) => !state.headline.value.includes(reason));

/** The blue screen's words, and what the parameters mean. */
function BugCheck({ report }: { readonly report: Report }): JSX.Element | null {
  if (report.bugCheck === null) return null;
  const { code, name, parameters } = report.bugCheck;
  return (
    <section aria-labelledby="bugcheck" class="bug-check">
      <h3 id="bugcheck">Your PC ran into a problem</h3>
      <p>
        Stop code: {name} ({code})
      </p>
      <p>
        <code>
          *** STOP: {code} ({parameters.join(', ')})
        </code>
      </p>
      <ScrolledText label="Bug check analysis">
        {state.bugCheck.value.map((line) => `${printable(line.replaceAll('\t', '    '))}\n`).join('')}
      </ScrolledText>
    </section>
  );
}

function Leaks({ leaks }: { readonly leaks: readonly Leak[] }): JSX.Element {
  return (
    <section aria-labelledby="leaks">
      <h3 id="leaks">Leaks</h3>
      {leaks.slice(0, mostRows).map((leak, at) => (
        <LeakView key={at} leak={leak} isOpen={at < openLeaks} />
      ))}
      <More shown={mostRows} of={leaks.length} />
    </section>
  );
}

function LeakView({ leak, isOpen }: { readonly leak: Leak; readonly isOpen: boolean }): JSX.Element {
  const facts: readonly (readonly [string, string])[] = [
    ['Kind', leak.kind],
    ...pair('Driver', leak.driver),
    ...pair('Name', leak.name),
    ...pair('Tag', leak.tag),
    ['Bytes', leak.bytes.toLocaleString('en')],
    ['Count', leak.count.toLocaleString('en')],
    ...pair('Pool type', leak.poolType),
    ['Address', leak.address],
    ...pair('Allocated by', leak.allocator),
    ...pair('Since', leak.sinceStep === null ? null : stepName(leak.sinceStep)),
  ];
  return (
    <article class="leak">
      <h4>
        <code>{leak.site === null ? leak.kind : siteText(leak.site)}</code>
      </h4>
      <dl class="facts">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{printable(value)}</dd>
          </div>
        ))}
      </dl>
      {leak.source !== null && <Excerpt source={leak.source} />}
      <details open={isOpen}>
        <summary>Stack of the allocation</summary>
        <Stack stack={leak.stack} />
      </details>
    </article>
  );
}

const pair = (name: string, value: string | null | undefined): readonly (readonly [string, string])[] =>
  value === null || value === undefined ? [] : [[name, value]];

function stepName({ step, name }: { readonly step: number | null; readonly name: string }): string {
  return step === null ? name : `step ${step}: ${name}`;
}

function Violations({ violations }: { readonly violations: readonly Violation[] }): JSX.Element {
  return (
    <section aria-labelledby="violations">
      <h3 id="violations">Violations</h3>
      {violations.map(({ kind, summary, site, stack }, at) => (
        <article class="leak" key={at}>
          <h4>
            {kind}: {printable(summary)}
          </h4>
          {site !== null && (
            <p>
              <code>{siteText(site)}</code>
            </p>
          )}
          <details>
            <summary>Stack</summary>
            <Stack stack={stack} />
          </details>
        </article>
      ))}
    </section>
  );
}

function Steps({ steps }: { readonly steps: readonly StepReport[] }): JSX.Element | null {
  if (steps.length === 0) return null;
  return (
    <details>
      <summary>{counted(steps.length, 'step')}</summary>
      <table>
        <thead>
          <tr>
            <th scope="col" class="number">
              No.
            </th>
            <th scope="col">Step</th>
            <th scope="col">Status</th>
            <th scope="col" class="number">
              Bytes
            </th>
          </tr>
        </thead>
        <tbody>
          {steps.slice(0, mostRows).map(({ step, status, information }, at) => (
            <tr key={at}>
              <td class="number">{at + 1}</td>
              <td class="breaks">
                <code>{printable(step)}</code>
              </td>
              <td>
                <code>{status}</code>
              </td>
              <td class="number">{information}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <More shown={mostRows} of={steps.length} />
    </details>
  );
}

function More({ shown, of }: { readonly shown: number; readonly of: number }): JSX.Element | null {
  return of > shown ? <p class="note">{(of - shown).toLocaleString('en')} more are in the report.</p> : null;
}

/** What the driver printed; untrusted. */
function Output(): JSX.Element | null {
  const lines = state.debugOutput.value;
  if (lines.length === 0) return null;
  // There may be a million.
  const text = lines.slice(-mostRows).flatMap((line) => line.replace(/\r?\n$/, '').split(/\r?\n/));
  return (
    <section aria-labelledby="output">
      <h3 id="output">Debug output</h3>
      {Math.max(lines.length, text.length) > mostRows && (
        <p class="note">The last {mostRows} lines; those before are in the report.</p>
      )}
      <ScrolledText class="output" label="Debug output">
        {text
          .slice(-mostRows)
          .map((line) => `${printable(line.replaceAll('\t', '    '))}\n`)
          .join('')}
      </ScrolledText>
    </section>
  );
}

function save(report: Report): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([JSON.stringify(report, null, 2)], { type: 'application/json' }));
  link.download = 'report.json';
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
