/**
 * Hardware that a driver talks to, written by whoever needs it: a PCI device with registers and memory, interrupts and
 * access to the host's memory.
 *
 * A model is a pure object: all that changes lies in what the host gives it ({@link DeviceHost.numbers} and
 * {@link DeviceHost.memory}), so that a snapshot of the machine holds it. Its functions answer at once; what takes time is
 * {@link DeviceHost.schedule}d. They get no address or number from anywhere but the driver: check all of them.
 */

export interface DeviceModel {
  /** As in `--device-model`: small letters and dashes. */
  readonly name: string;
  /** One line for lists. */
  readonly description: string;
  readonly pci: PciIdentity;
  /** What base address registers 0 and on stand for, at most six registers; a 64-bit range takes two. */
  readonly ranges: readonly DeviceRange[];
  readonly interrupts?: {
    /** The level-triggered line INTA#. */
    readonly line?: boolean;
    /** Messages (MSI): 0, 1, 2, 4, 8, 16 or 32. */
    readonly messages?: number;
  };
  readonly state?: {
    /** How many numbers {@link DeviceHost.numbers} has. */
    readonly numbers?: number;
    /** Sizes of the blocks of {@link DeviceHost.memory}, in bytes. */
    readonly memory?: readonly number[];
  };
  /** The power comes on. All numbers and bytes are zero, no event is scheduled, the interrupt line is not asserted. */
  reset?(host: DeviceHost): void;
  /** The driver reads; `bytes` of the answer count. */
  read(host: DeviceHost, access: DeviceAccess): number;
  /** The driver writes; `value` is unsigned. */
  write(host: DeviceHost, access: DeviceAccess, value: number): void;
  /** What a read would answer, for a debugger: nothing may change. Without it, or undefined: nothing is shown. */
  peek?(host: DeviceHost, access: DeviceAccess): number | undefined;
  /** A time has come. */
  due?(host: DeviceHost, cookie: number): void;
}

export interface PciIdentity {
  readonly vendor: number;
  readonly device: number;
  /** Class, subclass and programming interface: 0x088000. */
  readonly classCode: number;
  readonly revision?: number;
  readonly subsystemVendor?: number;
  readonly subsystem?: number;
}

/** A base address register. */
export interface DeviceRange {
  readonly type: 'memory' | 'port';
  /** A power of two; memory: at least 16, port: 4 to 256. */
  readonly bytes: number;
  /** Memory that can lie above 4 GB; here it does. */
  readonly is64Bit?: boolean;
  readonly isPrefetchable?: boolean;
}

/** Naturally aligned, as it comes over the bus: one of 8 bytes is two. */
export interface DeviceAccess {
  /** Index in {@link DeviceModel.ranges}. */
  readonly range: number;
  /** In the range. */
  readonly offset: number;
  readonly bytes: 1 | 2 | 4;
}

/** What the machine is to a device. */
export interface DeviceHost {
  /** Zeros at first; any finite number. */
  readonly numbers: Float64Array;
  /** Blocks of bytes, zeros at first. */
  readonly memory: readonly DeviceMemory[];
  /** Virtual time since the machine started, in nanoseconds. */
  readonly now: number;
  /** Whether the PCI command register lets the device access memory; without it `dmaRead` and `dmaWrite` answer false. */
  readonly isBusMaster: boolean;
  /** Whether the driver connected messages. Then they are sent, and the line is not looked at. */
  readonly usesMessages: boolean;
  /** Asserts the interrupt line or lets it go. While it is asserted, the driver's service routine is called again and again. */
  setLine(isAsserted: boolean): void;
  /** Interrupts once, by one of the messages that the model says it has. One that has not been delivered yet is not sent twice. */
  sendMessage(index: number): void;
  /** Host memory at a logical address. False, with what lies before it copied, at the first byte that is none. */
  dmaRead(address: bigint, into: Uint8Array): boolean;
  dmaWrite(address: bigint, bytes: Uint8Array): boolean;
  /**
   * Calls {@link DeviceModel.due} after at least so many nanoseconds, at least 100. An event with the same cookie, a whole
   * number, is replaced. What is scheduled again and again for ever keeps the machine from coming to rest.
   */
  schedule(delayNs: number, cookie: number): void;
  cancel(cookie: number): void;
  /** As when the power comes on: numbers, memory, events, interrupts; then {@link DeviceModel.reset}. */
  reset(): void;
}

/** Offsets outside of the block are a mistake of the model and end the run. */
export interface DeviceMemory {
  readonly size: number;
  read(offset: number, into: Uint8Array): void;
  write(offset: number, bytes: Uint8Array): void;
  clear(): void;
}

const hex = (value: number, digits: number): string => value.toString(16).toUpperCase().padStart(digits, '0');

/** What Windows' PCI driver would call the device, the most special first. */
export function pciHardwareIds({ vendor, device, classCode, revision = 0, ...subsystem }: PciIdentity): string[] {
  const one = `PCI\\VEN_${hex(vendor, 4)}&DEV_${hex(device, 4)}`;
  const rev = `&REV_${hex(revision, 2)}`;
  const sub = subsystem.subsystemVendor === undefined ? [] : [`${one}&SUBSYS_${subsystemText(subsystem)}`];
  return [...sub.flatMap((id) => [id + rev, id]), one + rev, one, `PCI\\VEN_${hex(vendor, 4)}&CC_${hex(classCode, 6)}`];
}

export function pciCompatibleIds({ vendor, classCode }: PciIdentity): string[] {
  const [six, four] = [hex(classCode, 6), hex(classCode >>> 8, 4)];
  return [
    `PCI\\VEN_${hex(vendor, 4)}&CC_${six}`,
    `PCI\\VEN_${hex(vendor, 4)}&CC_${four}`,
    `PCI\\CC_${six}`,
    `PCI\\CC_${four}`,
  ];
}

/** The device's own name, which its instance path begins with. */
export function pciDeviceId({ vendor, device, revision = 0, ...subsystem }: PciIdentity): string {
  const one = `PCI\\VEN_${hex(vendor, 4)}&DEV_${hex(device, 4)}`;
  return `${one}&SUBSYS_${subsystemText(subsystem)}&REV_${hex(revision, 2)}`;
}

const subsystemText = ({
  subsystem = 0,
  subsystemVendor = 0,
}: Pick<PciIdentity, 'subsystem' | 'subsystemVendor'>): string => hex(subsystem, 4) + hex(subsystemVendor, 4);
