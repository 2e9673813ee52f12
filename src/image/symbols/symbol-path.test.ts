import { describe, expect, it } from 'vitest';
import { compressedName, parseSymbolPath, storeFolders, storeIdentity } from './symbol-path.ts';

const local = (path: string) => ({ kind: 'local', path });
const microsoft = 'https://msdl.microsoft.com/download/symbols';

describe('parseSymbolPath', () => {
  it.each([
    ['', []],
    [' ; ;', []],
    ['/dir1;/dir2', [local('/dir1'), local('/dir2')]],
    ['C:\\symbols', [local('C:\\symbols')]],
    [`srv*C:\\store*${microsoft}/`, [{ kind: 'store', folders: ['C:\\store'], servers: [microsoft] }]],
    ['SRV*/dir', [{ kind: 'store', folders: ['/dir'], servers: [] }]],
    [`srv*${microsoft}`, [{ kind: 'store', folders: [], servers: [microsoft] }]],
    ['srv**/dir*', [{ kind: 'store', folders: ['/dir'], servers: [] }]],
    ['srv*', []],
    ['symsrv*symsrv.dll*/a*\\\\host\\share', [{ kind: 'store', folders: ['/a', '\\\\host\\share'], servers: [] }]],
    ['cache*/dir', [{ kind: 'cache', path: '/dir' }]],
    ['cache*', []],
    [
      `cache*/c;srv*HTTP://one/;/dir`,
      [{ kind: 'cache', path: '/c' }, { kind: 'store', folders: [], servers: ['HTTP://one'] }, local('/dir')],
    ],
    ['/odd*name', [local('/odd*name')]],
  ])('%s', (text, places) => expect(parseSymbolPath(text)).toEqual(places));
});

it('stores have a folder for each build', () => {
  expect(storeIdentity({ guid: '0123abcd-4567-89AB-cdef-0123456789ab', age: 26 })).toBe(
    '0123ABCD456789ABCDEF0123456789AB1A',
  );
  expect(storeFolders('leaky.pdb', 'X1')).toEqual([
    ['leaky.pdb', 'X1'],
    ['le', 'leaky.pdb', 'X1'],
  ]);
  expect(compressedName('leaky.pdb')).toBe('leaky.pd_');
});
