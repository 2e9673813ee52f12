/** wdm.h: plug and play, and power. */
import { bytes, placed, pointer, struct, u8, u16, u32 } from '../declare/struct.ts';

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
  QueryCapabilities: 0x09,
  QueryResourceRequirements: 0x0b,
  QueryDeviceText: 0x0c,
  FilterResourceRequirements: 0x0d,
  QueryId: 0x13,
  QueryPnpDeviceState: 0x14,
  SurpriseRemoval: 0x17,
  QueryLegacyBusInformation: 0x18,
} as const;

/** Minor functions of IRP_MJ_POWER. */
export const PowerMinor = { WaitWake: 0, PowerSequence: 1, SetPower: 2, QueryPower: 3 } as const;

/** DEVICE_RELATION_TYPE */
export const DeviceRelation = { Bus: 0, TargetDevice: 4 } as const;

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
export const Capability = { UniqueId: 0x40, SurpriseRemovalOk: 0x200 } as const;

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
    Capabilities: placed(0x08, pointer),
    PowerType: placed(0x10, u32),
    PowerState: placed(0x18, u32),
    WakeState: placed(0x08, u32),
  },
  0x48,
);
