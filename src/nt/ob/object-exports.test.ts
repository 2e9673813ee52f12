import { describe, expect, it } from 'vitest';
import { GuestCode } from '../../../test/guest-code.ts';
import { makeDevice } from '../../../test/test-device.ts';
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { OBJECT_ATTRIBUTES } from '../structures/io.ts';

const accessEvent = 0x1f_0003;

/** Logs the major function and completes with success. */
const dispatch = `
  dispatch: enter
    mov rax, [rdx+0b8h]
    movzx ebx, byte ptr [rax]
    log rbx
    mov dword ptr [rdx+30h], 0
    mov qword ptr [rdx+38h], 0
    call IofCompleteRequest(rdx, 0)
    xor eax, eax
    leave
  raised: enter
    call KeRaiseIrqlToDpcLevel()
    mov rax, file
    mov rcx, [rax]
    call ObfDereferenceObject(rcx)
    call KeLowerIrql(0)
    leave
  thread: enter
    call KeDelayExecutionThread(0, 0, delay)
    mov eax, 5
    leave`;

const names = ['handle', 'object', 'file', 'device', 'name', 'attributes', 'delay', 'client'];

function exported(code: GuestCode, name: string): Va {
  const va = code.nt.images.kernelExport('ntoskrnl.exe', name);
  if (va === undefined) throw new Error(`${name} is not exported`);
  return code.nt.memory.readVa(va);
}

function attributes(code: GuestCode, name: string, flags: number): Va {
  code.nt.io.drivers.writeString(code.at('name'), name);
  OBJECT_ATTRIBUTES.ObjectName.set(code.nt.memory, code.at('attributes'), code.at('name'));
  OBJECT_ATTRIBUTES.Attributes.set(code.nt.memory, code.at('attributes'), flags);
  return code.at('attributes');
}

const handleIn = (code: GuestCode): number => code.nt.memory.readI64AsNumber(code.at('handle'));

describe('references by handle', () => {
  const setUp = (): { code: GuestCode; reference: (type: Va, access?: number, mode?: number) => number } => {
    const code = new GuestCode(dispatch, names);
    expect(code.call('ZwCreateEvent', code.at('handle'), 1, 0, 1, 1)).toBe(0);
    const reference = (type: Va, access = 0, mode = 0): number =>
      code.call('ObReferenceObjectByHandle', handleIn(code), access, type, mode, code.at('object'), 0) >>> 0;
    return { code, reference };
  };

  it('gives the body, which lives as long as it is referenced', () => {
    const { code, reference } = setUp();
    expect(reference(exported(code, 'ExEventObjectType'))).toBe(0);
    const body = code.nt.memory.readVa(code.at('object'));
    expect(code.call('KeReadStateEvent', body)).toBe(1);
    expect(code.call('ZwClose', handleIn(code))).toBe(0);
    expect(code.nt.objects.get(body)?.pointerCount).toBe(1);
    expect(code.call('ObfDereferenceObject', body)).toBe(0);
    expect(code.nt.objects.get(body)).toBeUndefined();
    expect(() => code.call('ObfDereferenceObject', body)).toThrow('ended');
    expect(code.bugCheck?.[0]).toBe(0x18);
  });

  it('compares types, and access in user mode', () => {
    const { code, reference } = setUp();
    expect(reference(exported(code, 'IoFileObjectType'))).toBe(0xc000_0024);
    expect(code.nt.memory.readVa(code.at('object'))).toBe(nullVa);
    expect(reference(nullVa, accessEvent, 0)).toBe(0);
    expect(reference(nullVa, accessEvent, 1)).toBe(0xc000_0022);
    code.call('ZwClose', handleIn(code));
    expect(reference(nullVa)).toBe(0xc000_0008);
  });

  it('keeps kernel handles from user mode', () => {
    const { code, reference } = setUp();
    code.call('ZwCreateEvent', code.at('handle'), accessEvent, attributes(code, '\\BaseNamedObjects\\a', 0x200), 0, 0);
    expect(handleIn(code)).toBeLessThan(0);
    expect(reference(nullVa, 0, 1)).toBe(0xc000_0008);
    expect(reference(nullVa, 0, 0)).toBe(0);
  });
});

describe('named events', () => {
  it('opens what exists if it may', () => {
    const code = new GuestCode(dispatch, names);
    const create = (flags: number): number =>
      code.call(
        'ZwCreateEvent',
        code.at('handle'),
        accessEvent,
        attributes(code, '\\BaseNamedObjects\\Shared', flags),
        0,
        0,
      ) >>> 0;
    expect(create(0)).toBe(0);
    expect(create(0)).toBe(0xc000_0035);
    expect(create(0x80)).toBe(0x4000_0000);
    const body = code.call('IoCreateNotificationEvent', code.at('name'), code.at('handle')) as Va;
    expect(code.nt.objects.get(body)?.handleCount).toBe(3);
    expect(code.call('ZwSetEvent', handleIn(code), code.at('object'))).toBe(0);
    expect(code.call('KeReadStateEvent', body)).toBe(1);
  });
});

describe('the last reference to a file object', () => {
  function open(): { code: GuestCode; file: Va } {
    const code = new GuestCode(dispatch, names);
    makeDevice(code, { 0: 'dispatch', 2: 'dispatch', 18: 'dispatch' }, { name: '\\Device\\Opened' });
    code.nt.io.drivers.writeString(code.at('name'), '\\Device\\Opened');
    const args = [code.at('name'), 0x8000_0000, code.at('file'), code.at('device')];
    expect(code.call('IoGetDeviceObjectPointer', ...args)).toBe(0);
    return { code, file: code.nt.memory.readVa(code.at('file')) };
  }

  it('tells the driver: cleanup with the handle, close with the reference', () => {
    const { code, file } = open();
    expect(code.logged).toEqual([0, 18]);
    expect(code.nt.objects.get(file)?.pointerCount).toBe(1);
    code.call('ObfDereferenceObject', file);
    expect(code.logged).toEqual([0, 18, 2]);
    expect(code.nt.objects.get(file)).toBeUndefined();
  });

  it('waits for PASSIVE_LEVEL', () => {
    const { code } = open();
    code.start('raised');
    expect(code.run()).toEqual([0, 18]);
    expect(code.nt.io.files.hasDeferred).toBe(true);
    code.call('IopProcessDeferredDeletes');
    expect(code.logged).toEqual([0, 18, 2]);
  });

  it('is not there when no device has the name', () => {
    const code = new GuestCode(dispatch, names);
    code.nt.io.drivers.writeString(code.at('name'), '\\Device\\Nothing');
    const args = [code.at('name'), 0x8000_0000, code.at('file'), code.at('device')];
    expect(code.call('IoGetDeviceObjectPointer', ...args) >>> 0).toBe(0xc000_0034);
  });
});

describe('references to devices and drivers', () => {
  it('keep the memory of a deleted device, and its driver', () => {
    const code = new GuestCode(dispatch, names);
    const { device, driverObject } = makeDevice(code, {}, { name: '\\Device\\Kept' });
    code.call('ObfReferenceObject', device);
    code.call('IoDeleteDevice', device);
    expect(code.nt.io.devices.ofDriver(driverObject)).toEqual([]);
    expect(code.nt.io.devices.get(device)?.isUnlinked).toBe(true);
    expect(code.nt.io.drivers.finishUnload(driverObject)).toBe('unload-deferred');
    code.call('ObfDereferenceObject', device);
    expect(code.nt.io.devices.get(device)).toBeUndefined();
    expect(code.nt.io.drivers.get(driverObject)?.state).toBe('unloaded');
  });
});

describe('system threads', () => {
  it('ends when its routine returns; its object is signalled and goes with the last reference', () => {
    const code = new GuestCode(dispatch, names);
    code.nt.memory.writeU64(code.at('delay'), BigInt.asUintN(64, -10_000n));
    const args = [code.at('handle'), 0x1f_ffff, 0, 0, code.at('client'), code.at('thread'), 0];
    expect(code.call('PsCreateSystemThread', ...args)).toBe(0);
    const type = exported(code, 'PsThreadType');
    code.call('ObReferenceObjectByHandle', handleIn(code), 0, type, 0, code.at('object'), 0);
    const thread = code.nt.memory.readVa(code.at('object'));
    expect(code.nt.memory.readU64(vaAdd(code.at('client'), 8))).toBe(BigInt(code.call('PsGetThreadId', thread)));
    expect(code.call('PsIsSystemThread', thread)).toBe(1);
    expect(code.call('ZwClose', handleIn(code))).toBe(0);
    expect(code.call('KeWaitForSingleObject', thread, 0, 0, 0, 0)).toBe(0);
    expect(code.nt.scheduler.thread(thread).state).toBe('terminated');
    code.call('ObfDereferenceObject', thread);
    expect(code.nt.scheduler.findThread(thread)).toBeUndefined();
  });

  it('are refused when memory for stacks is used up', () => {
    const code = new GuestCode(dispatch, names);
    code.nt.memory.writeU64(code.at('delay'), BigInt.asUintN(64, -10_000n));
    const args = [code.at('handle'), 0x1f_ffff, 0, 0, 0, code.at('thread'), 0];
    const statuses = new Set<number>();
    for (let count = 0; count < 1500 && statuses.size < 2; count++) {
      statuses.add(code.call('PsCreateSystemThread', ...args) >>> 0);
    }
    expect([...statuses]).toEqual([0, 0xc000_009a]);
  });

  it('is ended by itself only, and not in a process that asks', () => {
    const code = new GuestCode(dispatch, names);
    const { scheduler, entries } = code.nt;
    scheduler.start(scheduler.requester, entries.routineVa('PsTerminateSystemThread'), [0]);
    code.run();
    expect(scheduler.thread(scheduler.requester).result >>> 0).toBe(0xc000_000d);
  });
});
