/**
 * Every structure of src/nt/structures against a C compiler's offsets of mingw-w64's headers: always against those that
 * struct-layouts.tsv keeps, and where the compiler is installed these are made again (after a change of the structures, UPDATE_GOLDEN=1 rewrites the file: run twice).
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const compiler = 'x86_64-w64-mingw32-gcc';
const headers = '/usr/share/mingw-w64/include/ddk';
const folder = 'src/nt/structures';
const table = 'test/struct-layouts.tsv';

interface Layout {
  readonly name: string;
  readonly sizeBytes: number;
  readonly fields: ReadonlyMap<string, { readonly offset: number; readonly size: number }>;
}

/** Structures that the headers do not have. */
const notInHeaders: Readonly<Record<string, string>> = {
  'RtlDispatchException frame': "the kernel's own",
  'RtlUnwindEx frame': "the kernel's own",
  '__C_specific_handler frame': "the kernel's own",
  _EX_RUNDOWN_WAIT_BLOCK: "the executive's own",
  _IO_WORKITEM: "the I/O manager's own",
  _KTRAP_FRAME: 'from the public symbols of the kernel',
  _POOL_HEADER: 'from the public symbols of the kernel',
  'DEVICE_DESCRIPTION, version 3': 'newer than the headers; from the public symbols of the kernel',
  DMA_ADAPTER_INFO: 'newer than the headers; from the public symbols of the kernel',
  DMA_TRANSFER_CONTEXT: 'newer than the headers; from the public symbols of the kernel',
  DMA_TRANSFER_INFO: 'newer than the headers; from the public symbols of the kernel',
};

/** Structures of winnt.h that the kernel's headers lack. */
const inWinnt = ['_DISPATCHER_CONTEXT', '_SCOPE_RECORD', '_IMAGE_RUNTIME_FUNCTION_ENTRY'];

/** C types that are no `struct NAME`. */
const typeNames: Readonly<Record<string, string>> = {
  _SCOPE_RECORD: '__typeof__(((SCOPE_TABLE_AMD64 *)0)->ScopeRecord[0])',
  KUSER_SHARED_DATA: 'KUSER_SHARED_DATA',
};

/** Members under another name, or inside of unions and structures. */
const members: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  _CM_PARTIAL_RESOURCE_DESCRIPTOR: {
    Start: 'u.Generic.Start',
    Length: 'u.Generic.Length',
    Level: 'u.Interrupt.Level',
    Vector: 'u.Interrupt.Vector',
    Affinity: 'u.Interrupt.Affinity',
    MessageCount: 'u.MessageInterrupt.Raw.MessageCount',
    DevicePrivate: 'u.DevicePrivate.Data',
  },
  _CM_RESOURCE_LIST: {
    InterfaceType: 'List[0].InterfaceType',
    BusNumber: 'List[0].BusNumber',
    Version: 'List[0].PartialResourceList.Version',
    Revision: 'List[0].PartialResourceList.Revision',
    DescriptorCount: 'List[0].PartialResourceList.Count',
    Descriptors: 'List[0].PartialResourceList.PartialDescriptors',
  },
  _IO_RESOURCE_DESCRIPTOR: {
    Length: 'u.Memory.Length',
    Alignment: 'u.Memory.Alignment',
    MinimumAddress: 'u.Memory.MinimumAddress',
    MaximumAddress: 'u.Memory.MaximumAddress',
    MinimumVector: 'u.Interrupt.MinimumVector',
    MaximumVector: 'u.Interrupt.MaximumVector',
    DevicePrivate: 'u.DevicePrivate.Data',
  },
  _IO_RESOURCE_REQUIREMENTS_LIST: {
    Version: 'List[0].Version',
    Revision: 'List[0].Revision',
    Count: 'List[0].Count',
    Descriptors: 'List[0].Descriptors',
  },
  _IO_CONNECT_INTERRUPT_PARAMETERS: {
    PhysicalDeviceObject: 'FullySpecified.PhysicalDeviceObject',
    InterruptObject: 'FullySpecified.InterruptObject',
    ServiceRoutine: 'FullySpecified.ServiceRoutine',
    ServiceContext: 'FullySpecified.ServiceContext',
    SpinLock: 'FullySpecified.SpinLock',
    SynchronizeIrql: 'FullySpecified.SynchronizeIrql',
    ShareVector: 'FullySpecified.ShareVector',
    Vector: 'FullySpecified.Vector',
    Irql: 'FullySpecified.Irql',
    FallBackServiceRoutine: 'MessageBased.FallBackServiceRoutine',
    InterruptMode: 'FullySpecified.InterruptMode',
    ProcessorEnableMask: 'FullySpecified.ProcessorEnableMask',
    Group: 'FullySpecified.Group',
  },
  _CONTEXT: { DebugRegisters: 'Dr0', Gpr: 'Rax', Xmm: 'Xmm0' },
  _ERESOURCE: { OwnerThread: 'OwnerEntry.OwnerThread' },
  _IO_REMOVE_LOCK: { Removed: 'Common.Removed', IoCount: 'Common.IoCount', RemoveEvent: 'Common.RemoveEvent' },
  _IO_STACK_LOCATION: {
    Parameter0: 'Parameters.Others.Argument1',
    Parameter1: 'Parameters.Others.Argument2',
    Parameter2: 'Parameters.Others.Argument3',
    Parameter3: 'Parameters.Others.Argument4',
    CreateSecurityContext: 'Parameters.Create.SecurityContext',
    CreateOptions: 'Parameters.Create.Options',
    CreateFileAttributes: 'Parameters.Create.FileAttributes',
    CreateShareAccess: 'Parameters.Create.ShareAccess',
    CreateEaLength: 'Parameters.Create.EaLength',
    ReadWriteLength: 'Parameters.Read.Length',
    ReadWriteKey: 'Parameters.Read.Key',
    ReadWriteByteOffset: 'Parameters.Read.ByteOffset',
    QueryLength: 'Parameters.QueryFile.Length',
    QueryInformationClass: 'Parameters.QueryFile.FileInformationClass',
    DirectoryLength: 'Parameters.QueryDirectory.Length',
    DirectoryFileName: 'Parameters.QueryDirectory.FileName',
    DirectoryInformationClass: 'Parameters.QueryDirectory.FileInformationClass',
    OutputBufferLength: 'Parameters.DeviceIoControl.OutputBufferLength',
    InputBufferLength: 'Parameters.DeviceIoControl.InputBufferLength',
    IoControlCode: 'Parameters.DeviceIoControl.IoControlCode',
    Type3InputBuffer: 'Parameters.DeviceIoControl.Type3InputBuffer',
    RelationType: 'Parameters.QueryDeviceRelations.Type',
    IdType: 'Parameters.QueryId.IdType',
    TextType: 'Parameters.QueryDeviceText.DeviceTextType',
    Capabilities: 'Parameters.DeviceCapabilities.Capabilities',
    PowerType: 'Parameters.Power.Type',
    PowerState: 'Parameters.Power.State',
    WakeState: 'Parameters.WaitWake.PowerState',
    LocaleId: 'Parameters.QueryDeviceText.LocaleId',
    AllocatedResources: 'Parameters.StartDevice.AllocatedResources',
    AllocatedResourcesTranslated: 'Parameters.StartDevice.AllocatedResourcesTranslated',
    InterfaceType: 'Parameters.QueryInterface.InterfaceType',
    InterfaceSize: 'Parameters.QueryInterface.Size',
    InterfaceVersion: 'Parameters.QueryInterface.Version',
    Interface: 'Parameters.QueryInterface.Interface',
    ConfigWhichSpace: 'Parameters.ReadWriteConfig.WhichSpace',
    ConfigBuffer: 'Parameters.ReadWriteConfig.Buffer',
    ConfigOffset: 'Parameters.ReadWriteConfig.Offset',
    ConfigLength: 'Parameters.ReadWriteConfig.Length',
    SystemContext: 'Parameters.Power.SystemContext',
    ShutdownType: 'Parameters.Power.ShutdownType',
  },
  _IRP: {
    SystemBuffer: 'AssociatedIrp.SystemBuffer',
    IrpCount: 'AssociatedIrp.IrpCount',
    Status: 'IoStatus.Status',
    Information: 'IoStatus.Information',
    UserApcRoutine: 'Overlay.AsynchronousParameters.UserApcRoutine',
    UserApcContext: 'Overlay.AsynchronousParameters.UserApcContext',
    DriverContext: 'Tail.Overlay.DriverContext',
    Thread: 'Tail.Overlay.Thread',
    AuxiliaryBuffer: 'Tail.Overlay.AuxiliaryBuffer',
    ListEntry: 'Tail.Overlay.ListEntry',
    CurrentStackLocation: 'Tail.Overlay.CurrentStackLocation',
    OriginalFileObject: 'Tail.Overlay.OriginalFileObject',
  },
  _KLOCK_QUEUE_HANDLE: { Next: 'LockQueue.Next', Lock: 'LockQueue.Lock' },
  KUSER_SHARED_DATA: {
    NtBuildNumber: 'Reserved2[6]',
    InterruptTimeLow: 'InterruptTime.LowPart',
    InterruptTimeHigh1: 'InterruptTime.High1Time',
    InterruptTimeHigh2: 'InterruptTime.High2Time',
    SystemTimeLow: 'SystemTime.LowPart',
    SystemTimeHigh1: 'SystemTime.High1Time',
    SystemTimeHigh2: 'SystemTime.High2Time',
    TickCountLow: 'TickCount.LowPart',
    TickCountHigh: 'TickCount.High1Time',
    TickCountHigh2: 'TickCount.High2Time',
  },
};

/** Where this is right and mingw's headers are not, or the headers end early. `(size)`: the structure's own. */
const differences: Readonly<Record<string, string>> = {
  '_DEVICE_OBJECT.(size)':
    'aligned to 16 on Windows (DECLSPEC_ALIGN(MEMORY_ALLOCATION_ALIGNMENT)); mingw leaves that out',
  '_DEVOBJ_EXTENSION.(size)': "the headers stop behind DeviceObject; the rest is the I/O manager's own",
  '_DEVOBJ_EXTENSION.ExtensionFlags': 'not in the headers; from the public symbols of the kernel',
  '_DEVOBJ_EXTENSION.AttachedTo': 'not in the headers; from the public symbols of the kernel',
  '_DEVICE_CAPABILITIES.Flags': 'bit fields in the headers',
  '_DISPATCHER_HEADER.Reserved1': 'bit fields in the headers',
  'KUSER_SHARED_DATA.NativeProcessorArchitecture': 'newer than the headers, where it is padding',
  'KUSER_SHARED_DATA.(size)': 'the whole page',
  '_DRIVER_EXTENSION.(size)': "the headers stop behind ServiceKeyName; the rest is the I/O manager's own",
  '_KPCR.(size)': 'the headers stop before Prcb; here it is as large as the pages that it gets',
  '_KPCR.PrcbMxCsr': 'in KPRCB, which the headers have no layout of',
  '_KPCR.PrcbNumber': 'in KPRCB, which the headers have no layout of',
  '_KPCR.PrcbCurrentThread': 'in KPRCB, which the headers have no layout of',
  '_KPCR.PrcbNextThread': 'in KPRCB, which the headers have no layout of',
  '_KPCR.PrcbIdleThread': 'in KPRCB, which the headers have no layout of',
};

/** Fields that hold several members, or only a part of one; their sizes are not compared. */
const otherSizes: Readonly<Record<string, string>> = {
  'KUSER_SHARED_DATA.TimeZoneBias': 'LowPart and High1Time as one number',
  '_CONTEXT.DebugRegisters': 'all six registers',
  '_CONTEXT.Gpr': 'all sixteen registers',
  '_CONTEXT.FltSave': 'up to its XMM registers',
  '_CONTEXT.Xmm': 'all sixteen registers',
};

async function declaredLayouts(): Promise<Layout[]> {
  const layouts: Layout[] = [];
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))) {
    const module = (await import(`../${folder}/${file}`)) as Record<string, unknown>;
    for (const value of Object.values(module)) {
      if (typeof value !== 'object' || value === null || !('structName' in value)) continue;
      const { structName, sizeBytes, ...fields } = value as { structName: string; sizeBytes: number } & Record<
        string,
        { offset: number; size: number }
      >;
      layouts.push({ name: structName, sizeBytes, fields: new Map(Object.entries(fields)) });
    }
  }
  return layouts.sort((a, b) => (a.name < b.name ? -1 : 1));
}

interface Place {
  readonly struct: string;
  /** `(size)` for the structure itself. */
  readonly field: string;
}

const keyOf = ({ struct, field }: Place): string => `${struct}.${field}`;

/** What the compiler is asked. */
function places(layouts: readonly Layout[]): Place[] {
  return layouts
    .filter(({ name }) => notInHeaders[name] === undefined)
    .flatMap(({ name, fields }) => ['(size)', ...fields.keys()].map((field) => ({ struct: name, field })))
    .filter((place) => place.field === '(size)' || differences[keyOf(place)] === undefined);
}

/** Lines `struct TAB field TAB offset TAB bytes`. */
function compileTable(asked: readonly Place[]): string {
  const kernel = asked.filter(({ struct }) => !inWinnt.includes(struct));
  const user = asked.filter(({ struct }) => inWinnt.includes(struct));
  return compile('#include <ntifs.h>\n#include <ntddk.h>', kernel) + compile('#include <windows.h>', user);
}

function compile(includes: string, asked: readonly Place[]): string {
  const values = asked.flatMap(({ struct, field }) => {
    const type = typeNames[struct] ?? `struct ${struct}`;
    if (field === '(size)') return ['0', `sizeof(${type})`];
    const member = members[struct]?.[field] ?? field;
    return [`__builtin_offsetof(${type}, ${member})`, `sizeof(((${type} *)0)->${member})`];
  });
  const work = mkdtempSync(join(tmpdir(), 'poolproof-layouts-'));
  try {
    const source = join(work, 'layouts.c');
    // One more than each value: assemblers write zeros in other ways.
    const list = values.map((value) => `  1 + ${value},`).join('\n');
    writeFileSync(source, `${includes}\n\nconst unsigned long long Values[] = {\n${list}\n};\n`);
    const options = ['-S', '-o', '-', '-fms-extensions', '-w', '-isystem', headers];
    const assembly = execFileSync(compiler, [...options, source], { encoding: 'utf8' });
    const numbers = [...assembly.matchAll(/^\s+\.quad\s+(\d+)$/gm)].map(([, digits]) => Number(digits) - 1);
    expect(numbers).toHaveLength(values.length);
    return asked
      .map(({ struct, field }, index) => `${struct}\t${field}\t${numbers[index * 2]}\t${numbers[index * 2 + 1]}\n`)
      .join('');
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function hasCompiler(): boolean {
  try {
    execFileSync(compiler, ['--version'], { stdio: 'ignore' });
    readFileSync(join(headers, 'wdm.h'));
    return true;
  } catch {
    return false;
  }
}

describe('structure layouts', async () => {
  const layouts = await declaredLayouts();

  it.skipIf(!hasCompiler())('a compiler gives the offsets that struct-layouts.tsv has', () => {
    const compiled = compileTable(places(layouts));
    if (process.env.UPDATE_GOLDEN === '1') writeFileSync(table, compiled);
    expect(compiled).toBe(readFileSync(table, 'utf8'));
  });

  const kept = new Map(
    readFileSync(table, 'utf8')
      .split('\n')
      .map((line) => line.split('\t'))
      .map(([struct, field, offset, size]) => [`${struct}.${field}`, { offset: Number(offset), size: Number(size) }]),
  );

  it.each(layouts.filter(({ name }) => notInHeaders[name] === undefined))('$name', ({ name, sizeBytes, fields }) => {
    const own = new Map([['(size)', { offset: 0, size: sizeBytes }], ...fields]);
    for (const [field, { offset, size }] of own) {
      const key = `${name}.${field}`;
      const expected = kept.get(key);
      if (differences[key] !== undefined) {
        // Once the headers agree, the difference is none and goes from the list.
        expect(expected, key).not.toEqual({ offset, size });
      } else if (otherSizes[key] !== undefined) {
        expect({ key, offset }).toEqual({ key, offset: expected?.offset });
      } else {
        expect({ key, offset, size }).toEqual({ key, ...expected });
      }
    }
  });

  it('has lists without dead entries', () => {
    const names = new Set(
      layouts.flatMap(({ name, fields }) => ['(size)', ...fields.keys()].map((f) => `${name}.${f}`)),
    );
    const listed = [
      ...Object.keys(differences),
      ...Object.keys(otherSizes),
      ...[...Object.keys({ ...notInHeaders, ...typeNames }), ...inWinnt].map((struct) => `${struct}.(size)`),
      ...Object.entries(members).flatMap(([struct, renamed]) => Object.keys(renamed).map((f) => `${struct}.${f}`)),
    ];
    expect(listed.filter((key) => !names.has(key))).toEqual([]);
  });
});
