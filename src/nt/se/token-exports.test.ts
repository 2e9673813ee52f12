import { expect, it } from 'vitest';
import { GuestCode } from '../../../test/guest-code.ts';
import { TokenClass } from './token-information.ts';

const [process, thread] = [-1, -2];
const tokenQuery = 8;
const objKernelHandle = 0x200;
const noToken = 0xc000_007c;

it('opens the token of a process with and without attributes', () => {
  const code = new GuestCode('', ['handle', 'other', 'room', 'length']);
  expect(code.call('ZwOpenProcessToken', process, tokenQuery, code.at('handle'))).toBe(0);
  expect(code.call('ZwOpenProcessTokenEx', process, tokenQuery, objKernelHandle, code.at('other'))).toBe(0);
  const [first, second] = ['handle', 'other'].map((name) => code.nt.memory.readI64AsNumber(code.at(name)));
  expect(first).toBeGreaterThan(0);
  expect(second).toBeLessThan(0);
  for (const handle of [first as number, second as number]) {
    const args = [handle, TokenClass.Type, code.at('room'), 4, code.at('length')];
    expect(code.call('ZwQueryInformationToken', ...args)).toBe(0);
    expect(code.nt.memory.readU32(code.at('room'))).toBe(1);
    expect(code.call('ZwClose', handle)).toBe(0);
  }
});

it('opens the token of a thread only while it acts for somebody', () => {
  const code = new GuestCode('', ['handle']);
  const open = (): number => code.call('ZwOpenThreadTokenEx', thread, tokenQuery, 0, 0, code.at('handle')) >>> 0;
  expect(open()).toBe(noToken);
  const { tokens, scheduler, processor } = code.nt;
  const token = tokens.copyForImpersonation(tokens.primary(processor.requesterProcess), 2);
  expect(code.call('PsImpersonateClient', scheduler.systemThread, token.body, 0, 0, 2)).toBe(0);
  expect(open()).toBe(0);
  // An administrator holds this privilege, and has not enabled it.
  const loadDriver = 10n;
  expect(code.call('SeSinglePrivilegeCheck', loadDriver, 1)).toBe(0);
  code.call('PsRevertToSelf');
  expect(code.call('SeSinglePrivilegeCheck', loadDriver, 1)).toBe(1);
  expect(code.nt.objects.get(token.body)?.pointerCount).toBe(2);
});
