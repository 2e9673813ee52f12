/** The image as it lies in memory at a given address. */
import { hexVa, type Va, vaToU64 } from '../../base/va.ts';
import { cannotRelocate } from './pe-errors.ts';
import { type PeImage, relocationType } from './pe-image.ts';

/**
 * The sections in a new buffer of `sizeOfImage` bytes, relocated for `base`; imports are not bound. Throws PP1006 if
 * the linker stripped the relocations and `base` is not the preferred one.
 */
export function layOutImage(pe: PeImage, base: Va): Uint8Array {
  const image = pe.mapped.slice();
  const delta = BigInt.asUintN(64, vaToU64(base) - pe.preferredBaseU64);
  if (delta === 0n) return image;
  if (pe.areRelocationsStripped) {
    throw cannotRelocate(
      pe.fileName,
      `linked without base relocations for ${hexVa(pe.preferredBase)} only`,
      'relocations (link with /DYNAMICBASE or without /FIXED)',
    );
  }
  const view = new DataView(image.buffer);
  const lowDelta = Number(BigInt.asUintN(32, delta));
  const { rvas, types } = pe.baseRelocations;
  for (let index = 0; index < rvas.length; index++) {
    const rva = rvas[index] ?? 0;
    if (types[index] === relocationType.dir64) {
      view.setBigUint64(rva, BigInt.asUintN(64, view.getBigUint64(rva, true) + delta), true);
    } else {
      view.setUint32(rva, view.getUint32(rva, true) + lowDelta, true);
    }
  }
  return image;
}
