/**
 * Names and addresses of everything in system space: drivers' symbols from their files, the kernel's own modules from
 * what they are built of. Names come from files that anyone may have written: they are only compared and printed.
 */
import { type Va, vaAdd, vaInRange } from '../base/va.ts';
import type { NamedAddress } from '../image/symbols/index.ts';
import { AddressMap } from '../nt/address-map.ts';
import type { HostEntry } from '../nt/host-entries.ts';
import type { KernelImage } from '../nt/mm/kernel-image.ts';
import type { Target } from './target.ts';

/** A symbol in an image. */
export interface ModuleSymbol {
  readonly image: KernelImage;
  readonly name: string;
  readonly va: Va;
  readonly kind: 'function' | 'data';
  /** 0 if not known. */
  readonly sizeBytes: number;
}

/** The nearest symbols around an address. */
export interface SymbolNeighbours {
  readonly image: KernelImage;
  /** The last at or below it; undefined in front of the first. */
  readonly below: ModuleSymbol | undefined;
  /** The next one. */
  readonly above: ModuleSymbol | undefined;
}

/** A module's name as it can be typed: the debugger makes `my_driver` of `my-driver`. */
export function moduleName({ name }: { readonly name: string }): string {
  return name.replace(/[^\w$.~]/g, '_');
}

/** What drivers call all routines of a kernel module by. */
const kernelFiles: Readonly<Record<string, string>> = { nt: 'ntoskrnl.exe', hal: 'hal.dll' };

export class SymbolTable {
  private readonly target: Target;
  /** Sorted by address; what is found in an image does not change. */
  private readonly known = new Map<number, readonly ModuleSymbol[]>();

  constructor(target: Target) {
    this.target = target;
  }

  /** The images that symbols are looked for in: drivers in the order in which they were loaded, then the kernel. */
  modules(): readonly KernelImage[] {
    const images = [...this.target.nt.images.all()].filter(({ isLoaded }) => isLoaded);
    return [...images.filter(({ isDriver }) => isDriver), ...images.filter(({ isDriver }) => !isDriver)];
  }

  /** All symbols of an image, ascending by address. */
  of(image: KernelImage): readonly ModuleSymbol[] {
    let symbols = this.known.get(image.index);
    if (symbols === undefined) {
      const named = image.isDriver ? (this.target.symbolsOf(image)?.source.symbols() ?? []) : this.kernelSymbols(image);
      symbols = [...importSlots(image), ...named.filter(({ name }) => !name.startsWith('__imp_'))]
        .map(({ name, rva, kind, sizeBytes }) => ({ image, name, va: vaAdd(image.base, rva), kind, sizeBytes }))
        .sort((a, b) => a.va - b.va);
      this.known.set(image.index, symbols);
    }
    return symbols;
  }

  /**
   * What `module!name`, a name of any module, or a module's name stands for. Names are matched as written first, then
   * without regard to case.
   */
  find(text: string): Va | undefined {
    const mark = text.indexOf('!');
    if (mark >= 0) {
      const module = text.slice(0, mark).toLowerCase();
      const name = text.slice(mark + 1);
      const images = this.modules().filter((image) => module === '' || isCalled(image, module));
      return this.findIn(images, name);
    }
    return this.findIn(this.modules(), text) ?? this.module(text)?.base;
  }

  /** The loaded image of that name, without regard to case; `ntoskrnl` is nt. */
  module(name: string): KernelImage | undefined {
    const wanted = name.toLowerCase();
    return this.modules().find((image) => isCalled(image, wanted) || image.fileName.toLowerCase() === wanted);
  }

  /**
   * Undefined outside of all images, also those that are gone, and in import thunks. What stands in another section is
   * no neighbour: code has nothing to do with the constants behind it.
   */
  around(va: Va): SymbolNeighbours | undefined {
    const image = this.target.nt.images.containingEver(va);
    if (image === undefined) return undefined;
    const symbols = this.of(image);
    let low = 0;
    let high = symbols.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((symbols[middle] as ModuleSymbol).va <= va) low = middle + 1;
      else high = middle;
    }
    // Of several names for one address the first counts.
    let below = low - 1;
    while (below > 0 && symbols[below - 1]?.va === symbols[below]?.va) below--;
    const section = sectionOf(image, va);
    const isNear = (symbol: ModuleSymbol | undefined): boolean =>
      symbol !== undefined && sectionOf(image, symbol.va) === section;
    return {
      image,
      below: isNear(symbols[below]) ? symbols[below] : undefined,
      above: isNear(symbols[low]) ? symbols[low] : undefined,
    };
  }

  /** All names of exactly this address. */
  exactly(va: Va): readonly ModuleSymbol[] {
    const image = this.target.nt.images.containingEver(va);
    return image === undefined ? [] : this.of(image).filter((symbol) => symbol.va === va);
  }

  /** The physical function that covers an address of a driver's code: its cold parts may lie anywhere. */
  functionAt(va: Va): { readonly image: KernelImage; readonly name: string; readonly va: Va } | undefined {
    const image = this.target.nt.images.containingEver(va);
    if (image === undefined || !image.isDriver) return undefined;
    const frame = this.target
      .symbolsOf(image)
      ?.source.framesAt(va - image.base)
      .at(-1);
    return frame && { image, name: frame.function, va: vaAdd(image.base, frame.functionRva) };
  }

  /** The import thunk at an address: drivers call the kernel through them. */
  thunkAt(va: Va): Extract<HostEntry, { kind: 'thunk' }> | undefined {
    if (!vaInRange(va, AddressMap.thunks, AddressMap.processor - AddressMap.thunks)) return undefined;
    const entry = this.target.nt.entries.containingEver(va);
    return entry?.kind === 'thunk' ? entry : undefined;
  }

  private findIn(images: readonly KernelImage[], name: string): Va | undefined {
    for (const image of images) {
      const exact = image.isDriver
        ? this.target.symbolsOf(image)?.source.find(name)
        : this.of(image).find((symbol) => symbol.name === name);
      if (exact !== undefined) return 'va' in exact ? exact.va : vaAdd(image.base, exact.rva);
    }
    const wanted = name.toLowerCase();
    for (const image of images) {
      const found = this.of(image).find((symbol) => symbol.name.toLowerCase() === wanted);
      if (found !== undefined) return found.va;
    }
    return undefined;
  }

  /** Routines and data, exported or not. */
  private kernelSymbols(image: KernelImage): readonly NamedAddress[] {
    const { entries, images } = this.target.nt;
    const symbols: NamedAddress[] = [];
    for (const { name, module, va } of entries.routines()) {
      if (module === image.fileName) symbols.push({ name, rva: va - image.base, kind: 'function', sizeBytes: 0 });
    }
    for (const [name, va] of images.kernelNamesOf(kernelFiles[image.name] ?? image.fileName)) {
      if (entries.at(va) === undefined) symbols.push({ name, rva: va - image.base, kind: 'data', sizeBytes: 0 });
    }
    return symbols;
  }
}

/** Index of the section around an address; images without a file are taken as one. */
function sectionOf(image: KernelImage, va: Va): number {
  const rva = va - image.base;
  return image.pe?.sections.findIndex((one) => rva >= one.rva && rva < one.rva + one.virtualSize) ?? 0;
}

function isCalled(image: KernelImage, lowerCaseName: string): boolean {
  return image.name.toLowerCase() === lowerCaseName || moduleName(image).toLowerCase() === lowerCaseName;
}

/** Slots of the import tables, which symbol files call `__imp_X` and the debugger `_imp_X`. */
function importSlots(image: KernelImage): readonly NamedAddress[] {
  const imports = image.pe?.imports.flatMap((module) => module.imports) ?? [];
  return imports.flatMap(({ name, iatRva }) =>
    name === undefined ? [] : [{ name: `_imp_${name}`, rva: iatRva, kind: 'data', sizeBytes: 8 }],
  );
}
