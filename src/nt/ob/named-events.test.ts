/** IoCreateSynchronizationEvent and its like, and what services do to the state of events. */
import { beforeEach, describe, expect, it } from 'vitest';
import { GuestCode } from '../../../test/guest-code.ts';
import { nullVa, type Va, vaAdd } from '../../base/va.ts';

const invalidHandle = 0xc000_0008;

let code: GuestCode;
beforeEach(() => {
  code = new GuestCode('nothing: enter\n leave', ['name', 'handle', 'object', 'previous']);
  code.nt.io.drivers.writeString(code.at('name'), '\\BaseNamedObjects\\Poolproof');
});

const status = (routine: string, ...args: number[]): number => code.call(routine, ...args) >>> 0;
const handleAt = (offset = 0): number => code.nt.memory.readI64AsNumber(vaAdd(code.at('handle'), offset));
const state = (event: number): number => code.call('KeReadStateEvent', event);

describe.each(['IoCreateSynchronizationEvent', 'IoCreateNotificationEvent'])('%s', (create) => {
  it('is signalled when it is new, and found again by its name', () => {
    const event = code.call(create, code.at('name'), code.at('handle'));
    expect(event).not.toBe(nullVa);
    expect(state(event)).toBe(1);
    code.call('KeClearEvent', event);
    expect(code.call(create, code.at('name'), vaAdd(code.at('handle'), 8))).toBe(event);
    expect(state(event)).toBe(0);
    expect(code.nt.objects.get(event as Va)).toMatchObject({ type: 'Event', pointerCount: 2 });
  });

  it("gives a kernel handle, which is the driver's to close", () => {
    const event = code.call(create, code.at('name'), code.at('handle'));
    const reference = (mode: number): number =>
      status('ObReferenceObjectByHandle', handleAt(), 0, nullVa, mode, code.at('object'), nullVa);
    expect(reference(1)).toBe(invalidHandle);
    expect(status('ObCloseHandle', handleAt(), 1)).toBe(invalidHandle);
    expect(reference(0)).toBe(0);
    expect(status('ObCloseHandle', handleAt(), 0)).toBe(0);
    expect(code.nt.objects.get(event as Va)).toMatchObject({ pointerCount: 1 });
    // With the last handle the name is gone, whatever references are left.
    const other = code.call(create, code.at('name'), code.at('handle'));
    expect(other).not.toBe(event);
    code.call('ObfDereferenceObject', event);
    expect(code.nt.objects.get(event as Va)).toBeUndefined();
  });

  it('is NULL for a name that is taken by another kind of object', () => {
    code.nt.io.drivers.writeString(code.at('name'), '\\Device');
    expect(code.call(create, code.at('name'), code.at('handle'))).toBe(nullVa);
  });
});

it('a synchronization event lets one wait through', () => {
  const event = code.call('IoCreateSynchronizationEvent', code.at('name'), code.at('handle'));
  expect(status('KeWaitForSingleObject', event, 0, 0, 0, 0)).toBe(0);
  expect(state(event)).toBe(0);
});

describe.each(['Zw', 'Nt'])('the services %s…', (prefix) => {
  const previous = (): number => code.nt.memory.readU32(code.at('previous'));

  it('tell the state before', () => {
    const event = code.call('IoCreateNotificationEvent', code.at('name'), code.at('handle'));
    expect(status(`${prefix}ResetEvent`, handleAt(), code.at('previous'))).toBe(0);
    expect([previous(), state(event)]).toEqual([1, 0]);
    expect(status(`${prefix}PulseEvent`, handleAt(), code.at('previous'))).toBe(0);
    expect([previous(), state(event)]).toEqual([0, 0]);
    expect(status(`${prefix}SetEvent`, handleAt(), nullVa)).toBe(0);
    expect(state(event)).toBe(1);
    expect(status(`${prefix}ClearEvent`, handleAt())).toBe(0);
    expect(state(event)).toBe(0);
  });

  it.each(['ResetEvent', 'PulseEvent', 'ClearEvent'])('%s knows its handles', (name) => {
    expect(status(prefix + name, 0x7ffc, nullVa)).toBe(invalidHandle);
    // NtCurrentProcess() is no event.
    expect(status(prefix + name, -1, nullVa)).not.toBe(0);
  });
});
