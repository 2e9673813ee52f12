/**
 * The device with a model (`src/hardware/`) on the simulated bus: what stands between the model and the machine. One device
 * is present at a time; where one was before, nothing answers.
 */
import { assert, PoolproofError } from '../../base/errors.ts';
import type { StoreCell, StoreMap } from '../../base/store.ts';
import type { StoreBytes } from '../../base/store-bytes.ts';
import type { StoreNumbers } from '../../base/store-numbers.ts';
import { nullVa, type Va } from '../../base/va.ts';
import { type DeviceBytes, type DevicePages, ones } from '../../engine/memory/device-pages.ts';
import { pageSize } from '../../engine/memory/layout.ts';
import type { DeviceAccess, DeviceHost, DeviceModel } from '../../hardware/device-model.ts';
import type { Nt } from '../nt.ts';
import { configurationBytes, PciCommand, PciConfiguration } from './pci-configuration.ts';
import { slotOf } from './pci-slot.ts';
import { type AddressResource, type DeviceResource, type InterruptResource, interruptsOf } from './resources.ts';

interface DeviceEvent {
  /** Interrupt time, 100 ns. */
  readonly due: number;
  readonly order: number;
}

interface Presence {
  /** Null: nothing is in the slot. */
  readonly pdo: Va;
  readonly number: number;
  readonly ranges: readonly AddressResource[];
  readonly interrupts: readonly InterruptResource[];
}

const nothing: Presence = { pdo: nullVa, number: 0, ranges: [], interrupts: [] };

/** A load waits for the device's answer: half a microsecond. A store does not. */
const loadLasts100ns = 5;

export class Hardware implements DevicePages {
  /** Whether something was scheduled or an interrupt raised that the running processor does not know of. */
  private hasNews = false;
  private readonly nt: Nt;
  readonly model: DeviceModel | undefined;
  readonly configuration: PciConfiguration;
  private readonly presence: StoreCell<Presence>;
  private readonly events: StoreMap<number, DeviceEvent>;
  private readonly eventOrder: StoreCell<number>;
  private readonly off: StoreCell<boolean>;
  private readonly isLineAsserted: StoreCell<boolean>;
  /** One bit each, of messages that were sent and not delivered. */
  private readonly messages: StoreCell<number>;
  private readonly numbers: StoreNumbers;
  private readonly memory: readonly StoreBytes[];
  private readonly host: DeviceHost;

  constructor(nt: Nt) {
    this.nt = nt;
    this.model = nt.options.device?.model;
    this.presence = nt.stores.cell('hardware/presence', nothing);
    this.events = nt.stores.map('hardware/events');
    this.eventOrder = nt.stores.cell('hardware/event-order', 0);
    this.off = nt.stores.cell('hardware/is-off', false);
    this.isLineAsserted = nt.stores.cell('hardware/line', false);
    this.messages = nt.stores.cell('hardware/messages', 0);
    this.configuration = new PciConfiguration(nt.stores.bytes('hardware/configuration', configurationBytes));
    const { numbers = 0, memory = [] } = this.model?.state ?? {};
    this.numbers = nt.stores.numbers('hardware/numbers', numbers);
    this.memory = memory.map((size, index) => nt.stores.bytes(`hardware/memory-${index}`, size));
    this.host = this.makeHost();
    nt.memory.device = this;
  }

  // ---- coming and going

  /** A device is put into its slot: the power comes on. */
  add(pdo: Va, number: number, resources: readonly DeviceResource[]): void {
    if (this.model === undefined) return;
    const ranges = resources.filter((one): one is AddressResource => one.type === 'memory' || one.type === 'port');
    this.presence.value = { pdo, number, ranges, interrupts: interruptsOf(resources) };
    this.off.value = false;
    this.configuration.reset(this.model, resources);
    this.reset();
  }

  /** It is not there any more. */
  remove(pdo: Va): void {
    if (!this.has(pdo)) return;
    this.presence.value = nothing;
    this.quiesce();
  }

  /** Whether the device is the one with the model, and there. */
  has(pdo: Va): boolean {
    return pdo !== nullVa && this.presence.value.pdo === pdo;
  }

  /** Device number of the slot in which it stands. */
  get slot(): number {
    return slotOf(this.presence.value.number);
  }

  /** The device on bus 0 at a PCI_SLOT_NUMBER: device number in bits 0 to 4, function in bits 5 to 7. */
  inSlot(slot: number): Va {
    const { pdo, number } = this.presence.value;
    return pdo !== nullVa && slot === slotOf(number) ? pdo : nullVa;
  }

  /** The PCI bus driver starts the device: it decodes its ranges and may be a bus master. */
  enable(pdo: Va): void {
    if (!this.has(pdo)) return;
    const types = this.presence.value.ranges.map(({ type }) => type);
    const decoding = (types.includes('memory') ? PciCommand.Memory : 0) | (types.includes('port') ? PciCommand.Io : 0);
    this.configuration.command |= decoding | PciCommand.BusMaster;
  }

  /** It stops, goes, or is switched off. */
  disable(pdo: Va): void {
    if (this.has(pdo)) this.configuration.command &= ~(PciCommand.Memory | PciCommand.Io | PciCommand.BusMaster);
  }

  /** Whether it is switched off. */
  get isOff(): boolean {
    return this.off.value;
  }

  switchOff(pdo: Va): void {
    if (!this.has(pdo)) return;
    this.disable(pdo);
    this.quiesce();
    this.off.value = true;
  }

  /** The power comes back. */
  switchOn(pdo: Va): void {
    if (!this.has(pdo)) return;
    this.off.value = false;
    this.reset();
    this.enable(pdo);
  }

  private reset(): void {
    this.quiesce();
    this.numbers.values.fill(0);
    for (const block of this.memory) block.clear();
    this.ask((model) => model.reset?.(this.host));
  }

  private quiesce(): void {
    for (const cookie of [...this.events.keys()]) this.events.delete(cookie);
    this.isLineAsserted.value = false;
    this.messages.value = 0;
  }

  // ---- loads and stores

  /** Whether loads and stores of the page are the device's. */
  hasPage(pfn: number): boolean {
    return this.presence.value.ranges.some(
      ({ type, start, bytes }) =>
        type === 'memory' && pfn >= Math.floor(start / pageSize) && pfn * pageSize < start + bytes,
    );
  }

  load(frame: number, offset: number, bytes: DeviceBytes): number {
    const access = this.accessAt(frame, offset, bytes);
    this.nt.clock.skip(loadLasts100ns);
    return access === undefined ? ones(bytes) : this.read(access);
  }

  store(frame: number, offset: number, bytes: DeviceBytes, value: number): void {
    const access = this.accessAt(frame, offset, bytes);
    if (access !== undefined) this.write(access, value);
  }

  peek(frame: number, offset: number, bytes: DeviceBytes): number | undefined {
    const access = this.accessAt(frame, offset, bytes);
    if (access === undefined) return ones(bytes);
    const value = this.ask((model) => model.peek?.(this.host, access));
    return value === undefined ? undefined : (value & ones(bytes)) >>> 0;
  }

  private accessAt(frame: number, offset: number, bytes: DeviceBytes): DeviceAccess | undefined {
    return this.access('memory', this.nt.addressSpace.frames.pfnOf(frame) * pageSize + offset, bytes);
  }

  private access(type: 'memory' | 'port', at: number, bytes: DeviceBytes): DeviceAccess | undefined {
    if ((this.configuration.command & (type === 'memory' ? PciCommand.Memory : PciCommand.Io)) === 0) return undefined;
    const { ranges } = this.presence.value;
    const range = ranges.findIndex(
      (one) => one.type === type && at >= one.start && at + bytes <= one.start + one.bytes,
    );
    return range < 0 ? undefined : { range, offset: at - (ranges[range] as AddressResource).start, bytes };
  }

  /** Undefined for a port that is not this device's. */
  readPort(port: number, bytes: DeviceBytes): number | undefined {
    const access = this.access('port', port, bytes);
    if (access === undefined) return this.hasPort(port) ? ones(bytes) : undefined;
    this.nt.clock.skip(loadLasts100ns);
    return this.read(access);
  }

  /** False for a port that is not this device's. */
  writePort(port: number, bytes: DeviceBytes, value: number): boolean {
    const access = this.access('port', port, bytes);
    if (access !== undefined) this.write(access, value);
    return access !== undefined || this.hasPort(port);
  }

  private read(access: DeviceAccess): number {
    const value = this.ask((model) => model.read(this.host, access)) ?? 0;
    return (value & ones(access.bytes)) >>> 0;
  }

  private write(access: DeviceAccess, value: number): void {
    this.ask((model) => model.write(this.host, access, (value & ones(access.bytes)) >>> 0));
  }

  /** A model is somebody's own: when it throws, that is said of it. */
  private ask<T>(body: (model: DeviceModel) => T): T | undefined {
    if (this.model === undefined) return undefined;
    try {
      return body(this.model);
    } catch (cause) {
      const what = cause instanceof Error ? cause.message : String(cause);
      throw new PoolproofError('PP3300', `the device model '${this.model.name}' failed: ${what}`, { cause });
    }
  }

  hasPort(port: number): boolean {
    return this.presence.value.ranges.some(
      ({ type, start, bytes }) => type === 'port' && port >= start && port < start + bytes,
    );
  }

  // ---- what the device does

  private makeHost(): DeviceHost {
    const hardware = this;
    const { nt } = this;
    return {
      numbers: this.numbers.values,
      memory: this.memory,
      get now() {
        return nt.clock.interruptTime * 100;
      },
      get isBusMaster() {
        return hardware.isBusMaster;
      },
      get usesMessages() {
        return hardware.usesMessages;
      },
      setLine: (isAsserted) => {
        if (isAsserted !== hardware.isLineAsserted.value) hardware.hasNews = true;
        hardware.isLineAsserted.value = isAsserted;
      },
      sendMessage: (index) => {
        const count = hardware.model?.interrupts?.messages ?? 0;
        assert(Number.isInteger(index) && index >= 0 && index < count, `it has no message ${index}`);
        hardware.hasNews = true;
        hardware.messages.value |= 1 << index;
      },
      dmaRead: (address, into) => hardware.reaches(address, into.length) && nt.dma.bus.read(address, into),
      dmaWrite: (address, bytes) => hardware.reaches(address, bytes.length) && nt.dma.bus.write(address, bytes),
      schedule: (delayNs, cookie) => {
        assert(Number.isFinite(delayNs) && delayNs >= 0 && Number.isInteger(cookie), `${cookie} after ${delayNs} ns`);
        hardware.hasNews = true;
        hardware.eventOrder.value += 1;
        // Never now: what has no end has to take time.
        const due = nt.clock.interruptTime + Math.max(1, Math.ceil(delayNs / 100));
        hardware.events.set(cookie, { due, order: hardware.eventOrder.value });
      },
      cancel: (cookie) => {
        hardware.events.delete(cookie);
      },
      reset: () => hardware.reset(),
    };
  }

  /** Whether the device may access memory there: it is a bus master, and what answers is not itself. */
  private reaches(address: bigint, bytes: number): boolean {
    const isItself = this.presence.value.ranges.some(
      ({ type, start, bytes: size }) =>
        type === 'memory' && address < BigInt(start + size) && address + BigInt(bytes) > BigInt(start),
    );
    return this.isBusMaster && !isItself;
  }

  private get isBusMaster(): boolean {
    return this.presence.value.pdo !== nullVa && (this.configuration.command & PciCommand.BusMaster) !== 0;
  }

  /** Interrupt time of what comes next; infinity if nothing does. */
  get nextDue(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { due } of this.events.values()) next = Math.min(next, due);
    return next;
  }

  /** What is due happens. */
  expire(): void {
    const now = this.nt.clock.interruptTime;
    while (this.nextDue <= now) {
      const [first] = [...this.events.entries()].sort(([, a], [, b]) => a.due - b.due || a.order - b.order);
      if (first === undefined) return;
      this.events.delete(first[0]);
      this.ask((model) => model.due?.(this.host, first[0]));
      if (this.nt.runLoop.isCallTooMany()) return;
    }
  }

  /** Whether the processor has to be asked what is due and what interrupts; once. */
  takeNews(): boolean {
    const hadNews = this.hasNews;
    this.hasNews = false;
    return hadNews;
  }

  // ---- interrupts

  private get usesMessages(): boolean {
    return this.presence.value.interrupts.some(
      ({ isMessage, vector }) => isMessage && this.nt.io.interruptObjects.isConnected(vector),
    );
  }

  /** The interrupt that comes when the IRQL is `irql`: one that a driver connected; a line's is masked until then. */
  interruptAbove(irql: number): InterruptResource | undefined {
    if (!this.isLineAsserted.value && this.messages.value === 0) return undefined;
    const { interrupts } = this.presence.value;
    const messages = interrupts.filter(({ isMessage }) => isMessage);
    const { usesMessages } = this;
    return interrupts.find((one) => {
      if (one.irql <= irql || !this.nt.io.interruptObjects.isConnected(one.vector)) return false;
      if (one.isMessage) return (this.messages.value & (1 << messages.indexOf(one))) !== 0;
      return this.isLineAsserted.value && !usesMessages;
    });
  }

  /** Whether a line is asserted and somebody listens; false for a message. */
  isAsserted(vector: number): boolean {
    const line = this.presence.value.interrupts.find(({ isMessage }) => !isMessage);
    return this.isLineAsserted.value && line?.vector === vector && this.nt.io.interruptObjects.isConnected(vector);
  }

  /** The processor takes it. A line stays asserted until the device lets it go. */
  acknowledge(interrupt: InterruptResource): void {
    const messages = this.presence.value.interrupts.filter(({ isMessage }) => isMessage);
    if (interrupt.isMessage) this.messages.value &= ~(1 << messages.indexOf(interrupt));
  }

  /** Drivers connected or disconnected an interrupt: what they see of it in configuration space. */
  interruptsChanged(): void {
    if (this.model?.interrupts?.messages === undefined || this.presence.value.pdo === nullVa) return;
    const first = this.presence.value.interrupts.find(({ isMessage }) => isMessage);
    this.configuration.setMessages(this.usesMessages ? first?.vector : undefined);
  }
}
