/** The RelativeTo forms in which the Rtl routines name a key. */
import { nullVa, type Va } from '../../base/va.ts';
import type { Nt } from '../nt.ts';
import { STATUS_INVALID_PARAMETER } from '../ntstatus.ts';
import { readWideZ } from '../rtl/guest-text.ts';
import type { ResolvedKey } from './registry.ts';

const registryHandle = 0x4000_0000;
/** RTL_REGISTRY_OPTIONAL changes nothing: a key that is missing is an error all the same. */
const flags = 0xc000_0000;

/** By RTL_REGISTRY_*: absolute, services, control, Windows NT, device map, user (that of the system process). */
const roots = [
  '',
  '\\Registry\\Machine\\System\\CurrentControlSet\\Services\\',
  '\\Registry\\Machine\\System\\CurrentControlSet\\Control\\',
  '\\Registry\\Machine\\Software\\Microsoft\\Windows NT\\CurrentVersion\\',
  '\\Registry\\Machine\\Hardware\\DeviceMap\\',
  '\\Registry\\User\\.Default\\',
] as const;

/** @param creates whether the last key of the path is created where it is missing */
export function relativeKey(nt: Nt, relativeTo: number, path: Va, creates: boolean): ResolvedKey {
  if ((relativeTo & registryHandle) !== 0) return nt.registry.resolve(path);
  const root = roots[(relativeTo & ~flags) >>> 0];
  if (root === undefined) return { status: STATUS_INVALID_PARAMETER };
  const found = nt.registry.findAbsolute(root + (path === nullVa ? '' : readWideZ(nt.memory, path)));
  const options = { className: '', isVolatile: false };
  return found.key === undefined && creates ? nt.registry.create(found, options) : found;
}
