import { describe, expect, it } from 'vitest';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import {
  STATUS_BUFFER_OVERFLOW,
  STATUS_BUFFER_TOO_SMALL,
  STATUS_CANNOT_DELETE,
  STATUS_FLT_INSTANCE_ALTITUDE_COLLISION,
  STATUS_INVALID_HANDLE,
  STATUS_INVALID_PARAMETER,
  STATUS_KEY_DELETED,
  STATUS_NO_MORE_ENTRIES,
  STATUS_OBJECT_NAME_INVALID,
  STATUS_OBJECT_NAME_NOT_FOUND,
  STATUS_OBJECT_PATH_NOT_FOUND,
  STATUS_OBJECT_PATH_SYNTAX_BAD,
  STATUS_OBJECT_TYPE_MISMATCH,
  STATUS_SUCCESS,
} from '../ntstatus.ts';
import { utf16OfText } from '../rtl/guest-text.ts';
import { OBJECT_ATTRIBUTES } from '../structures/io.ts';
import { UNICODE_STRING } from '../structures/strings.ts';
import { RegType } from './registry-tree.ts';

const services = '\\Registry\\Machine\\System\\CurrentControlSet\\Services';
const keyRead = 0x2_0019;

/** A driver that calls the services, with memory for what they take. */
class Caller extends KernelCaller {
  readonly name = this.nt.pool.allocateKernel(0x10, 'Test');
  readonly attributes = this.nt.pool.allocateKernel(0x30, 'Test');
  readonly handleAt = this.nt.pool.allocateKernel(8, 'Test');
  readonly buffer = this.nt.pool.allocateKernel(0x400, 'Test');
  readonly length = this.nt.pool.allocateKernel(4, 'Test');

  string(text: string): Va {
    this.nt.io.drivers.writeString(this.name, text);
    return this.name;
  }

  attributesOf(name: string, root = 0, flags = 0x240): Va {
    OBJECT_ATTRIBUTES.Length.set(this.nt.memory, this.attributes, 0x30);
    OBJECT_ATTRIBUTES.RootDirectory.set(this.nt.memory, this.attributes, root as Va);
    OBJECT_ATTRIBUTES.ObjectName.set(this.nt.memory, this.attributes, this.string(name));
    OBJECT_ATTRIBUTES.Attributes.set(this.nt.memory, this.attributes, flags);
    return this.attributes;
  }

  open(name: string, root = 0): number {
    return this.call('ZwOpenKey', this.handleAt, keyRead, this.attributesOf(name, root));
  }

  create(name: string, root = 0, options = 0, className?: string): number {
    const at = this.attributesOf(name, root);
    const classAt = this.nt.pool.allocateKernel(0x10, 'Test');
    if (className !== undefined) this.nt.io.drivers.writeString(classAt, className);
    const args = [keyRead, at, 0, className === undefined ? 0 : classAt, options, this.length];
    return this.call('ZwCreateKey', this.handleAt, ...args);
  }

  get handle(): number {
    return this.nt.memory.readI64AsNumber(this.handleAt);
  }

  get told(): number {
    return this.nt.memory.readU32(this.length);
  }

  set(handle: number, name: string, type: number, data: Uint8Array): number {
    this.nt.memory.writeBytes(this.buffer, data);
    return this.call('ZwSetValueKey', handle, this.string(name), 0, type, this.buffer, data.length);
  }

  query(handle: number, name: string, infoClass: number, length: number): number {
    this.nt.memory.fill(this.buffer, 0x400, 0xee);
    return this.call('ZwQueryValueKey', handle, this.string(name), infoClass, this.buffer, length, this.length);
  }

  words(count: number): number[] {
    return Array.from({ length: count }, (_, index) => this.nt.memory.readU32(vaAdd(this.buffer, index * 4)));
  }

  text(offset: number, bytes: number): string {
    return new TextDecoder('utf-16le').decode(this.nt.memory.readBytes(vaAdd(this.buffer, offset), bytes));
  }
}

function made(name = 'Made'): { caller: Caller; handle: number } {
  const caller = new Caller();
  expect(caller.create(`\\Registry\\Machine\\Software\\${name}`)).toBe(STATUS_SUCCESS);
  return { caller, handle: caller.handle };
}

describe('opening keys', () => {
  const caller = new Caller();

  it.each([
    [`${services}`, STATUS_SUCCESS],
    ['\\REGISTRY\\machine\\SYSTEM\\controlset001', STATUS_SUCCESS],
    ['\\Registry', STATUS_SUCCESS],
    [`${services}\\Missing`, STATUS_OBJECT_NAME_NOT_FOUND],
    [`${services}\\Missing\\Below`, STATUS_OBJECT_NAME_NOT_FOUND],
    ['Registry\\Machine', STATUS_OBJECT_PATH_SYNTAX_BAD],
    ['', STATUS_OBJECT_PATH_SYNTAX_BAD],
    ['\\NoRegistry', STATUS_OBJECT_NAME_NOT_FOUND],
    ['\\NoRegistry\\Machine', STATUS_OBJECT_PATH_NOT_FOUND],
  ])('%s', (path, status) => {
    expect(caller.open(path)).toBe(status);
  });

  it('refuses attributes that say nothing, and objects of another type', () => {
    expect(caller.call('ZwOpenKey', caller.handleAt, keyRead, 0)).toBe(STATUS_INVALID_PARAMETER);
    const attributes = caller.attributesOf(services);
    UNICODE_STRING.Length.set(caller.nt.memory, caller.name, 11);
    expect(caller.call('ZwOpenKey', caller.handleAt, keyRead, attributes)).toBe(STATUS_OBJECT_NAME_INVALID);
    expect(caller.call('ZwCreateEvent', caller.handleAt, 1, caller.attributesOf('\\BaseNamedObjects\\e'), 0, 0)).toBe(
      0,
    );
    const event = caller.handle;
    expect(caller.open('\\BaseNamedObjects\\e')).toBe(STATUS_OBJECT_TYPE_MISMATCH);
    expect(caller.open('x', event)).toBe(STATUS_OBJECT_TYPE_MISMATCH);
    expect(caller.call('ZwFlushKey', event)).toBe(STATUS_OBJECT_TYPE_MISMATCH);
    expect(caller.call('ZwFlushKey', 0x7ff0)).toBe(STATUS_INVALID_HANDLE);
  });

  it('goes on from a root directory', () => {
    expect(caller.open('\\Registry\\Machine')).toBe(STATUS_SUCCESS);
    const machine = caller.handle;
    expect(machine).toBeLessThan(0);
    expect(caller.open('System\\Select', machine)).toBe(STATUS_SUCCESS);
    expect(caller.query(caller.handle, 'current', 2, 0x40)).toBe(STATUS_SUCCESS);
    expect(caller.words(4)).toEqual([0, RegType.Dword, 4, 1]);
    expect(caller.open('', machine)).toBe(STATUS_SUCCESS);
    expect(caller.open('\\System', machine)).toBe(STATUS_OBJECT_PATH_SYNTAX_BAD);
  });

  it('opens a link itself when asked', () => {
    const link = caller.attributesOf('\\Registry\\Machine\\System\\CurrentControlSet');
    expect(caller.call('ZwOpenKeyEx', caller.handleAt, keyRead, link, 8)).toBe(STATUS_SUCCESS);
    expect(caller.query(caller.handle, 'SymbolicLinkValue', 2, 0x100)).toBe(STATUS_SUCCESS);
    expect(caller.text(12, caller.told - 12)).toBe('\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001');
    expect(caller.call('ZwOpenKeyEx', caller.handleAt, keyRead, link, 1)).toBe(STATUS_INVALID_PARAMETER);
  });
});

describe('key handles', () => {
  it('belong to the driver until they are closed', () => {
    const { caller, handle } = made();
    const entry = caller.nt.objects.handle(handle);
    expect(entry).toMatchObject({ imageIndex: caller.image.index, grantedAccess: keyRead, isKernelHandle: true });
    const body = entry?.body ?? nullVa;
    expect(caller.nt.objects.get(body)).toMatchObject({ type: 'Key', name: '\\REGISTRY\\MACHINE\\SOFTWARE\\Made' });
    expect(caller.call('ZwClose', handle)).toBe(STATUS_SUCCESS);
    expect(caller.nt.objects.get(body)).toBeUndefined();
    expect(caller.call('ZwFlushKey', handle)).toBe(STATUS_INVALID_HANDLE);
  });

  it('outlive the key', () => {
    const { caller, handle } = made();
    expect(caller.create('Sub', handle)).toBe(STATUS_SUCCESS);
    const sub = caller.handle;
    expect(caller.call('ZwDeleteKey', handle)).toBe(STATUS_CANNOT_DELETE);
    expect(caller.call('ZwDeleteKey', sub)).toBe(STATUS_SUCCESS);
    expect(caller.call('ZwDeleteKey', handle)).toBe(STATUS_SUCCESS);
    expect(caller.set(sub, 'x', RegType.Sz, new Uint8Array(2))).toBe(STATUS_KEY_DELETED);
    expect(caller.call('ZwClose', sub)).toBe(STATUS_SUCCESS);
  });
});

describe('ZwCreateKey', () => {
  it('says whether the key is new, and creates one level', () => {
    const { caller, handle } = made();
    expect(caller.told).toBe(1);
    expect(caller.create('\\Registry\\Machine\\Software\\MADE')).toBe(STATUS_SUCCESS);
    expect(caller.told).toBe(2);
    expect(caller.create('a\\b', handle)).toBe(STATUS_OBJECT_NAME_NOT_FOUND);
    expect(caller.create('\\Registry\\Machine\\Hive')).toBe(STATUS_INVALID_PARAMETER);
    expect(caller.create('x', handle, 0x10)).toBe(STATUS_INVALID_PARAMETER);
  });
});

describe('values', () => {
  const { caller, handle } = made();
  const data = utf16OfText('abc\0');
  expect(caller.set(handle, 'Name', RegType.Sz, data)).toBe(STATUS_SUCCESS);
  expect(caller.set(handle, 'Empty\0', RegType.Binary, new Uint8Array(0))).toBe(STATUS_SUCCESS);

  it.each([
    { infoClass: 0, fixed: 12, all: 20, words: [0, 1, 8] },
    { infoClass: 1, fixed: 20, all: 36, words: [0, 1, 28, 8, 8] },
    { infoClass: 2, fixed: 12, all: 20, words: [0, 1, 8] },
    { infoClass: 3, fixed: 20, all: 40, words: [0, 1, 32, 8, 8] },
    { infoClass: 4, fixed: 8, all: 16, words: [1, 8] },
  ])('information class $infoClass: $fixed bytes at least, $all for all', ({ infoClass, fixed, all, words }) => {
    expect(caller.query(handle, 'NAME', infoClass, fixed - 1)).toBe(STATUS_BUFFER_TOO_SMALL);
    expect([caller.told, ...caller.words(1)]).toEqual([all, 0xeeee_eeee]);
    expect(caller.query(handle, 'NAME', infoClass, fixed)).toBe(STATUS_BUFFER_OVERFLOW);
    expect([caller.told, ...caller.words(words.length)]).toEqual([all, ...words]);
    expect(caller.nt.memory.readU8(vaAdd(caller.buffer, fixed))).toBe(0xee);
    expect(caller.query(handle, 'NAME', infoClass, all - 1)).toBe(STATUS_BUFFER_OVERFLOW);
    expect(caller.query(handle, 'NAME', infoClass, all)).toBe(STATUS_SUCCESS);
    expect(caller.words(words.length)).toEqual(words);
    expect(caller.text(all - 8, 8)).toBe(infoClass === 0 ? 'Name' : 'abc\0');
  });

  it('without data, and without themselves', () => {
    expect(caller.query(handle, 'empty', 1, 0x40)).toBe(STATUS_SUCCESS);
    expect(caller.words(5)).toEqual([0, RegType.Binary, 0xffff_ffff, 0, 10]);
    expect(caller.query(handle, 'missing', 1, 0x40)).toBe(STATUS_OBJECT_NAME_NOT_FOUND);
    expect(caller.query(handle, 'name', 5, 0x40)).toBe(STATUS_INVALID_PARAMETER);
  });

  it('are enumerated and deleted', () => {
    const enumerate = (index: number): number =>
      caller.call('ZwEnumerateValueKey', handle, index, 0, caller.buffer, 0x40, caller.length);
    expect(enumerate(1)).toBe(STATUS_SUCCESS);
    expect(caller.text(12, 10)).toBe('Empty');
    expect(enumerate(2)).toBe(STATUS_NO_MORE_ENTRIES);
    expect(caller.call('ZwDeleteValueKey', handle, caller.string('empty'))).toBe(STATUS_SUCCESS);
    expect(caller.call('ZwDeleteValueKey', handle, caller.string('empty'))).toBe(STATUS_OBJECT_NAME_NOT_FOUND);
    expect(enumerate(1)).toBe(STATUS_NO_MORE_ENTRIES);
  });
});

describe('information about keys', () => {
  const { caller, handle } = made('Info');
  caller.create('Sub', handle, 0, 'Class');
  caller.create('Second', handle);
  caller.set(handle, 'value', RegType.Binary, new Uint8Array(7));
  const query = (infoClass: number, length: number): number =>
    caller.call('ZwQueryKey', handle, infoClass, caller.buffer, length, caller.length);

  it('its subkeys by index', () => {
    const enumerate = (index: number, infoClass: number): number =>
      caller.call('ZwEnumerateKey', handle, index, infoClass, caller.buffer, 0x80, caller.length);
    expect(enumerate(0, 0)).toBe(STATUS_SUCCESS);
    expect([caller.told, caller.words(4)[3], caller.text(16, 12)]).toEqual([28, 12, 'Second']);
    expect(enumerate(1, 1)).toBe(STATUS_SUCCESS);
    expect(caller.words(6).slice(2)).toEqual([0, 32, 10, 6]);
    expect([caller.text(24, 6), caller.text(32, 10), caller.told]).toEqual(['Sub', 'Class', 42]);
    expect(enumerate(2, 0)).toBe(STATUS_NO_MORE_ENTRIES);
    expect(enumerate(0, 3)).toBe(STATUS_INVALID_PARAMETER);
  });

  it('counts, sizes, the full name and the time of the last change', () => {
    expect(query(2, 44)).toBe(STATUS_SUCCESS);
    expect(caller.words(11).slice(2)).toEqual([0, 0xffff_ffff, 0, 2, 12, 10, 1, 10, 7]);
    expect(caller.nt.memory.readU64(caller.buffer)).toBe(caller.nt.clock.systemTime);
    expect(query(4, 40)).toBe(STATUS_SUCCESS);
    expect(caller.words(9).slice(2)).toEqual([0, 2, 12, 1, 10, 7, 8]);
    const path = '\\REGISTRY\\MACHINE\\SOFTWARE\\Info';
    expect(query(3, 0)).toBe(STATUS_BUFFER_TOO_SMALL);
    expect(caller.told).toBe(4 + path.length * 2);
    expect(query(3, 4)).toBe(STATUS_BUFFER_OVERFLOW);
    expect(query(3, caller.told)).toBe(STATUS_SUCCESS);
    expect(caller.text(4, path.length * 2)).toBe(path);
    expect(query(10, 0x40)).toBe(STATUS_INVALID_PARAMETER);
    expect(caller.outcome('ZwQueryKey', handle, 9, caller.buffer, 0x40, caller.length)).toMatchObject({
      action: 'unsupported',
    });
  });
});

describe('callbacks', () => {
  it('have altitudes of their own and are taken back by their cookie', () => {
    const caller = new Caller();
    const routine = vaAdd(caller.image.base, 0x1000);
    const add = (altitude: string): number =>
      caller.call('CmRegisterCallbackEx', routine, caller.string(altitude), 0, 0, caller.handleAt, 0);
    expect(add('360000')).toBe(STATUS_SUCCESS);
    const cookie = caller.handle;
    expect(add('360000')).toBe(STATUS_FLT_INSTANCE_ALTITUDE_COLLISION);
    expect(add('360001')).toBe(STATUS_SUCCESS);
    expect(caller.call('CmRegisterCallback', routine, 0, caller.handleAt)).toBe(STATUS_SUCCESS);
    expect([...caller.nt.registry.callbacks.all()]).toHaveLength(3);
    expect(caller.call('CmUnRegisterCallback', cookie)).toBe(STATUS_SUCCESS);
    expect(caller.call('CmUnRegisterCallback', cookie)).toBe(STATUS_INVALID_PARAMETER);
    expect([...caller.nt.registry.callbacks.all()].map(({ altitude }) => altitude)).toEqual(['360001', undefined]);
  });
});
