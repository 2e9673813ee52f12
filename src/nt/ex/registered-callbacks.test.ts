/** Routines that drivers register: what is refused, who holds what, and how it is given back. */
import { beforeEach, describe, expect, it } from 'vitest';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { buildPe } from '../../../test/pe-builder.ts';
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { parsePe } from '../../image/pe/index.ts';
import { OB_CALLBACK_REGISTRATION, OB_OPERATION_REGISTRATION } from '../structures/callbacks.ts';

const invalidParameter = 0xc000_000d;
const accessDenied = 0xc000_0022;
const procedureNotFound = 0xc000_007a;
const notFound = 0xc000_0225;
/** In files of the builder. */
const optionalHeader = 0x80 + 24;

let kernel: KernelCaller;
let routine: Va;
let block: Va;
beforeEach(() => {
  kernel = new KernelCaller();
  routine = vaAdd(kernel.image.base, 0x1000);
  block = kernel.nt.pool.allocateKernel(0x100, 'Test');
  kernel.nt.memory.fill(block, 0x100, 0);
});

const call = (name: string, ...args: number[]): number => kernel.call(name, ...args);
const status = (name: string, ...args: number[]): number => call(name, ...args) >>> 0;

describe('reasons of a bug check', () => {
  it('are registered once in a record, for the driver, until they are taken back', () => {
    expect(call('KeRegisterBugCheckReasonCallback', block, routine, 1, nullVa)).toBe(1);
    expect(call('KeRegisterBugCheckReasonCallback', block, routine, 1, nullVa)).toBe(0);
    expect([...kernel.nt.callbacks.of('bug-check-reason')]).toMatchObject([
      { routine, subject: block, imageIndex: kernel.image.index },
    ]);
    expect(call('KeDeregisterBugCheckReasonCallback', block)).toBe(1);
    expect(call('KeDeregisterBugCheckReasonCallback', block)).toBe(0);
    expect(call('KeRegisterBugCheckReasonCallback', block, routine, 1, nullVa)).toBe(1);
  });
});

describe('ends of logon sessions', () => {
  it('are heard of by a routine until it is taken back', () => {
    expect(status('SeRegisterLogonSessionTerminatedRoutine', routine)).toBe(0);
    expect([...kernel.nt.callbacks.of('logon-session')]).toMatchObject([{ routine, imageIndex: kernel.image.index }]);
    expect(status('SeUnregisterLogonSessionTerminatedRoutine', routine)).toBe(0);
    expect(status('SeUnregisterLogonSessionTerminatedRoutine', routine)).toBe(notFound);
  });
});

describe('processes and images', () => {
  it('are not shown to drivers that were linked without /INTEGRITYCHECK', () => {
    expect(status('PsSetCreateProcessNotifyRoutineEx2', 0, routine, 0)).toBe(accessDenied);
    expect(status('PsSetCreateProcessNotifyRoutineEx2', 1, routine, 0)).toBe(invalidParameter);
    expect(status('PsSetCreateProcessNotifyRoutineEx2', 0, routine, 1)).toBe(procedureNotFound);
  });

  it('have a routine once', () => {
    expect(status('PsSetLoadImageNotifyRoutineEx', routine, 2)).toBe(invalidParameter);
    expect(status('PsSetLoadImageNotifyRoutineEx', routine, 1)).toBe(0);
    expect(status('PsSetLoadImageNotifyRoutineEx', routine, 0)).toBe(invalidParameter);
    expect([...kernel.nt.callbacks.of('image')]).toMatchObject([{ routine, imageIndex: kernel.image.index }]);
    expect(status('PsRemoveLoadImageNotifyRoutine', routine)).toBe(0);
    expect([...kernel.nt.callbacks.of('image')]).toEqual([]);
  });
});

describe('filters of handles', () => {
  const registration = (version: number, count: number, operations: number, pre: Va): number => {
    const { memory } = kernel.nt;
    const at = vaAdd(block, 0x40);
    OB_CALLBACK_REGISTRATION.Version.set(memory, block, version);
    OB_CALLBACK_REGISTRATION.OperationRegistrationCount.set(memory, block, count);
    OB_CALLBACK_REGISTRATION.OperationRegistration.set(memory, block, at);
    OB_OPERATION_REGISTRATION.Operations.set(memory, at, operations);
    OB_OPERATION_REGISTRATION.PreOperation.set(memory, at, pre);
    return status('ObRegisterCallbacks', block, vaAdd(block, 0x80));
  };

  it('are well formed, and of drivers that were linked with /INTEGRITYCHECK', () => {
    const version = call('ObGetFilterVersion');
    expect(version).toBe(0x100);
    expect(registration(0x200, 1, 3, routine)).toBe(invalidParameter);
    expect(registration(version, 0, 3, routine)).toBe(invalidParameter);
    expect(registration(version, 1, 0, routine)).toBe(invalidParameter);
    expect(registration(version, 1, 3, nullVa)).toBe(invalidParameter);
    expect(registration(version, 1, 3, routine)).toBe(accessDenied);
    expect([...kernel.nt.callbacks.of('object')]).toEqual([]);
    expect(kernel.outcome('ObUnRegisterCallbacks', block)).toMatchObject({ action: 'unsupported' });
  });

  it('are held from registration to its end', () => {
    const { bytes } = buildPe();
    // IMAGE_DLLCHARACTERISTICS_FORCE_INTEGRITY
    bytes[optionalHeader + 70] = 0x80;
    routine = vaAdd(kernel.nt.images.load(parsePe(bytes, 'checked.sys'), 'checked.sys').base, 0x1000);
    expect(registration(0x100, 1, 3, routine)).toBe(0);
    expect([...kernel.nt.callbacks.of('object')]).toMatchObject([{ routine, imageIndex: kernel.image.index }]);
    // The altitude is taken.
    expect(registration(0x100, 1, 3, routine)).toBe(0xc01c_0011);
    call('ObUnRegisterCallbacks', kernel.nt.memory.readVa(vaAdd(block, 0x80)));
    expect([...kernel.nt.callbacks.of('object')]).toEqual([]);
    expect(registration(0x100, 1, 3, routine)).toBe(0);
  });
});

it('CmGetCallbackVersion answers what it is asked', () => {
  const { memory } = kernel.nt;
  call('CmGetCallbackVersion', block, vaAdd(block, 4));
  expect([memory.readU32(block), memory.readU32(vaAdd(block, 4))]).toEqual([1, 0]);
  call('CmGetCallbackVersion', nullVa, nullVa);
});

describe('providers of events', () => {
  const invalidHandle = 0xc000_0008;
  const writes = ['EtwWriteEx', 'EtwWriteTransfer', 'EtwWriteString', 'EtwSetInformation'];

  it.each(writes)('%s is for those that are registered', (name) => {
    expect(status('EtwRegister', block, nullVa, nullVa, vaAdd(block, 0x20))).toBe(0);
    const handle = kernel.nt.memory.readVa(vaAdd(block, 0x20));
    expect(status(name, handle, 0, nullVa, nullVa)).toBe(0);
    expect(status('EtwUnregister', handle)).toBe(0);
    expect(status(name, handle, 0, nullVa, nullVa)).toBe(invalidHandle);
  });

  it('make new activities', () => {
    const id = (): string => [...kernel.nt.memory.readBytes(block, 16)].join();
    expect(status('EtwActivityIdControl', 3, block)).toBe(0);
    const first = id();
    expect(status('EtwActivityIdControl', 3, block)).toBe(0);
    expect(id()).not.toBe(first);
    expect([0, 6].map((code) => status('EtwActivityIdControl', code, block))).toEqual([
      invalidParameter,
      invalidParameter,
    ]);
  });
});
