import { describe, expect, it } from 'vitest';
import { GuestCode } from '../../../test/guest-code.ts';
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import {
  STATUS_BUFFER_TOO_SMALL,
  STATUS_INVALID_HANDLE,
  STATUS_INVALID_PARAMETER,
  STATUS_OBJECT_NAME_NOT_FOUND,
  STATUS_OBJECT_TYPE_MISMATCH,
  STATUS_SUCCESS,
  STATUS_UNSUCCESSFUL,
} from '../ntstatus.ts';
import { setString } from '../rtl/counted-strings.ts';
import { readUnicodeString, readWideZ, writeWide } from '../rtl/guest-text.ts';
import { RTL_QUERY_REGISTRY_TABLE } from '../structures/registry.ts';
import { STRING } from '../structures/strings.ts';
import { wideText } from './initial-content.ts';
import { QueryFlag as Flag } from './query-entry.ts';
import { type RegistryKey, RegType } from './registry-tree.ts';

/** Logs type, length, the first words of name and data, and both contexts; answers what `status` holds. */
const routine = `
  routine: enter
    mov rbx, r8
    mov rdi, rcx
    log rdx
    log r9
    test rdi, rdi
    je unnamed
    mov eax, [rdi]
    log rax
  unnamed:
    test rbx, rbx
    je without
    mov eax, [rbx]
    log rax
  without:
    mov rax, [rsp+70h]
    log rax
    mov rax, [rsp+78h]
    log rax
    mov rax, status
    mov eax, [rax]
    leave`;

const units = (text: string): number => text.charCodeAt(0) + (text.charCodeAt(1) || 0) * 0x1_0000;

interface Entry {
  readonly routine?: boolean;
  readonly flags?: number;
  readonly name?: string;
  readonly context?: number;
  readonly defaultType?: number;
  readonly defaultData?: Va;
  readonly defaultLength?: number;
}

class Query {
  readonly code = new GuestCode(routine, [
    'table',
    'name0',
    'name1',
    'name2',
    'name3',
    'out',
    'status',
    'path',
    'data',
  ]);
  readonly key: RegistryKey;

  constructor() {
    const { tree } = this.code.nt.registry;
    const software = tree.find(tree.root, 'Machine\\Software').key as RegistryKey;
    const { key } = tree.createKey(software, 'Query');
    this.key = key as RegistryKey;
  }

  get out(): Va {
    return this.code.at('out');
  }

  get values(): readonly string[] {
    return this.code.nt.registry.tree.key(this.key.id)?.values.map(({ name }) => name) ?? [];
  }

  set(name: string, type: number, data: Uint8Array): void {
    expect(this.code.nt.registry.tree.setValue(this.key, name, type, data)).toBe(STATUS_SUCCESS);
  }

  run(...entries: readonly Entry[]): number {
    const { memory } = this.code.nt;
    for (const [index, entry] of entries.entries()) {
      const at = vaAdd(this.code.at('table'), index * RTL_QUERY_REGISTRY_TABLE.sizeBytes);
      const name = entry.name === undefined ? nullVa : this.code.at(`name${index}`);
      if (entry.name !== undefined) writeWide(memory, name, `${entry.name}\0`);
      RTL_QUERY_REGISTRY_TABLE.QueryRoutine.set(memory, at, entry.routine === true ? this.code.at('routine') : nullVa);
      RTL_QUERY_REGISTRY_TABLE.Flags.set(memory, at, entry.flags ?? 0);
      RTL_QUERY_REGISTRY_TABLE.Name.set(memory, at, name);
      RTL_QUERY_REGISTRY_TABLE.EntryContext.set(memory, at, (entry.context ?? 0) as Va);
      RTL_QUERY_REGISTRY_TABLE.DefaultType.set(memory, at, entry.defaultType ?? 0);
      RTL_QUERY_REGISTRY_TABLE.DefaultData.set(memory, at, entry.defaultData ?? nullVa);
      RTL_QUERY_REGISTRY_TABLE.DefaultLength.set(memory, at, entry.defaultLength ?? 0);
    }
    const end = vaAdd(this.code.at('table'), entries.length * RTL_QUERY_REGISTRY_TABLE.sizeBytes);
    memory.fill(end, 0x20, 0);
    return this.query('\\Registry\\Machine\\Software\\Query');
  }

  query(path: string): number {
    writeWide(this.code.nt.memory, this.code.at('path'), `${path}\0`);
    return this.code.call('RtlQueryRegistryValues', 0, this.code.at('path'), this.code.at('table'), 0xc0, 0) >>> 0;
  }

  /** A value stored straight to `out`. */
  direct(name: string, type: number, more: Entry = {}): number {
    const flags = Flag.Direct | Flag.NoExpand | Flag.TypeCheck | (more.flags ?? 0);
    const defaultType = ((type << 24) | (more.defaultType ?? 0)) >>> 0;
    return this.run({ context: this.out, ...more, name, flags, defaultType });
  }
}

describe("the driver's routine", () => {
  it('gets a named value', () => {
    const query = new Query();
    query.set('Number', RegType.Dword, Uint8Array.of(1, 2, 3, 4));
    expect(query.run({ routine: true, name: 'NUMBER', context: 0xec })).toBe(STATUS_SUCCESS);
    expect(query.code.logged).toEqual([RegType.Dword, 4, units('Nu'), 0x0403_0201, 0xc0, 0xec]);
  });

  it('gets every value when none is named, and they are deleted if asked', () => {
    const query = new Query();
    expect(query.run({ routine: true })).toBe(STATUS_SUCCESS);
    expect(query.run({ routine: true, flags: Flag.Required })).toBe(STATUS_OBJECT_NAME_NOT_FOUND);
    expect(query.code.logged).toEqual([]);
    query.set('aa', RegType.Binary, Uint8Array.of(1, 0, 0, 0));
    query.set('bb', RegType.Binary, Uint8Array.of(2, 0, 0, 0));
    expect(query.run({ routine: true, flags: Flag.Delete | Flag.Required })).toBe(STATUS_SUCCESS);
    const each = [units('aa'), units('bb')].map((name, index) => [RegType.Binary, 4, name, index + 1, 0xc0, 0]);
    expect(query.code.logged).toEqual(each.flat());
    expect(query.values).toEqual([]);
  });

  it('is called without a value for NOVALUE', () => {
    const query = new Query();
    query.set('aa', RegType.Binary, Uint8Array.of(1));
    expect(query.run({ routine: true, flags: Flag.NoValue, context: 7 })).toBe(STATUS_SUCCESS);
    expect(query.code.logged).toEqual([0, 0, 0xc0, 7]);
  });

  it('gets the strings of a list one by one, or all with NOEXPAND', () => {
    const query = new Query();
    query.set('List', RegType.MultiSz, wideText('one\0three\0'));
    expect(query.run({ routine: true, name: 'List' })).toBe(STATUS_SUCCESS);
    const one = [RegType.Sz, 8, units('Li'), units('on'), 0xc0, 0];
    const three = [RegType.Sz, 12, units('Li'), units('th'), 0xc0, 0];
    expect(query.code.logged).toEqual([...one, ...three]);
    expect(query.run({ routine: true, name: 'List', flags: Flag.NoExpand })).toBe(STATUS_SUCCESS);
    expect(query.code.logged.slice(12)).toEqual([RegType.MultiSz, 22, units('Li'), units('on'), 0xc0, 0]);
  });

  it('ends the query with an error, other than that its buffer was too small', () => {
    const query = new Query();
    query.set('a', RegType.MultiSz, wideText('x\0y\0'));
    query.set('b', RegType.Binary, Uint8Array.of(1, 0, 0, 0));
    query.code.nt.memory.writeU32(query.code.at('status'), STATUS_BUFFER_TOO_SMALL);
    expect(query.run({ routine: true })).toBe(STATUS_SUCCESS);
    expect(query.code.logged).toHaveLength(18);
    query.code.nt.memory.writeU32(query.code.at('status'), STATUS_UNSUCCESSFUL);
    expect(query.run({ routine: true, flags: Flag.Delete })).toBe(STATUS_UNSUCCESSFUL);
    expect(query.code.logged).toHaveLength(24);
    expect(query.values).toEqual(['a', 'b']);
  });

  it('gets the default for what is missing', () => {
    const query = new Query();
    const data = query.code.at('data');
    writeWide(query.code.nt.memory, data, 'dflt\0');
    const missing = { routine: true, name: 'Missing' };
    expect(query.run(missing)).toBe(STATUS_SUCCESS);
    expect(query.code.logged).toEqual([]);
    expect(query.run({ ...missing, flags: Flag.Required })).toBe(STATUS_OBJECT_NAME_NOT_FOUND);
    expect(query.run({ ...missing, defaultType: RegType.Sz, defaultData: data })).toBe(STATUS_SUCCESS);
    expect(query.run({ ...missing, defaultType: RegType.Binary, defaultData: data, defaultLength: 6 })).toBe(0);
    const rest = [units('Mi'), units('df'), 0xc0, 0];
    expect(query.code.logged).toEqual([RegType.Sz, 10, ...rest, RegType.Binary, 6, ...rest]);
  });
});

describe('keys of a table', () => {
  it('are entered and left', () => {
    const query = new Query();
    const { tree } = query.code.nt.registry;
    const { key } = tree.createKey(query.key, 'Sub');
    tree.setValue(key as RegistryKey, 'in', RegType.Dword, Uint8Array.of(9, 0, 0, 0));
    query.set('in', RegType.Dword, Uint8Array.of(1, 0, 0, 0));
    const status = query.run(
      { flags: Flag.Subkey, name: 'Sub' },
      { routine: true, name: 'in' },
      { routine: true, flags: Flag.TopKey, name: 'in' },
      { routine: true, flags: Flag.Subkey, name: 'Sub' },
    );
    expect(status).toBe(STATUS_SUCCESS);
    expect(query.code.logged.filter((_, index) => index % 6 === 3)).toEqual([9, 1, 9]);
    expect(query.run({ flags: Flag.Subkey, name: 'None' })).toBe(STATUS_OBJECT_NAME_NOT_FOUND);
    expect(query.run({ flags: Flag.Subkey })).toBe(STATUS_INVALID_PARAMETER);
  });

  it('must be there', () => {
    expect(new Query().query('\\Registry\\Machine\\Software\\None')).toBe(STATUS_OBJECT_NAME_NOT_FOUND);
  });
});

describe('DIRECT', () => {
  it('stores small values as they are', () => {
    const query = new Query();
    query.set('Number', RegType.Dword, Uint8Array.of(4, 3, 2, 1));
    expect(query.direct('Number', RegType.Dword)).toBe(STATUS_SUCCESS);
    expect(query.code.nt.memory.readU32(query.out)).toBe(0x0102_0304);
    expect(query.direct('Number', RegType.Sz)).toBe(STATUS_OBJECT_TYPE_MISMATCH);
    expect(query.direct('Number', RegType.Dword, { routine: true })).toBe(STATUS_INVALID_PARAMETER);
    expect(query.direct('Number', RegType.Dword, { flags: Flag.Subkey })).toBe(STATUS_INVALID_PARAMETER);
    expect(query.direct('Number', RegType.Dword, { flags: Flag.Delete })).toBe(STATUS_SUCCESS);
    expect(query.values).toEqual([]);
    query.code.nt.memory.writeU32(query.code.at('data'), 77);
    const fallback = { defaultType: RegType.Dword, defaultData: query.code.at('data'), defaultLength: 4 };
    expect(query.direct('Number', RegType.Dword, fallback)).toBe(STATUS_SUCCESS);
    expect(query.code.nt.memory.readU32(query.out)).toBe(77);
  });

  it('stores larger ones where the length says that there is room', () => {
    const query = new Query();
    const { memory } = query.code.nt;
    query.set('Long', RegType.Binary, Uint8Array.of(1, 2, 3, 4, 5, 6));
    const withRoom = (room: number): number => {
      memory.fill(query.out, 0x20, 0xee);
      memory.writeU32(query.out, room >>> 0);
      return query.direct('Long', RegType.Binary);
    };
    expect(withRoom(-5)).toBe(STATUS_BUFFER_TOO_SMALL);
    expect(withRoom(-6)).toBe(STATUS_SUCCESS);
    expect([...memory.readBytes(query.out, 7)]).toEqual([1, 2, 3, 4, 5, 6, 0xee]);
    expect(withRoom(13)).toBe(STATUS_BUFFER_TOO_SMALL);
    expect(withRoom(14)).toBe(STATUS_SUCCESS);
    expect([...memory.readBytes(query.out, 15)]).toEqual([6, 0, 0, 0, 3, 0, 0, 0, 1, 2, 3, 4, 5, 6, 0xee]);
  });

  it('stores strings into their buffer, or into one that it allocates for the driver to free', () => {
    const query = new Query();
    const { memory, pool } = query.code.nt;
    query.set('Text', RegType.Sz, wideText('text'));
    setString(memory, query.out, 0, 9, query.code.at('data'));
    expect(query.direct('Text', RegType.Sz)).toBe(STATUS_BUFFER_TOO_SMALL);
    setString(memory, query.out, 0, 10, query.code.at('data'));
    expect(query.direct('Text', RegType.Sz)).toBe(STATUS_SUCCESS);
    expect([readUnicodeString(memory, query.out), STRING.MaximumLength.get(memory, query.out)]).toEqual(['text', 10]);
    setString(memory, query.out, 0, 0, nullVa);
    expect(query.direct('Text', RegType.Sz)).toBe(STATUS_SUCCESS);
    expect(readUnicodeString(memory, query.out)).toBe('text');
    expect([...pool.driverBlocks()]).toMatchObject([{ bytes: 10, family: 'string' }]);
    query.code.call('RtlFreeUnicodeString', query.out);
    expect([...pool.driverBlocks()]).toEqual([]);
  });

  it('without TYPECHECK stops the machine when the hive is a user’s', () => {
    const query = new Query();
    query.set('Number', RegType.Dword, Uint8Array.of(4, 3, 2, 1));
    expect(query.run({ name: 'Number', flags: Flag.Direct, context: query.out })).toBe(STATUS_SUCCESS);
    expect(() => query.query('\\Registry\\User\\.Default')).toThrow('ended');
    expect(query.code.bugCheck?.slice(0, 2)).toEqual([0x139, 9]);
  });
});

describe('environment variables', () => {
  it('are replaced by those of the environment that is given', () => {
    const query = new Query();
    const { nt } = query.code;
    query.set('Path', RegType.ExpandSz, wideText('%Dir%\\%none%\\x'));
    const environment = query.code.at('data');
    writeWide(nt.memory, environment, '=C:=C:\\\0DIR=C:\\W\0\0');
    setString(nt.memory, query.out, 0, 0, nullVa);
    query.run({ name: 'Path', flags: Flag.Direct, context: query.out });
    expect(readUnicodeString(nt.memory, query.out)).toBe('%Dir%\\%none%\\x');
    setString(nt.memory, query.out, 0, 0, nullVa);
    const table = query.code.at('table');
    query.code.call('RtlQueryRegistryValues', 0, query.code.at('path'), table, 0, environment);
    expect(readUnicodeString(nt.memory, query.out)).toBe('C:\\W\\%none%\\x');
  });
});

describe('values by path', () => {
  const code = new GuestCode(routine, ['path', 'name', 'data', 'handle', 'status']);
  const { nt } = code;
  const text = (at: string, value: string): Va => {
    writeWide(nt.memory, code.at(at), `${value}\0`);
    return code.at(at);
  };
  const services = 1;
  const write = (relativeTo: number, path: Va, name: string): number =>
    code.call('RtlWriteRegistryValue', relativeTo, path, text('name', name), RegType.Sz, text('data', 'v'), 4) >>> 0;

  it('are written, with the key, and deleted', () => {
    expect(code.call('RtlCheckRegistryKey', services, text('path', 'New')) >>> 0).toBe(STATUS_OBJECT_NAME_NOT_FOUND);
    expect(write(services, text('path', 'New'), 'Value')).toBe(STATUS_SUCCESS);
    expect(code.call('RtlCheckRegistryKey', services, text('path', 'New'))).toBe(STATUS_SUCCESS);
    const { key } = nt.registry.findAbsolute('\\Registry\\Machine\\System\\ControlSet001\\Services\\New');
    expect(key?.values).toEqual([{ name: 'Value', type: RegType.Sz, data: wideText('v') }]);
    const remove = (): number =>
      code.call('RtlDeleteRegistryValue', services, code.at('path'), text('name', 'VALUE')) >>> 0;
    expect(remove()).toBe(STATUS_SUCCESS);
    expect(remove()).toBe(STATUS_OBJECT_NAME_NOT_FOUND);
  });

  it('are written below the device map, with the key', () => {
    expect(write(4, text('path', 'KeyboardClass'), 'Value')).toBe(STATUS_SUCCESS);
    expect(nt.registry.findAbsolute('\\Registry\\Machine\\Hardware\\DeviceMap\\KeyboardClass').key).toBeDefined();
  });

  it.each([
    [0, '\\Registry\\Machine\\Hardware\\DeviceMap', STATUS_SUCCESS],
    [2, 'Session Manager', STATUS_SUCCESS],
    [0x8000_0002, 'Nothing', STATUS_OBJECT_NAME_NOT_FOUND],
    [3, '', STATUS_SUCCESS],
    [4, '', STATUS_SUCCESS],
    [5, 'Software', STATUS_SUCCESS],
    [6, '', STATUS_INVALID_PARAMETER],
  ])('relative to %i: %s', (relativeTo, path, status) => {
    expect(code.call('RtlCheckRegistryKey', relativeTo, text('path', path)) >>> 0).toBe(status);
  });

  it('take a handle', () => {
    expect(code.call('RtlCreateRegistryKey', 0, text('path', '\\Registry\\Machine\\Software\\ByHandle'))).toBe(0);
    const { key } = nt.registry.findAbsolute(readWideZ(nt.memory, code.at('path')));
    expect(write(0x4000_0000, 0x7ff0 as Va, 'x')).toBe(STATUS_INVALID_HANDLE);
    expect(key?.name).toBe('ByHandle');
  });
});
