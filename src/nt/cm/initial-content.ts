/** What the registry holds when the machine starts, and the keys that a driver's installation makes. */

import { utf16OfText } from '../rtl/guest-text.ts';
import { playedWindows } from '../rtl/version.ts';
import { type RegistryKey, type RegistryTree, RegType } from './registry-tree.ts';

const controlSet = 'ControlSet001';
const servicesPath = `\\MACHINE\\SYSTEM\\${controlSet}\\Services`;

/** A null-terminated string as values hold it. */
export function wideText(text: string): Uint8Array {
  return utf16OfText(`${text}\0`);
}

function dword(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

/** The hives. Those of MACHINE are system hives; what lies under USER belongs to users. */
export function fillRegistry(tree: RegistryTree): void {
  const machine = tree.addKey(tree.root, 'MACHINE', { isVolatile: true });
  const user = tree.addKey(tree.root, 'USER', { isVolatile: true });
  // This hive is in no file, yet takes keys that are not volatile: class drivers write below DEVICEMAP by path.
  addKeys(tree, tree.addKey(machine, 'HARDWARE'), ['DESCRIPTION', 'DEVICEMAP', 'RESOURCEMAP']);
  for (const name of ['.DEFAULT', 'S-1-5-18']) addKeys(tree, tree.addKey(user, name), ['Environment', 'Software']);
  fillSystem(tree, tree.addKey(machine, 'SYSTEM'));
  fillSoftware(tree, tree.addKey(machine, 'SOFTWARE'));
}

function fillSystem(tree: RegistryTree, system: RegistryKey): void {
  const set = tree.addKey(system, controlSet);
  addKeys(tree, set, ['Control', 'Control\\Class', 'Control\\Session Manager', 'Enum', 'Services']);
  const select = tree.addKey(system, 'Select');
  for (const [name, value] of Object.entries({ Current: 1, Default: 1, Failed: 0, LastKnownGood: 1 })) {
    tree.setValue(select, name, RegType.Dword, dword(value));
  }
  const link = tree.addKey(system, 'CurrentControlSet', { isVolatile: true });
  const target = `\\REGISTRY\\MACHINE\\SYSTEM\\${controlSet}`;
  // The target of a link has no terminator.
  tree.setValue(link, 'SymbolicLinkValue', RegType.Link, utf16OfText(target));
}

function fillSoftware(tree: RegistryTree, software: RegistryKey): void {
  const version = addKeys(tree, software, [
    'Microsoft',
    'Microsoft\\Windows NT',
    'Microsoft\\Windows NT\\CurrentVersion',
  ]);
  const build = String(playedWindows.buildNumber);
  const texts = { CurrentVersion: '6.3', CurrentBuild: build, CurrentBuildNumber: build, SystemRoot: 'C:\\Windows' };
  for (const [name, text] of Object.entries(texts)) tree.setValue(version, name, RegType.Sz, wideText(text));
  tree.setValue(version, 'CurrentMajorVersionNumber', RegType.Dword, dword(playedWindows.majorVersion));
  tree.setValue(version, 'CurrentMinorVersionNumber', RegType.Dword, dword(playedWindows.minorVersion));
}

/** Keys by path, parents first; the last one. */
function addKeys(tree: RegistryTree, under: RegistryKey, paths: readonly string[]): RegistryKey {
  let last = under;
  for (const path of paths) {
    const { missing } = tree.find(under, path);
    if (missing !== undefined) last = tree.addKey(missing.parent, missing.name);
  }
  return last;
}

/** The key of a driver that is started on demand, as its installation leaves it, with an empty `Parameters`. */
export function addService(tree: RegistryTree, name: string, fileName: string): void {
  const { missing } = tree.find(tree.root, `${servicesPath}\\${name}`);
  if (missing === undefined) return;
  const service = tree.addKey(missing.parent, missing.name);
  // SERVICE_KERNEL_DRIVER, SERVICE_DEMAND_START, SERVICE_ERROR_NORMAL
  tree.setValue(service, 'Type', RegType.Dword, dword(1));
  tree.setValue(service, 'Start', RegType.Dword, dword(3));
  tree.setValue(service, 'ErrorControl', RegType.Dword, dword(1));
  tree.setValue(service, 'ImagePath', RegType.ExpandSz, wideText(`\\SystemRoot\\System32\\drivers\\${fileName}`));
  tree.setValue(service, 'DisplayName', RegType.Sz, wideText(name));
  tree.addKey(service, 'Parameters');
}
