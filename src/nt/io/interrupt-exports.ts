/** Connecting interrupts, and what runs when one comes. */
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { BugCheck } from '../declare/bug-check.ts';
import type { Call, ResumedCall } from '../declare/call.ts';
import { anyIrql, passiveOnly } from '../declare/irql-ranges.ts';
import { Irql, ntExports, ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest, type Outcome, unsupported } from '../declare/outcome.ts';
import { BOOLEAN, KIRQL, PVOID, pointerTo, ULONG, ULONG64 } from '../declare/parameter-types.ts';
import { setIrql } from '../ke/irql.ts';
import { release, spinForever, tryAcquire } from '../ke/spin-locks.ts';
import { holderOf } from '../mm/holder.ts';
import type { Nt } from '../nt.ts';
import {
  STATUS_INVALID_DEVICE_REQUEST,
  STATUS_INVALID_PARAMETER,
  STATUS_INVALID_PARAMETER_1,
  STATUS_INVALID_PARAMETER_10,
  STATUS_NOT_FOUND,
  STATUS_SUCCESS,
} from '../ntstatus.ts';
import { type InterruptResource, interruptsOf } from '../pnp/resources.ts';
import {
  ConnectVersion,
  InterruptMode,
  IO_CONNECT_INTERRUPT_PARAMETERS,
  IO_DISCONNECT_INTERRUPT_PARAMETERS,
  IO_INTERRUPT_MESSAGE_INFO,
  IO_INTERRUPT_MESSAGE_INFO_ENTRY,
} from '../structures/interrupts.ts';
import { GROUP_AFFINITY } from '../structures/ke.ts';
import type { InterruptObject } from './interrupt-objects.ts';

const pinterrupt = pointerTo('KINTERRUPT');
const parameters = IO_CONNECT_INTERRUPT_PARAMETERS;

// ---- connecting

interface Connection {
  readonly routine: Va;
  readonly context: bigint;
  readonly lock: Va;
  readonly vector: number;
  readonly irql: number;
  readonly synchronizeIrql: number;
  readonly isShared: boolean;
  readonly isLatched: boolean;
  readonly mask: bigint;
}

/** IoConnectInterrupt, and the fully specified form of IoConnectInterruptEx. */
function connectVector(nt: Nt, connection: Connection, objectAt: Va, version: number, call: Call): Outcome {
  const { routine, vector, irql, synchronizeIrql, isShared } = connection;
  const { interruptObjects } = nt.io;
  if (irql === Irql.PASSIVE) return unsupported('interrupts that are handled at PASSIVE_LEVEL');
  const resource = interruptObjects.resourceOf(vector);
  if (resource === undefined) return unsupported(`an interrupt that no device of the simulated bus has (${vector})`);
  if (routine === nullVa || irql !== resource.irql || synchronizeIrql < irql || synchronizeIrql > Irql.HIGH) {
    return STATUS_INVALID_PARAMETER;
  }
  if (!interruptObjects.canConnect(vector, isShared)) return STATUS_INVALID_PARAMETER;
  const message = resource.isMessage ? 0 : undefined;
  nt.memory.writeVa(objectAt, interruptObjects.connect({ ...connection, message, version, ...holderOf(nt, call) }));
  return STATUS_SUCCESS;
}

function connectEx(nt: Nt, at: Va, call: Call): Outcome {
  const version = parameters.Version.get(nt.memory, at);
  if (version === ConnectVersion.FullySpecified || version === ConnectVersion.FullySpecifiedGroup) {
    return connectFullySpecified(nt, at, version, call);
  }
  if (version !== ConnectVersion.LineBased && version !== ConnectVersion.MessageBased)
    return STATUS_INVALID_PARAMETER_1;
  const pdo = parameters.PhysicalDeviceObject.get(nt.memory, at);
  if (pdo === nullVa) return STATUS_INVALID_PARAMETER;
  const interrupts = interruptsOf(nt.io.pnp.present(pdo).resources);
  const messages = interrupts.filter(({ isMessage }) => isMessage);
  const line = interrupts.find(({ isMessage }) => !isMessage);
  if (version === ConnectVersion.LineBased) return connectLine(nt, at, line, messages.length > 0, 'service', call);
  if (messages.length > 0) return connectMessages(nt, at, messages, call);
  return connectLine(nt, at, line, false, 'fallback', call);
}

function connectFullySpecified(nt: Nt, at: Va, version: number, call: Call): Outcome {
  const { memory } = nt;
  if (parameters.PhysicalDeviceObject.get(memory, at) === nullVa) return STATUS_INVALID_PARAMETER;
  nt.io.pnp.present(parameters.PhysicalDeviceObject.get(memory, at));
  const mask = parameters.ProcessorEnableMask.get(memory, at);
  if ((mask & 1n) === 0n) return STATUS_INVALID_PARAMETER_10;
  const vector = parameters.Vector.get(memory, at);
  if (nt.io.interruptObjects.resourceOf(vector) === undefined) return STATUS_NOT_FOUND;
  const connection = {
    ...common(nt, at),
    routine: parameters.ServiceRoutine.get(memory, at),
    vector,
    irql: parameters.Irql.get(memory, at),
    synchronizeIrql: parameters.SynchronizeIrql.get(memory, at),
    isShared: parameters.ShareVector.get(memory, at) !== 0,
    isLatched: parameters.InterruptMode.get(memory, at) === InterruptMode.Latched,
    mask,
  };
  return connectVector(nt, connection, parameters.InterruptObject.get(memory, at), version, call);
}

const common = ({ memory }: Nt, at: Va) => ({
  context: parameters.ServiceContext.get(memory, at),
  lock: parameters.SpinLock.get(memory, at),
});

/** The IRQL that a driver names is at least the interrupt's; 0 leaves it to the kernel. */
function synchronizeIrqlOf(nt: Nt, at: Va, interrupts: readonly InterruptResource[]): number {
  return Math.max(parameters.SynchronizeIrql.get(nt.memory, at), ...interrupts.map(({ irql }) => irql));
}

function connectLine(
  nt: Nt,
  at: Va,
  line: InterruptResource | undefined,
  hasMessages: boolean,
  which: 'service' | 'fallback',
  call: Call,
): Outcome {
  const { memory } = nt;
  if (line === undefined) return hasMessages ? STATUS_INVALID_DEVICE_REQUEST : STATUS_NOT_FOUND;
  const field = which === 'service' ? parameters.ServiceRoutine : parameters.FallBackServiceRoutine;
  const routine = field.get(memory, at);
  if (routine === nullVa) return which === 'service' ? STATUS_INVALID_PARAMETER : STATUS_NOT_FOUND;
  if (!nt.io.interruptObjects.canConnect(line.vector, true)) return STATUS_INVALID_PARAMETER;
  const object = nt.io.interruptObjects.connect({
    ...common(nt, at),
    version: ConnectVersion.LineBased,
    routine,
    vector: line.vector,
    synchronizeIrql: synchronizeIrqlOf(nt, at, [line]),
    isShared: true,
    isLatched: line.isLatched,
    message: undefined,
    ...holderOf(nt, call),
  });
  memory.writeVa(parameters.InterruptObject.get(memory, at), object);
  parameters.Version.set(memory, at, ConnectVersion.LineBased);
  return STATUS_SUCCESS;
}

/** Every message of the device leads to one routine; the driver gets a table of them. */
function connectMessages(nt: Nt, at: Va, messages: readonly InterruptResource[], call: Call): Outcome {
  const { memory, pool, io } = nt;
  const routine = parameters.ServiceRoutine.get(memory, at);
  if (routine === nullVa) return STATUS_INVALID_PARAMETER;
  if (!messages.every(({ vector }) => io.interruptObjects.canConnect(vector, false))) return STATUS_INVALID_PARAMETER;
  const entry = IO_INTERRUPT_MESSAGE_INFO_ENTRY;
  const handle = pool.allocateKernel(
    IO_INTERRUPT_MESSAGE_INFO.MessageInfo.offset + messages.length * entry.sizeBytes,
    'IoIn',
  );
  const synchronizeIrql = synchronizeIrqlOf(nt, at, messages);
  IO_INTERRUPT_MESSAGE_INFO.UnifiedIrql.set(memory, handle, synchronizeIrql);
  IO_INTERRUPT_MESSAGE_INFO.MessageCount.set(memory, handle, messages.length);
  for (const [message, { vector, irql }] of messages.entries()) {
    const object = io.interruptObjects.connect({
      ...common(nt, at),
      version: ConnectVersion.MessageBased,
      handle,
      routine,
      vector,
      synchronizeIrql,
      isShared: false,
      isLatched: true,
      message,
      ...holderOf(nt, call),
    });
    const info = vaAdd(IO_INTERRUPT_MESSAGE_INFO.MessageInfo.at(handle), message * entry.sizeBytes);
    entry.MessageAddress.set(memory, info, 0xfee0_0000n);
    entry.TargetProcessorSet.set(memory, info, 1n);
    entry.InterruptObject.set(memory, info, object);
    entry.MessageData.set(memory, info, vector);
    entry.Vector.set(memory, info, vector);
    entry.Irql.set(memory, info, irql);
    entry.Mode.set(memory, info, InterruptMode.Latched);
  }
  memory.writeVa(parameters.InterruptObject.get(memory, at), handle);
  return STATUS_SUCCESS;
}

// ---- running at the interrupt's IRQL

/** Raises the IRQL and takes the lock; the IRQL before, or what happens when the lock is held. */
function enter(nt: Nt, { lock, synchronizeIrql }: InterruptObject): number | Outcome {
  const before = nt.cpu.state.irql;
  if (before < synchronizeIrql) setIrql(nt, synchronizeIrql);
  return tryAcquire(nt, lock) ? before : spinForever(nt, lock);
}

function notConnected(nt: Nt, object: Va, routine: string): Outcome {
  // A pointer to nothing faults, as it does on Windows.
  nt.memory.readVa(object);
  return unsupported(`${routine} with an interrupt that is not connected`);
}

/** The service routines of a vector, from the `index`th on. Record: [object, IRQL before, is claimed, vector, index]. */
function serve(nt: Nt, vector: number, index: number, irqlBefore: number, isClaimed: boolean): Outcome {
  const objects = nt.io.interruptObjects.ofVector(vector);
  const object = objects[index];
  if (object === undefined || (isClaimed && !object.isLatched)) {
    nt.setIrql(irqlBefore);
    return isClaimed;
  }
  const entered = enter(nt, object);
  if (typeof entered !== 'number') return entered;
  const message = object.message === undefined ? [] : [object.message];
  const record = [object.object, irqlBefore, isClaimed ? 1 : 0, vector, index];
  return callGuest(object.routine, [object.object, object.context, ...message], 'served', record);
}

function served(nt: Nt, call: ResumedCall): Outcome {
  const [at, irqlBefore, wasClaimed, vector, index] = call.record as [Va, number, number, number, number];
  const object = nt.io.interruptObjects.get(at);
  const { irql } = nt.cpu.state;
  if (object !== undefined && irql !== object.synchronizeIrql) {
    const value = (irql << 16) | (object.synchronizeIrql << 8) | 3;
    const summary = 'an interrupt service routine returned at another IRQL than it was called at';
    throw new BugCheck(0xc8, [value, object.routine, at, 0], summary, object.routine);
  }
  if (object !== undefined) release(nt, object.lock);
  return serve(nt, vector, index + 1, irqlBefore, wasClaimed === 1 || (call.status & 0xff) !== 0);
}

export const ioInterrupts = ntExports('ntoskrnl.exe', {
  IoConnectInterrupt: ntRoutine({
    doc: 'wdm.h; nf-wdm-ioconnectinterrupt',
    irql: passiveOnly,
    params: {
      InterruptObject: PVOID,
      ServiceRoutine: PVOID,
      ServiceContext: ULONG64,
      SpinLock: pointerTo('KSPIN_LOCK'),
      Vector: ULONG,
      Irql: KIRQL,
      SynchronizeIrql: KIRQL,
      InterruptMode: ULONG,
      ShareVector: BOOLEAN,
      ProcessorEnableMask: ULONG64,
      FloatingSave: BOOLEAN,
    },
    returns: 'NTSTATUS',
    support: { partial: 'interrupts of the simulated bus; none that are handled at PASSIVE_LEVEL' },
    body: (nt, args, call) => {
      if ((args.ProcessorEnableMask & 1n) === 0n) return STATUS_INVALID_PARAMETER;
      const connection = {
        routine: args.ServiceRoutine,
        context: args.ServiceContext,
        lock: args.SpinLock,
        vector: args.Vector,
        irql: args.Irql,
        synchronizeIrql: args.SynchronizeIrql,
        isShared: args.ShareVector,
        isLatched: args.InterruptMode === InterruptMode.Latched,
        mask: args.ProcessorEnableMask,
      };
      return connectVector(nt, connection, args.InterruptObject, ConnectVersion.FullySpecified, call);
    },
  }),
  IoConnectInterruptEx: ntRoutine({
    doc: 'wdm.h; nf-wdm-ioconnectinterruptex',
    irql: passiveOnly,
    params: { Parameters: pointerTo('IO_CONNECT_INTERRUPT_PARAMETERS') },
    returns: 'NTSTATUS',
    support: { partial: 'interrupts of the simulated bus; none that are handled at PASSIVE_LEVEL' },
    body: (nt, { Parameters }, call) => connectEx(nt, Parameters, call),
  }),
  IoDisconnectInterrupt: ntRoutine({
    doc: 'wdm.h; nf-wdm-iodisconnectinterrupt',
    irql: passiveOnly,
    params: { InterruptObject: pinterrupt },
    returns: 'VOID',
    body: (nt, { InterruptObject }) => nt.io.interruptObjects.disconnect(InterruptObject, undefined) as undefined,
  }),
  IoDisconnectInterruptEx: ntRoutine({
    doc: 'wdm.h; nf-wdm-iodisconnectinterruptex',
    irql: passiveOnly,
    params: { Parameters: pointerTo('IO_DISCONNECT_INTERRUPT_PARAMETERS') },
    returns: 'VOID',
    body: (nt, { Parameters }) => {
      const handle = IO_DISCONNECT_INTERRUPT_PARAMETERS.ConnectionContext.get(nt.memory, Parameters);
      const version = IO_DISCONNECT_INTERRUPT_PARAMETERS.Version.get(nt.memory, Parameters);
      return nt.io.interruptObjects.disconnect(handle, version) as undefined;
    },
  }),
  /** One processor. */
  IoGetAffinityInterrupt: ntRoutine({
    doc: 'wdm.h; nf-wdm-iogetaffinityinterrupt',
    irql: anyIrql,
    params: { InterruptObject: pinterrupt, GroupAffinity: pointerTo('GROUP_AFFINITY') },
    returns: 'NTSTATUS',
    body: (nt, { InterruptObject, GroupAffinity }) => {
      if (nt.io.interruptObjects.get(InterruptObject) === undefined) {
        return notConnected(nt, InterruptObject, 'IoGetAffinityInterrupt');
      }
      nt.memory.fill(GroupAffinity, GROUP_AFFINITY.sizeBytes, 0);
      GROUP_AFFINITY.Mask.set(nt.memory, GroupAffinity, 1n);
      return STATUS_SUCCESS;
    },
  }),
  KeSynchronizeExecution: ntRoutine({
    doc: 'wdm.h; nf-wdm-kesynchronizeexecution',
    irql: anyIrql,
    params: { Interrupt: pinterrupt, SynchronizeRoutine: PVOID, SynchronizeContext: ULONG64 },
    returns: 'BOOLEAN',
    body: (nt, { Interrupt, SynchronizeRoutine, SynchronizeContext }) => {
      const object = nt.io.interruptObjects.get(Interrupt);
      if (object === undefined) return notConnected(nt, Interrupt, 'KeSynchronizeExecution');
      const entered = enter(nt, object);
      if (typeof entered !== 'number') return entered;
      return callGuest(SynchronizeRoutine, [SynchronizeContext], 'synchronized', [object.lock, entered]);
    },
    resume: {
      synchronized: (nt, call) => {
        const result = (call.status & 0xff) !== 0;
        release(nt, call.va(0));
        nt.setIrql(call.word(1));
        return result;
      },
    },
  }),
  KeAcquireInterruptSpinLock: ntRoutine({
    doc: 'wdm.h; nf-wdm-keacquireinterruptspinlock',
    irql: anyIrql,
    params: { Interrupt: pinterrupt },
    returns: 'KIRQL',
    body: (nt, { Interrupt }) => {
      const object = nt.io.interruptObjects.get(Interrupt);
      return object === undefined
        ? notConnected(nt, Interrupt, 'KeAcquireInterruptSpinLock')
        : (enter(nt, object) as Outcome);
    },
  }),
  KeReleaseInterruptSpinLock: ntRoutine({
    doc: 'wdm.h; nf-wdm-kereleaseinterruptspinlock',
    irql: anyIrql,
    params: { Interrupt: pinterrupt, OldIrql: KIRQL },
    returns: 'VOID',
    body: (nt, { Interrupt, OldIrql }) => {
      const object = nt.io.interruptObjects.get(Interrupt);
      if (object === undefined) return notConnected(nt, Interrupt, 'KeReleaseInterruptSpinLock');
      release(nt, object.lock);
      nt.setIrql(OldIrql & 15);
      return undefined;
    },
  }),
});

export const ioInterruptInternals = ntInternals({
  /** One round. Whether a line then goes on interrupting is the affair of whoever calls. */
  KiInterruptDispatch: ntRoutine({
    doc: 'an interrupt comes: the service routines that are connected to its vector run at its IRQL',
    irql: anyIrql,
    params: { Vector: ULONG },
    returns: 'BOOLEAN',
    body: (nt, { Vector }) => serve(nt, Vector, 0, nt.cpu.state.irql, false),
    resume: { served },
  }),
});
