/** `!dma`: adapters of drivers for DMA, and with DMA checking what was obtained with them ("!dma" of the WDK's debugger pages). */
import { nullVa, type Va, vaAdd, vaLow } from '../../base/va.ts';
import { pageMask, pageSize } from '../../engine/memory/layout.ts';
import {
  type DeviceDescription,
  type DmaAdapter,
  type MappedTransfer,
  type MapRegisterFile,
  registerAddress,
} from '../../nt/hal/dma-adapters.ts';
import { hasMdlFlag, mdlVirtualAddress } from '../../nt/mm/mdl-layout.ts';
import {
  DMA_TRANSFER_CONTEXT,
  SCATTER_GATHER_ELEMENT,
  SCATTER_GATHER_LIST,
  WAIT_CONTEXT_BLOCK,
} from '../../nt/structures/dma.ts';
import { DEVICE_OBJECT, MDL, MdlFlag } from '../../nt/structures/io.ts';
import type { AdapterAccount } from '../../verifier/dma-checking/adapter-accounts.ts';
import { extensionAddress } from '../addresses.ts';
import { CommandError, type DebuggerCommand } from '../command.ts';
import { evaluatePrefix } from '../expression.ts';
import type { Session } from '../session.ts';
import { moduleName } from '../symbols.ts';

const Flag = {
  generic: 0x1,
  mapRegisters: 0x2,
  commonBuffers: 0x4,
  lists: 0x8,
  description: 0x10,
  waitContext: 0x20,
} as const;

const usage = ['!dma', '!dma Adapter [Flags]'];
const details = [
  'Adapter: address of a DMA_ADAPTER; 0 for all. Flags, 1 if left out:',
  '  1   the adapter',
  '  2   its map registers (with DMA checking)',
  '  4   its common buffers (with DMA checking)',
  '  8   its scatter/gather lists (with DMA checking)',
  '  10  the description of its device (with DMA checking)',
  '  20  its wait context block',
];

export const dma: DebuggerCommand = {
  name: '!dma',
  usage,
  summary: 'DMA adapters, and what was obtained with them',
  details,
  completes: ['address', 'text'],
  run: (session, text) => {
    if (text === '') listAdapters(session);
    else showAdapters(session, text);
  },
};

/** Adapters that drivers have not released, in the order in which they were obtained. */
export function dmaAdapters(session: Session): readonly DmaAdapter[] {
  return session.target.nt.dma.outstanding().adapters;
}

function listAdapters(session: Session): void {
  session.print();
  session.print('Dumping all DMA adapters...');
  session.print();
  for (const adapter of dmaAdapters(session)) session.print(headline(session, adapter));
  session.print(`Master adapter: ${extensionAddress(nullVa)}`);
}

function showAdapters(session: Session, text: string): void {
  const { value: address, rest } = evaluatePrefix(session, text);
  const flags = rest === '' ? BigInt(Flag.generic) : evaluateLast(session, rest);
  const all = dmaAdapters(session);
  const chosen = address === 0n ? all : all.filter(({ adapter }) => BigInt.asUintN(64, BigInt(adapter)) === address);
  const isKnown = address === 0n || chosen.length > 0;
  if (!isKnown || flags === undefined || flags > 0x3fn) {
    for (const line of ['Usage:', ...usage.map((form) => `  ${form}`), ...details]) session.print(line);
    return;
  }
  for (const [index, adapter] of chosen.entries()) {
    if (index > 0) session.print();
    showAdapter(session, adapter, Number(flags));
  }
}

/** Undefined if something follows. */
function evaluateLast(session: Session, text: string): bigint | undefined {
  const { value, rest } = evaluatePrefix(session, text);
  return rest === '' ? value : undefined;
}

function showAdapter(session: Session, adapter: DmaAdapter, flags: number): void {
  const { dmaChecking } = session.target;
  const has = (flag: number): boolean => (flags & flag) !== 0;
  const account = dmaChecking?.accounts.of(adapter.adapter);
  const caller = has(Flag.generic) ? `(${extensionAddress(ownerAddress(session, adapter))})` : '';
  session.print(`${headline(session, adapter)}${caller}`);
  showGeneric(session, adapter);
  if (account !== undefined) {
    showAccount(session, account);
    if (has(Flag.mapRegisters)) showMapRegisters(session, adapter);
    if (has(Flag.commonBuffers)) showCommonBuffers(session, adapter);
    if (has(Flag.lists)) showLists(session, adapter);
    if (has(Flag.description)) showDescription(session, adapter.description);
  }
  if (has(Flag.waitContext)) showWaitContext(session, adapter.adapter);
}

/** `Adapter: ffffb28f10a4c6d0     Owner: toaster!ToasterStartDevice ` */
function headline(session: Session, adapter: DmaAdapter): string {
  const owner = functionName(session, ownerAddress(session, adapter));
  return `Adapter: ${extensionAddress(adapter.adapter)}     Owner: ${owner} `;
}

/** Where a driver called: the innermost address in one. */
function callerIn(session: Session, stack: readonly Va[]): Va {
  const { images } = session.target.nt;
  return stack.find((address) => images.containingEver(address)?.isDriver === true) ?? stack[0] ?? nullVa;
}

function ownerAddress(session: Session, { stack }: DmaAdapter): Va {
  return callerIn(session, stack);
}

/** `toaster!ToasterStartDevice`, of a return address. */
function functionName(session: Session, address: Va): string {
  const code = session.symbols.functionAt(vaAdd(address, -1));
  if (code !== undefined) return `${moduleName(code.image)}!${code.name}`;
  const image = session.target.nt.images.containingEver(address);
  return image === undefined
    ? extensionAddress(address)
    : `${moduleName(image)}+0x${(address - image.base).toString(16)}`;
}

const count = (value: number): string => value.toString(16).padStart(8, '0');

/** The HAL's: there is no master adapter, and no base of all map registers. */
function showGeneric(session: Session, { adapter, mapRegisters }: DmaAdapter): void {
  const { dma: store } = session.target.nt;
  const { mapRegisterFiles, transfers } = store.outstanding(adapter);
  const mapped = transfers.reduce((sum, { registers }) => sum + registers, 0);
  const allocated = mapRegisterFiles.reduce((sum, file) => sum + file.count, 0);
  const block = waitContextBlock(session, adapter) ?? nullVa;
  session.print(` MasterAdapter:       ${extensionAddress(nullVa)}`);
  session.print(`   Adapter base Va      ${extensionAddress(nullVa)}`);
  session.print(`   Map register base:   ${extensionAddress(nullVa)}`);
  session.print(` WCB:                 ${extensionAddress(block)}`);
  session.print(`   Map registers: ${count(mapped)} mapped, ${count(allocated)} allocated, ${count(mapRegisters)} max`);
}

function showAccount(session: Session, account: AdapterAccount): void {
  const flow = ({ allocated, freed }: { readonly allocated: number; readonly freed: number }): string =>
    `${count(allocated)} allocated, ${count(freed)} freed`;
  session.print();
  session.print('   Dma verifier additional information:');
  session.print(`   DeviceObject: ${extensionAddress(account.pdo)}`);
  session.print(`   Map registers:        ${flow(account.mapRegisters)}`);
  session.print(`   Scatter-gather lists: ${flow(account.scatterGatherLists)}`);
  session.print(`   Common buffers:       ${flow(account.commonBuffers)}`);
  session.print(`   Adapter channels:     ${flow(account.channels)}`);
  session.print(`   Bytes mapped since last flush: ${count(account.bytesMapped)}`);
}

function showMapRegisters(session: Session, { adapter }: DmaAdapter): void {
  const { dma: store } = session.target.nt;
  for (const file of store.outstanding(adapter).mapRegisterFiles) {
    const registers = store.registersOf(file);
    const mapped = registers.filter(({ transfer }) => transfer !== undefined).length;
    session.print();
    session.print(`  Map register file ${extensionAddress(file.base)} (${mapped}/${file.count} mapped)`);
    session.print(`     Double buffer mdl: ${extensionAddress(nullVa)}`);
    session.print('     Map registers:');
    const transfers = store.transfersOf(file.base);
    for (const { index } of registers) session.print(registerLine(session, file, index, transfers));
  }
}

function registerLine(
  session: Session,
  file: MapRegisterFile,
  index: number,
  transfers: readonly MappedTransfer[],
): string {
  const start = `        ${extensionAddress(registerAddress(file.base, index))}: `;
  const transfer = transfers.find((one) => index >= one.firstRegister && index < one.firstRegister + one.registers);
  if (transfer === undefined) return `${start}Not mapped`;
  const pagesBefore = index - transfer.firstRegister;
  const inPage = vaLow(transfer.va) & pageMask;
  const done = pagesBefore === 0 ? 0 : pagesBefore * pageSize - inPage;
  const room = pageSize - (pagesBefore === 0 ? inPage : 0);
  // A page that is mapped in pieces has one register, which the first of them is said to take.
  const pieces = transfers.filter((one) => one.registers === 0 && one.firstRegister === index);
  const bytes = pieces.reduce((sum, piece) => sum + piece.bytes, Math.min(transfer.bytes - done, room));
  const address = vaAdd(systemAddress(session, transfer), done);
  return `${start}${bytes.toString(16).padStart(4, '0')} bytes mapped to ${extensionAddress(address)}`;
}

/** Of the driver's buffer; where it is not mapped in system space, in the requesting process. */
function systemAddress(session: Session, { mdl, va }: MappedTransfer): Va {
  const { memory } = session.target.nt;
  // The driver may have freed it.
  if (!memory.isAccessible(mdl, MDL.sizeBytes, 1)) return va;
  const hasAddress = hasMdlFlag(memory, mdl, MdlFlag.MappedToSystemVa | MdlFlag.SourceIsNonPagedPool);
  if (!hasAddress) return va;
  return vaAdd(MDL.MappedSystemVa.get(memory, mdl), va - mdlVirtualAddress(memory, mdl));
}

function showCommonBuffers(session: Session, { adapter }: DmaAdapter): void {
  for (const [index, buffer] of session.target.nt.dma.outstanding(adapter).commonBuffers.entries()) {
    if (index > 0) session.print();
    const owner = functionName(session, callerIn(session, buffer.stack));
    session.print(`   Common buffer allocated by ${owner}:`);
    session.print(`      Length:           ${buffer.bytes.toString(16)}`);
    session.print(`      Virtual address:  ${extensionAddress(buffer.va)}`);
    session.print(`      Physical address: ${buffer.logical.toString(16)}`);
  }
}

function showLists(session: Session, { adapter }: DmaAdapter): void {
  const { memory, dma: store } = session.target.nt;
  for (const [index, { list, elements }] of store.outstanding(adapter).scatterGatherLists.entries()) {
    if (index > 0) session.print();
    session.print(`Scatter-gather list ${extensionAddress(list)}: ${elements} elements`);
    for (let at = 0; at < elements; at++) {
      const element = vaAdd(SCATTER_GATHER_LIST.Elements.at(list), at * SCATTER_GATHER_ELEMENT.sizeBytes);
      if (!memory.isAccessible(element, SCATTER_GATHER_ELEMENT.sizeBytes, 1)) {
        throw new CommandError(`Unable to read the list's element at ${extensionAddress(element)}`);
      }
      const address = SCATTER_GATHER_ELEMENT.Address.get(memory, element);
      session.print(`   ${address.toString(16)} ${SCATTER_GATHER_ELEMENT.Length.get(memory, element).toString(16)}`);
    }
  }
}

function showDescription(session: Session, description: DeviceDescription): void {
  const flag = (value: boolean): string => (value ? '1' : '0');
  const number = (value: number | bigint): string => value.toString(16);
  session.print('Device description:');
  const fields: Readonly<Record<string, string>> = {
    Version: number(description.version),
    Master: flag(description.isMaster),
    ScatterGather: flag(description.isScatterGather),
    DemandMode: flag(description.isDemandMode),
    AutoInitialize: flag(description.isAutoInitialize),
    Dma32BitAddresses: flag(description.dma32BitAddresses),
    IgnoreCount: flag(description.ignoreCount),
    Dma64BitAddresses: flag(description.dma64BitAddresses),
    BusNumber: number(description.busNumber),
    DmaChannel: number(description.dmaChannel),
    InterfaceType: number(description.interfaceType),
    DmaWidth: number(description.dmaWidth),
    DmaSpeed: number(description.dmaSpeed),
    MaximumLength: number(description.maximumLength),
    DmaPort: number(description.dmaPort),
  };
  const newer: Readonly<Record<string, string>> = {
    DmaAddressWidth: number(description.dmaAddressWidth),
    DmaControllerInstance: number(description.dmaControllerInstance),
    DmaRequestLine: number(description.dmaRequestLine),
    DeviceAddress: number(description.deviceAddress),
  };
  const shown = description.version >= 3 ? { ...fields, ...newer } : fields;
  for (const [name, value] of Object.entries(shown)) session.print(`   ${name}: ${value}`);
}

/** As it stands in DEVICE_OBJECT.Queue, or in a DMA transfer context, while the channel is held or waited for. */
function showWaitContext(session: Session, adapter: Va): void {
  const { memory } = session.target.nt;
  const block = waitContextBlock(session, adapter);
  if (block !== undefined && !memory.isAccessible(block, WAIT_CONTEXT_BLOCK.sizeBytes, 1)) {
    throw new CommandError(`Unable to read the wait context block at ${extensionAddress(block)}`);
  }
  const field = (read: (at: Va) => Va): string => extensionAddress(block === undefined ? nullVa : read(block));
  const registers = block === undefined ? 0 : WAIT_CONTEXT_BLOCK.NumberOfMapRegisters.get(memory, block);
  session.print('Wait context block:');
  session.print(`   DeviceRoutine: ${field((at) => WAIT_CONTEXT_BLOCK.DeviceRoutine.get(memory, at))}`);
  session.print(`   DeviceContext: ${field((at) => memory.readVa(WAIT_CONTEXT_BLOCK.DeviceContext.at(at)))}`);
  session.print(`   NumberOfMapRegisters: ${registers.toString(16)}`);
  session.print(`   DeviceObject: ${field((at) => WAIT_CONTEXT_BLOCK.DeviceObject.get(memory, at))}`);
  session.print(`   CurrentIrp: ${field((at) => WAIT_CONTEXT_BLOCK.CurrentIrp.get(memory, at))}`);
}

/** Of the request that has the adapter's channel, or waits for it longest. */
function waitContextBlock(session: Session, adapter: Va): Va | undefined {
  const { channels, waiting } = session.target.nt.dma;
  const request = channels.get(adapter) ?? waiting.value.find((one) => one.adapter === adapter);
  if (request === undefined) return undefined;
  const { context, device } = request;
  return context === nullVa ? DEVICE_OBJECT.Queue.at(device) : DMA_TRANSFER_CONTEXT.Wcb.at(context);
}
