/** What the file system knows of its open file objects: which file, with which access, and what it lets others have. */
import type { StoreMap, Stores } from '../../base/store.ts';
import type { Va } from '../../base/va.ts';

export const FileAccess = {
  ReadData: 0x1,
  WriteData: 0x2,
  AppendData: 0x4,
  Execute: 0x20,
  ReadAttributes: 0x80,
  WriteAttributes: 0x100,
  Delete: 0x1_0000,
} as const;
export const Share = { Read: 1, Write: 2, Delete: 4 } as const;

export interface Open {
  readonly file: Va;
  readonly node: number;
  /** The volume itself, not a directory or file of it. */
  readonly isVolume: boolean;
  readonly access: number;
  readonly share: number;
  readonly deletesOnClose: boolean;
  /** The last handle was closed: it shares nothing any more. */
  readonly isCleanedUp: boolean;
  /** Where a listing of the directory stands, and what it was begun with. */
  readonly listing: { readonly pattern: string; readonly next: number } | undefined;
}

/** Rights that a share mode is compared with. */
const shared: readonly (readonly [number, number])[] = [
  [FileAccess.ReadData | FileAccess.Execute, Share.Read],
  [FileAccess.WriteData | FileAccess.AppendData, Share.Write],
  [FileAccess.Delete, Share.Delete],
];

export class Opens {
  private readonly opens: StoreMap<number, Open>;

  constructor(stores: Stores) {
    this.opens = stores.map('fs/opens');
  }

  get(file: Va): Open | undefined {
    return this.opens.get(file);
  }

  add(open: Open): void {
    this.opens.set(open.file, open);
  }

  update(file: Va, change: Partial<Open>): void {
    const open = this.opens.get(file);
    if (open !== undefined) this.opens.set(file, { ...open, ...change });
  }

  remove(file: Va): void {
    this.opens.delete(file);
  }

  /** Opens of a file or directory that have a handle left. */
  of(node: number): Open[] {
    return [...this.opens.values()].filter((open) => open.node === node && !open.isCleanedUp && !open.isVolume);
  }

  /** IoCheckShareAccess: whether a new open goes with those that are there. */
  mayShare(node: number, access: number, share: number): boolean {
    const asks = shared.filter(([rights]) => (access & rights) !== 0);
    // An open that neither reads, writes nor deletes shares with everybody.
    if (asks.length === 0) return true;
    return this.of(node).every((other) => {
      const has = shared.filter(([rights]) => (other.access & rights) !== 0);
      if (has.length === 0) return true;
      return asks.every(([, bit]) => (other.share & bit) !== 0) && has.every(([, bit]) => (share & bit) !== 0);
    });
  }
}
