import { describe, expect, it } from 'vitest';
import { GuestCode } from '../../../test/guest-code.ts';
import { nullVa, type Va } from '../../base/va.ts';
import { IO_STACK_LOCATION, IRP, MajorFunction } from '../structures/io.ts';
import { DEVICE_CAPABILITIES, PNP_PARAMETERS, PnpMinor, PowerMinor } from '../structures/pnp.ts';
import { PowerStateType, SystemPower } from '../structures/power.ts';
import { makeStackRequest } from './stack-requests.ts';

const pending = 0x103;
const invalidRequest = 0xc000_0010;
const cancelled = 0xc000_0120;
const timeout = 0xc000_00b5;
const dataError = 0xc000_009c;
const notConnected = 0xc000_009d;
/** SL_INVOKE_ON_CANCEL, _SUCCESS, _ERROR */
const invokeAlways = 0xe0;
const busy = 0x8000_0011;

interface Answer {
  /** What the dispatch routine returned. */
  readonly returned: number;
  readonly status: number;
  readonly information: number;
}

/** A device of the root bus without a function driver. */
class Bus {
  /** The requests stay with their sender when they are completed. */
  readonly code = new GuestCode('done: enter\n mov eax, 0xc0000016\n leave');
  readonly pdo = this.code.nt.io.pnp.create([]);

  /** Has a request sent that is not waited for. */
  send(major: number, minor: number, fill: (location: Va, irp: Va) => void = () => {}) {
    const { nt } = this.code;
    const { device, irp } = makeStackRequest(nt, this.pdo, major, minor, (location, made) => {
      fill(location, made);
      IO_STACK_LOCATION.CompletionRoutine.set(nt.memory, location, this.code.at('done'));
      IO_STACK_LOCATION.Control.set(nt.memory, location, invokeAlways);
    });
    return { returned: this.code.call('IofCallDriver', device, irp) >>> 0, irp };
  }

  statusOf(irp: Va): number {
    return IRP.Status.get(this.code.nt.memory, irp) >>> 0;
  }

  isDone(irp: Va): boolean {
    const { memory } = this.code.nt;
    return IRP.CurrentLocation.get(memory, irp) > IRP.StackCount.get(memory, irp);
  }

  /** What became of a request in the end. */
  answer(major: number, minor: number, fill?: (location: Va, irp: Va) => void): Answer {
    const { returned, irp } = this.send(major, minor, fill);
    this.code.run();
    expect(this.isDone(irp)).toBe(true);
    const information = this.code.nt.memory.readVa(IRP.Information.at(irp));
    return { returned, status: this.statusOf(irp), information };
  }

  /** A control request of a program, or of a driver of its own. */
  control(major: number, mode: 'user' | 'kernel', outputBytes = 0, code = 0x222000): Answer {
    const { memory } = this.code.nt;
    return this.answer(major, 0, (location, irp) => {
      memory.writeU8(IRP.RequestorMode.at(irp), mode === 'user' ? 1 : 0);
      IO_STACK_LOCATION.OutputBufferLength.set(memory, location, outputBytes);
      IO_STACK_LOCATION.IoControlCode.set(memory, location, code);
      const buffer = this.code.nt.pool.allocateKernel(0x40, 'Test');
      IRP.SystemBuffer.set(memory, irp, buffer);
    });
  }
}

const many = <T>(ask: () => T): T[] => Array.from({ length: 60 }, ask);
const sorted = (values: Iterable<number>): number[] => [...new Set(values)].sort((a, b) => a - b);

describe('without a tour', () => {
  it('the bus knows no reads, writes and control requests', () => {
    const bus = new Bus();
    const { Read, Write, DeviceControl, InternalDeviceControl } = MajorFunction;
    for (const major of [Read, Write, DeviceControl, InternalDeviceControl]) {
      expect(bus.control(major, 'user')).toEqual({ returned: invalidRequest, status: invalidRequest, information: 0 });
    }
  });
});

describe('in a tour', () => {
  const touring = (): Bus => {
    const bus = new Bus();
    bus.code.nt.io.lowerDevice.tryDrivers();
    return bus;
  };

  it('a control request of a program is done, refused, fails or is cancelled, at once or later', () => {
    const bus = touring();
    const answers = many(() => bus.control(MajorFunction.DeviceControl, 'user', 0x20));
    const all = [0, invalidRequest, timeout, dataError, notConnected, cancelled];
    expect(sorted(answers.map(({ status }) => status))).toEqual(sorted(all));
    for (const { status, information } of answers) expect(information).toBe(status === 0 ? 0x20 : 0);
    expect(new Set(answers.map(({ returned }) => returned === pending))).toEqual(new Set([true, false]));
  });

  it('what another bus would answer a driver is not made up', () => {
    const bus = touring();
    const answers = many(() => bus.control(MajorFunction.DeviceControl, 'kernel', 0x20));
    expect(answers.map(({ status }) => status)).not.toContain(0);
    const without = many(() => bus.control(MajorFunction.DeviceControl, 'kernel', 0));
    expect(without.map(({ status }) => status)).toContain(0);
    // METHOD_NEITHER: there is nothing to write to that the bus could trust.
    const neither = many(() => bus.control(MajorFunction.DeviceControl, 'user', 0x20, 0x222003));
    expect(neither.map(({ status }) => status)).not.toContain(0);
    const internal = many(() => bus.control(MajorFunction.InternalDeviceControl, 'kernel'));
    expect(sorted(internal.map(({ status }) => status))).toEqual([invalidRequest]);
  });

  it('a request that is cancelled while the bus has it ends so', () => {
    const bus = touring();
    const statuses = many(() => {
      const { memory } = bus.code.nt;
      const sent = bus.send(MajorFunction.DeviceControl, 0, (location, irp) => {
        memory.writeU8(IRP.RequestorMode.at(irp), 1);
        IO_STACK_LOCATION.IoControlCode.set(memory, location, 0x222000);
      });
      if (bus.isDone(sent.irp) || bus.statusOf(sent.irp) !== 0) return cancelled;
      memory.writeU8(IRP.Cancel.at(sent.irp), 1);
      bus.code.run();
      return bus.statusOf(sent.irp);
    });
    expect(sorted(statuses)).toEqual([cancelled]);
  });

  it('power is refused now and then for a device that came after another one', () => {
    const bus = touring();
    const query = (): number => bus.answer(MajorFunction.Power, PowerMinor.QueryPower).status;
    expect(sorted(many(query))).toEqual([0]);
    bus.code.nt.io.pnp.hasPredecessor = () => true;
    expect(sorted(many(query))).toEqual([0, 0xc000_0001]);
    expect(sorted(many(() => bus.answer(MajorFunction.Power, PowerMinor.SetPower).status))).toEqual([0]);
  });
});

describe('IRP_MN_WAIT_WAKE', () => {
  const wake = (bus: Bus) => bus.send(MajorFunction.Power, PowerMinor.WaitWake);

  it('pends until it is cancelled, one for each device', () => {
    const bus = new Bus();
    const { irp, returned } = wake(bus);
    expect(returned).toBe(pending);
    bus.code.run();
    expect(bus.answer(MajorFunction.Power, PowerMinor.WaitWake).status).toBe(busy);
    expect(bus.code.call('IoCancelIrp', irp)).toBe(1);
    bus.code.run();
    expect(bus.statusOf(irp)).toBe(cancelled);
    expect(wake(bus).returned).toBe(pending);
  });

  it.each([PnpMinor.SurpriseRemoval, PnpMinor.RemoveDevice])('ends when the device goes: %i', (minor) => {
    const bus = new Bus();
    const { irp } = wake(bus);
    expect(bus.answer(MajorFunction.Pnp, minor).status).toBe(0);
    expect(bus.statusOf(irp)).toBe(cancelled);
  });

  it('succeeds now and then when the system wakes, and pends on otherwise', () => {
    const bus = new Bus();
    const { nt } = bus.code;
    const ends = many(() => {
      const sent = wake(bus);
      nt.power.setSystemState(SystemPower.Sleeping3);
      const status = bus.answer(MajorFunction.Power, PowerMinor.SetPower, (location) => {
        PNP_PARAMETERS.PowerType.set(nt.memory, location, PowerStateType.System);
        PNP_PARAMETERS.PowerState.set(nt.memory, location, SystemPower.Working);
      }).status;
      expect(status).toBe(0);
      nt.power.setSystemState(SystemPower.Working);
      if (nt.io.lowerDevice.wakeRequest(bus.pdo) === nullVa) return bus.statusOf(sent.irp);
      bus.code.call('IoCancelIrp', sent.irp);
      bus.code.run();
      return bus.statusOf(sent.irp);
    });
    expect(sorted(ends)).toEqual([0, cancelled]);
  });

  it('is something that the bus says it can', () => {
    const bus = new Bus();
    const { nt } = bus.code;
    const capabilities = nt.pool.allocateKernel(DEVICE_CAPABILITIES.sizeBytes, 'Test');
    nt.memory.fill(capabilities, DEVICE_CAPABILITIES.sizeBytes, 0);
    bus.answer(MajorFunction.Pnp, PnpMinor.QueryCapabilities, (location) =>
      PNP_PARAMETERS.Capabilities.set(nt.memory, location, capabilities),
    );
    expect(DEVICE_CAPABILITIES.SystemWake.get(nt.memory, capabilities)).toBe(SystemPower.Sleeping3);
    expect(DEVICE_CAPABILITIES.DeviceWake.get(nt.memory, capabilities)).toBe(4);
    expect(DEVICE_CAPABILITIES.Flags.get(nt.memory, capabilities) & 0x2000).toBe(0x2000);
  });
});
