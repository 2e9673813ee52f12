/** Security descriptors of objects: a default for each type until somebody sets one. */
import type { StoreMap } from '../../base/store.ts';
import type { Va } from '../../base/va.ts';
import type { Nt } from '../nt.ts';
import { STATUS_SUCCESS } from '../ntstatus.ts';
import { FILE_OBJECT } from '../structures/io.ts';
import { DescriptorControl, SecurityInformation } from '../structures/security.ts';
import { UNICODE_STRING } from '../structures/strings.ts';
import { checkAccess, fileMapping } from './access-check.ts';
import { AceType, aclBytes } from './acl.ts';
import { type Descriptor, selfRelativeBytes } from './descriptor.ts';
import { bytesOfSid } from './sid.ts';
import { wellKnownSids } from './well-known.ts';

const fileAll = 0x1f_01ff;
/** FILE_GENERIC_READ | FILE_GENERIC_WRITE | FILE_GENERIC_EXECUTE */
const fileUse = 0x12_01bf;
const fileLook = 0x12_00a9;

/** As IoCreateDevice makes it for most device types. */
const deviceDefault: Descriptor = {
  control: DescriptorControl.DaclPresent,
  Owner: bytesOfSid(wellKnownSids.SeAliasAdminsSid),
  Group: bytesOfSid(wellKnownSids.SeLocalSystemSid),
  Dacl: aclBytes([
    { type: AceType.Allowed, mask: fileUse, sid: wellKnownSids.SeWorldSid },
    { type: AceType.Allowed, mask: fileAll, sid: wellKnownSids.SeLocalSystemSid },
    { type: AceType.Allowed, mask: fileAll, sid: wellKnownSids.SeAliasAdminsSid },
    { type: AceType.Allowed, mask: fileLook, sid: wellKnownSids.SeRestrictedSid },
  ]),
};

/** What SYSTEM's token gives to what it creates. */
const systemDefault: Descriptor = {
  control: DescriptorControl.DaclPresent,
  Owner: bytesOfSid(wellKnownSids.SeAliasAdminsSid),
  Group: bytesOfSid(wellKnownSids.SeLocalSystemSid),
  Dacl: aclBytes([
    { type: AceType.Allowed, mask: 0x1000_0000, sid: wellKnownSids.SeLocalSystemSid },
    { type: AceType.Allowed, mask: 0xe002_0000, sid: wellKnownSids.SeAliasAdminsSid },
  ]),
};

export class ObjectSecurity {
  private readonly nt: Nt;
  private readonly descriptors: StoreMap<string, Descriptor>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.descriptors = nt.stores.map('se/object-security');
  }

  of(body: Va): Descriptor {
    const holder = this.holder(body);
    const isDevice = this.nt.objects.get(holder)?.type === 'Device';
    return this.descriptors.get(this.keyOf(holder)) ?? (isDevice ? deviceDefault : systemDefault);
  }

  /** Whether the running thread is granted the access, judged as a user's. */
  grants(body: Va, access: number): boolean {
    const { nt } = this;
    const bytes = selfRelativeBytes(this.of(body));
    const descriptor = nt.pool.allocateKernel(bytes.length, 'SeAc');
    nt.memory.writeBytes(descriptor, bytes);
    const token = nt.tokens.effective(nt.scheduler.currentThread.kthread);
    const question = { descriptor, token, desired: access, previouslyGranted: 0, mapping: fileMapping };
    const { status } = checkAccess(nt, question);
    nt.pool.freeKernel(descriptor);
    return status === STATUS_SUCCESS;
  }

  /** Replaces the parts that `information` (SECURITY_INFORMATION) names. */
  set(body: Va, information: number, change: Descriptor): void {
    const holder = this.holder(body);
    this.descriptors.set(this.keyOf(holder), merged(this.of(holder), information, change));
  }

  /** The object went. */
  forget(body: Va): void {
    if (this.nt.objects.get(body)?.type !== 'Key') this.descriptors.delete(`${body}`);
  }

  /** A file that is a device itself has the device's descriptor. */
  private holder(body: Va): Va {
    const { memory, objects, io } = this.nt;
    if (objects.get(body)?.type !== 'File') return body;
    return UNICODE_STRING.Length.get(memory, FILE_OBJECT.FileName.at(body)) === 0 ? io.files.device(body) : body;
  }

  /** A key's descriptor outlives its key objects. */
  private keyOf(body: Va): string {
    const object = this.nt.objects.get(body);
    return object?.type === 'Key' && object.name !== undefined ? object.name.toLowerCase() : `${body}`;
  }
}

const dacl = DescriptorControl.DaclPresent | DescriptorControl.DaclDefaulted | DescriptorControl.DaclProtected;
const sacl = DescriptorControl.SaclPresent | DescriptorControl.SaclDefaulted | DescriptorControl.SaclProtected;

/** `old` with the parts of `change` that `information` names. */
export function merged(old: Descriptor, information: number, change: Descriptor): Descriptor {
  const pick = (bit: number): Descriptor => ((information & bit) !== 0 ? change : old);
  const bitsOf = (bit: number, mask: number): number => pick(bit).control & mask;
  const parts = {
    Owner: pick(SecurityInformation.Owner).Owner,
    Group: pick(SecurityInformation.Group).Group,
    Dacl: pick(SecurityInformation.Dacl).Dacl,
    Sacl: pick(SecurityInformation.Sacl).Sacl,
  };
  const control =
    bitsOf(SecurityInformation.Owner, DescriptorControl.OwnerDefaulted) |
    bitsOf(SecurityInformation.Group, DescriptorControl.GroupDefaulted) |
    bitsOf(SecurityInformation.Dacl, dacl) |
    bitsOf(SecurityInformation.Sacl, sacl);
  return withoutMissing(control, parts);
}

/** Only the parts that `information` names. */
export function selected(descriptor: Descriptor, information: number): Descriptor {
  return merged({ control: 0 }, information, descriptor);
}

function withoutMissing(
  control: number,
  parts: { readonly [K in keyof Descriptor]?: Uint8Array | undefined },
): Descriptor {
  const kept: { -readonly [K in 'Owner' | 'Group' | 'Dacl' | 'Sacl']?: Uint8Array } = {};
  for (const name of ['Owner', 'Group', 'Dacl', 'Sacl'] as const) {
    const part = parts[name];
    if (part !== undefined) kept[name] = part;
  }
  return { control, ...kept };
}
