/** The configuration manager: the registry, the key objects that lead into it, and who wants to hear of changes. */
import type { StoreCell, StoreMap } from '../../base/store.ts';
import { nullVa, type Va, vaToU64 } from '../../base/va.ts';
import type { Call, ResumedCall } from '../declare/call.ts';
import { holderOf } from '../mm/holder.ts';
import type { Nt } from '../nt.ts';
import {
  ntSuccess,
  STATUS_INVALID_PARAMETER,
  STATUS_KEY_DELETED,
  STATUS_OBJECT_NAME_INVALID,
  STATUS_OBJECT_PATH_NOT_FOUND,
  STATUS_OBJECT_PATH_SYNTAX_BAD,
  STATUS_OBJECT_TYPE_MISMATCH,
  STATUS_SUCCESS,
} from '../ntstatus.ts';
import { readUnicodeString } from '../rtl/guest-text.ts';
import { OBJECT_ATTRIBUTES } from '../structures/io.ts';
import { UNICODE_STRING } from '../structures/strings.ts';
import { ChangeCallbacks } from './change-callbacks.ts';
import { addService, fillRegistry } from './initial-content.ts';
import { type FoundKey, type RegistryKey, RegistryTree } from './registry-tree.ts';

const objKernelHandle = 0x200;
/** OBJ_OPENLINK */
const objOpenLink = 0x100;
const keyBodyBytes = 0x50;

export interface ResolvedKey {
  readonly status: number;
  readonly key?: RegistryKey;
}

export interface FoundByAttributes extends FoundKey {
  readonly isKernelHandle: boolean;
}

export class Registry {
  readonly tree: RegistryTree;
  readonly callbacks: ChangeCallbacks;
  private readonly nt: Nt;
  /** Key objects (one for each open) to the id of their key. */
  private readonly opened: StoreMap<number, number>;
  /** UNICODE_STRINGs that stay as long as their key objects. */
  private readonly names: StoreMap<number, Va>;
  private readonly rootBody: StoreCell<Va>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.tree = new RegistryTree(nt.stores, () => nt.clock.systemTime);
    this.callbacks = new ChangeCallbacks(nt);
    this.opened = nt.stores.map('cm/key-objects');
    this.names = nt.stores.map('cm/key-names');
    this.rootBody = nt.stores.cell('cm/root-object', nullVa);
    fillRegistry(this.tree);
  }

  addService(name: string, fileName: string): void {
    addService(this.tree, name, fileName);
  }

  // ---- names

  /** Finds a key by the full name that drivers use: `\Registry\Machine\…`. */
  findAbsolute(path: string, opensLink = false): FoundKey {
    if (!path.startsWith('\\')) return { status: STATUS_OBJECT_PATH_SYNTAX_BAD };
    const [, first = '', ...rest] = path.split('\\');
    if (first.toUpperCase() === 'REGISTRY') return this.tree.find(this.tree.root, rest.join('\\'), opensLink);
    const { status, object } = this.nt.objects.lookup(path);
    if (object !== undefined) return { status: STATUS_OBJECT_TYPE_MISMATCH };
    return { status: ntSuccess(status) ? STATUS_OBJECT_PATH_NOT_FOUND : status };
  }

  /** What OBJECT_ATTRIBUTES name. */
  findByAttributes(at: Va, opensLink: boolean): FoundByAttributes {
    const { memory } = this.nt;
    const refuse = (status: number): FoundByAttributes => ({ status, isKernelHandle: false });
    if (at === nullVa || OBJECT_ATTRIBUTES.Length.get(memory, at) !== OBJECT_ATTRIBUTES.sizeBytes) {
      return refuse(STATUS_INVALID_PARAMETER);
    }
    const flags = OBJECT_ATTRIBUTES.Attributes.get(memory, at);
    const nameAt = OBJECT_ATTRIBUTES.ObjectName.get(memory, at);
    if (nameAt !== nullVa && UNICODE_STRING.Length.get(memory, nameAt) % 2 !== 0) {
      return refuse(STATUS_OBJECT_NAME_INVALID);
    }
    const name = nameAt === nullVa ? '' : readUnicodeString(memory, nameAt);
    const isKernelHandle = (flags & objKernelHandle) !== 0;
    const opens = opensLink || (flags & objOpenLink) !== 0;
    const rootHandle = OBJECT_ATTRIBUTES.RootDirectory.get(memory, at);
    if (rootHandle === nullVa) return { ...this.findAbsolute(name, opens), isKernelHandle };
    const { status, key } = this.resolve(rootHandle);
    if (key === undefined) return refuse(status);
    if (name.startsWith('\\')) return refuse(STATUS_OBJECT_PATH_SYNTAX_BAD);
    return { ...this.tree.find(key, name, opens), isKernelHandle };
  }

  /** Creates what {@link find} did not find. */
  create(found: FoundKey, options: { readonly className: string; readonly isVolatile: boolean }): FoundKey {
    if (found.missing === undefined) return found;
    const { parent, name } = found.missing;
    const isHiveRoot = parent.id === this.tree.root.id || parent.parent === this.tree.root.id;
    if (isHiveRoot) return { status: STATUS_INVALID_PARAMETER };
    return this.tree.createKey(parent, name, options);
  }

  // ---- key objects

  /** A new key object with one handle, stored at `handleAt`. */
  open(call: Call | ResumedCall, key: RegistryKey, access: number, isKernelHandle: boolean, handleAt: Va): void {
    const { nt } = call;
    const body = nt.pool.allocateKernel(keyBodyBytes, 'Key ');
    this.opened.set(body, key.id);
    nt.objects.createUnlisted(body, 'Key', this.tree.pathOf(key));
    const handle = nt.objects.createHandle(body, access, isKernelHandle, holderOf(nt, call));
    nt.objects.dereference(body);
    nt.memory.writeU64(handleAt, vaToU64(handle as Va));
  }

  /** The key behind a handle that kernel mode uses; STATUS_KEY_DELETED if it is gone. */
  resolve(handle: Va): ResolvedKey {
    const { status, entry } = this.nt.objects.resolveHandle(handle, 0, 'Key', false);
    if (entry === undefined) return { status };
    const key = this.tree.key(this.opened.get(entry.body) ?? 0);
    return key === undefined ? { status: STATUS_KEY_DELETED } : { status: STATUS_SUCCESS, key };
  }

  /** The key object behind a handle that kernel mode uses. */
  bodyOf(handle: Va): Va | undefined {
    return this.nt.objects.resolveHandle(handle, 0, 'Key', false).entry?.body;
  }

  /** The key of a key object; undefined if it is gone. */
  keyOf(body: Va): RegistryKey | undefined {
    return this.tree.key(this.opened.get(body) ?? 0);
  }

  /** The name that goes with a key object; made when it is first asked for. */
  nameOf(body: Va, make: () => Va): Va {
    const name = this.names.get(body) ?? make();
    this.names.set(body, name);
    return name;
  }

  /** The key object of `\REGISTRY`, which is always there. */
  get rootObject(): Va {
    if (this.rootBody.value === nullVa) {
      const body = this.nt.pool.allocateKernel(keyBodyBytes, 'Key ');
      this.opened.set(body, this.tree.root.id);
      this.nt.objects.createUnlisted(body, 'Key', '\\REGISTRY');
      this.rootBody.value = body;
    }
    return this.rootBody.value;
  }

  /** The last reference to a key object went. */
  freeBody(body: Va): void {
    if (this.callbacks.findContext(({ object }) => object === body) !== undefined) {
      const name = "the cleanup of a registry callback's context where a key's last reference goes after its handles";
      const { nt } = this;
      nt.finish({ kind: 'unsupported', what: 'behaviour', name, site: nt.cpu.state.rip, stack: nt.currentStack() });
    }
    const name = this.names.get(body);
    if (name !== undefined) {
      this.nt.pool.freeAny(UNICODE_STRING.Buffer.get(this.nt.memory, name));
      this.nt.pool.freeKernel(name);
      this.names.delete(body);
    }
    this.opened.delete(body);
    this.nt.pool.freeKernel(body);
  }
}
