import { expect, it } from 'vitest';
import { GuestCode } from '../../../test/guest-code.ts';

it('tells of a system thread in its creator, and of its end in itself, each routine once', () => {
  const code = new GuestCode(
    `first: enter
       log 1
       log rcx
       movzx ebx, r8b
       log rbx
       leave
     second: enter
       log 2
       leave
     thread: enter
       log 3
       leave`,
    ['handle'],
  );
  const set = (name: string): number => code.call('PsSetCreateThreadNotifyRoutine', code.at(name)) >>> 0;
  expect([set('first'), set('second'), set('first')]).toEqual([0, 0, 0xc000_000d]);
  expect(code.call('PsCreateSystemThread', code.at('handle'), 0x1f_ffff, 0, 0, 0, code.at('thread'), 0)).toBe(0);
  expect(code.run()).toEqual([1, 4, 1, 2, 3, 1, 4, 0, 2]);
  expect(code.call('PsRemoveCreateThreadNotifyRoutine', code.at('first'))).toBe(0);
  expect(code.call('PsRemoveCreateThreadNotifyRoutine', code.at('first')) >>> 0).toBe(0xc000_007a);
  code.call('PsCreateSystemThread', code.at('handle'), 0x1f_ffff, 0, 0, 0, code.at('thread'), 0);
  expect(code.run().slice(9)).toEqual([2, 3, 2]);
});
