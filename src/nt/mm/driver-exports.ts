/** What drivers export to each other. */
import { type Va, vaAdd } from '../../base/va.ts';
import type { PeImage } from '../../image/pe/pe-image.ts';
import type { KernelImage } from './kernel-image.ts';

/** An import by name, or else by ordinal. */
export interface WantedExport {
  readonly name: string | undefined;
  readonly ordinal: number | undefined;
}

/** A forwarder leads to another module, which may forward again. */
const mostForwarders = 8;

/**
 * Address of a driver's export; undefined if no loaded driver of that file name has it. `elsewhere` looks a forwarded name
 * up in the kernel's own modules.
 */
export function driverExport(
  images: Iterable<KernelImage>,
  module: string,
  wanted: WantedExport,
  elsewhere: (module: string, name: string) => Va | undefined,
  depth = 0,
): Va | undefined {
  const all = [...images];
  const image = all.find((one) => one.isDriver && one.isLoaded && isNamed(one, module));
  const found = image?.pe?.exports.find(({ name, ordinal }) =>
    wanted.name === undefined ? ordinal === wanted.ordinal : name === wanted.name,
  );
  if (image === undefined || found === undefined) return undefined;
  if (found.forwarder === undefined) return vaAdd(image.base, found.rva);
  if (depth === mostForwarders) return undefined;
  const dot = found.forwarder.lastIndexOf('.');
  const [target, name] = [found.forwarder.slice(0, dot), found.forwarder.slice(dot + 1)];
  const ordinal = name.startsWith('#') ? Number(name.slice(1)) : undefined;
  const next = { name: ordinal === undefined ? name : undefined, ordinal };
  for (const file of [target, `${target}.sys`, `${target}.exe`, `${target}.dll`]) {
    const va =
      (next.name === undefined ? undefined : elsewhere(file, next.name)) ??
      driverExport(all, file, next, elsewhere, depth + 1);
    if (va !== undefined) return va;
  }
  return undefined;
}

/** File names are compared as Windows does. */
export function isNamed({ fileName }: Pick<KernelImage, 'fileName'>, module: string): boolean {
  return fileName.toLowerCase() === module.toLowerCase();
}

/** Whether the image imports anything from a file of that name. */
export function importsFrom(pe: PeImage | undefined, fileName: string): boolean {
  return pe?.imports.some(({ module }) => module.toLowerCase() === fileName.toLowerCase()) ?? false;
}
