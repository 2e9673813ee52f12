/** wdm.h, miniport.h: hardware resources, as they are asked for and as they are given. */
import { bytes, placed, struct, u8, u16, u32, u64 } from '../declare/struct.ts';

/** CM_PARTIAL_RESOURCE_DESCRIPTOR: what is given. */
export const CM_PARTIAL_RESOURCE_DESCRIPTOR = struct(
  '_CM_PARTIAL_RESOURCE_DESCRIPTOR',
  {
    Type: placed(0, u8),
    ShareDisposition: placed(1, u8),
    Flags: placed(2, u16),
    /** Memory and ports. */
    Start: placed(4, u64),
    Length: placed(12, u32),
    /** Interrupts; of a raw message, the count is the upper half of the first. */
    Level: placed(4, u32),
    Vector: placed(8, u32),
    Affinity: placed(12, u64),
    MessageCount: placed(6, u16),
    DevicePrivate: placed(4, bytes(12, 4)),
  },
  20,
);

/** CM_RESOURCE_LIST with one CM_FULL_RESOURCE_DESCRIPTOR in it. */
export const CM_RESOURCE_LIST = struct('_CM_RESOURCE_LIST', {
  Count: placed(0, u32),
  InterfaceType: placed(4, u32),
  BusNumber: placed(8, u32),
  Version: placed(12, u16),
  Revision: placed(14, u16),
  DescriptorCount: placed(16, u32),
  Descriptors: placed(20, bytes(CM_PARTIAL_RESOURCE_DESCRIPTOR.sizeBytes, 4)),
});

/** IO_RESOURCE_DESCRIPTOR: what is asked for. */
export const IO_RESOURCE_DESCRIPTOR = struct('_IO_RESOURCE_DESCRIPTOR', {
  Option: placed(0, u8),
  Type: placed(1, u8),
  ShareDisposition: placed(2, u8),
  Flags: placed(4, u16),
  Length: placed(8, u32),
  Alignment: placed(12, u32),
  MinimumAddress: placed(16, u64),
  MaximumAddress: placed(24, u64),
  MinimumVector: placed(8, u32),
  MaximumVector: placed(12, u32),
  DevicePrivate: placed(8, bytes(12, 4)),
});

/** IO_RESOURCE_REQUIREMENTS_LIST with the head of its first IO_RESOURCE_LIST. */
export const IO_RESOURCE_REQUIREMENTS_LIST = struct('_IO_RESOURCE_REQUIREMENTS_LIST', {
  ListSize: placed(0, u32),
  InterfaceType: placed(4, u32),
  BusNumber: placed(8, u32),
  SlotNumber: placed(12, u32),
  AlternativeLists: placed(28, u32),
  Version: placed(32, u16),
  Revision: placed(34, u16),
  Count: placed(36, u32),
  Descriptors: placed(40, bytes(IO_RESOURCE_DESCRIPTOR.sizeBytes, 8)),
});

/** CmResourceType* */
export const ResourceType = { Null: 0, Port: 1, Interrupt: 2, Memory: 3, DevicePrivate: 129 } as const;

/** CmResourceShare*: of one device, or of several. */
export const ResourceShare = { DeviceExclusive: 1, Shared: 3 } as const;

/** CM_RESOURCE_PORT_IO, CM_RESOURCE_INTERRUPT_* */
export const ResourceFlag = {
  PortIo: 1,
  PortBar: 0x100,
  MemoryPrefetchable: 4,
  MemoryBar: 0x80,
  InterruptLatched: 1,
  InterruptMessage: 2,
} as const;

/** IO_RESOURCE_* */
export const ResourceOption = { Preferred: 1, Default: 2, Alternative: 8 } as const;
