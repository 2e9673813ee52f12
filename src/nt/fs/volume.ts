/**
 * The tree of directories and files of the one volume, `C:`. All of it is host-side data; file objects lead into it
 * through {@link Opens}.
 */
import { assert } from '../../base/errors.ts';
import type { StoreCell, StoreMap, Stores } from '../../base/store.ts';

/** FILE_ATTRIBUTE_* */
export const FileAttribute = {
  ReadOnly: 0x1,
  Hidden: 0x2,
  System: 0x4,
  Directory: 0x10,
  Archive: 0x20,
  Normal: 0x80,
} as const;

export interface Times {
  readonly created: number;
  readonly accessed: number;
  readonly written: number;
  readonly changed: number;
}

export interface FsNode {
  readonly id: number;
  /** 0 for the root directory. */
  readonly parent: number;
  /** With the case that it was made with. */
  readonly name: string;
  readonly isDirectory: boolean;
  readonly attributes: number;
  /** Of a file. Replaced, never changed. */
  readonly content: Uint8Array;
  /** 100 ns since 1601. */
  readonly times: Times;
  /** Goes when its last handle is closed. */
  readonly isDeletePending: boolean;
}

/** Bytes of all files together. */
export const volumeBytes = 0x400_0000;
export const clusterBytes = 0x1000;
export const rootId = 1;
const initialDirectories = [
  'Program Files',
  'ProgramData',
  'Users',
  'Users\\Public',
  'Windows',
  'Windows\\System32',
  'Windows\\System32\\config',
  'Windows\\System32\\drivers',
  'Windows\\Temp',
];
const emptyContent = new Uint8Array(0);

export class Volume {
  private readonly nodes: StoreMap<number, FsNode>;
  private readonly nextId: StoreCell<number>;
  private readonly usedBytes_: StoreCell<number>;
  private readonly now: () => number;

  constructor(stores: Stores, now: () => number) {
    this.nodes = stores.map('fs/nodes');
    this.nextId = stores.cell('fs/next-node', rootId);
    this.usedBytes_ = stores.cell('fs/used-bytes', 0);
    this.now = now;
  }

  /** Makes what a fresh Windows has. */
  format(): void {
    if (this.nodes.size > 0) return;
    this.add(0, '', true, FileAttribute.Directory);
    for (const path of initialDirectories) {
      const parts = path.split('\\');
      const parent = this.find(parts.slice(0, -1));
      if (parent !== undefined) this.add(parent.id, parts.at(-1) ?? '', true, FileAttribute.Directory);
    }
  }

  get usedBytes(): number {
    return this.usedBytes_.value;
  }

  node(id: number): FsNode {
    const node = this.nodes.get(id);
    assert(node, 'a file or directory is looked up by its number');
    return node;
  }

  /** As {@link node}; undefined once it was deleted. */
  existing(id: number): FsNode | undefined {
    return this.nodes.get(id);
  }

  /** The node at a path from the root; names compare without case. */
  find(parts: readonly string[]): FsNode | undefined {
    let node = this.nodes.get(rootId);
    for (const part of parts) node = node === undefined ? undefined : this.child(node.id, part);
    return node;
  }

  child(parent: number, name: string): FsNode | undefined {
    const wanted = name.toLowerCase();
    for (const node of this.nodes.values()) {
      if (node.parent === parent && node.name.toLowerCase() === wanted) return node;
    }
    return undefined;
  }

  /** In the order in which NTFS lists them. */
  children(parent: number): FsNode[] {
    const found = [...this.nodes.values()].filter((node) => node.parent === parent);
    return found.sort((a, b) => (a.name.toUpperCase() < b.name.toUpperCase() ? -1 : 1));
  }

  add(parent: number, name: string, isDirectory: boolean, attributes: number): FsNode {
    const id = this.nextId.value;
    this.nextId.value = id + 1;
    const time = this.now();
    const times = { created: time, accessed: time, written: time, changed: time };
    const node = { id, parent, name, isDirectory, attributes, content: emptyContent, times, isDeletePending: false };
    this.nodes.set(id, node);
    return node;
  }

  update(id: number, change: Partial<FsNode>): void {
    this.nodes.set(id, { ...this.node(id), ...change });
  }

  remove(id: number): void {
    this.usedBytes_.value -= this.node(id).content.length;
    this.nodes.delete(id);
  }

  /** Path from the volume's root: `\Windows\Temp\a.txt`; of the root `\`. */
  pathOf(id: number): string {
    const parts: string[] = [];
    for (let node = this.node(id); node.id !== rootId; node = this.node(node.parent)) parts.unshift(node.name);
    return `\\${parts.join('\\')}`;
  }

  isBelow(id: number, ancestor: number): boolean {
    for (let at = id; at !== 0; at = this.node(at).parent) if (at === ancestor) return true;
    return false;
  }

  // ---- contents

  /** Makes the file that long; new bytes are zero. False if the volume is full. */
  resize(id: number, bytes: number): boolean {
    const { content } = this.node(id);
    if (this.usedBytes + bytes - content.length > volumeBytes) return false;
    const resized = new Uint8Array(bytes);
    resized.set(content.subarray(0, bytes));
    this.replace(id, resized);
    return true;
  }

  /** Writes at an offset; the file grows if it has to. False if the volume is full. */
  write(id: number, offset: number, bytes: Uint8Array): boolean {
    const { content } = this.node(id);
    const length = Math.max(content.length, offset + bytes.length);
    if (this.usedBytes + length - content.length > volumeBytes) return false;
    const changed = new Uint8Array(length);
    changed.set(content);
    changed.set(bytes, offset);
    this.replace(id, changed);
    return true;
  }

  private replace(id: number, content: Uint8Array): void {
    const node = this.node(id);
    this.usedBytes_.value += content.length - node.content.length;
    const time = this.now();
    this.update(id, { content, times: { ...node.times, written: time, changed: time } });
  }
}
