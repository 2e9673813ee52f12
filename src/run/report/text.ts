/** The report as text: verdict first, then the reasons, what was found and where, and the counters. */

import { printable } from '../../base/printable.ts';
import { ntSuccess } from '../../nt/ntstatus.ts';
import { statusName } from '../../nt/status-name.ts';
import { bugCheckLines } from './bug-check-arguments.ts';
import type {
  CountersReport,
  Leak,
  LeakKind,
  LeakStep,
  PoolCountersReport,
  Report,
  Site,
  SourceExcerpt,
  StepReport,
  Verdict,
} from './report.ts';
import { siteText } from './site-text.ts';

/** How emphasis is shown; the text alone says everything. */
export interface TextStyle {
  verdict(verdict: Verdict, text: string): string;
  strong(text: string): string;
  faint(text: string): string;
}

export const plainStyle: TextStyle = {
  verdict: (_verdict, text) => text,
  strong: (text) => text,
  faint: (text) => text,
};

/** More frames than that are counted, not shown. The JSON report has them all. */
const mostFrames = 32;
/** Characters of a step, which may send much data. */
const mostStepCharacters = 70;
/** Of more steps than that (a tour's) the first and the last are shown, and those in which a leak began. The JSON report has them all. */
const mostSteps = 60;
const firstSteps = 12;
const lastSteps = 4;
/** Further steps of a leak that are named. */
const mostLeakSteps = 12;
/** Lines of debug output, likewise. */
const mostDebugLines = 200;
/** Bytes of a request's output that are shown. */
const mostOutputBytes = 32;

/** The text view of a report, with a line feed at its end. What the driver chose is shown by {@link printable}. */
export function reportText(report: Report, style: TextStyle = plainStyle): string {
  const sections = [
    verdictSection(report, style),
    bugCheckSection(report, style),
    leakSection(report, style),
    violationSection(report, style),
    unsupportedSection(report, style),
    threadSection(report, style),
    stepSection(report, style),
    debugOutputSection(report, style),
    counterSection(report, style),
    [footer(report, style)],
  ];
  return `${sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')}\n`;
}

/** The first line: `VIOLATION  leaky.sys  bug check 0xC4 (…) parameter 1 0x62: …`. */
export function verdictLine(report: Report, style: TextStyle = plainStyle): string {
  const word = style.verdict(report.verdict, report.verdict.toUpperCase());
  return `${word}  ${printable(verifiedNames(report))}  ${printable(headline(report))}`;
}

/** The drivers that the verdict is of. */
function verifiedNames({ driver, drivers = [] }: Report): string {
  const names = drivers.filter(({ role }) => role === 'verified').map(({ name }) => name);
  return names.length === 0 ? driver.name : names.join(', ');
}

/** The driver that a bug check is about. */
function accusedName({ driver, leaks, violations }: Report): string {
  return leaks[0]?.driver ?? violations[0]?.driver ?? driver.name;
}

function headline(report: Report): string {
  const { bugCheck, leaks, violations, reasons, verdict } = report;
  if (bugCheck !== null) {
    return `bug check ${bugCheck.code} (${bugCheck.name}) parameter 1 ${bugCheck.parameters[0]}: ${bugCheck.summary}`;
  }
  if (verdict === 'violation') {
    return [
      ...(leaks.length > 0 ? [`${totalOf(leaks)} left behind`] : []),
      ...violations.map(({ summary }) => summary),
    ].join('; ');
  }
  return verdict === 'clean' ? 'unloaded, and left nothing behind' : (reasons[0] ?? '');
}

function verdictSection(report: Report, style: TextStyle): string[] {
  const lines = [verdictLine(report, style)];
  const isFirstShown = report.bugCheck === null && (report.verdict === 'incomplete' || report.verdict === 'error');
  for (const reason of report.reasons.slice(isFirstShown ? 1 : 0)) lines.push(`  ${printable(reason)}`);
  for (const note of report.notes) lines.push(style.faint(`  note: ${printable(note)}`));
  const isSaid = report.reasons.some((reason) => reason.startsWith('DriverEntry'));
  if (report.driverEntryStatus !== null && !isSuccess(report.driverEntryStatus) && !isSaid) {
    lines.push(`  DriverEntry returned ${statusWithName(report.driverEntryStatus)}`);
  }
  return lines;
}

function bugCheckSection(report: Report, style: TextStyle): string[] {
  const { bugCheck } = report;
  if (bugCheck === null) return [];
  const [heading, ...lines] = bugCheckLines(bugCheck, accusedName(report));
  return [style.strong(printable(heading as string)), ...lines.map(withoutTabs)];
}

function leakSection({ leaks }: Report, style: TextStyle): string[] {
  if (leaks.length === 0) return [];
  const lines = [style.strong(`Leaked: ${totalOf(leaks)}`)];
  for (const leak of leaks) {
    lines.push(`  ${leakLine(leak)}`);
    if (leak.site !== null) lines.push(`    at ${style.strong(siteText(leak.site))}`);
    if (leak.source !== null) lines.push(...excerptLines(leak.source, '      ', style));
    lines.push(...originLines(leak).map((line) => `    ${line}`));
    lines.push(...stackLines(leak.stack, '      ', style));
  }
  return lines;
}

/** `> 95 |     entry = ExAllocatePoolWithTag(…);` with the lines around it. */
function excerptLines({ line, firstLine, lines }: SourceExcerpt, indent: string, style: TextStyle): string[] {
  const width = String(firstLine + lines.length - 1).length;
  return lines.map((text, index) => {
    const number = firstLine + index;
    const shown = `${number === line ? '>' : ' '} ${String(number).padStart(width)} | ${printable(text)}`.trimEnd();
    return `${indent}${number === line ? style.strong(shown) : style.faint(shown)}`;
  });
}

/** `by ExAllocatePool2, since step 3: ioctl 0x222040`, and in which other steps. */
function originLines({ allocator, steps }: Leak): string[] {
  const [first] = steps;
  const by = allocator === null ? [] : [`by ${printable(allocator)}`];
  if (first === undefined) return by;
  const since = `since ${stepText(first)}`;
  const others = steps.slice(1);
  const lines = [[...by, since].join(', ')];
  if (others.length > 0) {
    const names = others.slice(0, mostLeakSteps).map((step) => (step.step === null ? step.name : `${step.step}`));
    const more = others.length > mostLeakSteps ? ` and ${others.length - mostLeakSteps} more` : '';
    const word = others.every(({ step }) => step !== null) ? (others.length === 1 ? 'step ' : 'steps ') : '';
    lines.push(`then in ${word}${printable(names.join(', '))}${more}`);
  }
  return lines;
}

function stepText({ step, name }: LeakStep): string {
  return step === null ? printable(name) : `step ${step}: ${clipped(printable(name))}`;
}

function leakLine(leak: Leak): string {
  const what = [
    ...(leak.driver === undefined ? [] : [printable(leak.driver)]),
    leak.kind,
    ...(leak.tag === null ? [] : [printable(leak.tag)]),
    ...(leak.name === undefined ? [] : [printable(leak.name)]),
    ...(leak.poolType === null ? [] : [leak.poolType]),
  ].join('  ');
  const size = leak.bytes === 0 ? '' : `  ${plural(leak.bytes, 'byte')}`;
  const hasAddress = leak.address !== '0x0';
  if (leak.count === 1) return `${what}${size}${hasAddress ? `  at ${leak.address}` : ''}`;
  const number = countedKinds.includes(leak.kind) ? `in ${leak.count} blocks` : `${leak.count} times`;
  return `${what}${size}  ${number}${hasAddress ? `, the first at ${leak.address}` : ''}`;
}

/** What Verifier counts as pool allocations; the other kinds are resources of other sorts. */
const countedKinds: readonly LeakKind[] = ['pool', 'mdl', 'irp', 'workitem', 'string', 'completion-context'];

/** `3 allocations, 193 bytes and 1 other resource` */
function totalOf(leaks: readonly Leak[]): string {
  const counted = leaks.filter(({ kind }) => countedKinds.includes(kind));
  const sum = (some: readonly Leak[], key: 'count' | 'bytes'): number =>
    some.reduce((total, leak) => total + leak[key], 0);
  const blocks = sum(counted, 'count');
  const others = sum(leaks, 'count') - blocks;
  const parts = blocks === 0 ? [] : [`${plural(blocks, 'allocation')}, ${plural(sum(counted, 'bytes'), 'byte')}`];
  if (others > 0) parts.push(plural(others, blocks === 0 ? 'resource' : 'other resource'));
  return parts.join(' and ');
}

function violationSection({ violations, bugCheck, driver }: Report, style: TextStyle): string[] {
  if (violations.length === 0) return [];
  const lines = [style.strong('Violations')];
  for (const violation of violations) {
    const whose = violation.driver === undefined ? '' : `${printable(violation.driver)}  `;
    lines.push(`  ${whose}${printable(violation.kind)}: ${printable(violation.summary)}`);
    const own = violation.bugCheck;
    // The bug check that ended the life stands above.
    if (own !== null && (own.code !== bugCheck?.code || own.parameters.join() !== bugCheck.parameters.join())) {
      lines.push(...bugCheckLines(own, driver.name).map((line) => `    ${withoutTabs(line)}`));
    }
    const { site, stack, allocationStack } = violation;
    const how = allocationStack === undefined ? 'at' : 'freed at';
    if (site !== null) lines.push(`    ${how} ${style.strong(siteText(site))}`);
    lines.push(...stackLines(stack, '      ', style));
    if (allocationStack === undefined) continue;
    lines.push('    allocated by', ...stackLines(allocationStack, '      ', style));
  }
  return lines;
}

function unsupportedSection({ unsupported }: Report, style: TextStyle): string[] {
  if (unsupported.length === 0) return [];
  const lines = [style.strong('Not supported')];
  for (const use of unsupported) {
    lines.push(`  ${use.kind}  ${printable(use.name)}${use.calls > 1 ? `  ${use.calls} times` : ''}`);
    if (use.site !== null) lines.push(`    at ${siteText(use.site)}`);
  }
  return lines;
}

function threadSection({ threads }: Report, style: TextStyle): string[] {
  if (threads.length === 0) return [];
  const lines = [style.strong('Threads')];
  for (const thread of threads) {
    lines.push(`  thread ${thread.id}: ${printable(thread.state)}`);
    lines.push(...stackLines(thread.stack, '    ', style));
  }
  return lines;
}

function stepSection({ scenario, leaks }: Report, style: TextStyle): string[] {
  const { steps } = scenario;
  if (steps.length === 0) return [];
  const digits = String(steps.length).length;
  const named = new Set(leaks.map((leak) => leak.steps[0]?.step));
  const isShown = ({ isNeverCompleted }: StepReport, index: number): boolean =>
    steps.length <= mostSteps ||
    index < firstSteps ||
    index >= steps.length - lastSteps ||
    isNeverCompleted === true ||
    named.has(index + 1);
  const shown = steps.map((step, index) => ({ step, index })).filter(({ step, index }) => isShown(step, index));
  const textOf = ({ step, index }: (typeof shown)[number]): string =>
    `${String(index + 1).padStart(digits)}  ${clipped(printable(step.step))}`;
  const width = Math.max(...shown.map((one) => textOf(one).length));
  const lines = shown.flatMap((one, place) => {
    const left = one.index - 1 - (shown[place - 1]?.index ?? -1);
    const gap = left === 0 ? [] : [style.faint(`  ${' '.repeat(digits)}  … ${plural(left, 'step')}`)];
    return [...gap, `  ${textOf(one).padEnd(width)}  ${stepResult(one.step)}`];
  });
  return [style.strong('Steps'), ...lines];
}

function stepResult({ status, information, output, isNeverCompleted }: StepReport): string {
  const bytes = output.length / 2;
  const shown = output.slice(0, mostOutputBytes * 2);
  const data = output === '' ? '' : `: ${printable(shown)}${bytes > mostOutputBytes ? '…' : ''}`;
  const count = information === 0 && output === '' ? '' : `  ${plural(information, 'byte')}`;
  return `${statusWithName(status)}${count}${data}${isNeverCompleted === true ? '  never completed' : ''}`;
}

function debugOutputSection({ debugOutput }: Report, style: TextStyle): string[] {
  if (debugOutput.length === 0) return [];
  // A driver's text comes with its own line ends, or with none.
  const lines = debugOutput.flatMap((text) => text.replace(/\r?\n$/, '').split(/\r?\n/));
  const left = lines.length - mostDebugLines;
  return [
    style.strong('Debug output'),
    ...lines.slice(0, mostDebugLines).map((line) => `  ${withoutTabs(line)}`),
    ...(left > 0 ? [style.faint(`  … ${plural(left, 'line')} more`)] : []),
  ];
}

/** Driver Verifier Manager's pages: global counters, then each driver's, paged pool first. Left out: not counted yet. */
function counterSection({ counters }: Report, style: TextStyle): string[] {
  const globals: readonly (readonly [string, number | undefined])[] = [
    ['IRQL Raises', counters.irqlRaises],
    ['Spinlocks Acquired', counters.spinLocksAcquired],
    ['Executions Synchronized', counters.executionsSynchronized],
    ['Trims', counters.trims],
    ['Faults Injected', counters.faultsInjected],
    ['Pool Allocations Attempted', counters.poolAllocationsAttempted],
    ['Pool Allocations Succeeded', counters.poolAllocationsSucceeded],
    ['Pool Allocations Succeeded in Special Pool', counters.poolAllocationsSucceededInSpecialPool],
    ['Pool Allocations Without Tag', counters.poolAllocationsWithoutTag],
    ['Pool Allocations Failed', counters.poolAllocationsFailed],
    ['Pool Allocations Not Tracked', counters.poolAllocationsNotTracked],
  ];
  return [
    style.strong('Global counters'),
    ...globals.flatMap(([name, value]) => (value === undefined ? [] : [counterRow(name, value)])),
    ...notTrackedNote(counters),
    ...counters.drivers.flatMap((driver) => driverCounters(driver, style)),
  ];
}

/** The name of a counter of special pool is longer than the column. */
function counterRow(name: string, value: number): string {
  return `  ${name.padEnd(30)}${String(value).padStart(15 - Math.max(0, name.length - 30))}`;
}

function notTrackedNote({ poolAllocationsNotTracked }: CountersReport): string[] {
  if (poolAllocationsNotTracked === 0) return [];
  return [
    "  note: not tracked are blocks of a page or more, which Windows' counters of each driver leave out; poolproof tracks them",
  ];
}

function driverCounters(driver: CountersReport['drivers'][number], style: TextStyle): string[] {
  const rows: readonly (readonly [string, keyof PoolCountersReport])[] = [
    ['Current Number of Allocations', 'currentAllocations'],
    ['Current Bytes Allocated', 'currentBytes'],
    ['Peak Number of Allocations', 'peakAllocations'],
    ['Peak Bytes Allocated', 'peakBytes'],
  ];
  return [
    '',
    `${style.strong(printable(driver.name).padEnd(32))}${column('Paged Pool')}${column('Nonpaged Pool')}`,
    ...rows.map(
      ([name, key]) => `  ${name.padEnd(30)}${column(driver.pagedPool[key])}${column(driver.nonPagedPool[key])}`,
    ),
    ...(driver.peakContiguousMemoryBytes === 0 ? [] : contiguousCounters(driver)),
  ];
}

function contiguousCounters(driver: CountersReport['drivers'][number]): string[] {
  return [
    `  ${'Contiguous Memory Bytes'.padEnd(30)}${column('')}${column(driver.contiguousMemoryBytes)}`,
    `  ${'Peak Contiguous Memory Bytes'.padEnd(30)}${column('')}${column(driver.peakContiguousMemoryBytes)}`,
  ];
}

function column(value: number | string): string {
  return String(value).padStart(15);
}

function footer({ options, driver, drivers = [], scenario, host }: Report, style: TextStyle): string {
  const companions = drivers.filter(({ role }) => role === 'companion').map(({ name }) => name);
  const missing = options.notImplemented.length === 0 ? '' : `; not available: ${options.notImplemented.join(', ')}`;
  return [
    `Options: ${options.active.join(', ') || 'none'} (${options.flags})${missing}`,
    ...(companions.length === 0 ? [] : [`Companions: ${printable(companions.join(', '))}`]),
    ...(drivers.length === 0
      ? [`Symbols: ${printable(driver.symbols)}`]
      : drivers.map(({ name, symbols }) => `Symbols of ${printable(name)}: ${printable(symbols)}`)),
    `Seed ${scenario.seed}, ${host.durationMs} ms`,
  ]
    .map((line) => style.faint(line))
    .join('\n');
}

function stackLines(stack: readonly Site[], indent: string, style: TextStyle): string[] {
  const lines = stack.slice(0, mostFrames).map((site) => style.faint(`${indent}${siteText(site)}`));
  if (stack.length > mostFrames) lines.push(style.faint(`${indent}… ${stack.length - mostFrames} more`));
  return lines;
}

// ---- words

function statusWithName(status: string): string {
  const name = statusName(Number(status));
  return name === undefined ? status : `${status} ${name}`;
}

function isSuccess(status: string): boolean {
  return ntSuccess(Number(status));
}

function clipped(text: string): string {
  return text.length > mostStepCharacters ? `${text.slice(0, mostStepCharacters - 1)}…` : text;
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** A terminal would stop where it likes. */
function withoutTabs(line: string): string {
  return printable(line.replaceAll('\t', '    '));
}
