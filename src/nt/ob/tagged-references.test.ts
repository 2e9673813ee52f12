/** The forms with a tag, those that delete later, type objects, and temporary objects. */
import { beforeEach, describe, expect, it } from 'vitest';
import { GuestCode } from '../../../test/guest-code.ts';
import { nullVa, type Va, vaAdd } from '../../base/va.ts';

const typeMismatch = 0xc000_0024;
const tag = 0x7473_6554;

let code: GuestCode;
let event: Va;
beforeEach(() => {
  code = new GuestCode('nothing: enter\n leave', ['name', 'handle', 'object']);
  code.nt.io.drivers.writeString(code.at('name'), '\\BaseNamedObjects\\Poolproof');
  event = code.call('IoCreateNotificationEvent', code.at('name'), code.at('handle')) as Va;
});

const status = (routine: string, ...args: number[]): number => code.call(routine, ...args) >>> 0;
const count = (): number | undefined => code.nt.objects.get(event)?.pointerCount;
const handle = (): number => code.nt.memory.readI64AsNumber(code.at('handle'));

function exported(name: string): Va {
  return code.nt.memory.readVa(code.nt.images.kernelExport('ntoskrnl.exe', name) as Va);
}

describe('references with a tag', () => {
  it('count as those without one do', () => {
    const args = [0, exported('ExEventObjectType'), 0] as const;
    expect(
      status(
        'ObReferenceObjectByHandleWithTag',
        handle(),
        ...args,
        tag,
        code.at('object'),
        vaAdd(code.at('object'), 8),
      ),
    ).toBe(0);
    expect(code.nt.memory.readVa(code.at('object'))).toBe(event);
    expect(code.nt.memory.readU32(vaAdd(code.at('object'), 12))).toBe(0x1f_0003);
    expect(count()).toBe(2);
    expect(status('ObReferenceObjectByPointerWithTag', event, ...args, tag)).toBe(0);
    expect(code.call('ObfReferenceObjectWithTag', event, tag)).toBe(4);
    expect(code.call('ObfDereferenceObjectWithTag', event, tag)).toBe(3);
    code.call('ObDereferenceObjectDeferDeleteWithTag', event, tag);
    code.call('ObDereferenceObjectDeferDelete', event);
    expect(count()).toBe(1);
  });

  it('are not given for another type', () => {
    const type = exported('IoDeviceObjectType');
    const byHandle = status('ObReferenceObjectByHandleWithTag', handle(), 0, type, 0, tag, code.at('object'), 0);
    expect(byHandle).toBe(typeMismatch);
    expect(code.nt.memory.readVa(code.at('object'))).toBe(nullVa);
    expect(status('ObReferenceObjectByPointerWithTag', event, 0, type, 0, tag)).toBe(typeMismatch);
    expect(status('ObReferenceObjectByPointerWithTag', event, 0, nullVa, 1, tag)).toBe(typeMismatch);
    expect(count()).toBe(1);
  });

  it.each(['ObfDereferenceObjectWithTag', 'ObDereferenceObjectDeferDelete'])('%s deletes with the last one', (name) => {
    code.call('ObfReferenceObject', event);
    code.call('ZwClose', handle());
    code.call(name, event, tag);
    expect(code.nt.objects.get(event)).toBeUndefined();
  });
});

it('every exported type is an object of its own', () => {
  const names = [
    'ExEventObjectType',
    'ExSemaphoreObjectType',
    'IoFileObjectType',
    'IoDeviceObjectType',
    'IoDriverObjectType',
    'PsThreadType',
    'PsProcessType',
    'MmSectionObjectType',
    'SeTokenObjectType',
    'CmKeyObjectType',
    'TmTransactionObjectType',
  ];
  expect(new Set(names.map(exported)).size).toBe(names.length);
  expect(code.call('ObGetObjectType', event)).toBe(exported('ExEventObjectType'));
  const process = exported('PsInitialSystemProcess');
  expect(code.call('ObGetObjectType', process)).toBe(exported('PsProcessType'));
  expect(code.call('ObGetObjectType', code.nt.scheduler.systemThread)).toBe(exported('PsThreadType'));
});

it.each(['ZwMakeTemporaryObject', 'ObMakeTemporaryObject'])('%s of a temporary object changes nothing', (name) => {
  const before = count();
  code.call(name, name.startsWith('Zw') ? handle() : event);
  expect(count()).toBe(before);
  expect(code.call('IoCreateNotificationEvent', code.at('name'), vaAdd(code.at('handle'), 8))).toBe(event);
});

it('ZwMakeTemporaryObject knows its handles', () => {
  expect(status('ZwMakeTemporaryObject', 0x7ffc)).toBe(0xc000_0008);
});
