import { beforeEach, describe, expect, it } from 'vitest';
import { GuestCode } from '../../../test/guest-code.ts';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { nullVa, type Va } from '../../base/va.ts';
import { kernelHolder } from '../mm/holder.ts';
import { TARGET_DEVICE_CUSTOM_NOTIFICATION } from '../structures/pnp.ts';

const invalidParameter = 0xc000_000d;
const invalidDeviceRequest = 0xc000_0010;
const pending = 0x103;
/** GUID_TARGET_DEVICE_QUERY_REMOVE */
const queryRemove = [0x06, 0x40, 0x3a, 0xcb, 0xf0, 0x46, 0xd0, 0x11, 0xb0, 0x8f, 0x00, 0x60, 0x97, 0x13, 0x05, 0x3f];

describe('registrations', () => {
  let kernel: KernelCaller;
  let driver: Va;
  let block: Va;

  beforeEach(() => {
    kernel = new KernelCaller();
    driver = kernel.nt.io.drivers.create(kernel.image, 'caller').driverObject;
    block = kernel.nt.pool.allocateKernel(0x40, 'Test');
  });

  const register = (category: number, data: number): number =>
    kernel.call('IoRegisterPlugPlayNotification', category, 0, data, driver, 0x1000, 0, block) >>> 0;
  const references = (): number => kernel.nt.objects.get(driver)?.pointerCount ?? 0;

  it.each(['IoUnregisterPlugPlayNotification', 'IoUnregisterPlugPlayNotificationEx'])(
    'hold the driver until %s, which goes once',
    (unregister) => {
      const before = references();
      expect(register(2, block)).toBe(0);
      const entry = kernel.nt.memory.readVa(block);
      expect(references()).toBe(before + 1);
      expect(kernel.call(unregister, entry)).toBe(0);
      expect(references()).toBe(before);
      expect(kernel.bugCheck(unregister, entry)).toMatchObject({ code: 0x139 });
    },
  );

  it.each([
    [0, 1],
    [1, 1],
    [2, 0],
    [3, 0],
    [4, 1],
  ])('of category %i with data %i do not exist', (category, hasData) => {
    expect(register(category, hasData === 1 ? block : nullVa)).toBe(invalidParameter);
    expect([...kernel.nt.io.notifications.all()]).toEqual([]);
  });
});

describe.each(['IoReportTargetDeviceChange', 'IoReportTargetDeviceChangeAsynchronous'])('%s', (report) => {
  const layout = TARGET_DEVICE_CUSTOM_NOTIFICATION;
  const isAsynchronous = report.endsWith('ous');
  let code: GuestCode;
  let pdo: Va;

  beforeEach(() => {
    code = new GuestCode(
      `
      over: enter
        log rcx
        leave`,
      ['event'],
    );
    pdo = code.nt.io.pnp.create([]);
    code.nt.memory.writeU16(code.at('event'), 1);
    code.nt.memory.writeU16((code.at('event') + 2) as Va, layout.sizeBytes);
  });

  const reports = (device = pdo): number => code.call(report, device, code.at('event'), code.at('over'), 0x77) >>> 0;

  it('tells that all were told', () => {
    expect(reports()).toBe(isAsynchronous ? pending : 0);
    expect(code.run()).toEqual(isAsynchronous ? [0x77] : []);
  });

  it('reports no events of the system', () => {
    code.nt.memory.writeBytes((code.at('event') + 4) as Va, Uint8Array.from(queryRemove));
    expect(reports()).toBe(invalidDeviceRequest);
    expect(code.run()).toEqual([]);
  });

  it('takes neither a file nor a structure that is too short', () => {
    layout.FileObject.set(code.nt.memory, code.at('event'), pdo);
    expect(reports()).toBe(invalidParameter);
    layout.FileObject.set(code.nt.memory, code.at('event'), nullVa);
    code.nt.memory.writeU16((code.at('event') + 2) as Va, 0x10);
    expect(reports()).toBe(invalidParameter);
  });

  it('stops Windows for a device that is no PDO', () => {
    try {
      reports(code.at('event'));
    } catch {
      // The call does not come back.
    }
    expect(code.bugCheck?.[0]).toBe(0xca);
  });
});

describe('the removal of a device', () => {
  const [query, cancelled, complete] = [0x06, 0x07, 0x08];
  let code: GuestCode;
  let pdo: Va;

  /** Each logs the first byte of the event, and its own number. */
  const source = ['agrees', 'refuses']
    .map(
      (name) => `
      ${name}: enter
        mov rbx, rdx
        movzx rax, byte ptr [rcx+4]
        log rax
        log rbx
        mov eax, ${name === 'agrees' ? '0' : '0xc0000001'}
        leave`,
    )
    .join('')
    .concat(`
      leaves: enter
        mov rbx, rdx
        mov rax, entry
        mov rcx, [rax]
        call IoUnregisterPlugPlayNotification(rcx)
        log rbx
        xor eax, eax
        leave`);

  const register = (routine: string, number: number): Va =>
    code.nt.io.notifications.register({
      ...kernelHolder,
      category: 'target',
      guid: '',
      pdo,
      file: nullVa,
      driverObject,
      routine: code.at(routine),
      context: BigInt(number),
    });
  let driverObject: Va;
  const tell = (event: number): number => code.call('PnpNotifyTargetDeviceChange', event - query, pdo) >>> 0;

  beforeEach(() => {
    code = new GuestCode(source, ['entry']);
    pdo = code.nt.io.pnp.create([]);
    const image = code.nt.images.byIndex(1);
    if (image === undefined) throw new Error('the kernel has an image');
    driverObject = code.nt.io.drivers.create(image, 'caller').driverObject;
  });

  it('that one refuses is taken back with those who were asked, and with nobody else', () => {
    for (const [index, routine] of ['agrees', 'refuses', 'agrees'].entries()) register(routine, index + 1);
    expect(tell(query)).toBe(0xc000_0001);
    expect(code.logged).toEqual([query, 1, query, 2]);
    expect(tell(cancelled)).toBe(0);
    expect(code.logged.slice(4)).toEqual([cancelled, 1, cancelled, 2]);
    tell(cancelled);
    expect(code.logged).toHaveLength(8);
    tell(complete);
    expect(code.logged.slice(8)).toEqual([complete, 1, complete, 2, complete, 3]);
  });

  it('that all agree to is taken back with all who are still registered', () => {
    const first = register('agrees', 1);
    register('agrees', 2);
    expect(tell(query)).toBe(0);
    register('agrees', 3);
    code.nt.io.notifications.unregister(first);
    tell(cancelled);
    expect(code.logged.slice(4)).toEqual([cancelled, 2]);
  });

  it('may end the registration of whoever hears of it', () => {
    code.nt.memory.writeVa(code.at('entry'), register('leaves', 1));
    register('agrees', 2);
    expect(tell(query)).toBe(0);
    expect(code.logged).toEqual([1, query, 2]);
    expect([...code.nt.io.notifications.all()]).toHaveLength(1);
    tell(complete);
    expect(code.logged.slice(3)).toEqual([complete, 2]);
  });
});
