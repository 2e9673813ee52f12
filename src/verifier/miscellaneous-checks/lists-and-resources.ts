/**
 * Miscellaneous checks (flag 0x800) of lookaside lists and ERESOURCEs: initialised once, deleted once, and no smaller
 * than the kernel can use (bug check 0xC4 page, 0xCA to 0xD1). What is freed with them inside, block-contents.ts tells.
 */
import type { Va } from '../../base/va.ts';
import type { Call } from '../../nt/declare/call.ts';
import { PVOID, SIZE_T } from '../../nt/declare/parameter-types.ts';
import { proceed } from '../../nt/host-entries.ts';
import type { KernelImage } from '../../nt/mm/kernel-image.ts';
import type { Nt } from '../../nt/nt.ts';
import { violation } from '../automatic-checks/violation.ts';

/** By routine: the index of the argument that is the size of a block. */
const listInitialisers = {
  ExInitializeNPagedLookasideList: 4,
  ExInitializePagedLookasideList: 4,
  ExInitializeLookasideListEx: 5,
} as const;
const listDeleters = ['ExDeleteNPagedLookasideList', 'ExDeletePagedLookasideList', 'ExDeleteLookasideListEx'] as const;
/** LOOKASIDE_MINIMUM_BLOCK_SIZE: a cached block holds the link to the next one. */
const smallestBlock = 8;

export class ListsAndResources {
  private readonly nt: Nt;
  private readonly isVerified: (image: KernelImage) => boolean;

  constructor(nt: Nt, isVerified: (image: KernelImage) => boolean) {
    this.nt = nt;
    this.isVerified = isVerified;
    for (const [name, sizeIndex] of Object.entries(listInitialisers)) {
      this.before(name, (list, call) => {
        const bytes = SIZE_T.read(call, sizeIndex);
        if (this.isList(list)) throw violation(0xca, [list, 0, 0], 'the driver initialised a lookaside list twice');
        if (bytes < smallestBlock) {
          throw violation(
            0xcd,
            [list, bytes, smallestBlock],
            'the driver made a lookaside list of blocks that are too small',
          );
        }
      });
    }
    for (const name of listDeleters) {
      this.before(name, (list) => {
        if (this.isList(list)) return;
        throw violation(0xcb, [list, 0, 0], 'the driver deleted a lookaside list that is not initialised');
      });
    }
    this.before('ExInitializeResourceLite', (resource) => {
      if (nt.resources.get(resource) === undefined) return;
      throw violation(0xd0, [resource, 0, 0], 'the driver initialised an ERESOURCE twice');
    });
    this.before('ExDeleteResourceLite', (resource) => {
      if (nt.resources.get(resource) !== undefined) return;
      throw violation(0xd1, [resource, 0, 0], 'the driver deleted an ERESOURCE that is not initialised');
    });
  }

  private before(name: string, check: (object: Va, call: Call) => void): void {
    this.nt.entries.hook(name, {
      before: (_nt, call) => {
        if (call.image !== undefined && this.isVerified(call.image)) check(PVOID.read(call, 0), call);
        return proceed;
      },
    });
  }

  private isList(list: Va): boolean {
    for (const known of this.nt.lookasides.all()) if (known.list === list) return true;
    return false;
  }
}
