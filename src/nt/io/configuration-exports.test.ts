import { expect, it } from 'vitest';
import { GuestCode } from '../../../test/guest-code.ts';

const write = `
  write: enter
    call ExAllocatePoolWithTag(512, 64, 0x74696d57)
    mov rbx, rax
    call IoWMIWriteEvent(rbx)
    log rax
    leave`;

it('counts instances by GUID', () => {
  const code = new GuestCode('', ['guid', 'other', 'first']);
  code.nt.memory.writeU32(code.at('other'), 1);
  const allocate = (guid: string, count: number): number => {
    expect(code.call('IoWMIAllocateInstanceIds', code.at(guid), count, code.at('first'))).toBe(0);
    return code.nt.memory.readU32(code.at('first'));
  };
  expect([allocate('guid', 3), allocate('guid', 1), allocate('other', 2), allocate('guid', 1)]).toEqual([0, 3, 0, 4]);
});

it('has one set of counts for all drivers', () => {
  const code = new GuestCode('', []);
  const at = code.call('IoGetConfigurationInformation');
  expect(code.call('IoGetConfigurationInformation')).toBe(at);
});

it('takes over the block of an event', () => {
  const code = new GuestCode(write, []);
  code.start('write');
  expect(code.run()).toEqual([0]);
  expect([...code.nt.pool.driverBlocks()]).toEqual([]);
});
