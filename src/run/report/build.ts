/** Makes the report of a machine whose life is over. */

import { assert } from '../../base/errors.ts';
import { sha256 } from '../../base/sha256.ts';
import { CallStackReader } from '../../debugger/call-stack.ts';
import { bugCheckName } from '../../nt/bug-check-names.ts';
import { type BugCheck, bugCheckParameterText } from '../../nt/declare/bug-check.ts';
import { statusText } from '../../nt/ntstatus.ts';
import type { LoadedDriver } from '../loaded-driver.ts';
import type { Machine } from '../machine.ts';
import type { DriverFile } from '../machine-options.ts';
import { decideVerdict } from '../verdict.ts';
import { freedWrites } from './freed-writes.ts';
import { isDmaLeak, leaksOf } from './leaks.ts';
import { overruns } from './overruns.ts';
import type {
  CountersReport,
  DriverInMachine,
  Leak,
  PoolCountersReport,
  Report,
  ReportBugCheck,
  Site,
  UnsupportedUse,
  Violation,
} from './report.ts';
import { siteText } from './site-text.ts';
import type { ReadSource } from './source-excerpt.ts';
import { wrongCompletions } from './wrong-completions.ts';

/** `readSource` gives the text of source files, where the host has them. */
export function buildReport(machine: Machine, readSource?: ReadSource): Report {
  const { nt, choice, life } = machine;
  const stacks = new CallStackReader(nt, (image) => {
    const driver = machine.drivers.find((one) => one.image.index === image.index);
    return driver && machine.symbolsOf(driver).source;
  });
  const leaks = leaksOf(machine, stacks, readSource);
  const findings = {
    leaks,
    violations: [
      ...violations(machine, leaks, stacks),
      ...overruns(machine, stacks),
      ...freedWrites(machine, stacks),
      ...wrongCompletions(machine, stacks),
    ],
    unsupported: unsupportedUses(machine, stacks),
  };
  const end = nt.end.value;
  const stoppedAt = end?.kind === 'instruction-limit' ? stacks.driverSite(stacks.read(end.stack)) : null;
  const drivers = machine.drivers.map((driver) => reportDriver(machine, driver));
  const first = drivers.find(({ role }) => role === 'verified');
  assert(first, 'a machine has a driver to verify');
  const { role: _, driverEntryStatus, ...driver } = first;
  return {
    schema: 1,
    driver,
    ...(drivers.length === 1 ? {} : { drivers }),
    options: {
      flags: `0x${choice.flags.toString(16)}`,
      active: choice.active.map(({ name }) => name),
      notImplemented: choice.notImplemented.map(({ name }) => name),
    },
    ...decideVerdict(machine, findings, stoppedAt),
    notes: notes(machine, stacks),
    driverEntryStatus,
    bugCheck: end?.kind === 'bug-check' ? reportBugCheck(end.bugCheck) : null,
    ...findings,
    counters: countersOf(machine),
    coverage: null,
    threads: life.state.isStuck || end?.kind === 'instruction-limit' ? threads(machine, stacks) : [],
    campaign: null,
    scenario: {
      steps: life.state.results.map(({ text, status, information, output }, index) => ({
        step: text,
        status: statusText(status),
        information,
        output: Array.from(output, (byte) => byte.toString(16).padStart(2, '0')).join(''),
        ...(life.state.pending.some(({ stepIndex }) => stepIndex === index) ? { isNeverCompleted: true } : {}),
      })),
      seed: machine.seed,
    },
    debugOutput: machine.debugOutput,
    host: { durationMs: 0 },
  };
}

function reportDriver(machine: Machine, driver: LoadedDriver): DriverInMachine {
  const { file, image, isVerified } = driver;
  const status = machine.nt.io.drivers.ofImage(image)?.entryStatus;
  return {
    name: file.name,
    path: file.path ?? null,
    sha256: sha256(file.bytes),
    symbols: machine.symbolsOf(driver).origin,
    role: isVerified ? 'verified' : 'companion',
    driverEntryStatus: status === undefined ? null : statusText(status),
  };
}

function notes(machine: Machine, stacks: CallStackReader): string[] {
  const { life, nt, drivers } = machine;
  const of = ({ image }: LoadedDriver): string => (drivers.length === 1 ? '' : `${image.fileName}: `);
  const all = drivers.flatMap((driver) =>
    [...(driver.image.pe?.notes ?? []), ...symbolNotes(machine, driver)].map((note) => `${of(driver)}${note}`),
  );
  all.push(...breakpointNotes(machine, stacks));
  if (life.state.tour !== undefined && drivers.some((driver) => life.madeDevices(driver))) all.push(tourNote(machine));
  if (nt.end.value !== undefined && life.currentStep !== undefined) {
    all.push(`the run ended in the step '${life.currentStep}'`);
  }
  const unchecked = uncheckedDrivers(machine);
  if (unchecked.length > 0) {
    all.push(`the machine stopped before the check at unload of ${unchecked.map(({ name }) => name).join(', ')}`);
  }
  return all;
}

function symbolNotes(machine: Machine, driver: LoadedDriver): readonly string[] {
  return [...(driver.file.symbolSearch?.notes ?? []), ...machine.symbolsOf(driver).notes];
}

/** Drivers that the check at unload did not come to, because an earlier one stopped the machine. */
function uncheckedDrivers(machine: Machine): readonly DriverFile[] {
  const stopped = machine.stoppedUnloadOf;
  if (stopped === undefined) return [];
  return machine.verified
    .filter(({ image }) => image.index !== stopped && machine.nt.images.byIndex(image.index)?.isLoaded === true)
    .map(({ file }) => file);
}

/** What was done without steps. */
function tourNote({ life, nt }: Machine): string {
  const { tour, results } = life.state;
  const done = 'no steps were given: the devices were opened, read, written and closed';
  if (tour === undefined || tour.codes === 0) {
    return `${done}; no control code was found in the dispatch routine (steps of your own reach more)`;
  }
  const unanswered = nt.end.value === undefined || life.currentStep === undefined ? [] : [{ text: life.currentStep }];
  const sent = [...results, ...unanswered].filter(({ text }) => text.startsWith('ioctl ')).length;
  const codes = tour.codes === 1 ? 'the control code' : `the ${tour.codes} control codes`;
  const requests = sent === 1 ? '1 request' : `${sent} requests`;
  return `${done}; ${codes} found in the dispatch routine ${tour.codes === 1 ? 'was' : 'were'} tried with ${requests} (steps of your own reach more)`;
}

function breakpointNotes(machine: Machine, stacks: CallStackReader): string[] {
  return [...machine.breakpoints].map((stack) => {
    const site = stacks.driverSite(stacks.read(stack));
    const place = site === null ? 'an address outside of it' : siteText(site);
    return `the driver hit a breakpoint at ${place}: Windows without a kernel debugger stops there with bug check 0x1E, 0x3B or 0x7E`;
  });
}

function reportBugCheck(bugCheck: BugCheck): ReportBugCheck {
  const [p1, p2, p3, p4] = bugCheck.parameters;
  return {
    code: `0x${bugCheck.code.toString(16).toUpperCase()}`,
    name: bugCheckName(bugCheck.code) ?? 'UNKNOWN',
    parameters: [p1, p2, p3, p4].map(bugCheckParameterText) as unknown as ReportBugCheck['parameters'],
    summary: bugCheck.summary,
  };
}

/** Bug checks that say that something was left: the leaks are listed, and are no violation besides. */
function isOfLeaks(bugCheck: BugCheck, { dmaChecking }: Machine): boolean {
  const { code, parameters } = bugCheck;
  if ((code === 0xc4 && parameters[0] === 0x62) || code === 0xcb) return true;
  // Where an adapter was released too early is told besides.
  return isDmaLeak(bugCheck) && dmaChecking?.stoppedUnloadOf !== undefined;
}

/** A bug check that is not the leaks' own. */
function violations(machine: Machine, leaks: readonly Leak[], stacks: CallStackReader): Violation[] {
  const end = machine.nt.end.value;
  if (end?.kind !== 'bug-check' || (isOfLeaks(end.bugCheck, machine) && leaks.length > 0)) return [];
  const stack = stacks.read(end.stack);
  const { routine } = end.bugCheck;
  // A routine that has returned is not on the stack; whom it interrupted or who called it is.
  const byRoutine = routine === undefined ? null : stacks.driverSite(stacks.read([routine]));
  const site = byRoutine ?? stacks.driverSite(stack);
  const culprit =
    machine.drivers.length === 1 ? undefined : machine.drivers.find(({ image }) => image.name === site?.module);
  return [
    {
      kind: 'bug-check',
      bugCheck: reportBugCheck(end.bugCheck),
      summary: end.bugCheck.summary,
      ...(culprit === undefined ? {} : { driver: culprit.file.name }),
      site,
      stack,
    },
  ];
}

function unsupportedUses(machine: Machine, stacks: CallStackReader): UnsupportedUse[] {
  const end = machine.nt.end.value;
  if (end?.kind !== 'unsupported') return [];
  const site = stacks.driverSite(stacks.read(end.stack));
  return [{ kind: end.what, name: end.name, calls: 1, site }];
}

function threads(machine: Machine, stacks: CallStackReader): Report['threads'] {
  const { nt } = machine;
  return nt
    .threadStacks()
    .map(({ thread, stack }) => ({ id: thread.id, state: thread.state, stack: stacks.read(stack) as readonly Site[] }));
}

/** Also of a machine whose life goes on. */
export function countersOf(machine: Machine): CountersReport {
  const tracked = machine.poolTracking?.allocations;
  const global = tracked?.global;
  return {
    ...machine.callCounters.counts,
    trims: 0,
    faultsInjected: 0,
    ...(global && {
      poolAllocationsAttempted: global.allocationsAttempted,
      poolAllocationsSucceeded: global.allocationsSucceeded,
      poolAllocationsFailed: global.allocationsFailed,
      poolAllocationsWithoutTag: global.allocationsWithoutTag,
    }),
    poolAllocationsSucceededInSpecialPool: 0,
    poolAllocationsNotTracked: global?.allocationsNotTracked ?? 0,
    drivers: machine.verified.map(({ image }) => {
      const driver = tracked?.countersOf(image.index);
      return {
        name: image.fileName,
        pagedPool: driver?.paged ?? noPoolCounters,
        nonPagedPool: driver?.nonPaged ?? noPoolCounters,
        contiguousMemoryBytes: driver?.contiguousMemoryBytes ?? 0,
        peakContiguousMemoryBytes: driver?.peakContiguousMemoryBytes ?? 0,
      };
    }),
  };
}

const noPoolCounters: PoolCountersReport = { currentAllocations: 0, currentBytes: 0, peakAllocations: 0, peakBytes: 0 };
