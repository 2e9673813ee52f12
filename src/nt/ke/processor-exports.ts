/** Questions about processors, of which there is one in one group, and about what it can do. */
import { nullVa, type Va } from '../../base/va.ts';
import { anyIrql, passiveOnly, upToApc, upToDispatch } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { pointerTo, ULONG, ULONG64, USHORT } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { STATUS_INVALID_PARAMETER, STATUS_SUCCESS } from '../ntstatus.ts';
import { GROUP_AFFINITY, PROCESSOR_NUMBER } from '../structures/ke.ts';

const processorMask = 1n;
const allGroups = 0xffff;
const invalidProcessorIndex = 0xffff_ffff;
/** PF_*: compare-exchange 8 and 16 bytes, MMX, SSE, RDTSC, PAE, SSE2, NX, fast fail. */
const presentFeatures: readonly number[] = [2, 3, 6, 8, 9, 10, 12, 14, 23];

const count = (doc: string) => ntRoutine({ doc, irql: anyIrql, params: {}, returns: 'ULONG', body: () => 1 });

const countOfGroup = (doc: string) =>
  ntRoutine({
    doc,
    irql: anyIrql,
    params: { GroupNumber: USHORT },
    returns: 'ULONG',
    body: (_nt, { GroupNumber }) => (GroupNumber === 0 || GroupNumber === allGroups ? 1 : 0),
  });

function isThisProcessor(nt: Nt, number: Va): boolean {
  const { memory } = nt;
  return PROCESSOR_NUMBER.Group.get(memory, number) === 0 && PROCESSOR_NUMBER.Number.get(memory, number) === 0;
}

function bindCurrent({ scheduler }: Nt, mask: bigint): bigint {
  return scheduler.threads.setSystemAffinity(scheduler.currentThread.kthread, mask);
}

/** The system affinity that was in force, 0 if none was; a mask without an active processor changes nothing. */
function setAffinity(nt: Nt, mask: bigint): bigint {
  return (mask & processorMask) === 0n ? 0n : bindCurrent(nt, mask & processorMask);
}

/** 0 is the thread's own affinity. */
function revertAffinity(nt: Nt, mask: bigint): void {
  if (mask === 0n) bindCurrent(nt, 0n);
  else setAffinity(nt, mask);
}

export const keProcessors = ntExports(
  'ntoskrnl.exe',
  {
    KeQueryActiveProcessorCount: ntRoutine({
      doc: 'ntddk.h; nf-ntddk-kequeryactiveprocessorcount',
      irql: anyIrql,
      params: { ActiveProcessors: pointerTo('KAFFINITY') },
      returns: 'ULONG',
      body: (nt, { ActiveProcessors }) => {
        if (ActiveProcessors !== nullVa) nt.memory.writeU64(ActiveProcessors, processorMask);
        return 1;
      },
    }),
    KeQueryActiveProcessorCountEx: countOfGroup('ntddk.h; nf-ntddk-kequeryactiveprocessorcountex'),
    KeQueryMaximumProcessorCount: count('ntddk.h; nf-ntddk-kequerymaximumprocessorcount'),
    KeQueryMaximumProcessorCountEx: countOfGroup('ntddk.h; nf-ntddk-kequerymaximumprocessorcountex'),
    KeQueryActiveGroupCount: count('ntddk.h; nf-ntddk-kequeryactivegroupcount'),
    KeQueryMaximumGroupCount: count('ntddk.h; nf-ntddk-kequerymaximumgroupcount'),
    KeQueryActiveProcessors: ntRoutine({
      doc: 'ntddk.h; nf-ntddk-kequeryactiveprocessors',
      irql: upToApc,
      params: {},
      returns: 'ULONG64',
      body: () => processorMask,
    }),
    KeQueryGroupAffinity: ntRoutine({
      doc: 'ntddk.h; nf-ntddk-kequerygroupaffinity',
      irql: anyIrql,
      params: { GroupNumber: USHORT },
      returns: 'ULONG64',
      body: (_nt, { GroupNumber }) => (GroupNumber === 0 ? processorMask : 0n),
    }),
    KeQueryHighestNodeNumber: ntRoutine({
      doc: 'ntddk.h; nf-ntddk-kequeryhighestnodenumber',
      irql: anyIrql,
      params: {},
      returns: 'ULONG',
      body: () => 0,
    }),
    KeGetCurrentNodeNumber: ntRoutine({
      doc: 'wdm.h; nf-wdm-kegetcurrentnodenumber',
      irql: anyIrql,
      params: {},
      returns: 'ULONG',
      body: () => 0,
    }),
    KeGetCurrentProcessorNumberEx: ntRoutine({
      doc: 'wdm.h; nf-wdm-kegetcurrentprocessornumberex',
      irql: anyIrql,
      params: { ProcNumber: pointerTo('PROCESSOR_NUMBER') },
      returns: 'ULONG',
      body: (nt, { ProcNumber }) => {
        if (ProcNumber !== nullVa) nt.memory.fill(ProcNumber, PROCESSOR_NUMBER.sizeBytes, 0);
        return 0;
      },
    }),
    KeGetProcessorNumberFromIndex: ntRoutine({
      doc: 'wdm.h; nf-wdm-kegetprocessornumberfromindex',
      irql: anyIrql,
      params: { ProcIndex: ULONG, ProcNumber: pointerTo('PROCESSOR_NUMBER') },
      returns: 'NTSTATUS',
      body: (nt, { ProcIndex, ProcNumber }) => {
        if (ProcIndex !== 0) return STATUS_INVALID_PARAMETER;
        nt.memory.fill(ProcNumber, PROCESSOR_NUMBER.sizeBytes, 0);
        return STATUS_SUCCESS;
      },
    }),
    KeGetProcessorIndexFromNumber: ntRoutine({
      doc: 'wdm.h; nf-wdm-kegetprocessorindexfromnumber',
      irql: anyIrql,
      params: { ProcNumber: pointerTo('PROCESSOR_NUMBER') },
      returns: 'ULONG',
      body: (nt, { ProcNumber }) => (isThisProcessor(nt, ProcNumber) ? 0 : invalidProcessorIndex),
    }),
    KeSetSystemAffinityThread: ntRoutine({
      doc: 'ntddk.h; nf-ntddk-kesetsystemaffinitythread',
      irql: upToDispatch,
      params: { Affinity: ULONG64 },
      returns: 'VOID',
      body: (nt, { Affinity }) => {
        setAffinity(nt, Affinity);
      },
    }),
    /** Returns the system affinity that was in force, 0 if none was. */
    KeSetSystemAffinityThreadEx: ntRoutine({
      doc: 'wdm.h; nf-wdm-kesetsystemaffinitythreadex',
      irql: upToDispatch,
      params: { Affinity: ULONG64 },
      returns: 'ULONG64',
      body: (nt, { Affinity }) => setAffinity(nt, Affinity),
    }),
    KeRevertToUserAffinityThread: ntRoutine({
      doc: 'ntddk.h; nf-ntddk-kereverttouseraffinitythread',
      irql: passiveOnly,
      params: {},
      returns: 'VOID',
      body: (nt) => {
        bindCurrent(nt, 0n);
      },
    }),
    KeRevertToUserAffinityThreadEx: ntRoutine({
      doc: 'wdm.h; nf-wdm-kereverttouseraffinitythreadex',
      irql: upToDispatch,
      params: { Affinity: ULONG64 },
      returns: 'VOID',
      body: (nt, { Affinity }) => {
        revertAffinity(nt, Affinity);
      },
    }),
    KeSetSystemGroupAffinityThread: ntRoutine({
      doc: 'wdm.h; nf-wdm-kesetsystemgroupaffinitythread',
      irql: upToDispatch,
      params: { Affinity: pointerTo('GROUP_AFFINITY'), PreviousAffinity: pointerTo('GROUP_AFFINITY') },
      returns: 'VOID',
      body: (nt, { Affinity, PreviousAffinity }) => {
        const { memory } = nt;
        const isThisGroup = GROUP_AFFINITY.Group.get(memory, Affinity) === 0;
        const before = isThisGroup ? setAffinity(nt, GROUP_AFFINITY.Mask.get(memory, Affinity)) : 0n;
        if (PreviousAffinity === nullVa) return undefined;
        memory.fill(PreviousAffinity, GROUP_AFFINITY.sizeBytes, 0);
        GROUP_AFFINITY.Mask.set(memory, PreviousAffinity, before);
        return undefined;
      },
    }),
    KeRevertToUserGroupAffinityThread: ntRoutine({
      doc: 'wdm.h; nf-wdm-kereverttousergroupaffinitythread',
      irql: upToDispatch,
      params: { PreviousAffinity: pointerTo('GROUP_AFFINITY') },
      returns: 'VOID',
      body: (nt, { PreviousAffinity }) => {
        const mask = GROUP_AFFINITY.Mask.get(nt.memory, PreviousAffinity);
        if (mask === 0n || GROUP_AFFINITY.Group.get(nt.memory, PreviousAffinity) === 0) revertAffinity(nt, mask);
      },
    }),
    ExIsProcessorFeaturePresent: ntRoutine({
      doc: 'wdm.h; nf-wdm-exisprocessorfeaturepresent',
      irql: anyIrql,
      params: { ProcessorFeature: ULONG },
      returns: 'BOOLEAN',
      body: (_nt, { ProcessorFeature }) => presentFeatures.includes(ProcessorFeature),
    }),
  },
  {
    KeNumberProcessors: {
      doc: 'ntddk.h; number of processors',
      sizeBytes: 4,
      initialise: (nt, va) => nt.memory.writeU32(va, 1),
    },
  },
);
