/** What verified drivers hold now. Only the rows in view exist; the worker is asked for the pages that they are on. */
import { elementScroll, observeElementOffset, observeElementRect, Virtualizer } from '@tanstack/virtual-core';
import type { JSX } from 'preact';
import { useEffect, useReducer, useRef } from 'preact/hooks';
import { printable } from '../../src/base/printable.ts';
import type { AllocationRow } from '../../src/run/watched-run.ts';
import { askAllocations, chooseAllocation } from './actions.ts';
import { Excerpt, Stack, shortPlace } from './site.tsx';
import * as state from './state.ts';

const rowPx = 26;
const pageRows = 100;
/** How often rows in view are asked for again while the machine runs. */
const refreshMs = 250;

export function AllocationsPage(): JSX.Element {
  return (
    <>
      <h2>Outstanding allocations</h2>
      <p class="note">
        What the verified drivers hold now, oldest first: {state.allocationTotal.value.toLocaleString('en')}{' '}
        allocations. A row shows where it was allocated.
      </p>
      <Table />
      <Detail />
    </>
  );
}

const columns = ['Address', 'Tag', 'Bytes', 'Pool type', 'Allocated by', 'Place'] as const;

function Table(): JSX.Element {
  const scroller = useRef<HTMLDivElement>(null);
  const [, redraw] = useReducer((count: number) => count + 1, 0);
  const virtual = useRef<Virtualizer<HTMLDivElement, HTMLDivElement>>(undefined);
  const total = state.allocationTotal.value;
  const options = {
    count: total,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowPx,
    overscan: 8,
    scrollToFn: elementScroll,
    observeElementRect,
    observeElementOffset,
    onChange: () => redraw(undefined),
  };
  virtual.current ??= new Virtualizer(options);
  const rows = virtual.current;
  rows.setOptions(options);
  useEffect(() => rows._didMount(), [rows]);
  useEffect(() => rows._willUpdate());
  const items = rows.getVirtualItems();
  useEffect(() => keepAsking(() => pagesOf(rows)), [rows]);
  useEffect(() => {
    for (const first of pagesOf(rows)) if (!state.allocationPages.peek().has(first)) askAllocations(first, pageRows);
  }, [rows, items[0]?.index, items.at(-1)?.index]);

  /** A row that was gone to by the keyboard and is not loaded yet. */
  const wanted = useRef<number>(undefined);
  const choose = (index: number): void => {
    const row = rowAt(index);
    wanted.current = row === undefined ? index : undefined;
    if (row !== undefined) chooseAllocation(row.address);
  };
  useEffect(() => {
    if (wanted.current !== undefined && rowAt(wanted.current) !== undefined) choose(wanted.current);
  });
  const move = (event: KeyboardEvent): void => {
    const to = nextRow(event.key, wanted.current ?? indexOf(state.chosenAllocation.peek()), total);
    if (to === undefined) return;
    event.preventDefault();
    rows.scrollToIndex(to);
    choose(to);
  };
  const active = items.find(({ index }) => rowAt(index)?.address === state.chosenAllocation.value);
  return (
    <div
      ref={scroller}
      class="grid"
      role="grid"
      tabIndex={0}
      aria-label="Outstanding allocations"
      aria-rowcount={total + 1}
      aria-colcount={columns.length}
      aria-activedescendant={active === undefined ? undefined : `allocation-${active.index}`}
      onKeyDown={move}
    >
      <div role="row" class="row head" aria-rowindex={1}>
        {columns.map((name) => (
          <span role="columnheader" key={name}>
            {name}
          </span>
        ))}
      </div>
      <div role="rowgroup" class="rows" style={{ height: `${rows.getTotalSize()}px` }}>
        {items.map(({ index, start }) => (
          <Row key={index} index={index} top={start} row={rowAt(index)} />
        ))}
      </div>
    </div>
  );
}

function Row(props: {
  readonly index: number;
  readonly top: number;
  readonly row: AllocationRow | undefined;
}): JSX.Element {
  const { index, top, row } = props;
  const cells =
    row === undefined
      ? ['…', '', '', '', '', '']
      : [
          row.address,
          printable(row.tag),
          row.bytes.toLocaleString('en'),
          row.poolType,
          printable(row.allocator ?? ''),
          shortPlace(row.site),
        ];
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the grid takes the keys
    <div
      role="row"
      tabIndex={-1}
      class="row"
      id={`allocation-${index}`}
      aria-rowindex={index + 2}
      aria-selected={row !== undefined && row.address === state.chosenAllocation.value}
      style={{ transform: `translateY(${top}px)` }}
      onClick={() => row !== undefined && chooseAllocation(row.address)}
    >
      {cells.map((text, column) => (
        <span role="gridcell" tabIndex={-1} key={columns[column]} title={text}>
          {text}
        </span>
      ))}
    </div>
  );
}

/** First rows of the pages that are in view. */
function pagesOf(rows: Virtualizer<HTMLDivElement, HTMLDivElement>): readonly number[] {
  const items = rows.getVirtualItems();
  const [from, to] = [items[0]?.index ?? 0, items.at(-1)?.index ?? 0];
  const pages: number[] = [];
  for (let first = from - (from % pageRows); first <= to; first += pageRows) pages.push(first);
  return pages;
}

/** Asks again for what is in view, when the machine has run since. */
function keepAsking(pages: () => readonly number[]): () => void {
  let seen: unknown;
  const timer = setInterval(() => {
    const now = state.state.peek();
    if (now === seen) return;
    seen = now;
    const inView = pages();
    const kept = new Map([...state.allocationPages.peek()].filter(([first]) => inView.includes(first)));
    state.allocationPages.value = kept;
    for (const first of inView) askAllocations(first, pageRows);
  }, refreshMs);
  return () => clearInterval(timer);
}

function rowAt(index: number): AllocationRow | undefined {
  const first = index - (index % pageRows);
  return state.allocationPages.value.get(first)?.rows[index - first];
}

function indexOf(address: string | undefined): number {
  for (const { first, rows } of state.allocationPages.peek().values()) {
    const at = rows.findIndex((row) => row.address === address);
    if (at >= 0) return first + at;
  }
  return -1;
}

function nextRow(key: string, at: number, total: number): number | undefined {
  const moves: Readonly<Record<string, number>> = {
    ArrowDown: at + 1,
    ArrowUp: at - 1,
    PageDown: at + 10,
    PageUp: at - 10,
    Home: 0,
    End: total - 1,
  };
  const to = moves[key];
  return to === undefined || total === 0 ? undefined : Math.min(total - 1, Math.max(0, to));
}

function Detail(): JSX.Element {
  const detail = state.allocationDetail.value;
  return (
    <section aria-live="polite" class="detail">
      {state.chosenAllocation.value !== undefined && detail === undefined && <p>It has been freed.</p>}
      {detail !== undefined && (
        <>
          <h3>
            {detail.address}, {printable(detail.tag)}
          </h3>
          <p>
            {detail.bytes.toLocaleString('en')} bytes of {detail.poolType} by {printable(detail.driver)}, in{' '}
            {printable(detail.step)}
          </p>
          {detail.source !== null && <Excerpt source={detail.source} />}
          <Stack stack={detail.stack} />
        </>
      )}
    </section>
  );
}
