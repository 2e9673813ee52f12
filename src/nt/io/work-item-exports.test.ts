import { expect, it } from 'vitest';
import { GuestCode } from '../../../test/guest-code.ts';
import { makeDevice } from '../../../test/test-device.ts';
import type { Va } from '../../base/va.ts';

it("a work item in the driver's own memory runs, keeps its device meanwhile, and is no allocation", () => {
  const code = new GuestCode(
    `
    work: enter
      mov rbx, rdx
      log rbx
      mov rax, item
      mov rcx, rax
      mov rax, IoUninitializeWorkItem
      call rax
      leave`,
    ['item'],
  );
  const { device } = makeDevice(code, {});
  expect(code.call('IoSizeofWorkItem')).toBeLessThanOrEqual(0x100);
  code.nt.memory.fill(code.at('item'), 0x100, 0xcc);
  code.call('IoInitializeWorkItem', device, code.at('item'));
  const blocks = [...code.nt.pool.driverBlocks()].length;
  const references = (): number => code.nt.objects.get(device as Va)?.pointerCount ?? 0;
  const before = references();
  code.call('IoQueueWorkItem', code.at('item'), code.at('work'), 1, 0x77);
  expect(code.run()).toEqual([0x77]);
  expect(references()).toBe(before);
  expect([...code.nt.pool.driverBlocks()]).toHaveLength(blocks);
});
