import { expect, it } from 'vitest';
import { GuestCode } from '../../../test/guest-code.ts';
import { nullVa } from '../../base/va.ts';

const addExisting = 1;

/** Logs state and context; `refuses` reports an error. */
const source = `
  changed: enter
    mov eax, [rdx]
    log rax
    log rcx
    mov eax, [r8]
    log rax
    leave
  refuses: enter
    mov eax, [rdx]
    log rax
    mov dword ptr [r8], 0xc000009a
    leave`;

const register = (code: GuestCode, routine: string, flags: number): number =>
  code.call('KeRegisterProcessorChangeCallback', code.at(routine), 0x77, flags);
const registered = (code: GuestCode): number => [...code.nt.callbacks.of('processor')].length;

it('tells of the processor that there is, when it starts and when it has started', () => {
  const code = new GuestCode(source);
  const handle = register(code, 'changed', addExisting);
  expect(handle).not.toBe(nullVa);
  expect(code.logged).toEqual([0, 0x77, 0, 1, 0x77, 0]);
  expect(registered(code)).toBe(1);
  code.call('KeDeregisterProcessorChangeCallback', handle);
  expect(registered(code)).toBe(0);
});

it('registers nothing for a driver that cannot start it', () => {
  const code = new GuestCode(source);
  expect(register(code, 'refuses', addExisting)).toBe(nullVa);
  expect(code.logged).toEqual([0]);
  expect(registered(code)).toBe(0);
});

it('tells nothing without being asked, and knows what is not registered', () => {
  const code = new GuestCode(source);
  const handle = register(code, 'changed', 0);
  expect(code.logged).toEqual([]);
  code.call('KeDeregisterProcessorChangeCallback', handle);
  expect(() => code.call('KeDeregisterProcessorChangeCallback', handle)).toThrow('ended');
  expect(code.nt.end.value).toMatchObject({ kind: 'unsupported' });
});
