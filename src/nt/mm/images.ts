/** The images in system space: the kernel's modules and the drivers, how they get there and how they go. */
import { assert } from '../../base/errors.ts';
import type { StoreCell, StoreMap } from '../../base/store.ts';
import { type Va, vaAdd } from '../../base/va.ts';
import { Access, PageFlag, pageSize } from '../../engine/memory/layout.ts';
import { layOutImage, type PeImage } from '../../image/pe/index.ts';
import { type FunctionRanges, functionRanges } from '../../image/unwind/index.ts';
import { AddressMap, hostSlotBytes } from '../address-map.ts';
import type { KernelModuleName } from '../declare/nt-routine.ts';
import type { Nt } from '../nt.ts';
import { driverExport, importsFrom, type WantedExport } from './driver-exports.ts';
import { imageContains, type KernelImage } from './kernel-image.ts';

/** A code range of one function. */
interface VaRange {
  readonly start: Va;
  readonly end: Va;
}

/** Stands for the kernel in the names of thunks for routines that it does not export. */
const internalModule = 'nt';

/** Value of a stack cookie that the linker stored and nobody initialised (x64). */
const defaultSecurityCookie = 0x00002b99_2ddfa232n;

export class Images {
  /** What MmIsDriverVerifying answers; replaced by whoever verifies drivers. */
  isVerified: (image: KernelImage) => boolean = () => false;
  private readonly nt: Nt;
  private readonly images: StoreMap<number, KernelImage>;
  private readonly nextThunk: StoreCell<Va>;
  /** `module!name` of routines that an image asked for by name at run time, by image index; behind its imports. */
  private readonly dynamicImports: StoreMap<number, readonly string[]>;
  /** Exports of the kernel's modules, names in lower case modules: `ntoskrnl.exe!Name` to address. */
  private readonly kernelExports = new Map<string, Va>();
  /** Data without an export, in the same way. */
  private readonly kernelInternals = new Map<string, Va>();
  private bootActions: (() => void)[] = [];
  /** Derived from an image's function table; by image index. */
  private readonly ranges = new Map<number, FunctionIndex>();

  constructor(nt: Nt) {
    this.nt = nt;
    this.images = nt.stores.map('mm/images');
    this.nextThunk = nt.stores.cell('mm/next-thunk', AddressMap.thunks);
    this.dynamicImports = nt.stores.map('mm/dynamic-imports');
  }

  // ---- lookups

  byIndex(index: number): KernelImage | undefined {
    return this.images.get(index);
  }

  /** The loaded image that holds the address. */
  containing(va: Va): KernelImage | undefined {
    for (const image of this.images.values()) if (image.isLoaded && imageContains(image, va)) return image;
    return undefined;
  }

  /** As {@link containing}, also of images that were unloaded; the latest first. */
  containingEver(va: Va): KernelImage | undefined {
    return this.containing(va) ?? [...this.images.values()].reverse().find((image) => imageContains(image, va));
  }

  all(): IterableIterator<KernelImage> {
    return this.images.values();
  }

  /** Address of an export of the kernel's own modules. `hal.dll` names are also found in the kernel, as on Windows 10. */
  kernelExport(module: string, name: string): Va | undefined {
    const lower = module.toLowerCase();
    const own = this.kernelExports.get(`${lower}!${name}`);
    if (own !== undefined) return own;
    if (lower === 'hal.dll') return this.kernelExports.get(`ntoskrnl.exe!${name}`);
    return undefined;
  }

  /** Names and addresses of what a kernel module (`ntoskrnl.exe`, `hal.dll`) exports, and of data that it does not. */
  kernelNamesOf(module: string): readonly (readonly [string, Va])[] {
    const prefix = `${module}!`;
    return [...this.kernelExports, ...this.kernelInternals]
      .filter(([key]) => key.startsWith(prefix))
      .map(([key, va]) => [key.slice(prefix.length), va]);
  }

  functionRangesOf(va: Va): readonly VaRange[] | undefined {
    const image = this.containing(va);
    if (image?.pe === undefined) return undefined;
    let index = this.ranges.get(image.index);
    if (index === undefined) {
      index = new FunctionIndex(functionRanges(image.pe), image.base);
      this.ranges.set(image.index, index);
    }
    return index.rangesOf(va);
  }

  // ---- the kernel's modules

  addKernelModule(
    module: KernelModuleName,
    name: string,
    base: Va,
    sizeBytes: number,
    exported: readonly [string, number][],
    internal: readonly [string, number][] = [],
  ): void {
    for (const [dataName, rva] of internal) this.kernelInternals.set(`${module}!${dataName}`, vaAdd(base, rva));
    for (const [exportName, rva] of exported) this.kernelExports.set(`${module}!${exportName}`, vaAdd(base, rva));
    const index = this.images.size + 1;
    this.images.set(index, {
      index,
      fileName: module,
      name,
      base,
      sizeBytes,
      isDriver: false,
      isLoaded: true,
      pe: undefined,
      thunks: AddressMap.thunks,
    });
  }

  /** Runs when every component stands (exported data is filled then). */
  onceBooted(action: () => void): void {
    this.bootActions.push(action);
  }

  boot(): void {
    for (const action of this.bootActions) action();
    this.bootActions = [];
  }

  // ---- drivers

  /** One driver's image; see {@link loadAll}. */
  load(pe: PeImage, fileName: string): KernelImage {
    const [image] = this.loadAll([{ pe, fileName }]);
    assert(image, 'an image was mapped');
    return image;
  }

  /**
   * Maps drivers' images, relocated, imports bound (to the kernel, and to each other), stack cookies initialised, every
   * section protected as it says. Imports that no module has are bound too: the life ends when one is called.
   */
  loadAll(files: readonly { readonly pe: PeImage; readonly fileName: string }[]): readonly KernelImage[] {
    // Damaged unwind data is reported before anything is loaded.
    const functions = files.map(({ pe }) => functionRanges(pe));
    const images = files.map(({ pe, fileName }) => this.place(pe, fileName));
    for (const [index, image] of images.entries()) {
      const { pe } = files[index] as { pe: PeImage };
      const bytes = layOutImage(pe, image.base);
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      this.bindImports(image, pe, view);
      this.initialiseSecurityCookie(pe, view);
      this.mapImage(image, pe, bytes);
      this.ranges.set(image.index, new FunctionIndex(functions[index] as readonly FunctionRanges[], image.base));
      this.addThunks(image);
      this.nt.events.emit('imageLoaded', { image });
    }
    return images;
  }

  /** Addresses for an image, and its record. */
  private place(pe: PeImage, fileName: string): KernelImage {
    const pages = Math.ceil(pe.sizeOfImage / pageSize);
    const base = this.nt.addressSpace.reserve(AddressMap.images, pages);
    assert(base !== undefined, 'the image region is used up');
    const thunks = this.nextThunk.value;
    // Thunks of different images share no page, so that a page can be dropped with its image.
    this.nextThunk.value = vaAdd(thunks, thunkPages(importCount(pe)) * pageSize);
    const image: KernelImage = {
      index: this.images.size + 1,
      fileName,
      name: fileName.replace(/\.[^.]*$/, ''),
      base,
      sizeBytes: pages * pageSize,
      isDriver: true,
      isLoaded: true,
      pe,
      thunks,
    };
    this.images.set(image.index, image);
    return image;
  }

  /** Address of what a loaded driver exports. */
  driverExport(module: string, wanted: WantedExport): Va | undefined {
    return driverExport(this.images.values(), module, wanted, (file, name) => this.kernelExport(file, name));
  }

  /** Loaded drivers that import from the image: it stays as long as they do. */
  importersOf(image: KernelImage): readonly KernelImage[] {
    return [...this.images.values()].filter(
      (other) => other.isLoaded && other.index !== image.index && importsFrom(other.pe, image.fileName),
    );
  }

  /**
   * A thunk of the image for a routine that it asks for by name while it runs; always the same one. Undefined if the
   * image has no slot left. A routine that no module has ends the life when it is called.
   */
  dynamicThunk(image: KernelImage, module: string, name: string): Va | undefined {
    const names = this.dynamicImports.get(image.index) ?? [];
    const importName = `${module}!${name}`;
    const imports = image.pe === undefined ? 0 : importCount(image.pe);
    const known = names.indexOf(importName);
    const va = vaAdd(image.thunks, (imports + (known < 0 ? names.length : known)) * hostSlotBytes);
    if (known >= 0) return va;
    if (va >= image.thunks + thunkPages(imports) * pageSize) return undefined;
    this.dynamicImports.set(image.index, [...names, importName]);
    this.addThunk(image, importName, this.kernelRoutine(module, name), va);
    return va;
  }

  /** As {@link dynamicThunk}, for a routine of the kernel that drivers only have the address of. */
  internalThunk(image: KernelImage, name: string): Va | undefined {
    return this.dynamicThunk(image, internalModule, name);
  }

  private kernelRoutine(module: string, name: string): Va | undefined {
    return module === internalModule ? this.nt.entries.routineVa(name) : this.kernelExport(module, name);
  }

  /** Throws away sections that are only needed for initialisation: INIT. */
  discardInit(image: KernelImage): void {
    for (const section of image.pe?.sections ?? []) {
      if (!section.isDiscardable) continue;
      for (let rva = section.rva; rva < section.rva + section.virtualSize; rva += pageSize) {
        this.unmap(vaAdd(image.base, rva));
      }
    }
  }

  unload(image: KernelImage): void {
    for (let offset = 0; offset < image.sizeBytes; offset += pageSize) this.unmap(vaAdd(image.base, offset));
    this.images.set(image.index, { ...image, isLoaded: false });
    this.nt.entries.removeThunks(image);
  }

  /** After the stores were brought back: the thunks of the images that are loaded now. */
  rebuild(): void {
    this.nt.entries.removeAllThunks();
    for (const image of this.images.values()) if (image.isDriver && image.isLoaded) this.addThunks(image);
  }

  private unmap(va: Va): void {
    const frame = this.nt.memory.unmapPage(va);
    if (frame !== undefined) this.nt.addressSpace.frames.release(frame);
  }

  private bindImports(image: KernelImage, pe: PeImage, view: DataView): void {
    let thunk = image.thunks;
    for (const { module, imports } of pe.imports) {
      for (const { name, ordinal, iatRva } of imports) {
        const target = name === undefined ? undefined : this.kernelExport(module, name);
        const isData = target !== undefined && this.nt.entries.at(target) === undefined;
        const inKernel = isData ? target : thunk;
        const va = target === undefined ? (this.driverExport(module, { name, ordinal }) ?? inKernel) : inKernel;
        view.setBigUint64(iatRva, BigInt.asUintN(64, BigInt(va)), true);
        thunk = vaAdd(thunk, hostSlotBytes);
      }
    }
  }

  private addThunks(image: KernelImage): void {
    let va = image.thunks;
    for (const { module, imports } of image.pe?.imports ?? []) {
      for (const { name, ordinal } of imports) {
        const target = name === undefined ? undefined : this.kernelExport(module, name);
        this.addThunk(image, `${module}!${name ?? `#${ordinal}`}`, target, va);
        va = vaAdd(va, hostSlotBytes);
      }
    }
    for (const importName of this.dynamicImports.get(image.index) ?? []) {
      const [module, name] = importName.split('!') as [string, string];
      this.addThunk(image, importName, this.kernelRoutine(module, name), va);
      va = vaAdd(va, hostSlotBytes);
    }
  }

  private addThunk(image: KernelImage, importName: string, targetVa: Va | undefined, va: Va): void {
    const entry = targetVa === undefined ? undefined : this.nt.entries.at(targetVa);
    const target = entry?.kind === 'routine' ? entry : undefined;
    this.nt.entries.add({ kind: 'thunk', image, importName, target, va });
  }

  /** The kernel's loader does this before the driver runs; a cookie left at its default would be bug check 0x139. */
  private initialiseSecurityCookie(pe: PeImage, view: DataView): void {
    const rva = pe.loadConfig?.securityCookieRva;
    if (rva === undefined || view.getBigUint64(rva, true) !== defaultSecurityCookie) return;
    const high = BigInt(this.nt.random.u32() & 0xffff);
    // __security_check_cookie wants the upper 16 bits clear.
    const cookie = (high << 32n) | BigInt((this.nt.random.u32() | 1) >>> 0);
    view.setBigUint64(rva, cookie, true);
  }

  private mapImage(image: KernelImage, pe: PeImage, bytes: Uint8Array): void {
    for (let rva = 0; rva < image.sizeBytes; rva += pageSize) {
      const frame = this.nt.memory.allocateFrame();
      assert(frame !== undefined, 'the image fits into RAM');
      const page = this.nt.memory.frameBytes(frame);
      page.fill(0);
      page.set(bytes.subarray(rva, rva + pageSize));
      this.nt.memory.mapPage(vaAdd(image.base, rva), frame, pageFlags(pe, rva));
    }
  }
}

function importCount(pe: PeImage): number {
  return pe.imports.reduce((sum, module) => sum + module.imports.length, 0);
}

/** Pages of an image's thunks: those of its imports, and room for routines that it asks for by name. */
function thunkPages(imports: number): number {
  return Math.ceil((imports * hostSlotBytes) / pageSize) + 1;
}

/** Access of a page: what the sections that touch it ask for together; headers are read-only. */
function pageFlags(pe: PeImage, rva: number): number {
  let flags = 0;
  for (const section of pe.sections) {
    if (section.rva >= rva + pageSize || section.rva + section.virtualSize <= rva) continue;
    flags |= Access.Read;
    if (section.isWritable) flags |= Access.Write;
    if (section.isExecutable) flags |= Access.Execute;
    if (section.isPageable) flags |= PageFlag.Pageable;
  }
  return flags === 0 ? Access.Read : flags;
}

/** Functions of an image with all their parts, found by address. */
class FunctionIndex {
  private readonly starts: number[] = [];
  private readonly ends: number[] = [];
  private readonly functions: (readonly VaRange[])[] = [];
  private readonly base: Va;

  constructor(functions: readonly FunctionRanges[], base: Va) {
    this.base = base;
    const parts: { start: number; end: number; ranges: readonly VaRange[] }[] = [];
    for (const entry of functions) {
      const ranges = entry.ranges.map(({ beginRva, endRva }) => ({
        start: vaAdd(base, beginRva),
        end: vaAdd(base, endRva),
      }));
      for (const { beginRva, endRva } of entry.ranges) parts.push({ start: beginRva, end: endRva, ranges });
    }
    parts.sort((a, b) => a.start - b.start);
    for (const part of parts) {
      this.starts.push(part.start);
      this.ends.push(part.end);
      this.functions.push(part.ranges);
    }
  }

  rangesOf(va: Va): readonly VaRange[] | undefined {
    const rva = va - this.base;
    let low = 0;
    let high = this.starts.length - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      if (rva < (this.starts[middle] as number)) high = middle - 1;
      else if (rva >= (this.ends[middle] as number)) low = middle + 1;
      else return this.functions[middle];
    }
    return undefined;
  }
}
