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
/** Of the names of steps: the height above the lines that is theirs, and room at both sides. */
const nameHeightPx = 15;
const namePaddingPx = 4;
const tickPx = 6;
const tickEveryPx = 3;
/** Below this the axes have no titles: the legend says the same. */
const wideEnoughPx = 560;

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
    value: (chart, value, index) => lastOr(chart, value, index)?.toLocaleString('en') ?? '–',
  });
  const title = (label: string): { label?: string } => (widthOf(element) < wideEnoughPx ? {} : { label });
  return {
    width: widthOf(element),
    height: heightPx,
    scales: { x: { time: false }, bytes: { range: fromZero }, count: { range: withRoom } },
    series: [
      {
        label: 'Virtual time',
        value: (chart, value, index) => {
          const time = lastOr(chart, value, index);
          return time === undefined ? '–' : milliseconds(time);
        },
      },
      line('Paged pool, bytes', '--paged', 'bytes'),
      line('Nonpaged pool, bytes', '--nonpaged', 'bytes'),
      line('Allocations', '--allocations', 'count'),
    ],
    axes: [
      { ...axis, space: 90, values: (_, splits) => splits.map(milliseconds) },
      { ...axis, scale: 'bytes', size: 70, ...title('bytes') },
      {
        ...axis,
        scale: 'count',
        side: 1,
        size: 60,
        grid: { show: false },
        ...title('allocations'),
        incrs: wholeNumbers,
      },
    ],
    hooks: { draw: [drawMarks] },
  };
}

/** What is pointed at; else what was last. */
function lastOr(chart: uPlot, value: number | null | undefined, series: number): number | undefined {
  return value ?? chart.data[series]?.at(-1) ?? undefined;
}

/** With room for names above. */
function fromZero(_: uPlot, _low: number, high: number | null): [number, number] {
  return [0, Math.max(1, (high ?? 0) * 1.12)];
}

/** Another height than that of the bytes: blocks of one size would have one line. */
function withRoom(chart: uPlot, low: number, high: number | null): [number, number] {
  return fromZero(chart, low, (high ?? 0) * 1.3);
}

const wholeNumbers = Array.from({ length: 10 }, (_, power) => [1, 2, 5].map((step) => step * 10 ** power)).flat();

/** A line with a name where a step began; a tick at the bottom for those whose names have no room. */
function drawMarks(chart: uPlot): void {
  const series: Series | undefined = state.series.peek();
  if (series === undefined) return;
  const { ctx, bbox } = chart;
  const ratio = devicePixelRatio;
  const [surface, text, mark] = ['--surface', '--text', '--mark'].map((name) => colour(name)()) as [
    string,
    string,
    string,
  ];
  const end = bbox.left + bbox.width;
  const bottom = bbox.top + bbox.height;
  let tickAt = Number.NEGATIVE_INFINITY;
  let freeFrom = Number.NEGATIVE_INFINITY;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.strokeStyle = mark;
  ctx.font = `${11 * ratio}px sans-serif`;
  for (const { timeMs, busyMs, name } of series.marks) {
    const x = chart.valToPos(isBusyOnly.peek() ? busyMs : timeMs, 'x', true);
    const label = shortened(printable(name));
    const width = ctx.measureText(label).width + 2 * namePaddingPx * ratio;
    const isNamed = x >= freeFrom && x + width <= end;
    if (!isNamed && x - tickAt < tickEveryPx * ratio) continue;
    tickAt = x;
    ctx.setLineDash(isNamed ? [2 * ratio, 3 * ratio] : []);
    ctx.beginPath();
    ctx.moveTo(x, isNamed ? bbox.top : bottom - tickPx * ratio);
    ctx.lineTo(x, bottom);
    ctx.stroke();
    if (!isNamed) continue;
    freeFrom = x + width;
    // In front of the grid and the lines.
    ctx.fillStyle = surface;
    ctx.fillRect(x + ratio, bbox.top, width - 2 * ratio, nameHeightPx * ratio);
    ctx.fillStyle = text;
    ctx.fillText(label, x + namePaddingPx * ratio, bbox.top + 11 * ratio);
  }
  ctx.restore();
}

const shortened = (name: string): string => (name.length > 20 ? `${name.slice(0, 19)}…` : name);
