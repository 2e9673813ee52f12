// A device of one's own: a thermometer that measures for a millisecond, then interrupts. Its driver would be run with
// new Machine({ drivers, deviceModel: thermometer })
import type { DeviceModel } from 'poolproof';

/** Registers of its 16 ports: a command starts to measure, a status of 1 says that there is a value; reading it takes it. */
const Register = { Command: 0, Status: 4, Value: 8 } as const;
/** What the machine keeps for it, in snapshots too. */
const State = { isReady: 0, value: 1, measured: 2 } as const;
const measurement = 0;
const millisecond = 1_000_000;

export const thermometer: DeviceModel = {
  name: 'thermometer',
  description: 'measures when it is told to',
  pci: { vendor: 0x1234, device: 0x7e70, classCode: 0x118000 },
  ranges: [{ type: 'port', bytes: 16 }],
  interrupts: { line: true },
  state: { numbers: 3 },

  read(host, { offset }) {
    if (offset === Register.Status) return host.numbers[State.isReady] ?? 0;
    if (offset !== Register.Value) return 0;
    host.numbers[State.isReady] = 0;
    host.setLine(false);
    return host.numbers[State.value] ?? 0;
  },

  write(host, { offset }) {
    if (offset === Register.Command) host.schedule(millisecond, measurement);
  },

  due(host) {
    const count = (host.numbers[State.measured] ?? 0) + 1;
    host.numbers[State.measured] = count;
    host.numbers[State.value] = 20 + count;
    host.numbers[State.isReady] = 1;
    host.setLine(true);
  },
};
