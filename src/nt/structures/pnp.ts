/** wdm.h: plug and play, and power. */
import { bytes, i32, placed, pointer, struct, u8, u16, u32 } from '../declare/struct.ts';

/** Minor functions of IRP_MJ_PNP. */
export const PnpMinor = {
  StartDevice: 0x00,
  QueryRemoveDevice: 0x01,
  RemoveDevice: 0x02,
  CancelRemoveDevice: 0x03,
  StopDevice: 0x04,
  QueryStopDevice: 0x05,
  CancelStopDevice: 0x06,
  QueryDeviceRelations: 0x07,
  QueryInterface: 0x08,
  QueryCapabilities: 0x09,
  QueryResources: 0x0a,
  QueryResourceRequirements: 0x0b,
  QueryDeviceText: 0x0c,
  FilterResourceRequirements: 0x0d,
  ReadConfig: 0x0f,
  WriteConfig: 0x10,
  Eject: 0x11,
  QueryId: 0x13,
  QueryPnpDeviceState: 0x14,
  QueryBusInformation: 0x15,
  DeviceUsageNotification: 0x16,
  SurpriseRemoval: 0x17,
  QueryLegacyBusInformation: 0x18,
} as const;

/** Minor functions of IRP_MJ_POWER. */
export const PowerMinor = { WaitWake: 0, PowerSequence: 1, SetPower: 2, QueryPower: 3 } as const;

/** DEVICE_RELATION_TYPE */
export const DeviceRelation = { Bus: 0, Ejection: 1, Power: 2, Removal: 3, TargetDevice: 4, SingleBus: 5 } as const;

/** BUS_QUERY_ID_TYPE */
export const BusQueryId = { Device: 0, Hardware: 1, Compatible: 2, Instance: 3 } as const;

/** DEVICE_TEXT_TYPE */
export const DeviceText = { Description: 0, Location: 1 } as const;

/** PNP_DEVICE_STATE: what makes the PnP manager take the device away. */
export const PnpDeviceState = { Disabled: 0x1, Failed: 0x4, Removed: 0x8, ResourcesChanged: 0x10 } as const;

export const DEVICE_CAPABILITIES = struct(
  '_DEVICE_CAPABILITIES',
  {
    Size: placed(0x00, u16),
    Version: placed(0x02, u16),
    Flags: placed(0x04, u32),
    Address: placed(0x08, u32),
    UINumber: placed(0x0c, u32),
    /** DEVICE_POWER_STATE for each of the seven SYSTEM_POWER_STATEs. */
    DeviceState: placed(0x10, bytes(28, 4)),
    SystemWake: placed(0x2c, u32),
    DeviceWake: placed(0x30, u32),
  },
  0x40,
);

/** DEVICE_CAPABILITIES.Flags: the bit fields behind Version. */
export const Capability = {
  EjectSupported: 0x08,
  Removable: 0x10,
  UniqueId: 0x40,
  SilentInstall: 0x80,
  RawDeviceOk: 0x100,
  SurpriseRemovalOk: 0x200,
  WakeFromD3: 0x2000,
} as const;

/** Count and the first of the objects. */
export const DEVICE_RELATIONS = struct('_DEVICE_RELATIONS', { Count: placed(0, u32), Objects: placed(8, pointer) });

/** IO_STACK_LOCATION.Parameters of IRP_MJ_PNP and IRP_MJ_POWER requests. */
export const PNP_PARAMETERS = struct(
  '_IO_STACK_LOCATION',
  {
    MinorFunction: placed(0x01, u8),
    RelationType: placed(0x08, u32),
    IdType: placed(0x08, u32),
    TextType: placed(0x08, u32),
    LocaleId: placed(0x10, u32),
    Capabilities: placed(0x08, pointer),
    AllocatedResources: placed(0x08, pointer),
    AllocatedResourcesTranslated: placed(0x10, pointer),
    InterfaceType: placed(0x08, pointer),
    InterfaceSize: placed(0x10, u16),
    InterfaceVersion: placed(0x12, u16),
    Interface: placed(0x18, pointer),
    ConfigWhichSpace: placed(0x08, u32),
    ConfigBuffer: placed(0x10, pointer),
    ConfigOffset: placed(0x18, u32),
    ConfigLength: placed(0x20, u32),
    SystemContext: placed(0x08, u32),
    ShutdownType: placed(0x20, u32),
    PowerType: placed(0x10, u32),
    PowerState: placed(0x18, u32),
    WakeState: placed(0x08, u32),
  },
  0x48,
);

/** wdm.h: what BUS_INTERFACE_STANDARD offers. */
export const BUS_INTERFACE_STANDARD = struct('_BUS_INTERFACE_STANDARD', {
  Size: u16,
  Version: u16,
  Context: placed(8, pointer),
  InterfaceReference: pointer,
  InterfaceDereference: pointer,
  TranslateBusAddress: pointer,
  GetDmaAdapter: pointer,
  SetBusData: pointer,
  GetBusData: pointer,
});

/** The head of every notification of the PnP manager. */
export const PLUGPLAY_NOTIFICATION_HEADER = struct('_PLUGPLAY_NOTIFICATION_HEADER', {
  Version: u16,
  Size: u16,
  Event: bytes(16, 4),
});

export const DEVICE_INTERFACE_CHANGE_NOTIFICATION = struct('_DEVICE_INTERFACE_CHANGE_NOTIFICATION', {
  Version: u16,
  Size: u16,
  Event: bytes(16, 4),
  InterfaceClassGuid: bytes(16, 4),
  SymbolicLinkName: pointer,
});

export const TARGET_DEVICE_REMOVAL_NOTIFICATION = struct('_TARGET_DEVICE_REMOVAL_NOTIFICATION', {
  Version: u16,
  Size: u16,
  Event: bytes(16, 4),
  FileObject: pointer,
});

export const TARGET_DEVICE_CUSTOM_NOTIFICATION = struct('_TARGET_DEVICE_CUSTOM_NOTIFICATION', {
  Version: u16,
  Size: u16,
  Event: bytes(16, 4),
  FileObject: pointer,
  NameBufferOffset: i32,
  CustomDataBuffer: bytes(1),
});
