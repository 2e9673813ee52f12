/** Call stacks as people read them: addresses to modules, functions, lines; inlined calls and tail jumps made visible. */
import { type Va, vaAdd } from '../base/va.ts';
import type { SymbolSource } from '../image/symbols/symbol-source.ts';
import type { KernelImage } from '../nt/mm/kernel-image.ts';
import type { Nt } from '../nt/nt.ts';
import type { Site } from './site.ts';
import { tailJumpBefore } from './tail-jump.ts';

/** Symbols of the drivers, by image index. */
export type SymbolsOf = (image: KernelImage) => SymbolSource | undefined;

/** An address of a stack and what it is; several follow with one address where calls are inlined. */
export interface Place {
  readonly address: Va;
  readonly site: Site;
}

export class CallStackReader {
  private readonly nt: Nt;
  private readonly symbolsOf: SymbolsOf;

  constructor(nt: Nt, symbolsOf: SymbolsOf) {
    this.nt = nt;
    this.symbolsOf = symbolsOf;
  }

  /** Sites of a stack as the kernel walked it: the instruction pointer first, then return addresses. */
  read(stack: readonly Va[]): Site[] {
    return this.places(stack).map(({ site }) => site);
  }

  /** Innermost site in a driver; null if none is. Code out of a header of the WDK is passed over for its caller's. */
  driverSite(sites: readonly Site[]): Site | null {
    const index = this.driverIndex(sites);
    return sites[index] ?? null;
  }

  /**
   * The innermost place in a driver: a return address, or that of a tail jump; and its site. By the same rule as
   * {@link driverSite}. Undefined if no driver is in the stack.
   */
  driverPlace(stack: readonly Va[]): Place | undefined {
    const places = this.places(stack);
    return places[this.driverIndex(places.map(({ site }) => site))];
  }

  /**
   * The addresses of a stack and, in front of the return address that it leads to, that of each tail jump: no frame has
   * it, but where a driver's routine ends in one it is the driver's place.
   */
  withTailJumps(stack: readonly Va[]): Va[] {
    return this.steps(stack).map(({ address }) => address);
  }

  private places(stack: readonly Va[]): Place[] {
    return this.steps(stack).flatMap(({ address, lookup }) =>
      this.at(address, lookup).map((site) => ({ address, site })),
    );
  }

  /** Each address, and where its line is looked up. */
  private steps(stack: readonly Va[]): { readonly address: Va; readonly lookup: Va }[] {
    return stack.flatMap((address, index) => {
      const callee = stack[index - 1];
      if (callee === undefined) return [{ address, lookup: address }];
      const jump = tailJumpBefore(this.nt, address, callee);
      // A return address belongs to the call in front of it.
      const own = { address, lookup: vaAdd(address, -1) };
      return jump === undefined ? [own] : [{ address: jump, lookup: jump }, own];
    });
  }

  private driverIndex(sites: readonly Site[]): number {
    const drivers = new Set([...this.nt.images.all()].filter((image) => image.isDriver).map((image) => image.name));
    const first = sites.findIndex((site) => drivers.has(site.module));
    if (first < 0) return -1;
    const own = sites.findIndex(
      (site, index) => index >= first && !(isKitHeader(site.file) && drivers.has(site.module)),
    );
    return own >= 0 && drivers.has(sites[own]?.module ?? '') ? own : first;
  }

  /** The sites at an address, inlined functions first; `lookup` is where its line is looked up. */
  at(address: Va, lookup: Va): readonly Site[] {
    const host = this.nt.entries.containingEver(address);
    if (host !== undefined) {
      const routine = host.kind === 'routine' ? host : host.kind === 'resume' ? host.routine : host.target;
      const name = routine?.name ?? (host.kind === 'thunk' ? host.importName : '');
      const module = routine?.module === 'hal.dll' ? 'hal' : 'nt';
      const offset = routine === undefined || host.kind === 'thunk' ? 0 : address - routine.va;
      return [{ module, function: name, offset: hex(offset) }];
    }
    const image = this.nt.images.containingEver(address);
    if (image === undefined) return [{ module: '', offset: hexAddress(address) }];
    const rva = address - image.base;
    const frames = this.symbolsOf(image)?.framesAt(lookup - image.base) ?? [];
    if (frames.length === 0) return [{ module: image.name, offset: hex(rva) }];
    return frames.map((frame) => ({
      module: image.name,
      function: frame.function,
      offset: signedHex(rva - frame.functionRva),
      ...(frame.inlined ? { inlined: true } : {}),
      ...(frame.source === undefined ? {} : { file: frame.source.file, line: frame.source.line }),
    }));
  }
}

/** Headers with inlined routines, as those of lookaside lists: a leak there is the driver's that calls them. */
function isKitHeader(file: string | undefined): boolean {
  return file !== undefined && /(^|[\\/])(wdm|ntddk|ntifs|ndis|fltkernel|storport|wdf\w*)\.h$/i.test(file);
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

/** Cold parts of a function may stand below its entry. */
function signedHex(value: number): string {
  return value < 0 ? `-${hex(-value)}` : hex(value);
}

function hexAddress(va: Va): string {
  return hex(Number.isNaN(va) ? 0 : va < 0 ? va + 2 ** 64 : va);
}
