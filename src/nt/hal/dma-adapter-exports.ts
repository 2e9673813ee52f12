/** IoGetDmaAdapter, and what DMA_OPERATIONS says of an adapter (wdm.h; nf-wdm-iogetdmaadapter). */
import type { StoreMap } from '../../base/store.ts';
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { pageSize } from '../../engine/memory/layout.ts';
import type { Call } from '../declare/call.ts';
import { passiveOnly, upToDispatch } from '../declare/irql-ranges.ts';
import { ntExports, ntInternals, ntRoutine, type Routine } from '../declare/nt-routine.ts';
import { type Outcome, unsupported } from '../declare/outcome.ts';
import { PVOID, pointerTo } from '../declare/parameter-types.ts';
import { holderOf } from '../mm/holder.ts';
import type { Nt } from '../nt.ts';
import { STATUS_NOT_SUPPORTED, STATUS_SUCCESS } from '../ntstatus.ts';
import {
  DEVICE_DESCRIPTION,
  DEVICE_DESCRIPTION_V3,
  DMA_ADAPTER,
  DMA_ADAPTER_INFO,
  DMA_OPERATIONS,
  type DmaOperation,
  dmaOperationCounts,
  dmaOperations,
} from '../structures/dma.ts';
import type { DeviceDescription, DmaAdapter } from './dma-adapters.ts';
import { padapter, pdevice, withAdapter } from './dma-calls.ts';
import { needsBuffers } from './dma-map-registers.ts';

const halTag = 'Hal ';
/** As large as the ADAPTER_OBJECT of Windows about is; only its DMA_ADAPTER is public. */
const adapterBytes = 0x100;
/** INTERFACE_TYPE: InterfaceTypeUndefined, and PCIBus, which every device of the simulated machine is on. */
const undefinedInterface = 0xffff_ffff;
const pciBus = 5;
/** Registers with pages of the HAL's that one adapter has at most: 2 MB, and a page more as buffers begin anywhere. */
const mostBuffers = 0x201;
const lastVersion = 3;

const reach = (bits: number): bigint => (1n << BigInt(bits)) - 1n;

function readDescription({ memory }: Nt, at: Va): DeviceDescription {
  const d = DEVICE_DESCRIPTION;
  const version = d.Version.get(memory, at);
  const v3 = DEVICE_DESCRIPTION_V3;
  const tail = vaAdd(at, d.sizeBytes);
  const isV3 = version >= lastVersion;
  return {
    version,
    isMaster: d.Master.get(memory, at) !== 0,
    isScatterGather: d.ScatterGather.get(memory, at) !== 0,
    isDemandMode: d.DemandMode.get(memory, at) !== 0,
    isAutoInitialize: d.AutoInitialize.get(memory, at) !== 0,
    dma32BitAddresses: d.Dma32BitAddresses.get(memory, at) !== 0,
    ignoreCount: d.IgnoreCount.get(memory, at) !== 0,
    dma64BitAddresses: d.Dma64BitAddresses.get(memory, at) !== 0,
    busNumber: d.BusNumber.get(memory, at),
    dmaChannel: d.DmaChannel.get(memory, at),
    interfaceType: d.InterfaceType.get(memory, at),
    dmaWidth: d.DmaWidth.get(memory, at),
    dmaSpeed: d.DmaSpeed.get(memory, at),
    maximumLength: d.MaximumLength.get(memory, at),
    dmaPort: d.DmaPort.get(memory, at),
    dmaAddressWidth: isV3 ? v3.DmaAddressWidth.get(memory, tail) : 0,
    dmaControllerInstance: isV3 ? v3.DmaControllerInstance.get(memory, tail) : 0,
    dmaRequestLine: isV3 ? v3.DmaRequestLine.get(memory, tail) : 0,
    deviceAddress: isV3 ? v3.DeviceAddress.get(memory, tail) : 0n,
  };
}

/** The last address that the device reaches (ns-wdm-_device_description); undefined for a width that none has. */
function highestAddress(description: DeviceDescription): bigint | undefined {
  const { version, dmaAddressWidth, interfaceType, isScatterGather } = description;
  if (version === 3) return dmaAddressWidth === 0 || dmaAddressWidth > 64 ? undefined : reach(dmaAddressWidth);
  if (description.dma64BitAddresses) return reach(64);
  const isPci = interfaceType === pciBus || interfaceType === undefinedInterface;
  return reach(description.dma32BitAddresses || (isScatterGather && isPci) ? 32 : 24);
}

/** NULL for a version that there is not, and for a description that makes no sense. */
function getAdapter(nt: Nt, pdo: Va, descriptionAt: Va, countAt: Va, call: Call): Outcome {
  const { memory, dma, events } = nt;
  const description = readDescription(nt, descriptionAt);
  const { version } = description;
  if (version > lastVersion) return nullVa;
  if (pdo !== nullVa) nt.io.pnp.present(pdo);
  if (!description.isMaster) return unsupported("DMA of a device that needs the system's DMA controller");
  const highest = highestAddress(description);
  if (highest === undefined) return nullVa;
  const operationsVersion = version === 3 ? 3 : version === 2 ? 2 : 1;
  const operations = operationsFor(nt, operationsVersion, call);
  const adapter = nt.pool.allocateKernel(adapterBytes, halTag);
  DMA_ADAPTER.Version.set(memory, adapter, 1);
  DMA_ADAPTER.Size.set(memory, adapter, adapterBytes);
  DMA_ADAPTER.DmaOperations.set(memory, adapter, operations);
  // A buffer has no more pages than there are.
  const wanted = Math.min(Math.ceil(description.maximumLength / pageSize), memory.frameCount) + 1;
  const given = { adapter, pdo, description, operationsVersion, highestAddress: highest, isPut: false } as const;
  const record: DmaAdapter = { ...given, mapRegisters: wanted, ...holderOf(nt, call) };
  const mapRegisters = needsBuffers(nt, record) ? Math.min(wanted, mostBuffers) : wanted;
  memory.writeU32(countAt, mapRegisters);
  dma.adapters.set(adapter, { ...record, mapRegisters });
  events.emit('dmaAdapterObtained', { adapter: { ...record, mapRegisters } });
  return adapter;
}

/** The table of a version. Its routines are thunks of the driver, so that calls are known as its own. */
function operationsFor(nt: Nt, version: 1 | 2 | 3, { image }: Call): Va {
  const tables: StoreMap<string, Va> = nt.dma.operations;
  const key = `${image?.index ?? 0} ${version}`;
  const known = tables.get(key);
  if (known !== undefined) return known;
  const count = dmaOperationCounts[version];
  const first = DMA_OPERATIONS.PutDmaAdapter.offset;
  const sizeBytes = first + count * 8;
  const table = nt.pool.allocateKernel(sizeBytes, halTag);
  DMA_OPERATIONS.Size.set(nt.memory, table, sizeBytes);
  for (let index = 0; index < count; index++) {
    const routine = `Hal${dmaOperations[index]}`;
    const thunk = image === undefined ? undefined : nt.images.internalThunk(image, routine);
    nt.memory.writeVa(vaAdd(table, first + index * 8), thunk ?? nt.entries.routineVa(routine));
  }
  tables.set(key, table);
  return table;
}

/** What is outstanding with it stays so, and waits for nobody. */
function putAdapter(nt: Nt, adapter: DmaAdapter, call: Call): undefined {
  const { dma, events, pool } = nt;
  events.emit('dmaAdapterPut', { adapter, caller: call });
  if (dma.buffering.keepsPutAdapters(adapter)) {
    dma.adapters.set(adapter.adapter, { ...adapter, isPut: true });
    return;
  }
  dma.adapters.delete(adapter.adapter);
  pool.freeKernel(adapter.adapter);
}

/** DMA_ADAPTER_INFO_VERSION1 */
function adapterInfo({ memory }: Nt, { description, highestAddress: highest }: DmaAdapter, at: Va): number {
  if (DMA_ADAPTER_INFO.Version.get(memory, at) !== 1) return STATUS_NOT_SUPPORTED;
  DMA_ADAPTER_INFO.ReadDmaCounterAvailable.set(memory, at, 0);
  DMA_ADAPTER_INFO.ScatterGatherLimit.set(memory, at, description.isScatterGather ? 0xffff_ffff : 1);
  DMA_ADAPTER_INFO.DmaAddressWidth.set(memory, at, highest.toString(2).length);
  DMA_ADAPTER_INFO.Flags.set(memory, at, 0);
  DMA_ADAPTER_INFO.MinimumTransferUnit.set(memory, at, 1);
  return STATUS_SUCCESS;
}

const pdescription = pointerTo('DEVICE_DESCRIPTION');

export const ioDmaAdapters = ntExports('ntoskrnl.exe', {
  IoGetDmaAdapter: ntRoutine({
    doc: 'wdm.h; nf-wdm-iogetdmaadapter',
    irql: passiveOnly,
    params: { PhysicalDeviceObject: pdevice, DeviceDescription: pdescription, NumberOfMapRegisters: PVOID },
    returns: 'PVOID',
    support: { partial: "bus masters; no devices that need the system's DMA controller" },
    body: (nt, { PhysicalDeviceObject, DeviceDescription, NumberOfMapRegisters }, call) =>
      getAdapter(nt, PhysicalDeviceObject, DeviceDescription, NumberOfMapRegisters, call),
  }),
});

export const halDmaAdapterExports = ntExports('hal.dll', {
  HalGetAdapter: ntRoutine({
    doc: 'ntddk.h; as IoGetDmaAdapter without a device object: obsolete since Windows 2000',
    irql: passiveOnly,
    params: { DeviceDescription: pdescription, NumberOfMapRegisters: PVOID },
    returns: 'PVOID',
    support: { partial: 'the adapter is used through its DMA_OPERATIONS' },
    body: (nt, { DeviceDescription, NumberOfMapRegisters }, call) =>
      getAdapter(nt, nullVa, DeviceDescription, NumberOfMapRegisters, call),
  }),
});

export const halDmaAdapters = ntInternals({
  HalPutDmaAdapter: ntRoutine({
    doc: 'wdm.h; nc-wdm-pput_dma_adapter',
    irql: upToDispatch,
    params: { DmaAdapter: padapter },
    returns: 'VOID',
    body: (nt, { DmaAdapter: at }, call) => withAdapter(nt, at, call, (adapter) => putAdapter(nt, adapter, call)),
  }),
  HalGetDmaAlignment: ntRoutine({
    doc: 'wdm.h; nc-wdm-pget_dma_alignment: none, as caches are coherent on x64',
    irql: passiveOnly,
    params: { DmaAdapter: padapter },
    returns: 'ULONG',
    body: (nt, { DmaAdapter }, call) => withAdapter(nt, DmaAdapter, call, () => 1),
  }),
  HalReadDmaCounter: ntRoutine({
    doc: "wdm.h; nc-wdm-pread_dma_counter: the system's DMA controller has one, a bus master none",
    irql: upToDispatch,
    params: { DmaAdapter: padapter },
    returns: 'ULONG',
    body: (nt, { DmaAdapter }, call) => withAdapter(nt, DmaAdapter, call, () => 0),
  }),
  HalGetDmaAdapterInfo: ntRoutine({
    doc: 'wdm.h; nc-wdm-pget_dma_adapter_info',
    irql: upToDispatch,
    params: { DmaAdapter: padapter, AdapterInfo: PVOID },
    returns: 'NTSTATUS',
    body: (nt, { DmaAdapter, AdapterInfo }, call) =>
      withAdapter(nt, DmaAdapter, call, (adapter) => adapterInfo(nt, adapter, AdapterInfo)),
  }),
});

/** Members of DMA_OPERATIONS that are not done. */
const gaps: readonly DmaOperation[] = [
  'ConfigureAdapterChannel',
  'AllocateDomainCommonBuffer',
  'JoinDmaDomain',
  'LeaveDmaDomain',
  'GetDmaDomain',
  'AllocateCommonBufferVector',
  'GetCommonBufferFromVectorByIndex',
  'FreeCommonBufferFromVector',
  'FreeCommonBufferVector',
  'CreateCommonBufferFromMdl',
];

function gapRoutines(): Record<string, Routine> {
  const routines: Record<string, Routine> = {};
  for (const name of gaps) {
    routines[`Hal${name}`] = ntRoutine({
      doc: `wdm.h; ns-wdm-_dma_operations: ${name}`,
      irql: name.includes('Domain') ? passiveOnly : upToDispatch,
      params: { DmaAdapter: padapter },
      returns: 'NTSTATUS',
      support: { partial: 'named when it is called: nothing of it is done' },
      body: () => unsupported(`${name} of DMA_OPERATIONS`),
    });
  }
  return routines;
}

export const halDmaGaps = ntInternals(gapRoutines());
