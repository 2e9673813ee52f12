/** Power settings that drivers are told of: their values in this machine, which is on mains with its display on. */
import { type Va, vaAdd } from '../../base/va.ts';
import type { Nt } from '../nt.ts';
import { guidBytes, parseGuid } from '../rtl/guid.ts';

const balancedScheme = '{381B4222-F694-41F0-9685-FF5BB260DF2E}';

/** By GUID (wdm.h): a number, or the GUID that is the value. */
const values: Readonly<Record<string, number | string>> = {
  // GUID_ACDC_POWER_SOURCE: PoAc
  '{5D3E9A59-E9D5-4B00-A6BD-FF34FF516548}': 0,
  // GUID_BATTERY_PERCENTAGE_REMAINING
  '{A7AD8041-B45A-4CAE-87A3-EECBB468A9E1}': 100,
  // GUID_POWERSCHEME_PERSONALITY
  '{245D8541-3943-4422-B025-13A784F679B7}': balancedScheme,
  // GUID_ACTIVE_POWERSCHEME
  '{31F9F286-5084-42FE-B720-2B0264993763}': balancedScheme,
  // GUID_LIDSWITCH_STATE_CHANGE: open
  '{BA3E0F4D-B817-4094-A2D1-D56379E6A0F3}': 1,
  // GUID_SYSTEM_AWAYMODE
  '{98A7F580-01F7-48AA-9C0F-44352C29E5C0}': 0,
  // GUID_POWER_SAVING_STATUS
  '{E00958C0-C213-4ACE-AC77-FECCED2EEEA5}': 0,
};

/** GUID_MONITOR_POWER_ON and GUID_CONSOLE_DISPLAY_STATE: on, except while the system sleeps. */
export const displaySettings: readonly string[] = [
  '{02731015-4510-4526-99E6-E5A17EBD1AEA}',
  '{6FE69556-704A-47A0-8F24-C28D936FDA47}',
];

/** GUID and value behind each other in a block of the kernel's own; undefined for a setting that nobody set. */
export function powerSetting(nt: Nt, guid: string): { readonly block: Va; readonly bytes: number } | undefined {
  const value = displaySettings.includes(guid) ? (nt.power.isAsleep ? 0 : 1) : values[guid];
  if (value === undefined) return undefined;
  const content = typeof value === 'number' ? new Uint8Array(Uint32Array.of(value).buffer) : parseGuid(value);
  const name = parseGuid(guid);
  if (content === undefined || name === undefined) return undefined;
  const block = nt.pool.allocateKernel(guidBytes + content.length, 'PoSt');
  nt.memory.writeBytes(block, name);
  nt.memory.writeBytes(vaAdd(block, guidBytes), content);
  return { block, bytes: content.length };
}
