/** ntddk.h: what IoGetConfigurationInformation leads to. */
import { struct, u8, u32 } from '../declare/struct.ts';

/** How many of each kind of device there are. */
export const CONFIGURATION_INFORMATION = struct('_CONFIGURATION_INFORMATION', {
  DiskCount: u32,
  FloppyCount: u32,
  CdRomCount: u32,
  TapeCount: u32,
  ScsiPortCount: u32,
  SerialCount: u32,
  ParallelCount: u32,
  AtDiskPrimaryAddressClaimed: u8,
  AtDiskSecondaryAddressClaimed: u8,
  Version: u32,
  MediumChangerCount: u32,
});
