/** MDLs of what a device sees where that is the HAL's pages (wdm.h; nc-wdm-pbuild_mdl_from_scatter_gather_list). */
import { nullVa, type Va } from '../../base/va.ts';
import { pageMask, pageShift } from '../../engine/memory/layout.ts';
import { hasMdlFlag, initialiseMdl, mdlSizeBytes, pageOf, writePfn } from '../mm/mdl-layout.ts';
import type { Nt } from '../nt.ts';
import { MDL, MdlFlag } from '../structures/io.ts';
import type { MappedTransfer } from './dma-adapters.ts';

const mdlTag = 'Mdl ';

/** A chain as long as that of the list's buffers; the fragments of each follow each other page by page. */
export function buildListMdls(nt: Nt, transfers: readonly MappedTransfer[]): readonly Va[] {
  const mdls: Va[] = [];
  for (const group of groupsByMdl(transfers)) {
    const mdl = buildMdl(nt, group);
    const before = mdls.at(-1);
    if (before !== undefined) MDL.Next.set(nt.memory, before, mdl);
    mdls.push(mdl);
  }
  return mdls;
}

function groupsByMdl(transfers: readonly MappedTransfer[]): MappedTransfer[][] {
  const groups: MappedTransfer[][] = [];
  for (const transfer of transfers) {
    const group = groups.at(-1);
    if (group?.[0]?.mdl === transfer.mdl) group.push(transfer);
    else groups.push([transfer]);
  }
  return groups;
}

function buildMdl({ memory, pool }: Nt, group: readonly MappedTransfer[]): Va {
  const [first] = group as [MappedTransfer];
  const inPage = Number(first.logical & BigInt(pageMask));
  const va = (pageOf(first.va) + inPage) as Va;
  const bytes = group.reduce((sum, transfer) => sum + transfer.bytes, 0);
  const mdl = pool.allocateKernel(mdlSizeBytes(va, bytes), mdlTag);
  initialiseMdl(memory, mdl, va, bytes, MdlFlag.PagesLocked);
  let index = 0;
  for (const { logical, bytes: length } of group) {
    const last = Number((logical + BigInt(length) - 1n) >> BigInt(pageShift));
    for (let pfn = Number(logical >> BigInt(pageShift)); pfn <= last; pfn++) writePfn(memory, mdl, index++, pfn);
  }
  return mdl;
}

/** The list is put: the driver's mappings of them go too. */
export function freeListMdls(nt: Nt, mdls: readonly Va[]): void {
  for (const mdl of mdls) {
    if (hasMdlFlag(nt.memory, mdl, MdlFlag.MappedToSystemVa)) {
      nt.mdls.unmap(MDL.MappedSystemVa.get(nt.memory, mdl), mdl);
    }
    MDL.Next.set(nt.memory, mdl, nullVa);
    nt.pool.freeKernel(mdl);
  }
}
