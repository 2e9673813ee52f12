/** What the drivers hold over virtual time, with the steps of the scenario. */
import { computed, effect, signal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import { printable } from '../../src/base/printable.ts';
import type { Series } from '../worker/messages.ts';
import { milliseconds } from './run-bar.tsx';
import * as state from './state.ts';

const heightPx = 240;
/** Marks whose names would stand closer together go without. */
const nameEveryPx = 90;
const markEveryPx = 3;

/** A driver may wait for a year: what happened before and after would be two lines. */
const longMs = 600_000;
/** What the user said; undefined: nothing. */
const chosenBusyOnly = signal<boolean | undefined>(undefined);
const isBusyOnly = computed(() => chosenBusyOnly.value ?? (state.series.value?.timeMs.at(-1) ?? 0) > longMs);

export function PoolChart(): JSX.Element {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = place.current;
    if (element === null) return undefined;
    const chart = new uPlot(optionsFor(element), [[], [], [], []], element);
    const resized = new ResizeObserver(() => chart.setSize({ width: widthOf(element), height: heightPx }));
    resized.observe(element);
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const redraw = (): void => chart.redraw(false, true);
    dark.addEventListener('change', redraw);
    const stop = effect(() => {
      const { value: series } = state.series;
      chart.setData(
        series === undefined
          ? [[], [], [], []]
          : [
              isBusyOnly.value ? series.busyMs : series.timeMs,
              series.pagedBytes,
              series.nonPagedBytes,
              series.allocations,
            ],
      );
    });
    return () => {
      stop();
      dark.removeEventListener('change', redraw);
      resized.disconnect();
      chart.destroy();
    };
  }, []);
  return (
    <section aria-labelledby="chart" class="chart">
      <h3 id="chart">Pool over virtual time</h3>
      <label class="choice">
        <input
          type="checkbox"
          checked={isBusyOnly.value}
          onChange={({ currentTarget }) => {
            chosenBusyOnly.value = currentTarget.checked;
          }}
        />
        Leave out the time in which nothing runs
      </label>
      <div ref={place} role="img" aria-label={summary()} data-points={state.series.value?.timeMs.length ?? 0} />
    </section>
  );
}

/** The chart in words. */
function summary(): string {
  const series = state.series.value;
  if (series === undefined || series.timeMs.length === 0) return 'No allocation yet';
  const last = series.timeMs.length - 1;
  const total = (at: number): number => (series.pagedBytes[at] as number) + (series.nonPagedBytes[at] as number);
  let peak = 0;
  for (let at = 0; at <= last; at++) peak = Math.max(peak, total(at));
  return `${total(last)} bytes in ${series.allocations[last]} allocations after ${milliseconds(series.timeMs[last] as number)}; at most ${peak} bytes`;
}

const widthOf = (element: HTMLElement): number => Math.max(240, element.clientWidth);

/** Colours of the style sheet, asked for when something is drawn: they follow light and dark. */
const colour = (name: string) => (): string => getComputedStyle(document.documentElement).getPropertyValue(name);

function optionsFor(element: HTMLElement): uPlot.Options {
  const axis = {
    stroke: colour('--text'),
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { stroke: colour('--line') },
  };
  const line = (label: string, stroke: string, scale: string): uPlot.Series => ({
    label,
    scale,
    stroke: colour(stroke),
    width: 2,
    paths: uPlot.paths.stepped?.({ align: 1 }) as uPlot.Series.PathBuilder,
    points: { show: false },
    value: (_, value) => (value === null ? '' : value.toLocaleString('en')),
  });
  return {
    width: widthOf(element),
    height: heightPx,
    scales: { x: { time: false }, bytes: { range: fromZero }, count: { range: withRoom } },
    series: [
      { label: 'Virtual time', value: (_, value) => (value === null ? '' : milliseconds(value)) },
      line('Paged pool, bytes', '--paged', 'bytes'),
      line('Nonpaged pool, bytes', '--nonpaged', 'bytes'),
      line('Allocations', '--allocations', 'count'),
    ],
    axes: [
      { ...axis, space: 90, values: (_, splits) => splits.map(milliseconds) },
      { ...axis, scale: 'bytes', size: 70, label: 'bytes', stroke: colour('--text') },
      { ...axis, scale: 'count', side: 1, size: 60, grid: { show: false }, label: 'allocations', incrs: wholeNumbers },
    ],
    hooks: { draw: [drawMarks] },
  };
}

function fromZero(_: uPlot, _low: number, high: number | null): [number, number] {
  return [0, Math.max(1, (high ?? 0) * 1.05)];
}

/** Another height than that of the bytes: blocks of one size would have one line. */
function withRoom(chart: uPlot, low: number, high: number | null): [number, number] {
  return fromZero(chart, low, (high ?? 0) * 1.3);
}

const wholeNumbers = Array.from({ length: 10 }, (_, power) => [1, 2, 5].map((step) => step * 10 ** power)).flat();

/** A line where each step began; the names of those that have room. */
function drawMarks(chart: uPlot): void {
  const series: Series | undefined = state.series.peek();
  if (series === undefined) return;
  const { ctx, bbox } = chart;
  const ratio = devicePixelRatio;
  let lineAt = Number.NEGATIVE_INFINITY;
  let nameAt = Number.NEGATIVE_INFINITY;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.strokeStyle = colour('--mark')();
  ctx.fillStyle = colour('--text')();
  ctx.font = `${11 * ratio}px sans-serif`;
  ctx.setLineDash([2 * ratio, 3 * ratio]);
  for (const { timeMs, busyMs, name } of series.marks) {
    const x = chart.valToPos(isBusyOnly.peek() ? busyMs : timeMs, 'x', true);
    if (x - lineAt < markEveryPx * ratio) continue;
    lineAt = x;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    if (x - nameAt < nameEveryPx * ratio) continue;
    nameAt = x;
    ctx.fillText(shortened(printable(name)), x + 3 * ratio, bbox.top + 11 * ratio);
  }
  ctx.restore();
}

const shortened = (name: string): string => (name.length > 16 ? `${name.slice(0, 15)}…` : name);
