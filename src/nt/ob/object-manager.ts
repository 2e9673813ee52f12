/** Objects that have a name, handles or references: the namespace, the handle tables, the counts. */
import { assert } from '../../base/errors.ts';
import type { StoreCell, StoreMap } from '../../base/store.ts';
import type { Va } from '../../base/va.ts';
import { type Holder, kernelHolder } from '../mm/holder.ts';
import type { Nt } from '../nt.ts';
import {
  STATUS_ACCESS_DENIED,
  STATUS_INVALID_HANDLE,
  STATUS_OBJECT_NAME_COLLISION,
  STATUS_OBJECT_NAME_INVALID,
  STATUS_OBJECT_NAME_NOT_FOUND,
  STATUS_OBJECT_PATH_NOT_FOUND,
  STATUS_OBJECT_TYPE_MISMATCH,
  STATUS_SUCCESS,
} from '../ntstatus.ts';

export type ObjectType =
  | 'Device'
  | 'Driver'
  | 'File'
  | 'Event'
  | 'Thread'
  | 'Process'
  | 'SymbolicLink'
  | 'Directory'
  | 'Key'
  | 'Token'
  | 'Section'
  | 'Callback'
  | 'Timer';

export interface ObjectRecord {
  readonly body: Va;
  readonly type: ObjectType;
  /** As created, with its case; undefined for objects without a name. */
  readonly name: string | undefined;
  /** References, those of handles and of the creator included. */
  readonly pointerCount: number;
  readonly handleCount: number;
}

export interface SymbolicLink extends Holder {
  readonly name: string;
  readonly target: string;
}

export interface HandleEntry extends Holder {
  readonly handle: number;
  readonly body: Va;
  readonly grantedAccess: number;
  /** In the System process's table: valid in kernel mode only, whatever the process. */
  readonly isKernelHandle: boolean;
  /** In whose table it is otherwise: valid in that process only, and gone with it. */
  readonly process: Va;
}

export interface LookupResult {
  readonly status: number;
  readonly object?: ObjectRecord;
  /** What follows the object's name: `\sub\path` of `\Device\X\sub\path`. */
  readonly remainder?: string;
}

const directories = [
  '\\',
  '\\device',
  '\\driver',
  '\\??',
  '\\global??',
  '\\basenamedobjects',
  '\\callback',
  '\\filesystem',
];
/** Types whose named objects are not permanent, as devices and drivers are. */
const temporaryTypes: readonly ObjectType[] = ['Event', 'Section'];
const kernelHandleBase = -0x8000_0000;
const typeObjectBytes = 0xd8;

export class ObjectManager {
  private readonly objects: StoreMap<number, ObjectRecord>;
  private readonly names: StoreMap<string, Va>;
  private readonly links: StoreMap<string, SymbolicLink>;
  private readonly handles: StoreMap<number, HandleEntry>;
  private readonly nextHandle: StoreCell<number>;
  /** Type objects (ExEventObjectType points to one), by name. */
  private readonly types: StoreMap<string, Va>;
  private readonly nt: Nt;

  constructor(nt: Nt) {
    this.nt = nt;
    this.objects = nt.stores.map('ob/objects');
    this.names = nt.stores.map('ob/names');
    this.links = nt.stores.map('ob/symbolic-links');
    this.handles = nt.stores.map('ob/handles');
    this.nextHandle = nt.stores.cell('ob/next-handle', 4);
    this.types = nt.stores.map('ob/types');
  }

  // ---- types

  /** The type object of that name: only its address means something. */
  typeObject(name: string): Va {
    const known = this.types.get(name);
    if (known !== undefined) return known;
    const body = this.nt.pool.allocateKernel(typeObjectBytes, 'ObjT');
    this.types.set(name, body);
    return body;
  }

  /** Whether an object has the type that a type object stands for. */
  isOfType(body: Va, typeObject: Va): boolean {
    const type = this.objects.get(body)?.type;
    return type !== undefined && this.types.get(type) === typeObject;
  }

  // ---- objects

  /** Registers a body that its component allocated, with one reference of its creator. */
  create(body: Va, type: ObjectType, name: string | undefined): number {
    if (name !== undefined) {
      const status = this.checkNewName(name);
      if (status !== STATUS_SUCCESS) return status;
      this.names.set(canonical(name), body);
    }
    this.objects.set(body, { body, type, name, pointerCount: 1, handleCount: 0 });
    return STATUS_SUCCESS;
  }

  /** As {@link create}, of an object whose name is not in this namespace but in its component's own. */
  createUnlisted(body: Va, type: ObjectType, name: string): void {
    this.objects.set(body, { body, type, name, pointerCount: 1, handleCount: 0 });
  }

  get(body: Va): ObjectRecord | undefined {
    return this.objects.get(body);
  }

  all(): IterableIterator<ObjectRecord> {
    return this.objects.values();
  }

  /** The new count. */
  reference(body: Va): number {
    return this.changeCount(body, 1);
  }

  /** The new count; at 0 the object is forgotten and its component frees the body. */
  dereference(body: Va): number {
    const count = this.changeCount(body, -1);
    if (count === 0) this.forget(body);
    return count;
  }

  /** Takes the name away: no new opens (IoDeleteDevice does this while handles are still open). */
  makeTemporary(body: Va): void {
    const record = this.objects.get(body);
    if (record?.name === undefined) return;
    this.names.delete(canonical(record.name));
    this.objects.set(body, { ...record, name: undefined });
  }

  /** As {@link makeTemporary}, when no handle is open: a handle keeps the name of a temporary object. */
  makeTemporaryUnlessOpen(body: Va): void {
    if (this.objects.get(body)?.handleCount === 0) this.makeTemporary(body);
  }

  private forget(body: Va): void {
    this.nt.security.forget(body);
    this.makeTemporary(body);
    this.objects.delete(body);
  }

  private changeCount(body: Va, by: number): number {
    const record = this.objects.get(body);
    assert(record, 'a reference is taken to a known object');
    const pointerCount = record.pointerCount + by;
    this.objects.set(body, { ...record, pointerCount });
    return pointerCount;
  }

  // ---- names

  /** Finds an object by full name, following symbolic links; the rest of the name goes to its parse routine. */
  lookup(path: string): LookupResult {
    this.nt.fileSystem.mountFor(path);
    let current = path;
    for (let hops = 0; hops < 16; hops++) {
      if (!current.startsWith('\\')) return { status: STATUS_OBJECT_NAME_INVALID };
      const link = this.longestLink(current);
      if (link === undefined) return this.lookupObject(current);
      current = link.link.target + current.slice(link.length);
    }
    return { status: STATUS_OBJECT_NAME_NOT_FOUND };
  }

  private lookupObject(path: string): LookupResult {
    const parts = path.split('\\');
    for (let count = parts.length; count > 1; count--) {
      const body = this.names.get(canonical(parts.slice(0, count).join('\\')));
      const object = body === undefined ? undefined : this.objects.get(body);
      if (object?.type === 'Directory' && count < parts.length) {
        const isParent = count === parts.length - 1;
        return { status: isParent ? STATUS_OBJECT_NAME_NOT_FOUND : STATUS_OBJECT_PATH_NOT_FOUND };
      }
      if (object)
        return {
          status: STATUS_SUCCESS,
          object,
          remainder: parts
            .slice(count)
            .map((part) => `\\${part}`)
            .join(''),
        };
    }
    const parent = canonical(parts.slice(0, -1).join('\\') || '\\');
    return { status: this.isDirectory(parent) ? STATUS_OBJECT_NAME_NOT_FOUND : STATUS_OBJECT_PATH_NOT_FOUND };
  }

  private isDirectory(key: string): boolean {
    const body = this.names.get(key);
    return directories.includes(key) || (body !== undefined && this.objects.get(body)?.type === 'Directory');
  }

  /** The link of that very name. */
  symbolicLink(name: string): SymbolicLink | undefined {
    return this.links.get(canonical(name));
  }

  private longestLink(path: string): { link: SymbolicLink; length: number } | undefined {
    const parts = path.split('\\');
    for (let count = parts.length; count > 1; count--) {
      const prefix = parts.slice(0, count).join('\\');
      const link = this.links.get(canonical(prefix));
      if (link) return { link, length: prefix.length };
    }
    return undefined;
  }

  private checkNewName(name: string): number {
    if (!name.startsWith('\\') || name.endsWith('\\') || name.includes('\\\\')) return STATUS_OBJECT_NAME_INVALID;
    const key = canonical(name);
    const isTaken = this.names.has(key) || this.links.has(key) || directories.includes(key);
    if (isTaken) return STATUS_OBJECT_NAME_COLLISION;
    const parent = key.slice(0, Math.max(1, key.lastIndexOf('\\')));
    return this.isDirectory(parent) ? STATUS_SUCCESS : STATUS_OBJECT_PATH_NOT_FOUND;
  }

  // ---- symbolic links

  createSymbolicLink(name: string, target: string, holder: Holder = kernelHolder): number {
    const status = this.checkNewName(name);
    if (status !== STATUS_SUCCESS) return status;
    this.links.set(canonical(name), { name, target, ...holder });
    return STATUS_SUCCESS;
  }

  deleteSymbolicLink(name: string): number {
    return this.links.delete(canonical(name)) ? STATUS_SUCCESS : STATUS_OBJECT_NAME_NOT_FOUND;
  }

  symbolicLinks(): IterableIterator<SymbolicLink> {
    return this.links.values();
  }

  // ---- handles

  /** A new handle, which holds a reference. User handles are small multiples of four, kernel handles have the high bits set. */
  createHandle(
    body: Va,
    grantedAccess: number,
    isKernelHandle: boolean,
    holder: Holder = kernelHolder,
    process = this.nt.scheduler.currentThread.process,
  ): number {
    const value = this.nextHandle.value;
    this.nextHandle.value = value + 4;
    const handle = isKernelHandle ? kernelHandleBase + value : value;
    this.reference(body);
    const record = this.record(body);
    this.objects.set(body, { ...record, handleCount: record.handleCount + 1 });
    this.handles.set(handle, { handle, body, grantedAccess, isKernelHandle, process, ...holder });
    return handle;
  }

  /** The handle as the running thread's process has it. */
  handle(handle: number): HandleEntry | undefined {
    const entry = this.handles.get(handle);
    if (entry === undefined || entry.isKernelHandle) return entry;
    return entry.process === this.nt.scheduler.currentThread.process ? entry : undefined;
  }

  allHandles(): IterableIterator<HandleEntry> {
    return this.handles.values();
  }

  /** Removes a handle; its reference is the caller's to drop. The last one takes a temporary object's name along. */
  closeHandle(handle: number): { readonly status: number; readonly body?: Va; readonly wasLast?: boolean } {
    const entry = this.handle(handle);
    if (entry === undefined) return { status: STATUS_INVALID_HANDLE };
    this.handles.delete(handle);
    const record = this.record(entry.body);
    const handleCount = record.handleCount - 1;
    this.objects.set(entry.body, { ...record, handleCount });
    if (temporaryTypes.includes(record.type)) this.makeTemporaryUnlessOpen(entry.body);
    return { status: STATUS_SUCCESS, body: entry.body, wasLast: handleCount === 0 };
  }

  /** Resolves a handle as ObReferenceObjectByHandle does, without taking the reference. */
  resolveHandle(
    handle: number,
    desiredAccess: number,
    type: ObjectType | undefined,
    isUserMode: boolean,
  ): { readonly status: number; readonly entry?: HandleEntry } {
    const entry = this.handle(handle);
    if (entry === undefined || (entry.isKernelHandle && isUserMode)) return { status: STATUS_INVALID_HANDLE };
    if (type !== undefined && this.record(entry.body).type !== type) return { status: STATUS_OBJECT_TYPE_MISMATCH };
    if (isUserMode && (desiredAccess & ~entry.grantedAccess) !== 0) return { status: STATUS_ACCESS_DENIED };
    return { status: STATUS_SUCCESS, entry };
  }

  private record(body: Va): ObjectRecord {
    const record = this.objects.get(body);
    assert(record, 'a handle leads to a known object');
    return record;
  }
}

/** Names compare without case; `\DosDevices` and `\GLOBAL??` are other names of `\??`. */
function canonical(name: string): string {
  const lower = name.toLowerCase();
  for (const alias of ['\\dosdevices', '\\global??']) {
    if (lower === alias || lower.startsWith(`${alias}\\`)) return `\\??${lower.slice(alias.length)}`;
  }
  return lower;
}
