import { beforeEach, describe, expect, it } from 'vitest';
import { GuestCode } from '../../../test/guest-code.ts';
import type { Va } from '../../base/va.ts';
import { interruptsOf } from '../pnp/resources.ts';
import {
  ConnectVersion,
  IO_CONNECT_INTERRUPT_PARAMETERS,
  IO_INTERRUPT_MESSAGE_INFO,
} from '../structures/interrupts.ts';

const invalidParameter = 0xc000_000d;
const invalidParameter1 = 0xc000_00ef;
const notFound = 0xc000_0225;

/** A service routine that logs its IRQL and claims the interrupt; `strange` returns at another IRQL; a message's logs its number. */
const source = `
  isr: enter
    mov rax, cr8
    log rax
    mov eax, 1
    leave
  locks: enter
    mov rax, object
    mov rdi, [rax]
    call KeAcquireInterruptSpinLock(rdi)
    mov rbx, rax
    log rbx
    mov rax, cr8
    log rax
    call KeReleaseInterruptSpinLock(rdi, rbx)
    mov rax, cr8
    log rax
    leave
  message: enter
    mov rbx, r8
    log rbx
    mov eax, 1
    leave`;

let code: GuestCode;
let pdo: Va;

beforeEach(() => {
  code = new GuestCode(source, ['object', 'parameters']);
  pdo = code.nt.io.pnp.create([]);
});

const resources = () => interruptsOf(code.nt.io.pnp.get(pdo)?.resources ?? []);
const connect = (vector: number, irql: number, synchronizeIrql = irql, isShared = 1, mask = 1): number =>
  code.call(
    'IoConnectInterrupt',
    code.at('object'),
    code.at('isr'),
    0x77,
    0,
    vector,
    irql,
    synchronizeIrql,
    0,
    isShared,
    mask,
    0,
  ) >>> 0;
const interrupt = (vector: number): number => code.call('KiInterruptDispatch', vector) & 0xff;

describe('IoConnectInterrupt', () => {
  it('has the routine called at the IRQL of the interrupt until it is disconnected', () => {
    const [line] = resources();
    if (line === undefined) throw new Error('no line');
    expect(interrupt(line.vector)).toBe(0);
    expect(connect(line.vector, line.irql)).toBe(0);
    expect(interrupt(line.vector)).toBe(1);
    expect(code.logged).toEqual([line.irql]);
    const object = code.nt.memory.readVa(code.at('object'));
    code.call('IoDisconnectInterrupt', object);
    expect(interrupt(line.vector)).toBe(0);
    expect(code.nt.cpu.state.irql).toBe(0);
  });

  it('refuses what does not fit the resource, and a line that is not shared', () => {
    const [line] = resources();
    if (line === undefined) throw new Error('no line');
    expect(connect(line.vector, line.irql - 1)).toBe(invalidParameter);
    expect(connect(line.vector, line.irql, line.irql - 1)).toBe(invalidParameter);
    expect(connect(line.vector, line.irql, line.irql, 1, 0)).toBe(invalidParameter);
    expect(connect(line.vector, line.irql, line.irql, 0)).toBe(0);
    expect(connect(line.vector, line.irql)).toBe(invalidParameter);
  });
});

describe('IoConnectInterruptEx', () => {
  const ex = (version: number, device: Va = pdo): number => {
    const at = code.at('parameters');
    const { memory } = code.nt;
    IO_CONNECT_INTERRUPT_PARAMETERS.Version.set(memory, at, version);
    IO_CONNECT_INTERRUPT_PARAMETERS.PhysicalDeviceObject.set(memory, at, device);
    IO_CONNECT_INTERRUPT_PARAMETERS.InterruptObject.set(memory, at, code.at('object'));
    IO_CONNECT_INTERRUPT_PARAMETERS.ServiceRoutine.set(memory, at, code.at('message'));
    return code.call('IoConnectInterruptEx', at) >>> 0;
  };

  it('connects the messages of the device, with a table of them', () => {
    expect(ex(ConnectVersion.MessageBased)).toBe(0);
    const table = code.nt.memory.readVa(code.at('object'));
    expect(IO_INTERRUPT_MESSAGE_INFO.MessageCount.get(code.nt.memory, table)).toBe(1);
    const message = resources().find(({ isMessage }) => isMessage);
    expect(interrupt(message?.vector ?? 0)).toBe(1);
    expect(code.logged).toEqual([0]);
  });

  it('knows its forms, and devices without interrupts', () => {
    expect(ex(9)).toBe(invalidParameter1);
    expect(ex(ConnectVersion.LineBased, 0 as Va)).toBe(invalidParameter);
    code.nt.io.pnp.change(pdo, { resources: [] });
    expect(ex(ConnectVersion.LineBased)).toBe(notFound);
  });
});

describe("the interrupt's lock", () => {
  it('raises to the synchronize IRQL, and is free behind its release', () => {
    const [line] = resources();
    if (line === undefined) throw new Error('no line');
    expect(connect(line.vector, line.irql)).toBe(0);
    const object = code.nt.memory.readVa(code.at('object'));
    code.start('locks');
    expect(code.run()).toEqual([0, line.irql, 0]);
    expect(code.call('IoGetAffinityInterrupt', object, code.at('parameters'))).toBe(0);
    expect(code.nt.memory.readU64(code.at('parameters'))).toBe(1n);
  });

  it.each(['KeAcquireInterruptSpinLock', 'KeReleaseInterruptSpinLock', 'IoGetAffinityInterrupt'])(
    '%s does not take what is not connected for an interrupt',
    (routine) => {
      expect(() => code.call(routine, code.at('object'), code.at('parameters'))).toThrow();
      expect(code.nt.end.value).toBeDefined();
    },
  );
});
