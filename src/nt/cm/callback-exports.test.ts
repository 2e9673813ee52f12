import { describe, expect, it } from 'vitest';
import { GuestCode } from '../../../test/guest-code.ts';
import { nullVa, type Va } from '../../base/va.ts';
import { STATUS_INVALID_PARAMETER, STATUS_SUCCESS } from '../ntstatus.ts';
import { readUnicodeString } from '../rtl/guest-text.ts';
import { OBJECT_ATTRIBUTES } from '../structures/io.ts';

const path = '\\REGISTRY\\MACHINE\\SOFTWARE';
const contextCleanup = 40;

/** A callback that logs its context and what it hears of, and a key that is open. */
function setUp() {
  const code = new GuestCode(
    `heard: enter
       log rcx
       log rdx
       mov rax, 0
       leave`,
    ['cookie', 'attributes', 'name', 'handle', 'again', 'out', 'id'],
  );
  const { memory } = code.nt;
  code.nt.io.drivers.writeString(code.at('name'), path);
  OBJECT_ATTRIBUTES.Length.set(memory, code.at('attributes'), 0x30);
  OBJECT_ATTRIBUTES.ObjectName.set(memory, code.at('attributes'), code.at('name'));
  OBJECT_ATTRIBUTES.Attributes.set(memory, code.at('attributes'), 0x240);
  const open = (at: string): Va => {
    expect(code.call('ZwOpenKey', code.at(at), 0x2_0019, code.at('attributes'))).toBe(STATUS_SUCCESS);
    return code.nt.objects.handle(memory.readI64AsNumber(code.at(at)))?.body ?? nullVa;
  };
  const key = open('handle');
  const same = open('again');
  expect(code.call('CmRegisterCallback', code.at('heard'), 7, code.at('cookie'))).toBe(STATUS_SUCCESS);
  const setContext = (object: Va, context: number): number =>
    code.call('CmSetCallbackObjectContext', object, code.at('cookie'), context, code.at('out')) >>> 0;
  const unregister = (): number => code.call('CmUnRegisterCallback', memory.readU64(code.at('cookie'))) >>> 0;
  return { code, memory, key, same, setContext, unregister };
}

describe('contexts of key objects', () => {
  it('are given back when they are replaced, and belong to one open', () => {
    const { code, memory, key, same, setContext } = setUp();
    expect(setContext(key, 0x10)).toBe(STATUS_SUCCESS);
    expect(memory.readVa(code.at('out'))).toBe(0);
    expect(setContext(key, 0x20)).toBe(STATUS_SUCCESS);
    expect(memory.readVa(code.at('out'))).toBe(0x10);
    expect(setContext(same, 0x30)).toBe(STATUS_SUCCESS);
    expect(memory.readVa(code.at('out'))).toBe(0);
    expect(setContext(code.at('name'), 1)).toBe(STATUS_INVALID_PARAMETER);
    memory.writeU64(code.at('cookie'), 1n);
    expect(setContext(key, 1)).toBe(STATUS_INVALID_PARAMETER);
  });

  it('end with the registration', () => {
    const { code, key, same, setContext, unregister } = setUp();
    setContext(key, 0x10);
    setContext(same, 0x20);
    expect(unregister()).toBe(STATUS_SUCCESS);
    expect(code.run()).toEqual([7, contextCleanup, 7, contextCleanup]);
    expect(unregister()).toBe(STATUS_INVALID_PARAMETER);
  });

  it("end with the key's last reference, behind the close", () => {
    const { code, memory, key, setContext } = setUp();
    setContext(key, 0x10);
    expect(code.call('ZwClose', memory.readI64AsNumber(code.at('handle')))).toBe(STATUS_SUCCESS);
    expect(code.run()).toEqual([7, 14, 7, 25, 7, contextCleanup]);
    expect(code.nt.objects.get(key)).toBeUndefined();
  });

  it('are not ended without the driver: a last reference elsewhere is unsupported', () => {
    const { code, memory, key, setContext } = setUp();
    setContext(key, 0x10);
    code.call('ObfReferenceObject', key);
    code.call('ZwClose', memory.readI64AsNumber(code.at('handle')));
    expect(code.run()).toEqual([7, 14, 7, 25]);
    expect(() => code.call('ObfDereferenceObject', key)).toThrow('ended');
    expect(code.nt.end.value).toMatchObject({ kind: 'unsupported' });
  });
});

describe('names of key objects', () => {
  it('are the same for two opens, with one number', () => {
    const { code, memory, key, same } = setUp();
    const ask = (object: Va): readonly [number, string, Va] => {
      const status = code.call('CmCallbackGetKeyObjectID', code.at('cookie'), object, code.at('id'), code.at('out'));
      expect(status).toBe(STATUS_SUCCESS);
      const name = memory.readVa(code.at('out'));
      return [memory.readVa(code.at('id')), readUnicodeString(memory, name), name];
    };
    const first = ask(key);
    expect(first[1].toUpperCase()).toBe(path);
    expect(ask(key)).toEqual(first);
    expect(ask(same).slice(0, 2)).toEqual(first.slice(0, 2));
  });

  it('are released by who asked for them', () => {
    const { code, memory, key } = setUp();
    const ask = (flags: number): number =>
      code.call('CmCallbackGetKeyObjectIDEx', code.at('cookie'), key, 0, code.at('out'), flags) >>> 0;
    expect(ask(1)).toBe(STATUS_INVALID_PARAMETER);
    expect(ask(0)).toBe(STATUS_SUCCESS);
    const name = memory.readVa(code.at('out'));
    expect(readUnicodeString(memory, name).toUpperCase()).toBe(path);
    code.call('CmCallbackReleaseKeyObjectIDEx', name);
    expect(code.nt.end.value).toBeUndefined();
  });
});
