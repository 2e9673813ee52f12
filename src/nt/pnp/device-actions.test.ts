import { describe, expect, it } from 'vitest';
import { GuestCode } from '../../../test/guest-code.ts';
import { makeDevice } from '../../../test/test-device.ts';
import { nullVa, type Va } from '../../base/va.ts';
import { DEVICE_OBJECT, DRIVER_EXTENSION, DRIVER_OBJECT, MajorFunction } from '../structures/io.ts';
import { PnpDeviceState, PnpMinor, PowerMinor } from '../structures/pnp.ts';
import { type PnpAction, pnpActionNumber } from './device-actions.ts';
import type { PnpDevice } from './plug-and-play.ts';

const unsuccessful = 0xc000_0001;
const vetoed = 0x8000_0028;
const invalidState = 0xc000_0184;

/**
 * A function driver: logs 0x100 + minor of each plug-and-play request and passes it down; fails the one whose minor stands
 * in `refused`. In REMOVE it detaches and deletes its device. `power` logs 0x200 + minor.
 */
const source = `
  add: enter
    mov rbx, rdx
    mov rdi, rcx
    call IoCreateDevice(rdi, 0x10, 0, 0x22, 0, 0, device)
    mov rax, device
    mov rcx, [rax]
    mov rdx, rbx
    call IoAttachDeviceToDeviceStack(rcx, rdx)
    mov rcx, lower
    mov [rcx], rax
    xor eax, eax
    leave
  addFails: enter
    mov eax, 0xc0000001
    leave
  addNothing: enter
    xor eax, eax
    leave
  pnp: enter
    mov rbx, rdx
    mov rax, [rdx+0b8h]
    movzx rdi, byte ptr [rax+1]
    cmp rdi, 0x14
    jne asked
    mov rcx, state
    mov rcx, [rcx]
    mov [rdx+38h], rcx
  asked: cmp rdi, 0dh
    jne kept
    mov rcx, lists
    mov rax, [rdx+38h]
    mov [rcx+8], rax
    mov rax, [rcx]
    cmp rax, 0
    je kept
    call ExAllocatePool2(0x100, 0x100, 0x74736554)
    mov [rbx+38h], rax
    mov rcx, lists
    mov [rcx+10h], rax
    mov dword ptr [rbx+30h], 0
  kept: mov rdx, rbx
    mov rax, [rdx+0b8h]
    mov rax, rdi
    add rax, 0x100
    mov rcx, seen
    mov [rcx], rax
    log rax
    mov rax, refused
    mov rax, [rax]
    add rax, -1
    cmp rax, rdi
    je refuse
    mov rax, lower
    mov rcx, [rax]
    add qword ptr [rbx+0b8h], 0x48
    add byte ptr [rbx+43h], 1
    call IofCallDriver(rcx, rbx)
    cmp rdi, 2
    jne passed
    mov rbx, rax
    mov rax, lower
    mov rcx, [rax]
    call IoDetachDevice(rcx)
    mov rax, device
    mov rcx, [rax]
    call IoDeleteDevice(rcx)
    mov rax, rbx
  passed: leave
  refuse: mov dword ptr [rbx+30h], 0xc0000001
    call IofCompleteRequest(rbx, 0)
    mov eax, 0xc0000001
    leave
  power: enter
    mov rbx, rdx
    mov rax, [rdx+0b8h]
    movzx rax, byte ptr [rax+1]
    add rax, 0x200
    log rax
    mov rax, lower
    mov rcx, [rax]
    add qword ptr [rbx+0b8h], 0x48
    add byte ptr [rbx+43h], 1
    call PoCallDriver(rcx, rbx)
    leave
  powered: enter
    log rdx
    log r8
    log r9
    mov rax, [rsp+70h]
    mov eax, [rax]
    log rax
    leave`;

class PnpDriver {
  readonly code = new GuestCode(source, ['device', 'lower', 'refused', 'seen', 'irp', 'state', 'lists']);
  readonly driverObject: Va;

  constructor(addDevice = 'add') {
    const { nt } = this.code;
    const made = makeDevice(this.code, { [MajorFunction.Pnp]: 'pnp', [MajorFunction.Power]: 'power' });
    this.driverObject = made.driverObject;
    nt.io.devices.delete(made.device);
    const extension = DRIVER_OBJECT.DriverExtension.get(nt.memory, this.driverObject);
    DRIVER_EXTENSION.AddDevice.set(nt.memory, extension, this.code.at(addDevice));
  }

  refuse(minor: number): void {
    this.code.nt.memory.writeU64(this.code.at('refused'), BigInt(minor + 1));
  }

  arrive(): number {
    return this.code.call('IopAddDevice', this.code.nt.io.pnp.create([this.driverObject])) >>> 0;
  }

  act(action: PnpAction): number {
    return this.code.call('IopDeviceAction', this.device.pdo, pnpActionNumber(action)) >>> 0;
  }

  get device(): PnpDevice {
    const device = this.code.nt.io.pnp.ofDriver(this.driverObject);
    if (device === undefined) throw new Error('no device was added');
    return device;
  }

  /** The minor functions that came since the last time. */
  minors(): number[] {
    const all = this.code.logged.map((value) => value - 0x100);
    const news = all.slice(this.taken);
    this.taken = all.length;
    return news;
  }

  private taken = 0;
}

const started = (): PnpDriver => {
  const driver = new PnpDriver();
  expect(driver.arrive()).toBe(0);
  driver.minors();
  return driver;
};

describe('a device arrives', () => {
  it('is added, given its resources, started and asked what it is', () => {
    const driver = new PnpDriver();
    expect(driver.arrive()).toBe(0);
    expect(driver.minors()).toEqual([
      PnpMinor.FilterResourceRequirements,
      PnpMinor.StartDevice,
      PnpMinor.QueryCapabilities,
      PnpMinor.QueryPnpDeviceState,
      PnpMinor.QueryDeviceRelations,
    ]);
    expect(driver.device).toMatchObject({
      state: 'started',
      identity: { deviceId: 'ROOT\\POOLPROOF', instance: '0000' },
    });
  });

  it('is removed again when its start fails', () => {
    const driver = new PnpDriver();
    driver.refuse(PnpMinor.StartDevice);
    expect(driver.arrive()).toBe(unsuccessful);
    expect(driver.minors().slice(-2)).toEqual([PnpMinor.StartDevice, PnpMinor.RemoveDevice]);
    const { state, failure, pdo } = driver.device;
    expect({ state, failure }).toEqual({
      state: 'failed',
      failure: { what: 'IRP_MN_START_DEVICE', status: unsuccessful },
    });
    expect(driver.code.nt.io.devices.get(pdo)).toBeUndefined();
  });

  it('is gone when AddDevice fails, without a request', () => {
    const driver = new PnpDriver('addFails');
    expect(driver.arrive()).toBe(unsuccessful);
    expect(driver.minors()).toEqual([]);
    expect(driver.device).toMatchObject({ state: 'failed', failure: { what: 'AddDevice', status: unsuccessful } });
  });

  it("is the root bus's alone when AddDevice attaches nothing", () => {
    const driver = new PnpDriver('addNothing');
    expect(driver.arrive()).toBe(0);
    expect(driver.device.state).toBe('started');
  });
});

describe('IRP_MN_FILTER_RESOURCE_REQUIREMENTS', () => {
  const lists = (driver: PnpDriver): Va[] =>
    [8, 16].map((offset) => driver.code.nt.memory.readVa((driver.code.at('lists') + offset) as Va));

  it('takes the list back that the driver left as it is', () => {
    const driver = started();
    const [own] = lists(driver) as [Va, Va];
    expect(own).not.toBe(nullVa);
    expect(driver.code.nt.pool.blockAt(own)).toBeUndefined();
    expect(driver.device.resources).toHaveLength(4);
  });

  it("takes the driver's list in its place; the one before was the PnP manager's, which no driver is blamed for", () => {
    const driver = new PnpDriver();
    driver.code.nt.memory.writeU64(driver.code.at('lists'), 1n);
    expect(driver.arrive()).toBe(0);
    const [own, replacement] = lists(driver) as [Va, Va];
    expect(replacement).not.toBe(nullVa);
    expect([own, replacement].map((list) => driver.code.nt.pool.blockAt(list))).toEqual([undefined, undefined]);
    expect(driver.device.resources).toEqual([]);
  });
});

describe('a device that is started', () => {
  it('stops and starts', () => {
    const driver = started();
    expect(driver.act('start')).toBe(invalidState);
    expect(driver.act('stop')).toBe(0);
    expect(driver.minors()).toEqual([PnpMinor.QueryStopDevice, PnpMinor.StopDevice]);
    expect(driver.device.state).toBe('stopped');
    expect(driver.act('start')).toBe(0);
    expect(driver.minors()[0]).toBe(PnpMinor.StartDevice);
    expect(driver.device.state).toBe('started');
  });

  it('stays started when it refuses to stop', () => {
    const driver = started();
    driver.refuse(PnpMinor.QueryStopDevice);
    expect(driver.act('stop')).toBe(unsuccessful);
    expect(driver.minors()).toEqual([PnpMinor.QueryStopDevice, PnpMinor.CancelStopDevice]);
    expect(driver.device.state).toBe('started');
  });

  it('is removed, and its PDO with it', () => {
    const driver = started();
    const { pdo } = driver.device;
    expect(driver.act('queryRemove')).toBe(0);
    expect(driver.minors()).toEqual([PnpMinor.QueryDeviceRelations, PnpMinor.QueryRemoveDevice, PnpMinor.RemoveDevice]);
    expect(driver.device.state).toBe('removed');
    expect(driver.code.nt.io.devices.get(pdo)).toBeUndefined();
    expect(driver.code.nt.io.devices.ofDriver(driver.driverObject)).toEqual([]);
  });

  it('stays when it is open', () => {
    const driver = started();
    driver.code.nt.io.devices.changeReferenceCount(driver.device.pdo, 1);
    expect(driver.act('queryRemove')).toBe(vetoed);
    expect(driver.minors()).toEqual([
      PnpMinor.QueryDeviceRelations,
      PnpMinor.QueryRemoveDevice,
      PnpMinor.CancelRemoveDevice,
    ]);
    expect(driver.device.state).toBe('started');
  });

  it('is removed after it was pulled out, once it is closed', () => {
    const driver = started();
    const { pnp, devices } = driver.code.nt.io;
    devices.changeReferenceCount(driver.device.pdo, 1);
    expect(driver.act('surpriseRemove')).toBe(0);
    expect(driver.minors()).toEqual([PnpMinor.SurpriseRemoval]);
    expect(pnp.removalDue).toBeUndefined();
    devices.changeReferenceCount(driver.device.pdo, -1);
    expect(pnp.removalDue?.pdo).toBe(driver.device.pdo);
    expect(driver.act('remove')).toBe(0);
    expect(driver.minors()).toEqual([PnpMinor.RemoveDevice]);
  });

  it('keeps its PDO while something is attached', () => {
    const driver = started();
    const { memory, io } = driver.code.nt;
    const { pdo } = driver.device;
    io.pnp.retire(pdo, 'removed');
    expect(io.pnp.hasAttached(pdo)).toBe(true);
    expect(DEVICE_OBJECT.AttachedDevice.get(memory, pdo)).not.toBe(nullVa);
  });

  it('is asked again when the driver says that something changed', () => {
    const driver = started();
    driver.code.call('IoInvalidateDeviceState', driver.device.pdo);
    driver.code.call('IoInvalidateDeviceRelations', driver.device.pdo, 0);
    driver.code.run();
    expect(driver.minors()).toEqual([PnpMinor.QueryPnpDeviceState, PnpMinor.QueryDeviceRelations]);
  });

  it('is asked again before what is done to it later, and after all that was asked before', () => {
    const driver = started();
    const { pdo } = driver.device;
    driver.code.call('IoInvalidateDeviceRelations', pdo, 0);
    driver.code.call('IoInvalidateDeviceState', pdo);
    driver.code.call('IoInvalidateDeviceRelations', pdo, 0);
    expect(driver.act('queryRemove')).toBe(0);
    expect(driver.minors()).toEqual([
      PnpMinor.QueryDeviceRelations,
      PnpMinor.QueryPnpDeviceState,
      PnpMinor.QueryDeviceRelations,
      PnpMinor.QueryDeviceRelations,
      PnpMinor.QueryRemoveDevice,
      PnpMinor.RemoveDevice,
    ]);
  });

  it.each([
    ['failed', PnpDeviceState.Failed],
    ['disabled', PnpDeviceState.Disabled],
    ['removed', PnpDeviceState.Removed],
  ])('is taken away when it says that it is %s', (_name, state) => {
    const driver = started();
    driver.code.nt.memory.writeU64(driver.code.at('state'), BigInt(state));
    driver.code.call('IoInvalidateDeviceState', driver.device.pdo);
    driver.code.run();
    expect(driver.minors()).toEqual([PnpMinor.QueryPnpDeviceState, PnpMinor.SurpriseRemoval]);
    expect(driver.code.nt.io.pnp.removalDue?.pdo).toBe(driver.device.pdo);
  });

  it('is stopped and started for other resources when it says that they changed', () => {
    const driver = started();
    driver.code.nt.memory.writeU64(driver.code.at('state'), BigInt(PnpDeviceState.ResourcesChanged));
    driver.code.call('IoInvalidateDeviceState', driver.device.pdo);
    driver.code.run();
    expect(driver.minors()).toEqual([
      PnpMinor.QueryPnpDeviceState,
      PnpMinor.QueryStopDevice,
      PnpMinor.StopDevice,
      PnpMinor.FilterResourceRequirements,
      PnpMinor.StartDevice,
      PnpMinor.QueryCapabilities,
      PnpMinor.QueryPnpDeviceState,
      PnpMinor.QueryDeviceRelations,
    ]);
    expect(driver.device.state).toBe('started');
  });

  it('is ejected when the driver asks for that', () => {
    const driver = started();
    const { pdo } = driver.device;
    driver.code.call('IoRequestDeviceEject', pdo);
    driver.code.run();
    const { QueryDeviceRelations, QueryRemoveDevice, RemoveDevice } = PnpMinor;
    const relations = [QueryDeviceRelations, QueryDeviceRelations];
    expect(driver.minors().slice(0, 4)).toEqual([...relations, QueryRemoveDevice, RemoveDevice]);
    expect(driver.device.state).toBe('removed');
    expect(driver.code.nt.io.devices.get(pdo)).toBeUndefined();
  });

  it('is not its function device: bug check 0xCA', () => {
    const driver = started();
    const fdo = driver.code.nt.memory.readVa(driver.code.at('device'));
    expect(() => driver.code.call('IoInvalidateDeviceState', fdo)).toThrow();
    expect(driver.code.bugCheck?.slice(0, 2)).toEqual([0xca, 2]);
  });
});

describe('the root bus', () => {
  it('answers at once, from a DPC and from a worker thread', () => {
    const driver = started();
    const { nt } = driver.code;
    const levels: string[] = [];
    nt.events.on('irpCompleted', () => {
      const { isSystem, kthread } = nt.scheduler.currentThread;
      const where = kthread === nt.scheduler.systemThread ? 'sender' : isSystem ? 'worker' : 'other';
      levels.push(nt.cpu.state.irql === 2 ? 'DPC' : where);
    });
    for (let round = 0; round < 8; round++) {
      expect(driver.act('stop')).toBe(0);
      expect(driver.act('start')).toBe(0);
    }
    expect(new Set(levels)).toEqual(new Set(['sender', 'DPC', 'worker']));
  });
});

describe('PoRequestPowerIrp', () => {
  it('sends the request down the stack and tells the completion function', () => {
    const driver = started();
    const { code } = driver;
    const fdo = code.nt.memory.readVa(code.at('device'));
    const [context, d3] = [0x77, 4];
    const args = [fdo, PowerMinor.SetPower, d3, code.at('powered'), context, 0];
    expect(code.call('PoRequestPowerIrp', ...args)).toBe(0x103);
    const before = code.logged.length;
    expect(code.run().slice(before)).toEqual([0x200 + PowerMinor.SetPower, PowerMinor.SetPower, d3, context, 0]);
    const waitWake = [fdo, PowerMinor.WaitWake, d3, code.at('powered'), context, code.at('irp')];
    expect(code.call('PoRequestPowerIrp', ...waitWake)).toBe(0x103);
    expect(code.run().at(-1)).toBe(0x200 + PowerMinor.WaitWake);
    expect(code.call('IoCancelIrp', code.nt.memory.readVa(code.at('irp')))).toBe(1);
    expect(code.run().at(-1)).toBe(0xc000_0120);
    expect(code.call('PoRequestPowerIrp', fdo, 9, d3, 0, 0, 0) >>> 0).toBe(0xc000_00f0);
  });
});
