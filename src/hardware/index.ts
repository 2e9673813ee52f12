/** The device models that come with poolproof, by name. */
import type { DeviceModel } from './device-model.ts';
import { pciDmaEngine } from './pci-dma-engine.ts';

export const deviceModels: readonly DeviceModel[] = [pciDmaEngine];

export const findDeviceModel = (name: string): DeviceModel | undefined =>
  deviceModels.find((model) => model.name === name);
