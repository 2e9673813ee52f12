import { describe, expect, it } from 'vitest';
import { Stores } from '../../base/store.ts';
import {
  STATUS_CANNOT_DELETE,
  STATUS_CHILD_MUST_BE_VOLATILE,
  STATUS_INVALID_PARAMETER,
  STATUS_KEY_DELETED,
  STATUS_OBJECT_NAME_COLLISION,
  STATUS_OBJECT_NAME_NOT_FOUND,
  STATUS_REGISTRY_QUOTA_LIMIT,
  STATUS_SUCCESS,
} from '../ntstatus.ts';
import { addService, fillRegistry } from './initial-content.ts';
import { type RegistryKey, RegistryTree, RegType } from './registry-tree.ts';

function filled(): { tree: RegistryTree; time: { now: bigint }; stores: Stores } {
  const time = { now: 1n };
  const stores = new Stores();
  const tree = new RegistryTree(stores, () => time.now);
  fillRegistry(tree);
  return { tree, time, stores };
}

function keyAt(tree: RegistryTree, path: string): RegistryKey {
  const { key } = tree.find(tree.root, path);
  if (key === undefined) throw new Error(`no key ${path}`);
  return key;
}

const software = (tree: RegistryTree): RegistryKey => keyAt(tree, 'Machine\\Software');
const created = (tree: RegistryTree, parent: string, name: string, isVolatile = false): RegistryKey => {
  const { key } = tree.createKey(keyAt(tree, parent), name, { isVolatile });
  if (key === undefined) throw new Error(`${name} was not created`);
  return key;
};

describe('paths', () => {
  const { tree } = filled();

  it('are found whatever their case, and shown as they were created', () => {
    expect(tree.pathOf(keyAt(tree, 'machine\\SOFTWARE\\microsoft\\windows nt'))).toBe(
      '\\REGISTRY\\MACHINE\\SOFTWARE\\Microsoft\\Windows NT',
    );
  });

  it('skip separators that are doubled or last', () => {
    expect(keyAt(tree, 'Machine\\\\System\\').name).toBe('SYSTEM');
  });

  it('follow the link of the current control set', () => {
    const path = 'Machine\\System\\CurrentControlSet';
    expect(tree.pathOf(keyAt(tree, `${path}\\Services`))).toBe('\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Services');
    expect(keyAt(tree, path).name).toBe('ControlSet001');
    expect(tree.find(tree.root, path, true).key?.name).toBe('CurrentControlSet');
  });

  it('say where a key is missing', () => {
    const last = tree.find(tree.root, 'Machine\\Software\\Missing');
    expect(last).toMatchObject({ status: STATUS_OBJECT_NAME_NOT_FOUND, missing: { name: 'Missing' } });
    const inside = tree.find(tree.root, 'Machine\\Missing\\Last');
    expect(inside).toEqual({ status: STATUS_OBJECT_NAME_NOT_FOUND });
    expect(tree.find(tree.root, 'x'.repeat(257)).status).toBe(STATUS_INVALID_PARAMETER);
  });

  it('end when links lead in a circle', () => {
    const { tree: other } = filled();
    const loop = created(other, 'Machine\\Software', 'Loop');
    const target = new Uint8Array(
      Uint16Array.from('\\REGISTRY\\MACHINE\\SOFTWARE\\Loop', (unit) => unit.charCodeAt(0)).buffer,
    );
    other.setValue(loop, 'SymbolicLinkValue', RegType.Link, target);
    expect(other.find(other.root, 'Machine\\Software\\Loop\\x').status).toBe(STATUS_OBJECT_NAME_NOT_FOUND);
  });
});

describe('keys', () => {
  it('stand in the order of their names, volatile ones last', () => {
    const { tree } = filled();
    created(tree, 'Machine\\Software', 'Top');
    created(tree, 'Machine\\Software\\Top', 'b');
    created(tree, 'Machine\\Software\\Top', 'A', true);
    created(tree, 'Machine\\Software\\Top', 'C');
    created(tree, 'Machine\\Software\\Top', 'a1');
    const top = keyAt(tree, 'Machine\\Software\\Top');
    expect(tree.subkeys(top).map(({ name }) => name)).toEqual(['a1', 'b', 'C', 'A']);
  });

  it('are created once, and below volatile keys as volatile ones', () => {
    const { tree } = filled();
    expect(tree.createKey(software(tree), 'MICROSOFT').status).toBe(STATUS_OBJECT_NAME_COLLISION);
    const volatileKey = created(tree, 'Machine\\Software', 'V', true);
    expect(tree.createKey(volatileKey, 'x').status).toBe(STATUS_CHILD_MUST_BE_VOLATILE);
    expect(tree.createKey(volatileKey, 'x', { isVolatile: true }).status).toBe(STATUS_SUCCESS);
  });

  it('are deleted when they have no subkeys', () => {
    const { tree } = filled();
    const outer = created(tree, 'Machine\\Software', 'Outer');
    const inner = created(tree, 'Machine\\Software\\Outer', 'Inner');
    expect(tree.deleteKey(keyAt(tree, 'Machine\\Software\\Outer'))).toBe(STATUS_CANNOT_DELETE);
    expect(tree.deleteKey(inner)).toBe(STATUS_SUCCESS);
    expect(tree.key(inner.id)).toBeUndefined();
    expect(tree.setValue(inner, 'x', RegType.Sz, new Uint8Array(2))).toBe(STATUS_KEY_DELETED);
    expect(tree.deleteKey(keyAt(tree, 'Machine\\Software\\Outer'))).toBe(STATUS_SUCCESS);
    expect(tree.find(software(tree), 'Outer').status).toBe(STATUS_OBJECT_NAME_NOT_FOUND);
    expect(created(tree, 'Machine\\Software', 'Outer').id).not.toBe(outer.id);
    expect(tree.deleteKey(created(tree, 'Machine\\Software', 'Empty'))).toBe(STATUS_SUCCESS);
    for (const path of ['', 'User', 'Machine\\Hardware']) {
      expect(tree.deleteKey(keyAt(tree, path))).toBe(STATUS_CANNOT_DELETE);
    }
  });

  it('remember when they or their values last changed', () => {
    const { tree, time } = filled();
    created(tree, 'Machine\\Software', 'K');
    time.now = 5n;
    created(tree, 'Machine\\Software\\K', 'Sub');
    expect(keyAt(tree, 'Machine\\Software\\K').lastWriteTime).toBe(5n);
    expect(software(tree).lastWriteTime).toBe(1n);
    time.now = 6n;
    tree.setValue(keyAt(tree, 'Machine\\Software\\K\\Sub'), 'v', RegType.Binary, new Uint8Array(1));
    expect(keyAt(tree, 'Machine\\Software\\K\\Sub').lastWriteTime).toBe(6n);
    expect(keyAt(tree, 'Machine\\Software\\K').lastWriteTime).toBe(5n);
  });

  it('and values end at the quota', () => {
    const { tree } = filled();
    const key = created(tree, 'Machine\\Software', 'Big');
    expect(tree.setValue(key, 'a', RegType.Binary, new Uint8Array(0x300_0000))).toBe(STATUS_SUCCESS);
    expect(tree.setValue(key, 'b', RegType.Binary, new Uint8Array(0x300_0000))).toBe(STATUS_REGISTRY_QUOTA_LIMIT);
    expect(tree.setValue(key, 'a', RegType.Binary, new Uint8Array(1))).toBe(STATUS_SUCCESS);
    expect(tree.setValue(key, 'b', RegType.Binary, new Uint8Array(0x300_0000))).toBe(STATUS_SUCCESS);
    expect(tree.deleteKey(keyAt(tree, 'Machine\\Software\\Big'))).toBe(STATUS_SUCCESS);
    const again = created(tree, 'Machine\\Software', 'Again');
    expect(tree.setValue(again, 'a', RegType.Binary, new Uint8Array(0x3ff_0000))).toBe(STATUS_SUCCESS);
  });

  it('come back with a snapshot', () => {
    const { tree, stores } = filled();
    const snapshot = stores.snapshot();
    created(tree, 'Machine\\Software', 'Later');
    stores.restore(snapshot);
    expect(tree.find(software(tree), 'Later').status).toBe(STATUS_OBJECT_NAME_NOT_FOUND);
    expect(created(tree, 'Machine\\Software', 'Later').name).toBe('Later');
  });
});

describe('values', () => {
  it('keep their place and the case of their name when they are set again', () => {
    const { tree } = filled();
    const key = created(tree, 'Machine\\Software', 'K');
    for (const [name, byte] of [
      ['First', 1],
      ['second', 2],
      ['FIRST', 3],
    ] as const) {
      expect(tree.setValue(key, name, RegType.Binary, Uint8Array.of(byte))).toBe(STATUS_SUCCESS);
    }
    const now = keyAt(tree, 'Machine\\Software\\K');
    expect(now.values.map(({ name, data }) => [name, ...data])).toEqual([
      ['First', 3],
      ['second', 2],
    ]);
    expect(tree.deleteValue(now, 'SECOND')).toBe(STATUS_SUCCESS);
    expect(tree.deleteValue(keyAt(tree, 'Machine\\Software\\K'), 'second')).toBe(STATUS_OBJECT_NAME_NOT_FOUND);
  });
});

it('a service has the values of a driver that is started on demand', () => {
  const { tree } = filled();
  addService(tree, 'leaky', 'leaky.sys');
  addService(tree, 'LEAKY', 'other.sys');
  const service = keyAt(tree, 'Machine\\System\\CurrentControlSet\\Services\\leaky');
  const shown = service.values.map(({ name, type, data }) => [name, type, new TextDecoder('utf-16le').decode(data)]);
  expect(shown).toEqual([
    ['Type', RegType.Dword, '\u0001\0'],
    ['Start', RegType.Dword, '\u0003\0'],
    ['ErrorControl', RegType.Dword, '\u0001\0'],
    ['ImagePath', RegType.ExpandSz, '\\SystemRoot\\System32\\drivers\\leaky.sys\0'],
    ['DisplayName', RegType.Sz, 'leaky\0'],
  ]);
  expect(tree.subkeys(service).map(({ name, values }) => [name, values])).toEqual([['Parameters', []]]);
});
