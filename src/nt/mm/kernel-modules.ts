/**
 * The kernel's own modules as images in guest memory: headers, an export table that drivers and debuggers can walk,
 * one slot of host code for each routine and each of its resume points, and the exported data.
 */
import { assert } from '../../base/errors.ts';
import { type Va, vaAdd, vaToU64 } from '../../base/va.ts';
import { Access, pageSize } from '../../engine/memory/layout.ts';
import { AddressMap, hostSlotBytes } from '../address-map.ts';
import type { DataDeclaration, KernelComponent, KernelModuleName, Routine } from '../declare/nt-routine.ts';
import type { Nt } from '../nt.ts';

interface ModulePlan {
  readonly module: KernelModuleName;
  readonly name: string;
  readonly routines: [string, Routine, boolean][];
  readonly data: [string, DataDeclaration, boolean][];
}

const headerBytes = pageSize;
const int3 = 0xcc;

export function buildKernelModules(nt: Nt, components: readonly KernelComponent[]): void {
  let base = AddressMap.kernelModules as Va;
  for (const { module, name } of [
    { module: 'ntoskrnl.exe', name: 'nt' },
    { module: 'hal.dll', name: 'hal' },
  ] as const) {
    base = buildModule(nt, planOf(module, name, components), base);
  }
  assert(base <= AddressMap.thunks, 'the kernel modules do not fit below the thunks');
}

function planOf(module: KernelModuleName, name: string, components: readonly KernelComponent[]): ModulePlan {
  const plan: ModulePlan = { module, name, routines: [], data: [] };
  for (const component of components) {
    if (component.module !== module) continue;
    for (const [routineName, routine] of Object.entries(component.routines)) {
      plan.routines.push([routineName, routine, component.isExported]);
    }
    for (const [dataName, data] of Object.entries(component.data)) {
      plan.data.push([dataName, data, component.isExported]);
    }
  }
  return plan;
}

/** Builds one module at `base`; returns the first page behind it. */
function buildModule(nt: Nt, plan: ModulePlan, base: Va): Va {
  const exported: [string, number][] = [];
  const internal: [string, number][] = [];
  let rva = headerBytes;
  for (const [name, routine, isExported] of plan.routines) {
    const parameters = Object.entries(routine.params);
    const va = vaAdd(base, rva);
    const entry = { kind: 'routine', name, module: plan.module, routine, parameters, va, hooks: [] } as const;
    nt.entries.add({ ...entry, hooks: [] });
    const added = nt.entries.routine(name);
    assert(added?.va === entry.va, `routine ${name} is declared twice`);
    if (isExported) exported.push([name, rva]);
    rva += hostSlotBytes;
    for (const [point, go] of Object.entries(routine.resume ?? {})) {
      nt.entries.add({ kind: 'resume', routine: added, point, go, va: vaAdd(base, rva) });
      rva += hostSlotBytes;
    }
  }
  const codeEnd = alignPage(rva);
  rva = codeEnd;
  const dataAt: [DataDeclaration, Va][] = [];
  for (const [name, data, isExported] of plan.data) {
    rva = Math.ceil(rva / hostSlotBytes) * hostSlotBytes;
    (isExported ? exported : internal).push([name, rva]);
    dataAt.push([data, vaAdd(base, rva)]);
    rva += data.sizeBytes;
  }
  const dataEnd = alignPage(rva);
  const exportTable = buildExportTable(plan.module, exported, dataEnd);
  const sizeBytes = alignPage(dataEnd + exportTable.length);
  mapFilled(nt, base, headerBytes, peHeaders(base, sizeBytes, codeEnd, dataEnd, exportTable.length), Access.Read);
  mapFilled(nt, vaAdd(base, headerBytes), codeEnd - headerBytes, undefined, Access.Read | Access.Execute);
  mapFilled(nt, vaAdd(base, codeEnd), dataEnd - codeEnd, new Uint8Array(0), Access.Read | Access.Write);
  mapFilled(nt, vaAdd(base, dataEnd), sizeBytes - dataEnd, exportTable, Access.Read);
  nt.images.addKernelModule(plan.module, plan.name, base, sizeBytes, exported, internal);
  nt.images.onceBooted(() => {
    for (const [data, va] of dataAt) data.initialise(nt, va);
  });
  return vaAdd(base, sizeBytes);
}

/** Maps pages with the given contents, zeros behind them; without contents, INT3. */
function mapFilled(nt: Nt, va: Va, sizeBytes: number, contents: Uint8Array | undefined, flags: number): void {
  for (let offset = 0; offset < sizeBytes; offset += pageSize) {
    const frame = nt.memory.allocateFrame();
    assert(frame !== undefined, 'the kernel fits into RAM');
    const bytes = nt.memory.frameBytes(frame);
    bytes.fill(contents ? 0 : int3);
    if (contents) bytes.set(contents.subarray(offset, offset + pageSize));
    nt.memory.mapPage(vaAdd(va, offset), frame, flags);
  }
}

/** IMAGE_EXPORT_DIRECTORY with its tables, names ascending as the binary search of a loader needs them. */
function buildExportTable(module: string, exported: readonly [string, number][], tableRva: number): Uint8Array {
  const sorted = exported.slice().sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  const namesOffset = 40 + sorted.length * 10;
  const text = [module, ...sorted.map(([name]) => name)];
  const table = new Uint8Array(namesOffset + text.reduce((sum, name) => sum + name.length + 1, 0));
  const view = new DataView(table.buffer);
  const functions = 40;
  const names = functions + sorted.length * 4;
  const ordinals = names + sorted.length * 4;
  let at = namesOffset;
  const nameRvas = text.map((name) => {
    const rva = tableRva + at;
    for (let index = 0; index < name.length; index++) table[at + index] = name.charCodeAt(index);
    at += name.length + 1;
    return rva;
  });
  view.setUint32(12, nameRvas[0] as number, true);
  view.setUint32(16, 1, true);
  view.setUint32(20, sorted.length, true);
  view.setUint32(24, sorted.length, true);
  view.setUint32(28, tableRva + functions, true);
  view.setUint32(32, tableRva + names, true);
  view.setUint32(36, tableRva + ordinals, true);
  for (const [index, [, rva]] of sorted.entries()) {
    view.setUint32(functions + index * 4, rva, true);
    view.setUint32(names + index * 4, nameRvas[index + 1] as number, true);
    view.setUint16(ordinals + index * 2, index, true);
  }
  return table;
}

/** DOS and PE32+ headers with three sections: .text, .data, .edata. */
function peHeaders(base: Va, sizeBytes: number, codeEnd: number, dataEnd: number, exportBytes: number): Uint8Array {
  const header = new Uint8Array(headerBytes);
  const view = new DataView(header.buffer);
  const pe = 0x80;
  const optional = pe + 24;
  view.setUint16(0, 0x5a4d, true);
  view.setUint32(0x3c, pe, true);
  view.setUint32(pe, 0x4550, true);
  view.setUint16(pe + 4, 0x8664, true);
  view.setUint16(pe + 6, 3, true);
  view.setUint16(pe + 20, 240, true);
  view.setUint16(pe + 22, 0x22, true);
  view.setUint16(optional, 0x20b, true);
  view.setBigUint64(optional + 24, vaToU64(base), true);
  view.setUint32(optional + 32, pageSize, true);
  view.setUint32(optional + 36, pageSize, true);
  view.setUint16(optional + 40, 10, true);
  view.setUint16(optional + 48, 10, true);
  view.setUint32(optional + 56, sizeBytes, true);
  view.setUint32(optional + 60, headerBytes, true);
  view.setUint16(optional + 68, 1, true);
  view.setUint32(optional + 108, 16, true);
  view.setUint32(optional + 112, dataEnd, true);
  view.setUint32(optional + 116, exportBytes, true);
  const sections: [string, number, number, number][] = [
    ['.text', headerBytes, codeEnd, 0x6000_0020],
    ['.data', codeEnd, dataEnd, 0xc000_0040],
    ['.edata', dataEnd, sizeBytes, 0x4000_0040],
  ];
  for (const [index, [name, start, end, characteristics]] of sections.entries()) {
    const at = optional + 240 + index * 40;
    for (let letter = 0; letter < name.length; letter++) header[at + letter] = name.charCodeAt(letter);
    view.setUint32(at + 8, end - start, true);
    view.setUint32(at + 12, start, true);
    view.setUint32(at + 36, characteristics, true);
  }
  return header;
}

function alignPage(value: number): number {
  return Math.ceil(value / pageSize) * pageSize;
}
