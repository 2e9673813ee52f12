/** What a parsed driver image is. Offsets named `rva` count from the start of the image as it lies in memory. */
import type { Va } from '../../base/va.ts';

/** IMAGE_SECTION_HEADER, winnt.h. */
export interface PeSection {
  /** Long names (`/4`) are resolved through the COFF string table. */
  readonly name: string;
  readonly rva: number;
  /** Bytes in memory; never 0 unless the section is empty. */
  readonly virtualSize: number;
  readonly rawOffset: number;
  readonly rawSize: number;
  readonly characteristics: number;
  readonly isReadable: boolean;
  readonly isWritable: boolean;
  readonly isExecutable: boolean;
  /** Thrown away after DriverEntry returned, if it stands at the end of the image: INIT, .reloc. */
  readonly isDiscardable: boolean;
  /** Named `PAGE…` and not marked as not paged: touching it at DISPATCH_LEVEL is an error. */
  readonly isPageable: boolean;
}

export interface PeImport {
  /** Undefined for an import by ordinal. */
  readonly name: string | undefined;
  /** Undefined for an import by name. */
  readonly ordinal: number | undefined;
  /** Where the loader stores the address. */
  readonly iatRva: number;
}

export interface PeImportedModule {
  /** As the image spells it: `ntoskrnl.exe`. */
  readonly module: string;
  readonly imports: readonly PeImport[];
}

export interface PeExport {
  /** Undefined if exported by ordinal only. */
  readonly name: string | undefined;
  readonly ordinal: number;
  readonly rva: number;
  /** `module.name` if the export is another module's. */
  readonly forwarder: string | undefined;
}

/** CodeView record "RSDS": which PDB belongs to the image. */
export interface CodeViewRecord {
  /** `3844DBB9-2017-4967-BE7A-A4A2C20430FA` */
  readonly guid: string;
  readonly age: number;
  /** As the linker recorded it. */
  readonly pdbPath: string;
}

/** IMAGE_DEBUG_DIRECTORY, winnt.h. */
export interface PeDebugEntry {
  readonly type: number;
  readonly timestamp: number;
  readonly rva: number;
  readonly fileOffset: number;
  readonly sizeBytes: number;
}

/** IMAGE_LOAD_CONFIG_DIRECTORY64, winnt.h. Addresses as RVAs; undefined where the image has none. */
export interface PeLoadConfig {
  readonly sizeBytes: number;
  readonly securityCookieRva: number | undefined;
  /** Slot that holds the address that `_guard_check_icall` jumps to. */
  readonly guardCfCheckFunctionPointerRva: number | undefined;
  /** Slot that holds the address that `_guard_dispatch_icall` jumps to. */
  readonly guardCfDispatchFunctionPointerRva: number | undefined;
  readonly guardCfFunctionTableRva: number | undefined;
  readonly guardCfFunctionCount: number;
  readonly guardFlags: number;
  readonly guardXfgCheckFunctionPointerRva: number | undefined;
  readonly guardXfgDispatchFunctionPointerRva: number | undefined;
  readonly guardXfgTableDispatchFunctionPointerRva: number | undefined;
  readonly castGuardOsDeterminedFailureModeRva: number | undefined;
  readonly guardMemcpyFunctionPointerRva: number | undefined;
}

/** IMAGE_REL_BASED_*, winnt.h: those that a x64 image can have. */
export const relocationType = { highLow: 3, dir64: 10 } as const;

/** Fixups in file order, in parallel arrays; padding (ABSOLUTE) is left out. */
export interface PeBaseRelocations {
  readonly rvas: Uint32Array;
  readonly types: Uint8Array;
}

/** RUNTIME_FUNCTION (.pdata): [beginRva, endRva) and its UNWIND_INFO. */
export interface RuntimeFunction {
  readonly beginRva: number;
  readonly endRva: number;
  /** Bit 0 set: bits 31..1 are the RVA of another RUNTIME_FUNCTION whose unwind data this one shares. */
  readonly unwindInfoRva: number;
}

/** A driver image for x64, checked. All tables lie within the image. */
export interface PeImage {
  readonly fileName: string;
  readonly fileSizeBytes: number;
  readonly preferredBase: Va;
  readonly preferredBaseU64: bigint;
  readonly sizeOfImage: number;
  readonly sizeOfHeaders: number;
  readonly sectionAlignment: number;
  readonly fileAlignment: number;
  /** Undefined for an export driver (a kernel-mode DLL without DllInitialize): legal, but nothing to start. */
  readonly entryPointRva: number | undefined;
  readonly timestamp: number;
  readonly checksum: number;
  readonly characteristics: number;
  readonly dllCharacteristics: number;
  /** 1 (native), as every kernel-mode image. */
  readonly subsystem: number;
  readonly linkerVersion: string;
  readonly sections: readonly PeSection[];
  readonly imports: readonly PeImportedModule[];
  readonly delayImports: readonly PeImportedModule[];
  /** Name that the export table gives the image; undefined without exports. */
  readonly exportedModuleName: string | undefined;
  /** Ascending by ordinal; names of one ordinal in the table's order. */
  readonly exports: readonly PeExport[];
  readonly debugEntries: readonly PeDebugEntry[];
  readonly codeView: CodeViewRecord | undefined;
  readonly loadConfig: PeLoadConfig | undefined;
  readonly baseRelocations: PeBaseRelocations;
  /** The linker left the relocations out: the image runs at its preferred base only. */
  readonly areRelocationsStripped: boolean;
  /** Ascending, without overlap. */
  readonly functions: readonly RuntimeFunction[];
  /** The Authenticode signatures, which are not verified: file offset and size. */
  readonly certificates: { readonly fileOffset: number; readonly sizeBytes: number } | undefined;
  /** Oddities that do not keep the image from running, one sentence each. */
  readonly notes: readonly string[];
  /** The image at its preferred base, `sizeOfImage` bytes. Shared: copy before writing ({@link layOutImage} does). */
  readonly mapped: Uint8Array;
}

/** The section that holds an RVA. */
export function sectionAt(pe: Pick<PeImage, 'sections'>, rva: number): PeSection | undefined {
  return pe.sections.find((section) => rva >= section.rva && rva < section.rva + section.virtualSize);
}
