/** A debugger's look at the registers of a device is none that the device notices. */
import { expect, it } from 'vitest';
import type { Va } from '../../src/base/va.ts';
import { builtinAddress } from '../../src/debugger/addresses.ts';
import { PageFlag, pageSize } from '../../src/engine/memory/layout.ts';
import type { DeviceModel } from '../../src/hardware/device-model.ts';
import { pciDmaEngine } from '../../src/hardware/pci-dma-engine.ts';
import { AddressMap } from '../../src/nt/address-map.ts';
import { type DebuggedMachine, debug } from './transcript.ts';

/** Taken to where the driver has mapped the device's registers. */
function withRegisters(model: DeviceModel): { readonly debugged: DebuggedMachine; readonly registers: Va } {
  const debugged = debug(['drivers/clean-mover/clean-mover.sys'], [], { deviceModel: model });
  const { nt } = debugged.machine;
  nt.debugControl.attach();
  nt.debugControl.slice = { calls: 1 };
  while (debugged.machine.resume() === 'stopped') {
    for (let page = 0; page < 0x100; page++) {
      const va = (AddressMap.systemPtes.start + page * pageSize) as Va;
      if (((nt.memory.mappingAt(va)?.flags ?? 0) & PageFlag.Device) !== 0) return { debugged, registers: va };
    }
  }
  throw new Error('the driver maps no registers');
}

it('registers that the model can tell are shown, and nothing else happens', async () => {
  let accesses = 0;
  const counted: DeviceModel = {
    ...pciDmaEngine,
    read: (host, access) => {
      accesses++;
      return pciDmaEngine.read(host, access);
    },
    write: (host, access, value) => {
      accesses++;
      pciDmaEngine.write(host, access, value);
    },
  };
  const { debugged, registers } = withRegisters(counted);
  const before = accesses;
  const at = builtinAddress(registers);
  const text = await debugged.type([
    `dd ${at} L4`,
    `db ${at} L4`,
    `? dwo(${at})`,
    `dps ${at} L1`,
    `u ${at} L1`,
    `da ${at}`,
  ]);
  expect(text).toContain(`${at}  0d4a5050 00000001 `);
  expect(text).toContain(`${at}  50 50 4a 0d `);
  await debugged.type([`k = ${at} @rip 8`, `k = ${at} nt!KiThreadStartup 8`, `kb = ${at} clean_mover!DriverEntry 8`]);
  expect(await debugged.type([`eb ${at} 1`])).toContain(`Memory access error at '${at}'`);
  expect(accesses).toBe(before);
});

it('what it cannot tell is not known', async () => {
  const { peek: _, ...silent } = pciDmaEngine;
  const { debugged, registers } = withRegisters(silent);
  const at = builtinAddress(registers);
  expect(await debugged.type([`dd ${at} L1`])).toContain(`${at}  ????????\n`);
  expect(await debugged.type([`? dwo(${at})`])).toContain('Memory access error');
});
