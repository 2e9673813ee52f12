/** What can be told of a driver without running it: facts of its image, and which of its imports are supported. */
import { hexVa } from '../base/va.ts';
import type { PeImage, PeImport } from '../image/pe/index.ts';
import { kernelComponents } from '../nt/components.ts';
import type { KernelModuleName } from '../nt/declare/nt-routine.ts';

export type Support = 'full' | 'partial' | 'none';

export interface InspectedImport {
  /** As the image spells it: `ntoskrnl.exe`. */
  readonly module: string;
  /** `#12` for an import by ordinal. */
  readonly name: string;
  readonly support: Support;
  /** What a partially supported routine lacks. */
  readonly missing?: string;
  /** The import is bound when it is first called. */
  readonly isDelayed?: true;
}

export interface InspectedSection {
  readonly name: string;
  /** `0x1000` */
  readonly rva: string;
  readonly bytes: number;
  /** `r-x pageable` */
  readonly access: string;
}

export interface Inspection {
  readonly schema: 1;
  readonly image: {
    readonly name: string;
    readonly fileBytes: number;
    readonly imageBytes: number;
    readonly preferredBase: string;
    /** Null for an export driver, which has nothing to start. */
    readonly entryPoint: string | null;
    /** The link time, or with reproducible builds a hash: `0x5f3c1a20`. */
    readonly timestamp: string;
    readonly linkerVersion: string;
    readonly sections: readonly InspectedSection[];
    /** The PDB that belongs to this build. */
    readonly pdb: { readonly path: string; readonly guid: string; readonly age: number } | null;
    /** Whether a signature is attached; it is not verified. */
    readonly isSigned: boolean;
    readonly exports: number;
    /** Oddities that do not keep it from running. */
    readonly notes: readonly string[];
  };
  /** In the order of the import tables. */
  readonly imports: readonly InspectedImport[];
}

export function inspect(pe: PeImage): Inspection {
  return {
    schema: 1,
    image: {
      name: pe.fileName,
      fileBytes: pe.fileSizeBytes,
      imageBytes: pe.sizeOfImage,
      preferredBase: hexVa(pe.preferredBase),
      entryPoint: pe.entryPointRva === undefined ? null : hex(pe.entryPointRva),
      timestamp: hex(pe.timestamp),
      linkerVersion: pe.linkerVersion,
      sections: pe.sections.map((section) => ({
        name: section.name,
        rva: hex(section.rva),
        bytes: section.virtualSize,
        access: [
          `${section.isReadable ? 'r' : '-'}${section.isWritable ? 'w' : '-'}${section.isExecutable ? 'x' : '-'}`,
          ...(section.isPageable ? ['pageable'] : []),
          ...(section.isDiscardable ? ['discardable'] : []),
        ].join(' '),
      })),
      pdb:
        pe.codeView === undefined ? null : { path: pe.codeView.pdbPath, guid: pe.codeView.guid, age: pe.codeView.age },
      isSigned: pe.certificates !== undefined,
      exports: pe.exports.length,
      notes: pe.notes,
    },
    imports: [
      ...pe.imports.flatMap(({ module, imports }) => imports.map((entry) => inspectImport(module, entry))),
      ...pe.delayImports.flatMap(({ module, imports }) =>
        imports.map((entry) => ({ ...inspectImport(module, entry), isDelayed: true as const })),
      ),
    ],
  };
}

function inspectImport(module: string, { name, ordinal }: PeImport): InspectedImport {
  if (name === undefined) return { module, name: `#${ordinal}`, support: 'none' };
  return { module, name, ...supportOf(module, name) };
}

/** Whether poolproof has an export of one of the kernel's modules; `none` for every other module. */
export function supportOf(module: string, name: string): { readonly support: Support; readonly missing?: string } {
  const found = lookUp(module.toLowerCase(), name);
  if (found === undefined) return { support: 'none' };
  return found === 'full' ? { support: 'full' } : { support: 'partial', missing: found.partial };
}

function lookUp(module: string, name: string): 'full' | { readonly partial: string } | undefined {
  exportSupport ??= new Map(supportedExports().map((entry) => [`${entry.module}!${entry.name}`, entry.support]));
  // What hal.dll exported moved into the kernel with Windows 10; both names lead to it.
  return (
    exportSupport.get(`${module}!${name}`) ??
    (module === 'hal.dll' ? exportSupport.get(`ntoskrnl.exe!${name}`) : undefined)
  );
}

let exportSupport: ReadonlyMap<string, 'full' | { readonly partial: string }> | undefined;

export interface SupportedExport {
  readonly module: KernelModuleName;
  readonly name: string;
  readonly kind: 'routine' | 'data';
  readonly support: 'full' | { readonly partial: string };
  /** Header and documentation page. */
  readonly doc: string;
}

/** Every export that the kernel's modules have, from the declarations; by module and name. */
export function supportedExports(): readonly SupportedExport[] {
  return kernelComponents
    .filter(({ isExported }) => isExported)
    .flatMap(({ module, routines, data }) => [
      ...Object.entries(routines).map(([name, { support, doc }]) => ({
        module,
        name,
        kind: 'routine' as const,
        support: support ?? ('full' as const),
        doc,
      })),
      ...Object.entries(data).map(([name, { doc }]) => ({
        module,
        name,
        kind: 'data' as const,
        support: 'full' as const,
        doc,
      })),
    ])
    .sort((a, b) => compare(b.module, a.module) || compare(a.name, b.name));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
