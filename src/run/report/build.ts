/** Makes the report of a machine whose life is over. */

import { sha256 } from '../../base/sha256.ts';
import { hexVa } from '../../base/va.ts';
import { bugCheckName } from '../../nt/bug-check-names.ts';
import { type BugCheck, bugCheckParameterText } from '../../nt/declare/bug-check.ts';
import { tagText } from '../../nt/declare/parameter-types.ts';
import { statusText } from '../../nt/ntstatus.ts';
import { PoolType } from '../../nt/structures/pool.ts';
import type { OutlivingResource } from '../../verifier/outliving-resources/outliving-resources.ts';
import type { AllocationGroup } from '../../verifier/pool-tracking/tracked-allocations.ts';
import { CallStackReader } from '../call-stack.ts';
import type { Machine } from '../machine.ts';
import { decideVerdict } from '../verdict.ts';
import type {
  CountersReport,
  Leak,
  PoolCountersReport,
  Report,
  ReportBugCheck,
  Site,
  UnsupportedUse,
  Violation,
} from './report.ts';
import { siteText } from './site-text.ts';

export function buildReport(machine: Machine): Report {
  const { nt, options, choice } = machine;
  const stacks = new CallStackReader(nt, (image) =>
    image.index === machine.image.index ? machine.symbols.source : undefined,
  );
  const leaks = [...poolLeaks(machine, stacks), ...resourceLeaks(machine, stacks)];
  const findings = {
    leaks,
    violations: violations(machine, leaks, stacks),
    unsupported: unsupportedUses(machine, stacks),
  };
  const end = nt.end.value;
  const stoppedAt = end?.kind === 'instruction-limit' ? stacks.driverSite(stacks.read(end.stack)) : null;
  const driver = nt.io.drivers.ofImage(machine.image);
  const { life } = machine;
  const notes = [...(machine.image.pe?.notes ?? []), ...machine.symbols.notes, ...breakpointNotes(machine, stacks)];
  if (life.state.tour !== undefined && life.madeDevices) {
    notes.push(tourNote(machine));
  }
  if (end !== undefined && life.currentStep !== undefined)
    notes.push(`the run ended in the step '${life.currentStep}'`);
  return {
    schema: 1,
    driver: {
      name: options.driver.name,
      path: options.driver.path,
      sha256: sha256(options.driver.bytes),
      symbols: machine.symbols.origin,
    },
    options: {
      flags: `0x${choice.flags.toString(16)}`,
      active: choice.active.map(({ name }) => name),
      notImplemented: choice.notImplemented.map(({ name }) => name),
    },
    ...decideVerdict(machine, findings, stoppedAt),
    notes,
    driverEntryStatus: driver?.entryStatus === undefined ? null : statusText(driver.entryStatus),
    bugCheck: end?.kind === 'bug-check' ? reportBugCheck(end.bugCheck) : null,
    ...findings,
    counters: counters(machine),
    coverage: null,
    threads: life.state.isStuck || end?.kind === 'instruction-limit' ? threads(machine, stacks) : [],
    campaign: null,
    scenario: {
      steps: life.state.results.map(({ text, status, information, output }) => ({
        step: text,
        status: statusText(status),
        information,
        output: Array.from(output, (byte) => byte.toString(16).padStart(2, '0')).join(''),
      })),
      seed: options.seed,
    },
    debugOutput: machine.debugOutput,
    host: { durationMs: 0 },
  };
}

/** What was done without steps. */
function tourNote({ life, nt }: Machine): string {
  const { tour, results } = life.state;
  const done = 'no steps were given: the devices were opened, read, written and closed';
  if (tour === undefined || tour.codes === 0) {
    return `${done}; no control code was found in the dispatch routine (give requests with --do)`;
  }
  const unanswered = nt.end.value === undefined || life.currentStep === undefined ? [] : [{ text: life.currentStep }];
  const sent = [...results, ...unanswered].filter(({ text }) => text.startsWith('ioctl ')).length;
  const codes = tour.codes === 1 ? 'the control code' : `the ${tour.codes} control codes`;
  const requests = sent === 1 ? '1 request' : `${sent} requests`;
  return `${done}; ${codes} found in the dispatch routine ${tour.codes === 1 ? 'was' : 'were'} tried with ${requests} (steps of your own: --do)`;
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
function isOfLeaks({ code, parameters }: BugCheck): boolean {
  return (code === 0xc4 && parameters[0] === 0x62) || code === 0xcb;
}

/** Whether what the driver still holds is leaked: only if the image went, or the check at unload said so. */
function isUnloaded(machine: Machine): boolean {
  const end = machine.nt.end.value;
  if (end?.kind === 'bug-check') return end.bugCheck.code === 0xc4 && end.bugCheck.parameters[0] === 0x62;
  if (end !== undefined) return false;
  const state = machine.nt.io.drivers.ofImage(machine.image)?.state;
  return state === 'unloaded' || state === 'load-failed' || state === 'unload-deferred';
}

function poolLeaks(machine: Machine, stacks: CallStackReader): Leak[] {
  const { poolTracking } = machine;
  if (poolTracking === undefined || !isUnloaded(machine)) return [];
  return poolTracking.allocations.groupsOf(machine.image.index).map((group) => poolLeak(group, stacks));
}

function poolLeak({ oldest, count, bytes }: AllocationGroup, stacks: CallStackReader): Leak {
  const stack = stacks.read(oldest.stack);
  return {
    kind: oldest.kind,
    tag: tagText(oldest.tag),
    bytes,
    count,
    poolType: poolTypeName(oldest.poolType),
    address: hexVa(oldest.va),
    site: stacks.driverSite(stack),
    stack,
    fault: null,
  };
}

/** What the driver left, if it is unloaded; what it left in a process that ended with bug check 0xCB. */
function outlivingResources(machine: Machine): OutlivingResource[] {
  const { nt, outlivingResources: resources, image } = machine;
  const end = nt.end.value;
  if (end?.kind === 'bug-check' && end.bugCheck.code === 0xcb) {
    return resources.lockedIn(nt.processor.requesterProcess, image);
  }
  return isUnloaded(machine) ? resources.ofImage(image) : [];
}

/** What outlives the driver and is no pool; equal in kind, name and stack is one leak. */
function resourceLeaks(machine: Machine, stacks: CallStackReader): Leak[] {
  const groups = new Map<string, OutlivingResource[]>();
  for (const resource of outlivingResources(machine)) {
    const key = `${resource.kind} ${resource.name} ${resource.stack.join()}`;
    const group = groups.get(key);
    if (group) group.push(resource);
    else groups.set(key, [resource]);
  }
  return [...groups.values()].map((group) => {
    const first = group[0] as OutlivingResource;
    const stack = stacks.read(first.stack);
    return {
      kind: first.kind,
      tag: null,
      bytes: group.reduce((sum, { bytes }) => sum + bytes, 0),
      count: group.length,
      poolType: null,
      address: hexVa(first.address),
      ...(first.name === undefined ? {} : { name: first.name }),
      site: stacks.driverSite(stack),
      stack,
      fault: null,
    };
  });
}

/** A bug check that is not the leaks' own. */
function violations(machine: Machine, leaks: readonly Leak[], stacks: CallStackReader): Violation[] {
  const end = machine.nt.end.value;
  if (end?.kind !== 'bug-check' || (isOfLeaks(end.bugCheck) && leaks.length > 0)) return [];
  const stack = stacks.read(end.stack);
  const { routine } = end.bugCheck;
  return [
    {
      kind: 'bug-check',
      bugCheck: reportBugCheck(end.bugCheck),
      summary: end.bugCheck.summary,
      site: stacks.driverSite(stack) ?? (routine === undefined ? null : stacks.driverSite(stacks.read([routine]))),
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

function counters(machine: Machine): CountersReport {
  const tracked = machine.poolTracking?.allocations;
  const global = tracked?.global;
  const driver = tracked?.countersOf(machine.image.index);
  return {
    ...(global && {
      poolAllocationsAttempted: global.allocationsAttempted,
      poolAllocationsSucceeded: global.allocationsSucceeded,
      poolAllocationsFailed: global.allocationsFailed,
      poolAllocationsWithoutTag: global.allocationsWithoutTag,
    }),
    poolAllocationsNotTracked: global?.allocationsNotTracked ?? 0,
    drivers: [
      {
        name: machine.image.fileName,
        pagedPool: driver?.paged ?? noPoolCounters,
        nonPagedPool: driver?.nonPaged ?? noPoolCounters,
        contiguousMemoryBytes: driver?.contiguousMemoryBytes ?? 0,
        peakContiguousMemoryBytes: driver?.peakContiguousMemoryBytes ?? 0,
      },
    ],
  };
}

const noPoolCounters: PoolCountersReport = { currentAllocations: 0, currentBytes: 0, peakAllocations: 0, peakBytes: 0 };

const poolTypeNames = new Map<number, string>(Object.entries(PoolType).map(([name, value]) => [value, name]));

function poolTypeName(poolType: number): string {
  return poolTypeNames.get(poolType) ?? `0x${poolType.toString(16)}`;
}
