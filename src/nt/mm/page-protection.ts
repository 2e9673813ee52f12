import { Access } from '../../engine/memory/layout.ts';

/** Cache modifiers of a page protection: PAGE_NOCACHE and PAGE_WRITECOMBINE. */
const cacheModifiers = 0x200 | 0x400;

/** `Access` bits of a page protection (winnt.h PAGE_*); undefined if it is none that a kernel mapping can have. */
export function accessOfProtection(protection: number): number | undefined {
  switch (protection & ~cacheModifiers) {
    case 0x01:
      return 0;
    case 0x02:
      return Access.Read;
    case 0x04:
      return Access.Read | Access.Write;
    case 0x10:
    case 0x20:
      return Access.Read | Access.Execute;
    case 0x40:
      return Access.Read | Access.Write | Access.Execute;
    default:
      return undefined;
  }
}
